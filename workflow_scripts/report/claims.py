"""A claim about a difference of two trainings: what it needs, and what became of it."""

from dataclasses import dataclass, field
from typing import Literal

from workflow_scripts.report.intervals import Estimate, Side
from workflow_scripts.tables.tidy import number

Outcome = Literal["holds", "fails", "undecided", "not judged"]
OTHER: dict[Side, Side] = {"above": "below", "below": "above"}


@dataclass(frozen=True)
class Claim:
    """That a number lies `above` or `below` a bound.

    It holds if the number's whole interval does, fails if the whole interval lies on the other side, and is undecided
    if it holds the bound. `means` says in words what is claimed. `if_holds` and `if_fails` say why such an outcome
    could not be judged: whoever is found behind must have been trained long enough. Empty where it can.
    """

    what: str
    means: str
    estimate: Estimate
    needs: Side
    bound: float
    if_holds: str = ""
    if_fails: str = ""
    convergence: tuple[str, ...] = ()
    """How far each training of it had got, in words."""
    below: str = "behind pre-training"
    above: str = "ahead of pre-training"
    unit: str = ""
    """How the number is told: its size, `unit`, and what of the two a number below or above 0 is."""

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        outcome, reason = self._judged
        return "not judged" if reason else outcome

    @property
    def reason(self) -> str:
        """Why it is not judged; empty where it is."""
        return self._judged[1]

    @property
    def p_fails(self) -> float:
        """How probable a number so far on the wrong side is if the truth is at the bound: one-sided."""
        return self.estimate.p_value(OTHER[self.needs], self.bound)

    @property
    def expects(self) -> str:
        """What it needs, in words and as a number."""
        return f"{self.means}: {self.needs} {number(self.bound)}"

    @property
    def _judged(self) -> tuple[Outcome, str]:
        if self.estimate.lies(self.needs, self.bound):
            return "holds", self.if_holds
        if self.estimate.lies(OTHER[self.needs], self.bound):
            return "fails", self.if_fails
        return "undecided", self.if_holds or self.if_fails


@dataclass
class Finding:
    """The claims that could be made, what is `missing` of those that had to be, and `notes` that decide nothing."""

    claims: list[Claim] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[tuple[str, Estimate]] = field(default_factory=list)

    def having(self, outcome: Outcome) -> list[Claim]:
        """The claims that came out so."""
        return [claim for claim in self.claims if claim.outcome == outcome]
