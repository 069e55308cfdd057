"""Schedules: how long a recipe trains, and at which learning rate in each iteration.

Paper, section 4: `k`x is `k` times 90k iterations; the learning rate is multiplied by the decay factor for the last
60k iterations and by its square for the last 20k, *whatever k is*. So schedules of one recipe agree until the first
drop, and share that trunk.

For little data the paper has short schedules, whose lengths it names in part and whose drops it does not: here they
drop where 2x does, after two thirds and eight ninths.
"""

import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workflow_scripts.study.configuration.bounds import MOST_X
from workflow_scripts.study.configuration.scales import ScheduleUnit, Warmup


class Schedule(BaseModel):
    """Iterations of a whole training, and the iterations at which the learning rate drops.

    `short`: with drops of its own, so that it shares no trunk with another schedule. `whole`: trained in one segment
    and evaluated at its end alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    first_drop: int = Field(gt=0)
    second_drop: int
    iterations: int
    short: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Schedule":
        if not self.first_drop < self.second_drop < self.iterations:
            raise ValueError(
                f"schedule {self.name}: expected first drop < second drop < iterations, "
                f"found {self.first_drop}, {self.second_drop}, {self.iterations}"
            )
        return self


def short_schedule(name: str, iterations: int) -> Schedule:
    """A schedule with the proportions of 2x.

    Raises:
        ValueError: too short for two drops.
    """
    first, second = round(iterations * 2 / 3), round(iterations * 8 / 9)
    return Schedule(name=name, first_drop=first, second_drop=second, iterations=iterations, short=True)


def schedule_of(name: str, unit: ScheduleUnit, short: Mapping[str, int] = MappingProxyType({})) -> Schedule:
    """The schedule called `name`: `6x`, `2.5x`, explicit iterations such as `18000`, or one of `short`.

    Raises:
        ValueError: the name is none of these, or the schedule is too short for its drops.
    """
    if name in short:
        return short_schedule(name, short[name])
    if re.fullmatch(r"\d+(\.\d+)?x", name, re.ASCII):
        iterations = round(float(name[:-1]) * unit.iterations_per_x)
    elif re.fullmatch(r"\d+", name, re.ASCII):
        iterations = int(name)
    else:
        raise ValueError(f"found {name!r}, expected a multiple such as 6x, or a number of iterations")
    if iterations > MOST_X * unit.iterations_per_x:
        raise ValueError(
            f"found {name!r}: {iterations:,} iterations, expected {MOST_X}x at most, which is "
            f"{MOST_X * unit.iterations_per_x:,} iterations at this scale; ask for a shorter schedule, or raise "
            "schedule.iterations_per_x"
        )
    if iterations <= unit.tail:
        raise ValueError(
            f"found {name!r}: its {iterations} iterations are not longer than the tail of {unit.tail} that ends it; "
            "ask for a longer schedule or shorten the tail"
        )
    return Schedule(
        name=name,
        first_drop=iterations - unit.tail,
        second_drop=iterations - unit.second_tail,
        iterations=iterations,
    )


def named_schedules(
    names: Iterable[str], unit: ScheduleUnit, short: Mapping[str, int]
) -> tuple[dict[str, Schedule], dict[str, str]]:
    """The schedules by name, and for those that cannot be had here, why."""
    found, impossible = {}, {}
    for name in names:
        try:
            found[name] = schedule_of(name, unit, short)
        except ValueError as error:
            impossible[name] = str(error)
    return found, impossible


class Decay(BaseModel):
    """How the rate falls: `steps` at the given iterations, or a half `cosine` to zero over `period` iterations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["steps", "cosine"]
    drops: tuple[int, ...] = ()
    period: int = 0


def learning_rate(base_lr: float, warmup: Warmup, decay: Decay, decay_factor: float, iteration: int) -> float:
    """The rate that iteration `iteration` (from 0) is trained with."""
    rate = base_lr
    if iteration < warmup.iterations:
        rate *= warmup.factor + (1 - warmup.factor) * iteration / warmup.iterations
    if decay.kind == "cosine":
        return rate * 0.5 * (1 + math.cos(math.pi * iteration / decay.period))
    return rate * decay_factor ** sum(iteration >= drop for drop in decay.drops)
