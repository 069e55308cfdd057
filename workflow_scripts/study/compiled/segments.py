"""Runs compiled into segments: what is trained once, however many runs pass through it.

Trunks are cut at a fixed grid, the first drops of 1x, 2x, 3x ..., whichever schedules are asked for. So the name
and the content of a segment depend on nothing but its recipe and itself: one more schedule adds segments and never
changes one that has been trained.

A run may leave the trunk of another recipe: where it turns into a cascade, or where it decays by another factor. Up to
that fork it is the other recipe's run, trained once for both.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from workflow_scripts.study.compiled.expand import PlannedRun
from workflow_scripts.study.compiled.recipes import Recipe, Training
from workflow_scripts.study.compiled.schedules import Decay, Schedule
from workflow_scripts.study.configuration.scales import EvaluationNumbers, Scale, ScheduleUnit


class Segment(BaseModel):
    """Training of one recipe from iteration `start` to `stop`, at one stage of a schedule.

    `parent`: names of the recipe and the segment whose state it starts from.
    """

    model_config = ConfigDict(frozen=True)

    recipe: str
    stage: Literal["trunk", "tail", "cosine"]
    start: int
    stop: int
    decay: Decay
    parent: tuple[str, str] | None
    evaluations: tuple[int, ...]

    @property
    def name(self) -> str:
        """Says all that tells it from the recipe's other segments: `trunk-60-240`, `tail-240-320-360`."""
        cuts = (self.start, *self.decay.drops[1:], self.stop)
        return "-".join([self.stage, *map(str, cuts)])

    @property
    def iterations(self) -> int:
        """Iterations that it trains."""
        return self.stop - self.start


class Run(BaseModel):
    """A recipe trained for a schedule: the chain of its segments, first to last."""

    model_config = ConfigDict(frozen=True)

    recipe: Recipe
    schedule: Schedule
    segments: tuple[Segment, ...]

    @property
    def name(self) -> str:
        """Recipe and schedule, for people; file names keep the two apart as folders."""
        return f"{self.recipe.name}/{self.schedule.name}"

    def checkpoints(self, points: str) -> list[tuple[Segment, int]]:
        """Segment and iteration of the checkpoints that are evaluated: all along its `curve`, or its `end`."""
        along = [(segment, iteration) for segment in self.segments for iteration in segment.evaluations]
        return along if points == "curve" else along[-1:]


def trunk_cuts(branch: int, unit: ScheduleUnit) -> list[int]:
    """Iterations at which the trunk up to `branch` is cut: the grid below it, and itself."""
    first = unit.iterations_per_x - unit.tail
    while first <= 0:
        first += unit.iterations_per_x
    return [*range(first, branch, unit.iterations_per_x), branch]


def evaluation_points(start: int, stop: int, period: int) -> tuple[int, ...]:
    """Iterations in (start, stop] that are evaluated: every `period` back from `stop`."""
    return tuple(sorted(range(stop, start, -period)))


def evaluation_periods(schedule: Schedule, evaluation: EvaluationNumbers) -> tuple[int, int]:
    """Iterations between evaluations on the trunk and on the tail."""
    if schedule.whole:
        return schedule.iterations, schedule.iterations
    if schedule.short:
        period = max(1, schedule.iterations // evaluation.short_points)
        return period, period
    return evaluation.trunk_period, evaluation.tail_period


def compile_runs(
    planned: Iterable[PlannedRun],
    recipes: Mapping[Training, Recipe],
    schedules: Mapping[str, Schedule],
    scale: Scale,
) -> dict[PlannedRun, Run]:
    """Each planned run with its recipe and its chain of segments."""
    return {
        run: compile_run(
            recipes[run.training],
            schedules[run.schedule],
            scale.schedule,
            scale.evaluation,
            trunk=recipes[run.trunk] if run.trunk else None,
            switch=run.switch,
        )
        for run in planned
    }


def compile_run(
    recipe: Recipe,
    schedule: Schedule,
    unit: ScheduleUnit,
    evaluation: EvaluationNumbers,
    trunk: Recipe | None = None,
    switch: float | None = None,
) -> Run:
    """The chain of segments that trains `recipe` for `schedule`.

    Until the fork it is `trunk`'s: `switch` (in x) before the end, or where that is not given up to the first drop.
    """
    grid = [schedule.first_drop] if schedule.short else trunk_cuts(schedule.first_drop, unit)
    fork = 0 if trunk is None else schedule.first_drop
    if switch is not None:
        fork = schedule.iterations - round(switch * unit.iterations_per_x)
    stops = (
        sorted({*grid, *([fork] if 0 < fork <= schedule.first_drop else [])}) if not schedule.whole else []
    )
    trunk_period, tail_period = evaluation_periods(schedule, evaluation)
    segments: list[Segment] = []
    start = 0
    for stop in [*stops, schedule.iterations]:
        on_trunk = stop <= schedule.first_drop
        drops = () if on_trunk else (schedule.first_drop, schedule.second_drop)
        segments.append(
            Segment(
                recipe=trunk.name if trunk is not None and stop <= fork else recipe.name,
                stage="trunk" if on_trunk else "tail",
                start=start,
                stop=stop,
                decay=Decay(kind="steps", drops=drops),
                parent=(segments[-1].recipe, segments[-1].name) if segments else None,
                evaluations=evaluation_points(start, stop, trunk_period if on_trunk else tail_period),
            )
        )
        start = stop
    return Run(recipe=recipe, schedule=schedule, segments=tuple(segments))


def classification_segment(recipe: Recipe, iterations: int) -> Segment:
    """The whole of a pre-training, at one half cosine (the paper is silent on its schedule)."""
    decay = Decay(kind="cosine", period=iterations)
    return Segment(
        recipe=recipe.name, stage="cosine", start=0, stop=iterations, decay=decay, parent=None, evaluations=()
    )


def shared_segments(runs: Iterable[Run]) -> dict[tuple[str, str], Segment]:
    """Every segment that the runs need, once, by (recipe, segment) name."""
    return {(segment.recipe, segment.name): segment for run in runs for segment in run.segments}


def every_segment(
    runs: Iterable[Run], classifiers: Iterable[Recipe], iterations: int
) -> dict[tuple[str, str], Segment]:
    """The segments of runs, and of the pre-trainings that they start from, each of so many iterations."""
    classifications = [classification_segment(recipe, iterations) for recipe in classifiers]
    return shared_segments(runs) | {(segment.recipe, segment.name): segment for segment in classifications}


def iterations_planned(runs: Iterable[Run]) -> int:
    """Training iterations with sharing: 780,000 for 2x to 6x of one recipe at the paper's scale."""
    return sum(segment.iterations for segment in shared_segments(runs).values())


def iterations_without_sharing(runs: Iterable[Run]) -> int:
    """Training iterations if each run started from nothing: 1,800,000 for the same."""
    return sum(run.schedule.iterations for run in runs)
