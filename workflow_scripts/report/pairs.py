"""Random init beside pre-training at one point each, and the claims that can be made of the two."""

from dataclasses import dataclass, replace

from workflow_scripts.report.claims import Claim
from workflow_scripts.report.comparisons import Arm, Results, metric_label
from workflow_scripts.report.intervals import Estimate, Sample, Side, estimate
from workflow_scripts.tables.tidy import INITIALISATION_LABELS, Metric

NO_WORSE_SHARE = 0.025
"""Random init is no worse if it lacks less than this share of the pre-trained value: 1 point of the paper's 41 AP.

The paper calls 35.2 against 35.6 (1.1% short, VGG-16) on a par and 36.8 against 40.3 (8.7% short, R50 at 2x) behind;
trainings that differ in the seed alone spread over some 0.5 points. A share, so that it means the same at an AP of 10.
"""
USEFUL_SHARE = 0.5
"""An AP is useful if it is above this share of the pre-trained one: detectors that fail to converge stay near 0."""


@dataclass(frozen=True)
class Pair:
    """What is compared, the two samples, and why one of them was trained too short to be called behind (else empty)."""

    what: str
    random: Sample
    pretrained: Sample
    random_too_short: str = ""
    pretrained_too_short: str = ""
    convergence: tuple[str, ...] = ()

    def behind(self) -> Claim:
        """Random - pre-train is below 0, after what was trained: nobody says that it stays so."""
        return Claim(f"{self.what}: random − pre-train", "behind", self._difference, "below", 0.0)

    def no_worse(self) -> Claim:
        """A test of non-inferiority: random init lacks less than `NO_WORSE_SHARE`."""
        means = f"no worse, at most {100 * NO_WORSE_SHARE:g}% short"
        return self._final("pre-train", means, self._difference, "above", -self._margin)

    def worse(self) -> Claim:
        """Random init lacks more than `NO_WORSE_SHARE`."""
        means = f"worse, more than {100 * NO_WORSE_SHARE:g}% short"
        return self._final("pre-train", means, self._difference, "below", -self._margin)

    def useful(self) -> Claim:
        """Random init reaches more than `USEFUL_SHARE` of pre-training."""
        means = f"useful, more than {100 * USEFUL_SHARE:g}% of pre-training"
        above_share = estimate(self.random, self.pretrained * -USEFUL_SHARE)
        claim = self._final(f"{USEFUL_SHARE:g} pre-train", means, above_share, "above", 0.0)
        half = f"{100 * USEFUL_SHARE:g}% of what pre-training reaches"
        return replace(claim, below=f"below {half}", above=f"above {half}")

    def _final(self, less: str, means: str, difference: Estimate, needs: Side, bound: float) -> Claim:
        """A claim on what trainings end at: whoever is found behind must have been trained long enough."""
        above, below = self.pretrained_too_short, self.random_too_short
        return Claim(
            f"{self.what}: random − {less}",
            means,
            difference,
            needs,
            bound,
            if_holds=above if needs == "above" else below,
            if_fails=below if needs == "above" else above,
            convergence=self.convergence,
        )

    @property
    def _difference(self) -> Estimate:
        return estimate(self.random, self.pretrained * -1)

    @property
    def _margin(self) -> float:
        return NO_WORSE_SHARE * self.pretrained.mean


def ends(
    results: Results,
    arm: Arm,
    metric: Metric,
    schedule: str | None = None,
    pretrained: Arm | None = None,
) -> Pair | None:
    """Both at the end of a schedule, of each one's longest if none is named; None where one was not trained.

    `pretrained`: an arm of its own for pre-training.
    """
    arms = {"random": arm, "pretrained": pretrained or arm}
    schedules = {name: schedule or results.longest(each, name) for name, each in arms.items()}
    samples = {name: results.end(each, name, metric, schedules[name]) for name, each in arms.items()}
    lengths = [results.length(each, name, schedules[name]) for name, each in arms.items()]
    random, other = samples.values()
    if random is None or other is None:
        return None
    point = schedule or "end"
    what = f"{arm.label}, {metric_label(metric)}, {point}{_lengths(*lengths)}"
    short = {name: results.not_converged(each, name, schedules[name]) for name, each in arms.items()}
    gains = {name: results.gain(each, name, schedules[name]) for name, each in arms.items()}
    told = tuple(f"{INITIALISATION_LABELS[name]}: {gain.text}" for name, gain in gains.items() if gain)
    return Pair(what, random, other, short["random"], short["pretrained"], told)


def peaks(results: Results, arm: Arm, metric: Metric) -> Pair | None:
    """Both at their highest value along the longest schedule."""
    pair = ends(results, arm, metric)
    random, pretrained = (results.peak(arm, name, metric) for name in ("random", "pretrained"))
    if pair is None or random is None or pretrained is None:
        return None
    what = pair.what.replace(", end", ", peak", 1)
    return replace(pair, what=what, random=random, pretrained=pretrained)


def _lengths(random: int, pretrained: int) -> str:
    """Told where they differ: an advantage may come from more iterations alone."""
    if random == pretrained:
        return ""
    return f", after {random:,} iterations against {pretrained:,}"
