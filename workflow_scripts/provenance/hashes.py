"""Hashes of files, each computed once, several at a time."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workflow_scripts.files import sha256
from workflow_scripts.jobs.record import File

TOUCHED = 120 * 10**9
"""Nanoseconds after a job has written a file, within which Snakemake may renew its modification time."""


class Hashes:
    """SHA-256 of files; `fast` takes the recorded hash where size and, but for `TOUCHED`, time are unchanged."""

    def __init__(self, fast: bool = False) -> None:
        self.fast = fast
        self._believed: set[str] = set()
        self.bytes = 0
        self.files = 0
        self._known: dict[str, str] = {}

    @property
    def believed(self) -> int:
        """How many files were taken to be as they were."""
        return len(self._believed)

    def of(self, file: File) -> str:
        """The hash that a file has now."""
        if self.fast and self._same(file):
            self._believed.add(file.path)
            return file.sha256
        return self.path(Path(file.path))

    def path(self, path: Path) -> str:
        """The hash of the file at a path; none of what has become something else, such as a folder."""
        key = str(path)
        if not path.is_file():
            return ""
        if key not in self._known:
            self._count(path)
            self._known[key] = sha256(path)
        return self._known[key]

    def prepare(self, files: Iterable[File]) -> None:
        """Compute what will be asked for, on all processors."""
        asked = [file for file in files if not (self.fast and self._same(file))]
        paths = [path for path in {file.path: None for file in asked} if Path(path).is_file()]
        with ThreadPoolExecutor() as pool:
            for path, digest in zip(paths, pool.map(sha256, paths), strict=True):
                self._known[path] = digest
                self._count(Path(path))

    def _count(self, path: Path) -> None:
        self.files += 1
        self.bytes += path.stat().st_size

    @staticmethod
    def _same(file: File) -> bool:
        try:
            status = Path(file.path).stat()
        except OSError:
            return False
        return status.st_size == file.bytes and 0 <= status.st_mtime_ns - file.modified <= TOUCHED
