"""Whether a training has converged: what another doubling of its length would add at most, told from its own results.

Where longer and shorter schedules of one recipe were trained, their ends tell it directly: those of at least half the
longest's iterations. Else the checkpoints before the first learning-rate drop do, over the second half of these
iterations. Either way a line through AP against the binary logarithm of the iterations has the gain per doubling as its
slope. A curve that flattens gains less than the line says: the gain is an upper bound, and an error is one of caution.
For the paper's R50 from random init the line says 4.6 at 3x, and 6x added 1.8. A training has converged if the bound is
at most `SHARE` of the AP that it ends with.

The paper is silent on a criterion, and says that its models converge. By this one its Table 1 does: from 3x to 6x R50
and R101 from random init gain 4% of their ends in a doubling, and both after pre-training less than 1%.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from workflow_scripts.tables.tidy import MAIN, TRAINING, number

SHARE = 0.2
"""Of the AP at the end: from 5x to 6x, the last step of the paper's schedules and a quarter of a doubling, that is 5%.

What decides is the value: few checkpoints give a wide interval, which is told beside it.
"""
LEAST_AP = 1.0
"""In percent. A training that ends lower has not learned, however flat its curve is."""
CONFIDENCE = 0.95
"""Of all intervals, these and the verdicts'."""
UNCONVERGED_IF = (
    f"twice the length might still add more than {100 * SHARE:g}% of the AP, or AP is below {LEAST_AP:g}"
)
"""For people, below figures and tables."""


@dataclass(frozen=True)
class Gain:
    """AP in percent that a doubling of a training adds at most, with its interval (None with fewer than three points).

    `end`: the AP that the training ends with. `points`: how many the line was fitted to. `along`: whether these are the
    ends of its "schedules" or checkpoints on its "trunk".
    """

    value: float
    interval: tuple[float, float] | None
    end: float
    points: int
    along: str

    @property
    def share(self) -> float:
        """Of the end."""
        return self.value / self.end if self.end > 0 else math.inf

    @property
    def text(self) -> str:
        """For people: `twice the length would add up to 1.7 (0.3 to 3.1) to its 41.3`."""
        ends = "" if self.interval is None else f"({' to '.join(map(number, self.interval))}) "
        return f"twice the length would add up to {number(self.value)} {ends}to its {number(self.end)}"

    @property
    def converged(self) -> bool:
        """Whether it has, by `SHARE` and `LEAST_AP`."""
        return self.end >= LEAST_AP and self.share <= SHARE


def converged(evaluations: pd.DataFrame) -> pd.DataFrame:
    """`TRAINING`, and whether it has `converged` (a nullable boolean): of the trainings of which that can be told.

    evaluations: as `tidy.read_evaluations` reads them.
    """
    told = [(*training, gain.converged) for training, gain in gains(evaluations).items()]
    return pd.DataFrame(told, columns=[*TRAINING, "converged"]).astype({"converged": "boolean"})


def gains(evaluations: pd.DataFrame) -> dict[tuple[str, ...], Gain]:
    """What doubling its length would add to the main metric (`tidy.MAIN`) of each training, by `TRAINING`.

    Of those of which it can be told. With test augmentation only the end is evaluated: the same runs under another
    setting tell then.
    """
    kinds = zip(evaluations["train_set"], evaluations["iou_type"], evaluations["metric"], strict=True)
    rows = evaluations.assign(is_main=[MAIN.get(train_set) == tuple(kind) for train_set, *kind in kinds])
    found = {
        (*labels, schedule): (gain_per_doubling(arm[arm["is_main"]], schedule), set(training["run"]))
        for labels, arm in rows.groupby(TRAINING[:-1])
        for schedule, training in arm.groupby("schedule")
    }
    told = {}
    for training, (own, runs) in found.items():
        others = (gain for gain, of in found.values() if gain and runs & of)
        if gain := own or next(others, None):
            told[training] = gain
    return told


def gain_per_doubling(rows: pd.DataFrame, schedule: str) -> Gain | None:
    """What doubling the length of `schedule` would add; None where fewer than two points tell of it.

    rows: one metric's evaluations of one recipe and all its seeds, whatever their schedules, as the tidy tables have
    them. Seeds are averaged.
    """
    run = rows[rows["schedule"] == schedule].dropna(subset="value")
    if run.empty:
        return None
    last = int(run["iteration"].max())
    end = float(run.loc[run["iteration"] == last, "value"].mean())
    for along, points in (("schedules", _ends(rows, last)), ("trunk", _trunk(run))):
        if len(points) > 1:
            return _slope(points, end, along)
    return None


def _ends(rows: pd.DataFrame, last: int) -> pd.Series:
    """AP at the end of each schedule of at least half so many iterations and no more, by iterations."""
    lengths = rows.groupby("schedule")["iteration"].transform("max")
    ends = rows[(rows["iteration"] == lengths) & (lengths <= last) & (2 * lengths >= last)]
    return ends.groupby("iteration")["value"].mean().dropna()


def _trunk(run: pd.DataFrame) -> pd.Series:
    """AP along the second half of the iterations at the base rate, by iteration."""
    trunk = run[run["stage"] == "trunk"].groupby("iteration")["value"].mean()
    return trunk[2 * trunk.index >= trunk.index.max()] if len(trunk) else trunk


def _slope(points: pd.Series, end: float, along: str) -> Gain:
    fit = stats.linregress(np.log2(points.index.to_numpy(dtype=float)), points.to_numpy())
    slope, freedom = float(fit.slope), len(points) - 2
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * fit.stderr) if freedom else None
    interval = None if half is None else (slope - half, slope + half)
    return Gain(slope, interval, end, len(points), along)
