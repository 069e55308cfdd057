"""Files and folders that are either whole or absent, and their hashes."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workflow_scripts.errors import FULL


@contextmanager
def write_atomically(
    path: str | Path, parents: bool = True, check: Callable[[], None] = lambda: None
) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it to `path`.

    Its folder is made where it is missing, unless `parents` is false. What `check` raises before the file is renamed
    keeps `path` as it is.
    """
    path = Path(path)
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        check()
        temporary.replace(path)
    except OSError as error:
        # Where a disk is full, the system names no file.
        if error.errno in FULL and error.filename in (None, name):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def write_folder(path: str | Path, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield a new folder beside `path`; on success flush its files to disk and put it in the place of `path`.

    What `check` raises before it is put there keeps `path` as it is.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        for name in filter(Path.is_file, temporary.rglob("*")):
            with name.open("rb") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o777 & ~_umask())
        check()
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically, with a newline at the end."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n")


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, read as a stream."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
