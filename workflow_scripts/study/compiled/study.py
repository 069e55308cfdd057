"""The study: recipes, runs and segments that the workflow's rules look up. `study/compile.py` makes it."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from workflow_scripts.study.compiled.advice import Design
from workflow_scripts.study.compiled.expand import Choice, PlannedExperiment, PlannedRun
from workflow_scripts.study.compiled.experiments import Experiment, Points, Testing
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.schedules import Schedule
from workflow_scripts.study.compiled.searches import Search
from workflow_scripts.study.compiled.segments import Run, Segment
from workflow_scripts.study.configuration.config import StudyConfig
from workflow_scripts.study.configuration.scales import Scale

Chosen = Callable[[str], str]
"""The point that a search, by name, chose."""


@dataclass(frozen=True)
class ExperimentRun:
    """A run as one experiment reads it, always or only if a search made the choice."""

    run: Run
    setting: str
    testing: Testing
    points: Points
    choice: Choice | None


@dataclass(frozen=True)
class Study:
    """Everything that the DAG is made of. Names are unique; every lookup is by name."""

    config: StudyConfig
    scale: Scale
    experiments: dict[str, Experiment]
    searches: dict[str, Search]
    recipes: dict[str, Recipe]
    schedules: dict[str, Schedule]
    runs: dict[tuple[str, str], Run]
    members: dict[str, tuple[ExperimentRun, ...]] = field(repr=False)
    segments: dict[tuple[str, str], Segment] = field(repr=False)
    evaluated: dict[tuple[str, str, str], tuple[int, ...]] = field(repr=False)
    """By recipe, segment and testing: the iterations of the checkpoints that any experiment reads, asked for or not.

    One job evaluates them together: so another experiment that is asked for evaluates nothing again."""
    unfit: dict[str, str] = field(repr=False)
    """Why an experiment that was not asked for cannot be had at this scale."""
    advice: Design | None = None
    """What its budget buys, where it buys some."""

    def members_of(self, experiment: str, chosen: Chosen) -> list[ExperimentRun]:
        """The runs that a figure or table reads, once its searches have chosen."""
        return [
            member
            for member in self.members[experiment]
            if member.choice is None or chosen(member.choice.search) == member.choice.point
        ]

    def first_point(self, search: str) -> str:
        """Stands for the chosen point where only the amount of work matters: it is the same for each."""
        return next(iter(self.searches[search].runs))

    def needed_runs(self, names: Iterable[str], chosen: Chosen | None = None) -> list[Run]:
        """The runs of experiments and of the searches that they rest on, each once."""
        runs: list[Run] = []
        for name in names:
            for search in self.searches_of(name):
                runs += self.searches[search].runs.values()
            runs += [member.run for member in self.members_of(name, chosen or self.first_point)]
        return list({run.name: run for run in runs}.values())

    def searches_of(self, experiment: str) -> list[str]:
        """Names of the searches that an experiment rests on."""
        choices = [member.choice for member in self.members[experiment]]
        return list(dict.fromkeys(choice.search for choice in choices if choice))


def assemble(
    config: StudyConfig,
    scale: Scale,
    known: dict[str, Experiment],
    planned: Mapping[str, PlannedExperiment],
    recipes: Iterable[Recipe],
    runs: Mapping[PlannedRun, Run],
    segments: dict[tuple[str, str], Segment],
    unfit: dict[str, str],
    advice: Design | None,
) -> Study:
    """All that was compiled, by name; an experiment that is unfit has no runs."""
    fit = {name: plan for name, plan in planned.items() if name not in unfit}
    by_name = {(run.recipe.name, run.schedule.name): run for run in runs.values()}
    assert len(by_name) == len(runs), "two runs of one name"
    searches = {
        name: Search(name, {point: runs[run] for point, run in search.items()})
        for plan in fit.values()
        for name, search in plan.searches.items()
    }
    members = {name: tuple(_members(fit[name], runs)) if name in fit else () for name in known}
    return Study(
        config=config,
        scale=scale,
        experiments=known,
        searches=searches,
        recipes={recipe.name: recipe for recipe in recipes},
        schedules={run.schedule.name: run.schedule for run in runs.values()},
        runs=by_name,
        members=members,
        segments=segments,
        evaluated=_evaluated(members, searches),
        unfit=unfit,
        advice=advice,
    )


def _members(plan: PlannedExperiment, runs: Mapping[PlannedRun, Run]) -> Iterator[ExperimentRun]:
    for each in plan.members:
        yield ExperimentRun(runs[each.run], each.setting, each.testing, each.points, each.choice)


def readings(
    members: Iterable[ExperimentRun], searches: Iterable[Search]
) -> Iterator[tuple[Run, Points, Testing]]:
    """Which checkpoints of which runs are evaluated: the ends of a search's, and what experiments read."""
    for search in searches:
        for run in search.runs.values():
            yield run, "end", "single_scale"
    for member in members:
        if member.points != "training":
            yield member.run, member.points, member.testing


def _evaluated(
    members: Mapping[str, tuple[ExperimentRun, ...]], searches: Mapping[str, Search]
) -> dict[tuple[str, str, str], tuple[int, ...]]:
    found: dict[tuple[str, str, str], set[int]] = {}
    for run, points, testing in readings(itertools.chain(*members.values()), searches.values()):
        for segment, iteration in run.checkpoints(points):
            found.setdefault((segment.recipe, segment.name, testing), set()).add(iteration)
    return {key: tuple(sorted(iterations)) for key, iterations in found.items()}
