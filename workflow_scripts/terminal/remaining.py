"""How long a run still takes: the plan's seconds, corrected by what this run measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MEASURED_SHARE = 0.5
"""No time left is named before kinds of job that were measured make up this share of what is to come."""
OVERDUE = 0.1
"""A job that has run for longer than expected is taken to run for this share of that time more."""


@dataclass(frozen=True)
class Measured:
    """The finished jobs of one kind: how many, their seconds, and those that the plan expected of them."""

    jobs: int = 0
    seconds: float = 0.0
    expected: float = 0.0

    def and_one(self, seconds: float, expected: float) -> "Measured":
        """With one job more."""
        return Measured(self.jobs + 1, self.seconds + seconds, self.expected + expected)


@dataclass(frozen=True)
class Work:
    """A job to come, or one that has run for `elapsed` seconds; `expected` is the plan's, 0 where it names none."""

    kind: str
    expected: float = 0.0
    elapsed: float = 0.0


def seconds_of(work: Work, measured: Mapping[str, Measured]) -> tuple[float, bool]:
    """Seconds that a job takes in all, and whether that rests on jobs of its kind that this run finished.

    In proportion to the plan's seconds if it has any, else as long as the kind's mean. A kind that was not measured is
    taken at the plan's word; one that the plan leaves out, too, is as short as others that it leaves out.
    """
    own = measured.get(work.kind)
    if own is not None:
        if work.expected > 0 and own.expected > 0:
            return work.expected * own.seconds / own.expected, True
        return own.seconds / own.jobs, True
    if work.expected > 0:
        return work.expected, False
    others = [kind for kind in measured.values() if kind.expected == 0]
    jobs = sum(kind.jobs for kind in others)
    return (sum(kind.seconds for kind in others) / jobs, True) if jobs else (0.0, False)


def seconds_left(
    works: Iterable[Work], measured: Mapping[str, Measured], side_by_side: float
) -> float | None:
    """Seconds until all works are done, `side_by_side` at a time; None while too little was measured to say."""
    works = list(works)
    known = unknown = longest = 0.0
    for work in works:
        seconds, rests_on_measured = seconds_of(work, measured)
        rest = seconds - work.elapsed
        if rest <= 0:
            rest = OVERDUE * work.elapsed
        if rests_on_measured:
            known += rest
        else:
            unknown += rest
        if work.elapsed:
            longest = max(longest, rest)
    if not measured or known < MEASURED_SHARE * (known + unknown):
        return None
    return max((known + unknown) / min(max(1.0, side_by_side), max(1, len(works))), longest)
