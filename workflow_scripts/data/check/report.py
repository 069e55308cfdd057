"""What was checked and found: as JSON, as text for people, and as the one message that stops a study."""

from collections.abc import Sequence
from typing import Any

from workflow_scripts.data.check.findings import FEW, Findings, Found, Outcome

WIDE = 140
"""Characters of a message's line, which a terminal still shows whole behind its margin."""
NEW_LINE = "\n"
HEADINGS: dict[Outcome, str] = {
    "error": "Errors, which stop the study",
    "skipped": f"Left out or taken as it is, by rule: an error where more than {FEW:.0%} are so",
    "note": "Notes",
}


def as_json(name: str, findings: Findings) -> dict[str, Any]:
    """The report of the data set `name`: files with their numbers of records, and each kind that was found in one."""
    return {
        "checked": name,
        "files": [{"file": file, **numbers} for file, numbers in findings.totals().items()],
        "errors": len(findings.of_outcome("error")),
        "found": [_entry(found) for found in findings.all()],
    }


def as_text(name: str, findings: Findings) -> str:
    """The same for people."""
    lines = [f"Checked {name}"]
    for file, numbers in findings.totals().items():
        told = ", ".join(f"{number:,} {subject}" for subject, number in numbers.items())
        lines.append(f"  {file}: {told}")
    errors = bool(findings.of_outcome("error"))
    if not errors:
        lines.append("No errors: this data can be trained on")
    # What stops a study comes last: the end of a log is what a person is shown.
    for outcome in reversed(HEADINGS):
        found = findings.of_outcome(outcome)
        if found:
            lines += ["", HEADINGS[outcome]]
            lines += [line for each in found for line in _paragraph(each)]
    return "\n".join(lines) + "\n"


def message(found: Sequence[Found]) -> str:
    """The errors as one message: the first in full, with what to do, and the others counted. Lines fit a terminal."""
    first = found[0]
    record, value = first.examples[0]
    where = f"{first.file}: {record}:"
    lines = [
        f"{where}{' ' if len(where) + len(value) < WIDE else NEW_LINE}{value}.",
        f"Expected {first.kind.expected}.",
        f"{first.kind.remedy}.",
    ]
    if first.kind.outcome == "skipped":
        lines.append(f"A few such are tolerated, up to {FEW:.0%}: {first.kind.rule}.")
    lines.append(f"{first.sentence}.")
    lines += [f"Also {other.sentence}, first {other.examples[0][0]} ({other.file})." for other in found[1:]]
    return "\n".join(lines)


def _entry(found: Found) -> dict[str, Any]:
    return {
        "kind": found.kind.name,
        "outcome": found.outcome,
        "what": found.kind.what,
        "file": found.file,
        "subject": found.kind.subject,
        "count": found.count,
        "of": found.of,
        "expected": found.kind.expected,
        "rule": found.kind.rule if found.outcome != "error" else "refused",
        "remedy": found.kind.remedy,
        "examples": [{"record": record, "found": value} for record, value in found.examples],
    }


def _paragraph(found: Found) -> list[str]:
    more = found.count - len(found.examples)
    lines = [f"  {found.sentence} ({found.file})"]
    if found.outcome != "error":
        lines.append(f"    rule: {found.kind.rule}")
    lines += [f"    expected: {found.kind.expected}", f"    remedy: {found.kind.remedy}"]
    lines += [f"    {record}: {value}" for record, value in found.examples]
    return [*lines, *([f"    and {more:,} more"] if more > 0 else [])]
