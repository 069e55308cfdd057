"""95% intervals of sums and differences of metrics: over seeds where there are several, else over images.

With one seed, the interval holds what the choice of validation images explains and not what another seed would
have given: it is then too narrow, and its `method` says so.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

CONFIDENCE = 0.95
MIN_REPLICATES = 100
"""With fewer, each end of the interval would rest on one or two of them."""


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
    """A value with the ends of its interval (None where it has none) and how they were found."""

    value: float
    low: float | None
    high: float | None
    method: str
    sources: tuple[str, ...]


def estimate(*samples: Sample) -> Estimate:
    """The sum of the samples' means; each sample is of runs of its own.

    Several seeds in each: Welch's t interval, the variances of the means added and the degrees of freedom by
    Satterthwaite. Else percentiles of the sum of replicates, which are paired: replicate k of every evaluation
    drew the same images. Else no interval.
    """
    value = sum(sample.mean for sample in samples)
    sources = tuple(dict.fromkeys(source for sample in samples for source in sample.sources))
    seeds = min(len(sample.values) for sample in samples)
    if seeds > 1:
        half = _welch(samples)
        return Estimate(value, value - half, value + half, f"Welch's t over {seeds} seeds", sources)
    replicates = sum((sample.replicates for sample in samples[1:]), samples[0].replicates).dropna()
    if len(replicates) < MIN_REPLICATES:
        return Estimate(value, None, None, "one seed, and too few resamples of the images", sources)
    low, high = np.quantile(replicates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    method = f"bootstrap, {len(replicates)} resamples of the images; one seed, whose spread is left out"
    return Estimate(value, float(low), float(high), method, sources)


def number(value: float, digits: int = 1) -> str:
    """For people: rounded, with a minus that is one, and without one at 0."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def t_quantile(freedom: float) -> float:
    """How many standard errors a two-sided interval of `CONFIDENCE` reaches: Student's t, for `freedom` >= 1.

    With t = sqrt(freedom) tan(a), t's density is proportional to cos(a) ** (freedom - 1), which is summed here.
    """
    angles = np.linspace(0, math.pi / 2, 10_001)
    middles = (angles[1:] + angles[:-1]) / 2
    mass = np.concatenate([[0], np.cumsum(np.cos(middles) ** (freedom - 1))])
    return math.sqrt(freedom) * math.tan(np.interp(CONFIDENCE, mass / mass[-1], angles))


def _welch(samples: tuple[Sample, ...]) -> float:
    """Half the interval's width."""
    counts = np.array([len(sample.values) for sample in samples])
    variances = np.array([sample.values.var(ddof=1) for sample in samples]) / counts
    total = float(variances.sum())
    if total == 0:
        return 0.0
    return t_quantile(total**2 / float((variances**2 / (counts - 1)).sum())) * math.sqrt(total)
