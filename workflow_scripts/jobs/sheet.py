"""What a job is told by a file: options of its command that are too long to print, and all that its record needs.

A sheet is named after a digest of what it holds, so that a change of any of it is another file, and one that waits in a
queue finds what it was planned with. `study/settings.py` says what of the study counts for a job.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from workflow_scripts.errors import UserError

OPTION = "--job"
"""The option of every job's command that names its sheet."""


class Sheet(msgspec.Struct, frozen=True):
    """One job, as the workflow plans it.

    `options` are those of its command by name: a text or number, a list for several words, a mapping as JSON; None or
    an empty list leaves an option out. What is `untracked` are options as well, which change none of the results: they
    are no part of the name.
    """

    rule: str
    options: dict[str, Any]
    inputs: list[str]
    outputs: list[str]
    settings: dict[str, Any]
    untracked: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The file's name: the rule, and a digest of all that counts."""
        counted = msgspec.structs.replace(self, untracked={})
        return f"{self.rule}-{digest(counted)}.json"

    def words(self) -> list[str]:
        """The options as on a command line."""
        return [
            word for name, value in (self.options | self.untracked).items() for word in _words(name, value)
        ]


def _words(name: str, value: Any) -> Iterator[str]:
    if value is None or value == []:
        return
    yield f"--{name.replace('_', '-')}"
    if isinstance(value, list):
        yield from map(str, value)
    else:
        yield json.dumps(value) if isinstance(value, dict) else str(value)


def digest(value: Any) -> str:
    """Twelve characters of the SHA-256 of what can be told as JSON, in whichever order mappings are."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:12]


def write_sheet(folder: str | Path, sheet: Sheet) -> None:
    """Write a sheet into a folder of sheets, whole or not at all; one that is there already is left as it is."""
    path = Path(folder) / sheet.name
    content = msgspec.json.format(msgspec.json.encode(sheet), indent=1) + b"\n"
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.new")
    temporary.write_bytes(content)
    temporary.replace(path)


def read_sheet(path: Path) -> Sheet:
    """Read a sheet.

    Raises:
        UserError: it is absent, or no sheet.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sheet)
    except OSError as error:
        raise UserError(
            f"{OPTION}: {path} cannot be read ({error.strerror}); Snakemake writes it when it plans to run the job"
        ) from None
    except msgspec.DecodeError as error:
        raise UserError(f"{OPTION}: {path} is not what Snakemake writes for a job: {error}") from None
