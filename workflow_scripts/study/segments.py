"""Runs compiled into segments: what is trained once, however many runs pass through it.

Trunks are cut at a fixed grid, the first drops of 1x, 2x, 3x ..., whichever schedules are asked for. So the name
and the content of a segment depend on nothing but its recipe and itself: one more schedule adds segments and never
changes one that has been trained.

A run may leave the trunk of another recipe: where it turns into a cascade, or where it decays by another factor. Up to
that fork it is the other recipe's run, trained once for both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from workflow_scripts.study.recipes import Recipe
from workflow_scripts.study.scales import EvaluationNumbers
from workflow_scripts.study.schedules import Decay, Schedule, ScheduleUnit


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


@dataclass(frozen=True)
class Fork:
    """The trunk is cut at an iteration; until then it is `recipe`'s."""

    at: int
    recipe: Recipe


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
    if schedule.short:
        period = max(1, schedule.iterations // evaluation.short_points)
        return period, period
    return evaluation.trunk_period, evaluation.tail_period


def compile_run(
    recipe: Recipe,
    schedule: Schedule,
    unit: ScheduleUnit,
    evaluation: EvaluationNumbers,
    forks: Sequence[Fork] = (),
) -> Run:
    """The chain of segments that trains `recipe` for `schedule`; `forks` are in order of iteration."""
    grid = [schedule.first_drop] if schedule.short else trunk_cuts(schedule.first_drop, unit)
    stops = sorted({*grid, *(fork.at for fork in forks if fork.at <= schedule.first_drop)})
    trunk_period, tail_period = evaluation_periods(schedule, evaluation)
    segments: list[Segment] = []
    start = 0
    for stop in [*stops, schedule.iterations]:
        on_trunk = stop <= schedule.first_drop
        drops = () if on_trunk else (schedule.first_drop, schedule.second_drop)
        segments.append(
            Segment(
                recipe=next((fork.recipe for fork in forks if stop <= fork.at), recipe).name,
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


def iterations_planned(runs: Iterable[Run]) -> int:
    """Training iterations with sharing: 780,000 for 2x to 6x of one recipe at the paper's scale."""
    return sum(segment.iterations for segment in shared_segments(runs).values())


def iterations_without_sharing(runs: Iterable[Run]) -> int:
    """Training iterations if each run started from nothing: 1,800,000 for the same."""
    return sum(run.schedule.iterations for run in runs)
