"""Writes the hashes of a data set's images: the identity of their pixels, which annotation files do not hold.

    python -m workflow_scripts.data.image_hashes --folder train2017 --output images.csv --threads 8
    python -m workflow_scripts.data.image_hashes --folder voc --parts voc/VOC2007/JPEGImages --output images.csv

A row for each file below the folder, or below its parts, in order: `name` (relative to the folder), `sha256`, `bytes`.
Folders that are links are gone through, too.
"""

import argparse
import csv
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workflow_scripts.data.class_folders import files_below
from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256, write_atomically
from workflow_scripts.jobs.job import job

COLUMNS = ("name", "sha256", "bytes")


def image_hashes(folder: Path, parts: Sequence[Path], threads: int) -> list[tuple[str, str, int]]:
    """Name within a folder, SHA-256 and size of each file below parts of it.

    Raises:
        UserError: a part is absent or holds none, or a file cannot be read.
    """
    paths = [path for part in parts for path in _files(part)]
    with ThreadPoolExecutor(threads) as pool:
        digests = list(pool.map(_hashed, paths, chunksize=64))
    return [
        (os.path.relpath(path, folder), digest, path.stat().st_size)
        for path, digest in zip(paths, digests, strict=True)
    ]


def _hashed(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}. Correct its permissions.") from None


def _files(folder: Path) -> list[Path]:
    try:
        found = [path for path in files_below(folder) if path.is_file()] if folder.is_dir() else []
    except OSError as error:
        where = error.filename or folder
        raise UserError(f"{where}: cannot be read: {error.strerror}. Correct its permissions.") from None
    if not found:
        raise UserError(f"{folder}: found no files, expected images")
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder of images")
    parser.add_argument("--parts", type=Path, nargs="+", help="folders in it, of which all else is left out")
    parser.add_argument("--output", type=Path, required=True, help="CSV to write")
    parser.add_argument("--threads", type=int, default=1, help="files to read side by side")
    arguments = parser.parse_args()
    rows = image_hashes(arguments.folder, arguments.parts or [arguments.folder], arguments.threads)
    with write_atomically(arguments.output) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


if __name__ == "__main__":
    job(main)
