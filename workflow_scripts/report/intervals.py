"""95% intervals of sums and differences of metrics: over trainings, where there are several seeds, and over images.

A metric varies with the seed of the training and with the choice of validation images. The variance of the mean over
seeds is estimated from the seeds' spread, that of the choice of images from replicates on resampled images, and the
two add up. With one seed the first is unknown: the interval is then too narrow, and its `method` says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from workflow_scripts.tables.convergence import CONFIDENCE

MIN_REPLICATES = 100
"""With fewer, the variance over images would be known to worse than 15%."""
Side = Literal["above", "below"]


@dataclass(frozen=True)
class Sample:
    """A quantity of one kind of run: `values` by seed, `replicates` by number, each the mean over the seeds.

    Sums and differences are taken seed by seed: they are for quantities of the same runs. `replicates` is empty
    where a run has none; `sources` are the files behind the values.
    """

    values: pd.Series
    replicates: pd.Series
    sources: tuple[str, ...]

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(self.values.mean())

    def __add__(self, other: "Sample") -> "Sample":
        sources = tuple(dict.fromkeys(self.sources + other.sources))
        replicates = (self.replicates + other.replicates).dropna()
        return Sample((self.values + other.values).dropna(), replicates, sources)

    def __sub__(self, other: "Sample") -> "Sample":
        return self + other * -1

    def __mul__(self, factor: float) -> "Sample":
        return Sample(self.values * factor, self.replicates * factor, self.sources)


@dataclass(frozen=True)
class Estimate:
    """A value and how sure it is: its standard error (None where unknown) at so many degrees of freedom.

    `seeds`: the least number of trainings behind a side of it; `method` says in words where the error comes from.
    """

    value: float
    standard_error: float | None
    freedom: float
    seeds: int
    method: str
    sources: tuple[str, ...]

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends at `CONFIDENCE`, by Student's t."""
        if self.standard_error is None:
            return None
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.freedom)) * self.standard_error
        return self.value - half, self.value + half

    def lies(self, side: Side, bound: float) -> bool:
        """Whether the whole interval is on that side of a bound; False where there is no interval."""
        if self.interval is None:
            return False
        low, high = self.interval
        return low > bound if side == "above" else high < bound

    def p_value(self, side: Side, bound: float) -> float:
        """How probable a value so far on that side of a bound is if the truth is at the bound: one-sided."""
        if self.standard_error is None:
            return 1.0
        beyond = self.value - bound if side == "above" else bound - self.value
        if self.standard_error == 0:
            return 0.0 if beyond > 0 else 1.0
        return float(stats.t.sf(beyond / self.standard_error, self.freedom))


def estimate(*samples: Sample) -> Estimate:
    """The sum of the samples' means; each sample is of runs of its own.

    Trainings: with several seeds in each, the variances of the means added, and the degrees of freedom by
    Satterthwaite (Welch's t). Images: the variance of the sum of replicates, which are paired, for replicate k of
    every evaluation drew the same images. Its degrees of freedom are taken as infinite.
    """
    seeds = min(len(sample.values) for sample in samples)
    counts = [len(sample.values) for sample in samples]
    trainings = [float(sample.values.var(ddof=1)) / len(sample.values) for sample in samples] * (seeds > 1)
    replicates = sum((sample.replicates for sample in samples[1:]), samples[0].replicates).dropna()
    images = [float(replicates.var(ddof=1))] * enough(len(replicates))
    variance = sum(trainings + images)
    return Estimate(
        value=sum(sample.mean for sample in samples),
        standard_error=math.sqrt(variance) if trainings or images else None,
        freedom=satterthwaite(variance, trainings, counts),
        seeds=seeds,
        method=_method(seeds, len(replicates) if images else 0),
        sources=tuple(dict.fromkeys(source for sample in samples for source in sample.sources)),
    )


def enough(replicates: int) -> bool:
    """Whether so many replicates tell the variance over images; without, intervals are over seeds alone."""
    return replicates >= MIN_REPLICATES


def satterthwaite(variance: float, trainings: Sequence[float] | np.ndarray, counts: Sequence[int]) -> float:
    """Degrees of freedom of a sum of variances, of which those of `trainings` rest on `counts` seeds each."""
    squares = sum(part**2 / (count - 1) for part, count in zip(trainings, counts, strict=False))
    return variance**2 / float(squares) if squares else math.inf


def _method(seeds: int, replicates: int) -> str:
    images = f"{replicates} resamples of the images"
    if seeds > 1:
        return f"{seeds} seeds (Welch's t)" + (f" and {images}" if replicates else ", one choice of images")
    if replicates:
        return f"{images}; one seed, so how trainings vary is left out"
    return "one seed, and too few resamples of the images"
