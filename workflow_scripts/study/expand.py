"""Experiments expanded into runs: each arm for each seed, schedule and, where it is searched, each grid point."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from workflow_scripts.errors import UserError
from workflow_scripts.study.config import StudyConfig, scale_source
from workflow_scripts.study.experiments import Arm, Experiment, Points, Testing
from workflow_scripts.study.recipes import MODELS, HyperParameters, Recipe, Training, detection_recipe
from workflow_scripts.study.scales import Scale
from workflow_scripts.study.schedules import Schedule, schedule_of
from workflow_scripts.study.searches import Choice, Search, grid_points
from workflow_scripts.study.segments import Fork, Run, compile_run


@dataclass(frozen=True)
class ExperimentRun:
    """A run as one experiment reads it, always or only if a search made the choice."""

    run: Run
    setting: str
    testing: Testing
    points: Points
    choice: Choice | None


class Expansion:
    """Expands experiments; recipes, runs and searches are each made once, and gathered."""

    def __init__(self, config: StudyConfig, scale: Scale) -> None:
        self._config = config
        self._scale = scale
        self._points = grid_points(scale.search, scale.detection.decay_factor)
        self._recipes: dict[Training, Recipe] = {}
        self._runs: dict[tuple[Training, str, float | None], Run] = {}
        self.searches: dict[str, Search] = {}

    @property
    def recipes(self) -> list[Recipe]:
        """Every recipe met so far, of forks too."""
        return list(self._recipes.values())

    @property
    def runs(self) -> list[Run]:
        """Every run met so far, of searches too."""
        return list(self._runs.values())

    def members(self, experiment: Experiment) -> Iterator[ExperimentRun]:
        """The runs of an experiment.

        Raises:
            UserError: a schedule that the scale cannot hold.
        """
        for arm in experiment.arms:
            for seed in self._config.seeds:
                for name in arm.schedules or self._config.schedules:
                    for choice, hyper_parameters in self._variants(arm):
                        run = self._run(arm, seed, name, hyper_parameters)
                        yield ExperimentRun(run, arm.setting, arm.testing, arm.points, choice)

    def _variants(self, arm: Arm) -> list[tuple[Choice | None, HyperParameters]]:
        if arm.searched is None:
            return [(None, arm.hyper_parameters)]
        search = self._search(arm)
        return [(Choice(search, point), values) for point, values in self._points.items()]

    def _search(self, arm: Arm) -> str:
        """The search behind an arm, on the study's first seed."""
        assert arm.searched is not None
        name = f"{arm.subset}-{arm.model}-{arm.searched}"
        if name not in self.searches:
            searched = replace(arm, initialisation=arm.searched)
            runs = {
                point: self._run(searched, self._config.seeds[0], f"{arm.subset}-{arm.searched}", values)
                for point, values in self._points.items()
            }
            self.searches[name] = Search(name, runs)
        return name

    def _run(self, arm: Arm, seed: int, schedule_name: str, hyper_parameters: HyperParameters) -> Run:
        training = self._training(arm, seed, hyper_parameters)
        key = (training, schedule_name, arm.switch)
        if key not in self._runs:
            schedule = self._schedule(schedule_name, arm)
            forks = self._forks(training, schedule, arm.switch)
            recipe = self._recipe(training)
            self._runs[key] = compile_run(
                recipe, schedule, self._scale.schedule, self._scale.evaluation, forks
            )
        return self._runs[key]

    def _training(self, arm: Arm, seed: int, hyper_parameters: HyperParameters) -> Training:
        fetched = arm.model in self._config.pretraining.fetch
        return Training(
            model=MODELS[arm.model],
            initialisation=arm.initialisation,
            pretraining="skip" if arm.initialisation == "random" else "fetch" if fetched else "train",
            seed=seed,
            detector=arm.detector,
            train_set=arm.train_set,
            subset=arm.subset,
            hyper_parameters=hyper_parameters,
        )

    def _recipe(self, training: Training) -> Recipe:
        if training not in self._recipes:
            self._recipes[training] = detection_recipe(training, self._scale)
        return self._recipes[training]

    def _forks(self, training: Training, schedule: Schedule, switch: float | None) -> list[Fork]:
        """Where the run leaves another recipe's trunk, or its own is cut for one that does."""
        if switch is not None:
            at = schedule.iterations - round(switch * self._scale.schedule.iterations_per_x)
            return [Fork(at, self._recipe(replace(training, detector="mask_rcnn")))]
        if training.hyper_parameters.decay_factor is not None:
            usual = replace(training.hyper_parameters, decay_factor=None)
            return [Fork(schedule.first_drop, self._recipe(replace(training, hyper_parameters=usual)))]
        return []

    def _schedule(self, name: str, arm: Arm) -> Schedule:
        # An experiment's own schedules can only be too short for the scale's tail.
        where = f"{scale_source(self._config)}: schedule" if arm.schedules else "config.yaml: schedules"
        try:
            return schedule_of(name, self._scale.schedule, self._scale.short_schedules)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
