"""Where a line that was fitted to differences meets zero, and how sure that is.

The line is a + b x. Where it meets zero is the ratio -a / b, whose interval is Fieller's (Journal of the Royal
Statistical Society B 16, 1954): all x at which the line's own interval holds zero. It is bounded on both sides only
where the slope is distinguishable from zero, and without that there is no such place to tell.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from workflow_scripts.tables.convergence import CONFIDENCE


@dataclass(frozen=True)
class Span:
    """A value with both ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """`at_zero` + `slope` x, with the covariance of the two (2 x 2), estimated with so many degrees of freedom."""

    at_zero: float
    slope: float
    covariance: np.ndarray
    freedom: float

    @property
    def _quantile(self) -> float:
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, self.freedom))

    def at(self, x: float) -> Span:
        """Its value there, with its interval."""
        place = np.array([1.0, x])
        half = self._quantile * math.sqrt(float(place @ self.covariance @ place))
        value = self.at_zero + self.slope * x
        return Span(value, value - half, value + half)

    def crossing(self) -> Span | None:
        """The x at which it meets zero; None where its slope may be zero."""
        bound = self._quantile**2
        square = self.slope**2 - bound * self.covariance[1, 1]
        if square <= 0:
            return None
        middle = self.at_zero * self.slope - bound * self.covariance[0, 1]
        constant = self.at_zero**2 - bound * self.covariance[0, 0]
        half = math.sqrt(max(0.0, middle**2 - square * constant))
        return Span(-self.at_zero / self.slope, (-middle - half) / square, (-middle + half) / square)


def difference_line(
    places: np.ndarray, first: np.ndarray, second: np.ndarray, replicates: np.ndarray
) -> Line:
    """The line through `first` - `second` over `places`, by least squares.

    places: x of each of k groups. first, second: values by group and seed (k x s), the seeds of both independent.
    replicates: differences of the means over seeds by group and resample of the images (k x r); r may be 0.

    What is left of each value after its group's mean and the line, of both sides alike, tells how much seeds vary, and
    how far the differences are from a line: 2 k s - k - 2 degrees of freedom. The variance over images is added, its
    degrees of freedom taken as infinite, and those of the sum by Satterthwaite's rule from the variance at x = 0.
    """
    groups, seeds = first.shape
    each = np.repeat(np.eye(groups), seeds, axis=0)
    along = np.repeat(np.stack([np.ones(groups), places], axis=1), seeds, axis=0)
    design = np.block([[each, along], [each, np.zeros_like(along)]])
    observed = np.concatenate([first.ravel(), second.ravel()])
    found, *_ = np.linalg.lstsq(design, observed, rcond=None)
    freedom = len(observed) - design.shape[1]
    variance = float(((observed - design @ found) ** 2).sum()) / freedom
    of_seeds = variance * np.linalg.inv(design.T @ design)[-2:, -2:]
    of_images = np.zeros((2, 2))
    if replicates.shape[1] > 1:
        of_images = np.cov(np.polynomial.polynomial.polyfit(places, replicates, 1))
    return Line(
        float(found[-2]), float(found[-1]), of_seeds + of_images, satterthwaite(of_seeds, of_images, freedom)
    )


def satterthwaite(of_seeds: np.ndarray, of_images: np.ndarray, freedom: float) -> float:
    """Degrees of freedom of the two variances' sum at x = 0, of which those of `of_seeds` are `freedom`."""
    if of_seeds[0, 0] == 0:
        return math.inf
    return freedom * float(((of_seeds[0, 0] + of_images[0, 0]) / of_seeds[0, 0]) ** 2)
