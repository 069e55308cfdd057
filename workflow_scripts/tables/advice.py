"""Advice as plain data: what pre-training is worth on someone's own images, by their number and by training length."""

import math
from pathlib import Path
from typing import Literal

import msgspec

from workflow_scripts.errors import UserError
from workflow_scripts.tables.convergence import LEAST_AP
from workflow_scripts.tables.tidy import number


class Interval(msgspec.Struct, frozen=True):
    """A value with both ends of its 95% interval; None where nothing was repeated."""

    value: float
    low: float | None
    high: float | None

    @property
    def above(self) -> bool:
        """Whether all of it is above 0."""
        return self.low is not None and self.low > 0

    @property
    def below(self) -> bool:
        """Whether all of it is below 0."""
        return self.high is not None and self.high < 0

    @property
    def ends(self) -> tuple[float, float]:
        """Of the interval, infinite where there is none."""
        return (
            -math.inf if self.low is None else self.low,
            math.inf if self.high is None else self.high,
        )

    @property
    def text(self) -> str:
        """`6.1 (4.0 to 8.2)`."""
        ends = (
            "" if self.low is None or self.high is None else f" ({number(self.low)} to {number(self.high)})"
        )
        return f"{number(self.value)}{ends}"


class Trained(msgspec.Struct, frozen=True):
    """One initialisation on a number of images: iterations of both lengths, AP at their ends, what the second added."""

    lengths: list[int]
    ends: list[Interval]
    gain: Interval
    converged: bool


class Size(msgspec.Struct, frozen=True):
    """Both initialisations on a number of images; `short` and `long` are pre-training minus random init at the ends.

    `limited_by`: what most of the variance of `long` comes from.
    """

    images: int
    random: Trained
    pretrained: Trained
    short: Interval
    long: Interval
    limited_by: Literal["seeds", "validation images"]

    @property
    def learned(self) -> bool:
        """Whether one of the two ends where AP has a meaning."""
        return max(each.ends[-1].value for each in (self.random, self.pretrained)) >= LEAST_AP


class Place(msgspec.Struct, frozen=True):
    """The line through the differences at a number of images."""

    images: float
    difference: Interval


class Advice(msgspec.Struct, frozen=True):
    """`advice.json`. Sizes are in ascending order.

    `break_even_images`: where the line meets 0. `break_even_length`: where random init reaches what pre-training has
    after the longer training, as a multiple of its iterations. None where there is no such place to tell.
    """

    scale: str
    metric: str
    seeds: int
    sizes: list[Size]
    line: list[Place] = []
    break_even_images: Interval | None = None
    break_even_length: Interval | None = None
    headline: str = ""
    told: list[str] = []
    would_tell: list[str] = []


def read_advice(path: str | Path) -> Advice:
    """`advice.json`.

    Raises:
        UserError: it cannot be read, or is none.
    """
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Advice)
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{path}: cannot be read as advice ({error}). Make it again.") from None
