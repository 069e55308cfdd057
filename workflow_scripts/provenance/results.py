"""The records of a folder of results, and the way from any file back to where it came from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.errors import UserError
from workflow_scripts.jobs.record import ENDING, File, Record, read_record

METADATA = "ro-crate-metadata.json"
"""The file that makes a folder a crate."""


@dataclass
class Results:
    """All records below a folder; paths in them are relative to the folder that the workflow ran in."""

    root: Path
    records: dict[str, Record] = field(default_factory=dict)
    """By the path of the record."""
    broken: dict[str, str] = field(default_factory=dict)
    """Records that cannot be read, and why."""
    crates: list[Path] = field(default_factory=list)
    """Folders that the results were exported to; the records in them are copies."""

    def __post_init__(self) -> None:
        self._producers: dict[str, str] = {}
        self._outputs: dict[str, File] = {}

    @classmethod
    def load(cls, root: Path) -> "Results":
        """Read every record below `root`.

        Raises:
            UserError: there is none.
        """
        results = cls(root, crates=[path.parent for path in sorted(root.rglob(METADATA))])
        for path in sorted(root.rglob(f"*{ENDING}")):
            if any(path.is_relative_to(crate) for crate in results.crates):
                continue
            try:
                results._add(str(path), read_record(path))
            except UserError as error:
                results.broken[str(path)] = str(error)
        if not results.records and not results.broken:
            raise UserError(
                f"{root}: found no records; expected the results of a scale, such as results/mini"
            )
        return results

    def _add(self, path: str, record: Record) -> None:
        self.records[path] = record
        for file in record.outputs:
            self._producers[file.path] = path
            self._outputs[file.path] = file
        self._producers.setdefault(path.removesuffix(ENDING), path)

    def producer(self, path: str) -> str | None:
        """The record of the job that wrote a file."""
        return self._producers.get(path)

    def output(self, path: str) -> File | None:
        """A file as the job that wrote it left it."""
        return self._outputs.get(path)

    def parents(self, record: str) -> list[str]:
        """Records of the jobs that made a job's inputs, in their order, each once."""
        found = (self.producer(file.path) for file in self.records[record].inputs)
        return list(dict.fromkeys(each for each in found if each is not None))

    def upstream(self, records: Iterable[str]) -> list[str]:
        """The records and all that they rest on."""
        found: dict[str, None] = {}
        waiting = list(records)
        while waiting:
            record = waiting.pop()
            if record not in found:
                found[record] = None
                waiting += self.parents(record)
        return list(found)

    def below(self, path: str) -> Iterator[str]:
        """Records of what lies at a path: a file's own, or those of all files in a folder."""
        prefix = f"{path.rstrip('/')}/"
        yield from dict.fromkeys(
            record for file, record in self._producers.items() if file == path or file.startswith(prefix)
        )
