"""The record of a job: what went in, what came out, and all that could have made a difference.

A record lies beside the first output of its job, under that name with `.record.json` added:

    schema        1
    rule          the rule of the workflow
    settings      what of the study counted for this job, as of then: `study/settings.py`
    command       the words of the command, to run it again
    inputs        files read: path, sha256, bytes and modification time in nanoseconds; code that the rule lists, too
    outputs       files written, likewise; a folder by its files
    code          commit of the repository, whether it had uncommitted changes, and the sha256 of each of its modules
                  that was imported; as they were when the job began, or imported them later
    versions      Python, the libraries that matter, CUDA, cuDNN, and which build of detectron2
    machine       processor, cores, memory, operating system, GPUs and driver
    digest        SHA-256 of all the rest, as compact JSON in this order: an altered record shows
    attempts      each time that the job was started since its last success: start, end, exit code (none of one that was
                  killed), host, SLURM job, and what it said of itself, such as the iteration a training went on from

Paths are relative to the folder that the workflow ran in, where they lie within it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from workflow_scripts.errors import MISTAKE, UserError
from workflow_scripts.files import sha256, write_atomically
from workflow_scripts.jobs.decision import made_since_decided

SCHEMA = 1
ENDING = ".record.json"


class File(msgspec.Struct, frozen=True):
    """A file as it was."""

    path: str
    sha256: str
    bytes: int
    modified: int


class Attempt(msgspec.Struct, omit_defaults=True):
    """One start of a job; without `end`, it was killed or runs."""

    start: str
    host: str
    end: str | None = None
    exit: int | None = None
    slurm_job: str | None = None
    notes: list[dict[str, Any]] = []


class Code(msgspec.Struct, frozen=True):
    """Which code ran."""

    commit: str | None
    dirty: bool | None
    modules: dict[str, str]

    @property
    def name(self) -> str:
        """The commit, and whether it is not all."""
        return f"{self.commit}{' with uncommitted changes' if self.dirty else ''}"


class Record(msgspec.Struct):
    """See the module's docstring."""

    rule: str
    settings: dict[str, Any]
    command: list[str]
    inputs: list[File]
    outputs: list[File]
    code: Code
    versions: dict[str, str | None]
    machine: dict[str, Any]
    attempts: list[Attempt]
    schema: int = SCHEMA
    digest: str = ""

    @property
    def complete(self) -> bool:
        """Whether the job ended well."""
        return bool(self.attempts) and self.attempts[-1].exit == 0


def record_path(first_output: str | Path) -> Path:
    """Where the record of the job lies that writes `first_output`."""
    return Path(f"{first_output}{ENDING}")


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        UserError: it is absent, or not a record.
    """
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        raise UserError(f"{path}: no such record") from None
    except msgspec.DecodeError as error:  # ValidationError is one
        raise UserError(f"{path}: expected a record of a job; {error}") from None
    if record.digest != digest_of(record):
        raise UserError(f"{path}: its content does not match its digest: it was altered")
    return record


def mistaken(outputs: Sequence[str | Path]) -> bool:
    """Whether the job of these outputs ended, since it was decided to run it, with what a person must correct."""
    if not outputs or not made_since_decided(path := record_path(outputs[0])):
        return False
    return read_record(path).attempts[-1].exit == MISTAKE


def write_record(path: Path, record: Record) -> None:
    """Write a record atomically, as readable JSON."""
    record.digest = digest_of(record)
    with write_atomically(path) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def digest_of(struct: msgspec.Struct) -> str:
    """SHA-256 of all but the `digest` of a record, or of another struct that has one, as compact JSON."""
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(struct, digest=""))).hexdigest()


def described(paths: Iterable[str | Path]) -> list[File]:
    """The files as they are; of a folder, each file in it, in order of name. What is absent or hidden is left out."""
    found = []
    for path in dict.fromkeys(map(Path, paths)):
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        found += [describe(each) for each in files if each.exists() and _counts(each)]
    return found


def _counts(path: Path) -> bool:
    return not path.name.startswith(".") and not path.name.endswith(ENDING)


def describe(path: Path) -> File:
    """A file as it is."""
    status = path.stat()
    return File(str(path), sha256(path), status.st_size, status.st_mtime_ns)
