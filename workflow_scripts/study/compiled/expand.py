"""Experiments expanded into the runs they read: each arm for each seed, schedule and, where it is searched, grid point.

Nothing here has numbers yet: a run is named by what it trains and by its schedule's name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from workflow_scripts.study.compiled.experiments import Arm, Experiment, Points, Testing
from workflow_scripts.study.compiled.recipes import MODELS, HyperParameters, Training
from workflow_scripts.study.configuration.config import StudyConfig


@dataclass(frozen=True)
class PlannedRun:
    """What is trained, and for which schedule.

    `trunk`: what is trained until the run leaves it, where that is another training's trunk, or its own that is cut
    there for one that does. `switch`: how much before the end (in x) that is; None leaves it at the first drop.
    """

    training: Training
    schedule: str
    trunk: Training | None
    switch: float | None


@dataclass(frozen=True)
class Choice:
    """One point of a search: what depends on it is trained only if the search chose that point."""

    search: str
    point: str


@dataclass(frozen=True)
class Member:
    """A planned run as one experiment reads it, always or only if a search made the choice.

    `own_schedule`: the experiment asks for this schedule, and not the configuration.
    """

    run: PlannedRun
    setting: str
    testing: Testing
    points: Points
    choice: Choice | None
    own_schedule: bool


GridPoints = Mapping[str, HyperParameters]


@dataclass(frozen=True)
class PlannedExperiment:
    """The runs that an experiment reads, and those of the searches it rests on, by search and grid point."""

    members: tuple[Member, ...]
    searches: Mapping[str, Mapping[str, PlannedRun]]

    @property
    def runs(self) -> list[PlannedRun]:
        """Each once, those of searches first."""
        searched = [run for search in self.searches.values() for run in search.values()]
        return list(dict.fromkeys([*searched, *(member.run for member in self.members)]))


def expand(
    config: StudyConfig, known: Mapping[str, Experiment], points: GridPoints
) -> dict[str, PlannedExperiment]:
    """The runs of each experiment; of what is searched, those of every grid point."""
    return {name: _expanded(config, experiment, points) for name, experiment in known.items()}


def _expanded(config: StudyConfig, experiment: Experiment, points: GridPoints) -> PlannedExperiment:
    searched = [arm for arm in experiment.arms if arm.searched is not None]
    searches = {_search(arm): _searched_runs(config, arm, points) for arm in searched}
    return PlannedExperiment(tuple(_members(config, experiment, points)), searches)


def _members(config: StudyConfig, experiment: Experiment, points: GridPoints) -> Iterator[Member]:
    for arm in experiment.arms:
        for seed in _seeds(config, arm):
            for schedule in arm.schedules or config.schedules:
                for choice, values in _variants(arm, points):
                    run = _planned(config, arm, seed, schedule, values)
                    own = arm.schedules is not None
                    yield Member(run, arm.setting, arm.testing, arm.points, choice, own)


def _searched_runs(config: StudyConfig, arm: Arm, points: GridPoints) -> dict[str, PlannedRun]:
    """The run of each grid point of the search behind an arm, on its first seed."""
    assert arm.searched is not None
    searched, schedule = replace(arm, initialisation=arm.searched), f"{arm.subset}-{arm.searched}"
    return {
        point: _planned(config, searched, _seeds(config, arm)[0], schedule, values)
        for point, values in points.items()
    }


def _seeds(config: StudyConfig, arm: Arm) -> tuple[int, ...]:
    return arm.seeds or config.seeds


def _variants(arm: Arm, points: GridPoints) -> list[tuple[Choice | None, HyperParameters]]:
    if arm.searched is None:
        return [(None, arm.hyper_parameters)]
    return [(Choice(_search(arm), point), values) for point, values in points.items()]


def _search(arm: Arm) -> str:
    return f"{arm.subset}-{arm.model}-{arm.searched}"


def _planned(config: StudyConfig, arm: Arm, seed: int, schedule: str, values: HyperParameters) -> PlannedRun:
    fetched = arm.model in config.pretraining.fetch
    training = Training(
        model=MODELS[arm.model],
        initialisation=arm.initialisation,
        pretraining="skip" if arm.initialisation == "random" else "fetch" if fetched else "train",
        seed=seed,
        detector=arm.detector,
        train_set=arm.train_set,
        subset=arm.subset,
        hyper_parameters=values,
    )
    trunk = None
    if arm.switch is not None:
        trunk = replace(training, detector="mask_rcnn")
    elif values.decay_factor is not None:
        trunk = replace(training, hyper_parameters=replace(values, decay_factor=None))
    return PlannedRun(training, schedule, trunk, arm.switch)
