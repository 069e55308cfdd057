"""Run a module as a job's command: take its options from its sheet, and keep its record.

    python -m workflow_scripts.figures.fig1 --job results/mini/jobs/figure-3f2a9c41d0b7.json --png mine.png

Options on the command line replace those of the sheet. Without `--job`, nothing is recorded.
"""

import os
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NoReturn

from workflow_scripts.errors import UserError, command, exit_code
from workflow_scripts.jobs import environment
from workflow_scripts.jobs.notes import MADE_BY_ANOTHER, NOTES, taken
from workflow_scripts.jobs.record import (
    Attempt,
    Record,
    described,
    read_record,
    record_path,
    write_record,
)
from workflow_scripts.jobs.sheet import OPTION, Sheet, read_sheet
from workflow_scripts.jobs.spare import drop_spares


def job(main: Callable[[], None]) -> NoReturn:
    """Run a module's `main` as `errors.command` does, with the options of the job's sheet, and record it."""
    command(partial(_run, main))


def _run(main: Callable[[], None]) -> None:
    sheet = _take_sheet()
    if sheet is None or not sheet.outputs:
        main()
    else:
        _run_recorded(main, sheet)


def _take_sheet() -> Sheet | None:
    """The sheet that the command line names, whose options take its place there: before the others, which count more.

    A word before the first option, such as a subcommand, stays first.
    """
    words = sys.argv[1:]
    if OPTION not in words:
        return None
    at = words.index(OPTION)
    if at + 1 == len(words):
        raise UserError(f"{OPTION}: found nothing, expected the file that Snakemake wrote for the job")
    sheet = read_sheet(Path(words[at + 1]))
    del words[at : at + 2]
    first = next((number for number, word in enumerate(words) if word.startswith("-")), len(words))
    sys.argv[1:] = [*words[:first], *sheet.words(), *words[first:]]
    return sheet


def _run_recorded(main: Callable[[], None], sheet: Sheet) -> None:
    path = record_path(sheet.outputs[0])
    before = _record(path)
    record = _begun(sheet, path, before)
    os.environ[NOTES] = str(path)
    drop_spares(sheet.inputs)
    try:
        main()
    except BaseException as error:
        try:
            _end(record, path, before, sheet, exit_code(error))
        except OSError as full:  # what ended the job counts for more, and may be the same full disk
            print(f"{path}: the record of this job cannot be written: {full.strerror}", file=sys.stderr)
        raise
    _end(record, path, before, sheet, 0)


def _begun(sheet: Sheet, path: Path, before: Record | None) -> Record:
    """The record of a job that begins, written: should it be killed, it is seen to have run."""
    record = Record(
        rule=sheet.rule,
        settings=sheet.settings,
        command=["python", "-m", environment.module(), *sys.argv[1:]],
        inputs=described(sheet.inputs),
        outputs=[],
        code=environment.code(),
        versions={},
        machine={},
        attempts=[*earlier_attempts(path, before, sheet.settings), _attempt()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, record)
    return record


def _end(record: Record, path: Path, before: Record | None, sheet: Sheet, code: int) -> None:
    last = record.attempts[-1]
    if code != 0 and _another_began(path, last):  # it tells of what is there, or will be
        return
    last.end, last.exit, last.notes = _now(), code, taken(path)
    if MADE_BY_ANOTHER in last.notes and (other := _maker(path, before)):
        write_record(path, other)
        return
    record.outputs = described(sheet.outputs)
    record.code, record.versions, record.machine = (
        environment.code(record.code),
        environment.versions(),
        environment.machine(),
    )
    write_record(path, record)


def earlier_attempts(path: Path, record: Record | None, settings: dict) -> list[Attempt]:
    """The attempts since the last success, where they were at the same thing; what a killed one noted is added."""
    if record is None or record.complete or record.settings != settings:
        return []
    if record.attempts and record.attempts[-1].end is None:
        record.attempts[-1].notes = taken(path)
    return record.attempts


def _record(path: Path) -> Record | None:
    try:
        return read_record(path)
    except UserError:
        return None


def _maker(path: Path, before: Record | None) -> Record | None:
    """The record of the job that made the outputs: it ended while this one ran, or `before` this one began."""
    return next((each for each in (_record(path), before) if each is not None and each.complete), None)


def _another_began(path: Path, own: Attempt) -> bool:
    """Whether the record is by now that of a job that began after this one."""
    current = _record(path)
    if current is None:
        return False
    newest = current.attempts[-1]
    return (newest.start, newest.host, newest.slurm_job) != (own.start, own.host, own.slurm_job)


def _attempt() -> Attempt:
    return Attempt(start=_now(), host=socket.gethostname(), slurm_job=os.environ.get("SLURM_JOB_ID"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
