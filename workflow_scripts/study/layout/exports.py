"""Which files tell of what a study asks for: of each training, for detectron2's users; of how sure a table is."""

from collections.abc import Iterable
from typing import Any

from workflow_scripts.study.compiled.segments import Run
from workflow_scripts.study.compiled.study import Chosen, Study, readings
from workflow_scripts.study.layout.results import Layout


def exported_runs(study: Study, layout: Layout, chosen: Chosen) -> list[dict[str, Any]]:
    """The asked detectors, those of searches among them, and the classifiers that they start from, each once.

    In the terms of `training/for_detectron2.py`.
    """
    runs = study.needed_runs(study.config.experiments, chosen)
    evaluated = _evaluated(study, layout, chosen)
    models = dict.fromkeys(run.recipe.model for run in runs if run.recipe.pretraining == "train")
    return [
        *(_classifier(layout, model) for model in models),
        *(_detector(layout, run, evaluated.get(run.name, [])) for run in runs),
    ]


def table_replicates(study: Study, layout: Layout, experiment: str, chosen: Chosen) -> list[str]:
    """Resampled metrics of what a figure or table reads."""
    found = [
        path
        for run, points, testing in readings(study.members_of(experiment, chosen), [])
        for path in layout.evaluations_of_run(run.recipe.name, run.schedule.name, points, testing)
    ]
    return [path.replace("metrics.json", "replicates.csv") for path in dict.fromkeys(found)]


def exported_files(runs: Iterable[dict[str, Any]]) -> list[str]:
    """All files that tell of exported runs, each once."""
    found = [
        file
        for run in runs
        for file in (run["recipe"], run["manifest"], *run["metrics"], *run["evaluations"])
        if file is not None
    ]
    return list(dict.fromkeys(found))


def _detector(layout: Layout, run: Run, evaluations: list[str]) -> dict[str, Any]:
    recipe = run.recipe
    return {
        "recipe": layout.recipe.format(recipe=recipe.name),
        "schedule": run.schedule.model_dump(),
        "manifest": layout.manifest(recipe.train_set, "train", recipe.subset),
        "metrics": layout.training_of_run(recipe.name, run.schedule.name),
        "evaluations": evaluations,
    }


def _classifier(layout: Layout, model: str) -> dict[str, Any]:
    """Its schedule is its recipe's own, and detectron2 does not build it."""
    return {
        "recipe": layout.recipe.format(recipe=f"classification-{model}"),
        "schedule": None,
        "manifest": None,
        "metrics": [layout.classifier_output(model, "metrics.jsonl")],
        "evaluations": [],
    }


def _evaluated(study: Study, layout: Layout, chosen: Chosen) -> dict[str, list[str]]:
    """By run: metrics of the segments in which anything reads a checkpoint, of images as they are."""
    asked = study.config.experiments
    members = [member for name in asked for member in study.members_of(name, chosen)]
    searches = [study.searches[search] for name in asked for search in study.searches_of(name)]
    found: dict[str, dict[str, None]] = {}
    for run, points, testing in readings(members, searches):
        if testing == "single_scale":
            names = layout.evaluations_of_run(run.recipe.name, run.schedule.name, points, testing)
            found.setdefault(run.name, {}).update(dict.fromkeys(names))
    return {name: list(paths) for name, paths in found.items()}
