"""What a job says of itself for its record, from whichever of its processes."""

import json
import os
from pathlib import Path
from typing import Any

NOTES = "RECORD_OF_THIS_JOB"
"""The variable that names the job's record; without it, notes go nowhere."""

MADE_BY_ANOTHER = {"outputs": "made by another job"}
"""The note of a job that found its outputs made in the meantime: the record of the job that made them stands."""


def note(**facts: Any) -> None:
    """Add facts to the record of the job that this process belongs to, if it is recorded."""
    if NOTES in os.environ:
        with _file(Path(os.environ[NOTES])).open("a") as file:
            file.write(json.dumps(facts) + "\n")


def taken(record: Path) -> list[dict[str, Any]]:
    """The notes so far, and none from now on."""
    file = _file(record)
    if not file.exists():
        return []
    lines = file.read_text().splitlines(keepends=True)
    file.unlink()
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _file(record: Path) -> Path:
    return record.with_suffix(".notes")
