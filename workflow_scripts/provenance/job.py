"""Run the command of a job, and write its record.

    python -m workflow_scripts.provenance.job --rule detect --settings '{...}' --inputs ... --outputs ... \\
        -- workflow_scripts.detection.detect --recipe ...

What follows `--` is a module of the project and its arguments; it can be run by hand with `python -m`.
"""

import argparse
import json
import os
import runpy
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from workflow_scripts.errors import UserError
from workflow_scripts.provenance import environment
from workflow_scripts.provenance.notes import MADE_BY_ANOTHER, NOTES, taken
from workflow_scripts.provenance.record import (
    Attempt,
    Code,
    Record,
    described,
    read_record,
    record_path,
    write_record,
)


def run(module: str, arguments: list[str]) -> tuple[int, BaseException | None]:
    """Run a module as `python -m` does; returns its exit code, and what it raised besides."""
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
        return (code if isinstance(code, int) else int(code is not None)), end
    except BaseException as error:
        return 1, error
    return 0, None


def earlier_attempts(path: Path, record: Record | None, settings: dict) -> list[Attempt]:
    """The attempts since the last success, where they were at the same thing; what a killed one noted is added."""
    if record is None or record.complete or record.settings != settings:
        return []
    if record.attempts and record.attempts[-1].end is None:
        record.attempts[-1].notes = taken(path)
    return record.attempts


def main() -> NoReturn:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rule", required=True, help="name of the rule")
    parser.add_argument(
        "--settings", required=True, type=json.loads, help="what of the study counts, as JSON"
    )
    parser.add_argument("--inputs", nargs="*", default=[], help="files that the job reads")
    parser.add_argument("--outputs", nargs="+", required=True, help="files that the job writes")
    parser.add_argument("command", nargs="+", help="after `--`: module and arguments")
    own, command = _split(sys.argv[1:])
    arguments = parser.parse_args([*own, "--", *command])
    path = record_path(arguments.outputs[0])
    before = _record(path)
    record = Record(
        rule=arguments.rule,
        settings=arguments.settings,
        command=["python", "-m", *arguments.command],
        inputs=described(arguments.inputs),
        outputs=[],
        code=Code(None, None, {}),
        versions={},
        machine={},
        attempts=[*earlier_attempts(path, before, arguments.settings), _attempt()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, record)
    os.environ[NOTES] = str(path)
    code, error = run(arguments.command[0], arguments.command[1:])
    last = record.attempts[-1]
    last.end, last.exit, last.notes = _now(), code, taken(path)
    if MADE_BY_ANOTHER in last.notes and (other := _maker(path, before)):
        write_record(path, other)
        raise SystemExit(code)
    record.outputs = described(arguments.outputs)
    record.code, record.versions, record.machine = (
        environment.code(arguments.command[0]),
        environment.versions(),
        environment.machine(),
    )
    write_record(path, record)
    if error is not None and not isinstance(error, SystemExit):
        raise error
    raise SystemExit(code)


def _record(path: Path) -> Record | None:
    try:
        return read_record(path)
    except UserError:
        return None


def _maker(path: Path, before: Record | None) -> Record | None:
    """The record of the job that made the outputs: it ended while this one ran, or `before` this one began."""
    return next((each for each in (_record(path), before) if each is not None and each.complete), None)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _attempt() -> Attempt:
    return Attempt(start=_now(), host=socket.gethostname(), slurm_job=os.environ.get("SLURM_JOB_ID"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    main()
