"""What a study has cost, by the records of its jobs: time, machines, code, beside what was planned."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from workflow_scripts.errors import UserError
from workflow_scripts.jobs.record import Record, read_record, record_path

PRETRAINING = "classification-"
"""What the names of recipes that train a classifier begin with."""
VERSIONS = ("python", "torch", "detectron2")


class Planned(msgspec.Struct, frozen=True):
    """Device hours of all jobs by the scale's costs, and how many devices (GPUs or cores) a job takes of each kind."""

    hours: float
    device: str
    training: int
    evaluation: int


@dataclass(frozen=True)
class Jobs:
    """Jobs of one kind; `lost` counts attempts that were killed, whose time nobody knows."""

    what: str
    count: int
    hours: float
    lost: int


def cost(trainings: Iterable[str], evaluations: Iterable[str], planned: Planned) -> dict[str, Any]:
    """What was spent on trainings (by their metrics.jsonl) and evaluations (by their metrics.json), for the page.

    Hours are those of a device. Jobs without a record are counted as `unknown`.
    """
    trained = {path: _record(Path(path)) for path in trainings}
    folders = dict.fromkeys(Path(path).parent for path in evaluations)
    detected = [_record(folder / "detections") for folder in folders]
    scored = [_record(folder / "metrics.json") for folder in folders]
    is_pretraining = {path: Path(path).parts[-3].startswith(PRETRAINING) for path in trained}
    rows = [
        _jobs("Pre-training of classifiers", _only(trained, is_pretraining, True), planned.training),
        _jobs("Training of detectors", _only(trained, is_pretraining, False), planned.training),
        _jobs("Detection on validation images", detected, planned.evaluation),
        _jobs("Scoring", scored, 0 if planned.device == "GPU" else 1),
    ]
    every = [*trained.values(), *detected, *scored]
    records = [record for record in every if record]
    return {
        "rows": [row for row in rows if row.count],
        "hours": sum(row.hours for row in rows),
        "planned": planned,
        "lost": sum(row.lost for row in rows),
        "unknown": every.count(None),
        "began": min((attempt.start for record in records for attempt in record.attempts), default=""),
        "ended": max((attempt.end or "" for record in records for attempt in record.attempts), default=""),
        "machines": _distinct(map(_machine, records)),
        "code": _distinct((record.code.commit or "unknown")[:10] for record in records),
        "changed": any(record.code.dirty for record in records),
        "versions": {
            name: _distinct(record.versions[name] for record in records if record.versions.get(name))
            for name in VERSIONS
        },
    }


def planned(text: str) -> Planned:
    """What was planned, from JSON. Raises `UserError` on anything else."""
    try:
        return msgspec.json.decode(text, type=Planned)
    except msgspec.DecodeError as error:
        raise UserError(f"--planned {text}: {error}. Give hours, device, training and evaluation.") from None


def _record(output: Path) -> Record | None:
    path = record_path(output)
    return read_record(path) if path.exists() else None


def _only(records: dict[str, Record | None], flags: dict[str, bool], wanted: bool) -> list[Record | None]:
    return [record for path, record in records.items() if flags[path] == wanted]


def _jobs(what: str, records: list[Record | None], devices: int) -> Jobs:
    attempts = [attempt for record in records if record for attempt in record.attempts]
    seconds = sum(_seconds(attempt.start, attempt.end) for attempt in attempts if attempt.end)
    lost = sum(attempt.end is None for attempt in attempts)
    return Jobs(what, sum(record is not None for record in records), devices * seconds / 3600, lost)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _machine(record: Record) -> str:
    """`AMD EPYC, 2 cores, 23.5 GB`, or its GPUs."""
    machine = record.machine
    gpus = machine.get("gpus") or []
    parts = [machine.get("processor"), f"{machine.get('cores')} cores", f"{machine.get('memory_gb')} GB"]
    named = [f"{gpus.count(gpu)} × {gpu}" for gpu in dict.fromkeys(gpus)]
    return ", ".join(map(str, filter(None, [*parts, *named])))


def _distinct(texts: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(map(str, texts)))
