"""The study: the configuration compiled into recipes, runs and segments that the workflow's rules look up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow_scripts.errors import UserError
from workflow_scripts.study.config import StudyConfig, read_config, read_scale
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

    @property
    def drawn_world(self) -> bool:
        """Whether any data set of the study comes from the miniature world."""
        datasets = self.config.datasets
        return datasets.coco is None or (datasets.classification is None and bool(self.classifiers))

    @property
    def classifiers(self) -> tuple[Recipe, ...]:
        """Recipes of the pre-trainings that the study trains itself."""
        return tuple(recipe for recipe in self.recipes.values() if recipe.task == "classification")


def compile_study(values: Mapping[str, Any]) -> Study:
    """Compile the configuration.

    Raises:
        UserError: on anything in the configuration that a person must correct.
    """
    config = read_config(values)
    scale = read_scale(config)
    _check(config, scale)
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
    return [
        (
            detection_recipe(model, arm.initialisation, _pretraining(arm, config), seed, scale),
            _schedule(name, scale),
        )
        for seed in config.seeds
        for name in arm.schedules or config.schedules
    ]


def _pretraining(arm: Arm, config: StudyConfig) -> Pretraining:
    if arm.initialisation == "random":
        return "skip"
    return "fetch" if arm.model in config.pretraining.fetch else "train"


def _schedule(name: str, scale: Scale) -> Schedule:
    try:
        return schedule_of(name, scale.schedule)
    except ValueError as error:
        raise UserError(f"config.yaml: schedules: {error}") from None


def _check(config: StudyConfig, scale: Scale) -> None:
    _check_names("experiments", config.experiments, experiments(config.models))
    _check_names("models", (*config.models, *config.pretraining.fetch), MODELS)
    _check_names(
        "backbones of the models", [MODELS[name].backbone for name in config.models], scale.backbones
    )
    if scale.training.save_period % scale.training.log_period:
        raise UserError(
            f"scales/{scale.name}.yaml: training.save_period: found {scale.training.save_period}, expected a "
            f"multiple of log_period ({scale.training.log_period}): saved states end a line of metrics"
        )
    if config.datasets.coco is None and scale.world is None:
        raise UserError(
            f"config.yaml: datasets.coco: missing; scale {scale.name} trains on real data: name the annotations "
            "and images of its train and val set"
        )
    for path in _paths(config):
        if not Path(path).exists():
            raise UserError(f"config.yaml: datasets: {path} does not exist; correct the path")


def _check_names(field_name: str, found: Any, known: Mapping[str, Any]) -> None:
    unknown = [name for name in found if name not in known]
    if unknown:
        raise UserError(
            f"config.yaml: {field_name}: found {', '.join(unknown)}, expected names from: {', '.join(known)}"
        )


def _paths(config: StudyConfig) -> list[str]:
    coco, classification = config.datasets.coco, config.datasets.classification
    paths = [coco.train.annotations, coco.train.images, coco.val.annotations, coco.val.images] if coco else []
    if coco and coco.val2014_annotations:
        paths.append(coco.val2014_annotations)
    return paths + ([classification.train, classification.val] if classification else [])
