"""Where a line that was fitted to differences meets zero, and how sure that is.

The line is a + b x. Where it meets zero is the ratio -a / b, whose interval is Fieller's (Journal of the Royal
Statistical Society B 16, 1954): all x at which the line's own interval holds zero. It is bounded on both sides only
where the slope is distinguishable from zero, and without that there is no such place to tell.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.linalg import null_space

from workflow_scripts.report.intervals import enough, satterthwaite
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
    """The line through the means of `first` - `second` over `places`, by least squares.

    places: x of each of k groups. first, second: values by group and seed (k x s), the seeds of both independent.
    replicates: differences of the means over seeds by group and resample of the images (k x r); left out if too few.

    Each group has the variance of its own seeds, since how much trainings vary depends on how much they train on. The
    variance over images is added, and where the groups are not on a line, the sum is raised (`_misfit`). Degrees
    of freedom are Satterthwaite's, of the sum at x = 0; those of the variance over images are taken as infinite.
    """
    groups, seeds = first.shape
    design = np.stack([np.ones(groups), places], axis=1)
    fit = np.linalg.pinv(design)
    differences = first.mean(axis=1) - second.mean(axis=1)
    of_seeds = np.concatenate([first.var(axis=1, ddof=1), second.var(axis=1, ddof=1)]) / seeds
    of_images = np.cov(replicates) if enough(replicates.shape[1]) else np.zeros((groups, groups))
    total = np.diag(of_seeds[:groups] + of_seeds[groups:]) + of_images
    covariance = fit @ total @ fit.T
    at_zero, slope = fit @ differences
    return Line(
        float(at_zero),
        float(slope),
        covariance * _misfit(differences, design, total),
        satterthwaite(float(covariance[0, 0]), np.tile(fit[0] ** 2, 2) * of_seeds, [seeds] * 2 * groups),
    )


def _misfit(values: np.ndarray, design: np.ndarray, covariance: np.ndarray) -> float:
    """How far values are from a line by what their covariance lets expect: a factor of a variance, 1 at least.

    The square of Birge's ratio (Physical Review 40, 1932), by which the Particle Data Group widens a mean whose
    measurements disagree. A line through two points fits them.
    """
    contrasts = null_space(design.T)
    freedom = contrasts.shape[1]
    if freedom == 0:
        return 1.0
    left = contrasts.T @ values
    return max(1.0, float(left @ np.linalg.pinv(contrasts.T @ covariance @ contrasts) @ left) / freedom)
