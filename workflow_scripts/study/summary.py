"""What the report says of the study as a whole."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from workflow_scripts.study.compiled.segments import iterations_planned, iterations_without_sharing
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.compiled.subsets import subset_sizes
from workflow_scripts.study.configuration.config import CocoDataset

WITHOUT_RESULT = ("training", "resources")
"""Sections of a scale that say how jobs run, and change no number of the report."""


def notes(study: Study) -> list[str]:
    """What a reader must know to read the numbers: what stands for what, which data, which numbers were changed."""
    trained = {run.recipe.backbone for run in study.needed_runs(study.config.experiments)}
    stands_for = [note for backbone, note in study.scale.notes.items() if backbone in trained]
    found = [*stands_for, *_data(study)]
    changes = {name: change for name, change in study.config.numbers.items() if name not in WITHOUT_RESULT}
    if changes:
        changed = ", ".join(_leaves(changes))
        found.append(f"Numbers of the scale were changed by the configuration: {changed}.")
    found += filter(None, (boxes_alone(study), subsets_of_shares(study), random_subset(study)))
    if study.config.linear_scaling:
        found.append(_scaling(study))
    return found


def boxes_alone(study: Study) -> str:
    """Says so where detectors learn no masks, as the configuration has it."""
    if study.config.masks:
        return ""
    return (
        "The data has boxes alone (datasets.coco.masks: false): Faster R-CNN, of the same backbone and box head, "
        "stands for Mask R-CNN, and there is no mask AP."
    )


def random_subset(study: Study) -> str:
    """Says so where the paper's val35k is asked for and a random 35k of the training images takes its place."""
    coco = study.config.datasets.coco
    if coco is None or coco.val2014_annotations is not None:
        return ""
    if not any(run.recipe.subset == "35k" for run in study.needed_runs(study.config.experiments)):
        return ""
    return (
        f"The 35k subset is {_told(subset_sizes(study)['35k'])} at random. The paper's is val35k, those of "
        "train2017 that stand in instances_val2014.json: to have it, name that as datasets.coco.val2014_annotations."
    )


def _told(size: str) -> str:
    return f"{size} of the training images" if size.endswith("%") else f"{int(size):,} training images"


def subsets_of_shares(study: Study) -> str:
    """Says which subsets are shares of the training images, where an experiment that is asked for trains on them."""
    used = {run.recipe.subset for run in study.needed_runs(study.config.experiments)}
    shares = [
        f"{name} is {size}"
        for name, size in subset_sizes(study).items()
        if name in used and size.endswith("%")
    ]
    if not shares:
        return ""
    return f"Subsets keep the paper's names and hold shares of the training images: {', '.join(shares)}."


def _scaling(study: Study) -> str:
    scale = study.scale
    return (
        f"By the linear scaling rule, detectors train on batches of {scale.detection.batch} at a base rate of "
        f"{scale.detection.base_lr:g} with {scale.schedule.iterations_per_x:,} iterations to 1x, and classifiers on "
        f"batches of {scale.classification.batch} at {scale.classification.base_lr:g} for "
        f"{scale.classification.iterations:,} iterations."
    )


def _data(study: Study) -> list[str]:
    """Which data is real, and which is drawn."""
    datasets = study.config.datasets
    real = []
    if datasets.coco:
        real.append(_coco(datasets.coco))
    if datasets.voc:
        parts = ", ".join(f"{part.folder} ({part.split})" for part in datasets.voc.train)
        real.append(f"The data set in VOC's layout is {parts}.")
    if datasets.classification:
        real.append(f"Classifiers are trained on {datasets.classification.train}.")
    runs = study.needed_runs(study.config.experiments)
    used = {"coco" if run.recipe.train_set == "keypoints" else run.recipe.train_set for run in runs}
    used |= {"classification" for run in runs if run.recipe.pretraining == "train"}
    if not any(getattr(datasets, name) is None for name in used):
        return real
    drawn = "All other images are" if real else "All images are"
    return [
        *real,
        f"{drawn} of the miniature world that the workflow draws; on it, AP has a meaning of its own.",
    ]


def _coco(given: CocoDataset) -> str:
    if given.train is not None:
        return f"Detectors are trained on {given.train.annotations}."
    return (
        f"Detectors are trained on {given.annotations}, of whose images {100 * (given.validation or 0):g}% are to "
        f"validate on (seed {given.seed or 0})."
    )


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping) and prefix.count(".") < 1:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name} = {value}"


def sharing(study: Study, named: Collection[str] = ()) -> str:
    """What a person is told at the start: what is trained, what sharing saves, what is not as in the paper.

    `named`: experiments that are targets of this call, which iterations are counted of; else of all that are asked for.
    """
    counts = iterations(study, named or study.config.experiments)
    planned, without = counts["planned"], counts["without_sharing"]
    sentence = (
        f"Scale {study.scale.name}: {planned:,} iterations to train detectors; shared segments save "
        f"{without - planned:,} of {without:,}"
    )
    scaling = _scaling(study) if study.config.linear_scaling else ""
    told = (sentence, scaling, boxes_alone(study), subsets_of_shares(study), random_subset(study))
    return "\n".join(filter(None, told))


def iterations(study: Study, experiments: Collection[str]) -> dict[str, int]:
    """Training iterations of the experiments' detectors, searches included, with and without sharing."""
    runs = study.needed_runs(experiments)
    return {"planned": iterations_planned(runs), "without_sharing": iterations_without_sharing(runs)}


def summary(study: Study) -> dict[str, Any]:
    """Scale, notes, experiments, iterations with and without sharing, the schedules in iterations, and the subsets."""
    runs = study.needed_runs(study.config.experiments)
    schedules = {run.schedule.name: run.schedule for run in runs}
    return {
        "scale": study.scale.name,
        "notes": notes(study),
        "experiments": [
            {"name": name, "title": study.experiments[name].title} for name in study.config.experiments
        ],
        "iterations": iterations(study, study.config.experiments),
        "schedules": {
            name: schedule.model_dump(include={"iterations", "first_drop", "second_drop"})
            for name, schedule in schedules.items()
        },
        "subsets": subsets_in_words(study),
    }


def subsets_in_words(study: Study) -> dict[str, str]:
    """Of each subset that the asked experiments train on: how many images it holds."""
    used = {run.recipe.subset for run in study.needed_runs(study.config.experiments)}
    coco = study.config.datasets.coco
    val35k = {"35k": "the images of val2014"} if coco and coco.val2014_annotations else {}
    told = {name: _told(size) for name, size in subset_sizes(study).items()} | val35k
    return {name: words for name, words in told.items() if name in used}
