"""The study: the configuration compiled into recipes, runs and segments that the workflow's rules look up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflow_scripts.errors import UserError
from workflow_scripts.study.checks import check
from workflow_scripts.study.config import StudyConfig, read_config, read_scale, scale_source
from workflow_scripts.study.experiments import Arm, Experiment, experiments
from workflow_scripts.study.recipes import (
    MODELS,
    Pretraining,
    Recipe,
    classification_recipe,
    detection_recipe,
)
from workflow_scripts.study.scales import Scale
from workflow_scripts.study.schedules import Schedule, schedule_of
from workflow_scripts.study.segments import Run, Segment, classification_segment, compile_run, shared_segments


@dataclass(frozen=True)
class Study:
    """Everything that the DAG is made of. Names are unique; every lookup is by name."""

    config: StudyConfig
    scale: Scale
    experiments: dict[str, Experiment]
    recipes: dict[str, Recipe]
    schedules: dict[str, Schedule]
    runs: dict[tuple[str, str], Run]
    runs_of: dict[str, tuple[Run, ...]] = field(repr=False)
    segments: dict[tuple[str, str], Segment] = field(repr=False)


def compile_study(values: Mapping[str, Any]) -> Study:
    """Compile the configuration.

    Raises:
        UserError: on anything in the configuration that a person must correct.
    """
    config = read_config(values)
    scale = read_scale(config)
    check(config, scale)
    known = experiments(config.models)
    recipes: dict[str, Recipe] = {}
    runs_of: dict[str, tuple[Run, ...]] = {}
    for name in known:
        pairs = [pair for arm in known[name].arms for pair in _expand(arm, config, scale)]
        recipes.update({recipe.name: recipe for recipe, _ in pairs})
        runs_of[name] = tuple(compile_run(*pair, scale.schedule, scale.evaluation) for pair in pairs)
    runs = {(run.recipe.name, run.schedule.name): run for group in runs_of.values() for run in group}
    segments = shared_segments(runs.values())
    for recipe in list(recipes.values()):
        if recipe.pretraining == "train":
            classifier = classification_recipe(MODELS[recipe.model], scale)
            segment = classification_segment(classifier, scale.classification.iterations)
            recipes[classifier.name] = classifier
            segments[classifier.name, segment.name] = segment
    schedules = {run.schedule.name: run.schedule for run in runs.values()}
    return Study(config, scale, known, recipes, schedules, runs, runs_of, segments)


def _expand(arm: Arm, config: StudyConfig, scale: Scale) -> list[tuple[Recipe, Schedule]]:
    model = MODELS[arm.model]
    # An experiment's own schedules can only be too short for the scale's tail.
    where = f"{scale_source(config)}: schedule" if arm.schedules else "config.yaml: schedules"
    return [
        (
            detection_recipe(model, arm.initialisation, _pretraining(arm, config), seed, scale, arm.detector),
            _schedule(name, scale, where),
        )
        for seed in config.seeds
        for name in arm.schedules or config.schedules
    ]


def _pretraining(arm: Arm, config: StudyConfig) -> Pretraining:
    if arm.initialisation == "random":
        return "skip"
    return "fetch" if arm.model in config.pretraining.fetch else "train"


def _schedule(name: str, scale: Scale, where: str) -> Schedule:
    try:
        return schedule_of(name, scale.schedule)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
