"""What checks find: kinds of damage, the rule for each, and how often it was met in which file."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["error", "skipped", "note"]
Subject = Literal["images", "annotations", "categories", "classes", "subsets", "files"]

FEW = 0.01
"""The share of records up to which what training leaves out by itself is counted; beyond it, the data is refused.

COCO has a handful of boxes without height among 860,001, and is trained on; a set where that is common is not what it
was meant to be.
"""
EXAMPLES = 5
"""Records of a kind that are told; all are counted."""


@dataclass(frozen=True)
class Kind:
    """A kind of damage.

    `outcome`: an `error` stops the study; what is `skipped` is left out or cut by training itself, and becomes an error
    where more than `FEW` of the file's records are so; a `note` stops nothing. `rule` says what becomes of it.
    """

    name: str
    outcome: Outcome
    subject: Subject
    what: str
    expected: str
    remedy: str
    rule: str = "refused"


@dataclass
class Found:
    """How often a kind was met in one file, of how many records, and the first of them as (record, what it holds)."""

    kind: Kind
    file: str
    of: int = 0
    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        """The kind's, and an error where it is not a few that are skipped."""
        too_many = self.kind.outcome == "skipped" and self.count > FEW * self.of
        return "error" if too_many else self.kind.outcome

    @property
    def sentence(self) -> str:
        """`3 of 581 annotations: boxes of negative width or height`."""
        share = f"{self.count:,} of {self.of:,} {self.kind.subject}: " if self.of else ""
        return f"{share}{self.kind.what}"


class Findings:
    """What was found so far, in the order in which it was met."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Found] = {}
        self._totals: dict[tuple[str, str], int] = {}

    def total(self, file: object, subject: Subject, number: int) -> None:
        """Tell how many records of a kind a file holds: what is skipped is measured by it."""
        self._totals[str(file), subject] = number

    def add(self, kind: Kind, file: object, record: str, found: str, count: int = 1) -> None:
        """A record of a file, or so many, are of a kind; `found` is what it holds. Both go into messages."""
        entry = self._found.setdefault((kind.name, str(file)), Found(kind, str(file)))
        entry.count += count
        if len(entry.examples) < EXAMPLES:
            entry.examples.append((printable(record), printable(found)))

    def totals(self) -> dict[str, dict[str, int]]:
        """By file, how many records of each subject it holds."""
        files: dict[str, dict[str, int]] = {}
        for (file, subject), number in self._totals.items():
            files.setdefault(file, {})[subject] = number
        return files

    def all(self) -> list[Found]:
        """Everything, errors first, and of those the ones that are so however few there are."""
        for (_, file), entry in self._found.items():
            entry.of = self._totals.get((file, entry.kind.subject), 0)
        order = {"error": 0, "skipped": 1, "note": 2}
        return sorted(self._found.values(), key=lambda each: (order[each.outcome], order[each.kind.outcome]))

    def of_outcome(self, outcome: Outcome) -> list[Found]:
        """Those of one outcome."""
        return [entry for entry in self.all() if entry.outcome == outcome]


def printable(text: str) -> str:
    """The text with what would move a terminal's cursor, or begin a line, written as an escape."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def listed(values: Iterable[object], most: int = 5) -> str:
    """`a, b, c and 4 more`: some values for a message."""
    texts = [str(value) for value in values]
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return f"{', '.join(texts[:most])}{more}"
