"""The images that results rest on, against the hashes that were taken of them."""

import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from workflow_scripts.files import sha256
from workflow_scripts.jobs.record import Record
from workflow_scripts.provenance.problems import Problem

DAMAGED = (OSError, ValueError, KeyError, TypeError, IndexError, csv.Error)
"""What reading an altered list, or one that an altered record tells of, may raise."""


def listed_images(record: Record) -> Iterator[Path]:
    """The images that a job of rule `images` listed; none where its list is damaged."""
    with suppress(*DAMAGED):
        yield from [path for path, _, _ in _rows(record)]


def wrong_images(record: Record, fast: bool) -> Iterator[Problem]:
    """Images that are gone or not what they were; `fast` compares sizes alone."""
    try:
        rows = list(_rows(record))
    except DAMAGED as error:
        listed = record.outputs[0].path if record.outputs else "a list of images"
        yield Problem(
            "altered", listed, f"no list of images any more ({type(error).__name__}), so none is compared"
        )
        return
    with ThreadPoolExecutor() as pool:
        found = pool.map(partial(_wrong, fast), rows, chunksize=64)
        for (path, _, _), what in zip(rows, found, strict=True):
            if what:
                yield Problem(what, str(path), f"listed in {record.outputs[0].path}")


def _rows(record: Record) -> Iterator[tuple[Path, str, int]]:
    table = Path(record.outputs[0].path)
    folder = Path(record.settings["folder"])
    if not table.exists():
        return
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            yield folder / row["name"], row["sha256"], int(row["bytes"])


def _wrong(fast: bool, row: tuple[Path, str, int]) -> str | None:
    path, digest, size = row
    if not path.exists():
        return "missing"
    if path.stat().st_size != size or (not fast and sha256(path) != digest):
        return "altered"
    return None
