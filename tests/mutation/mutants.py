"""What mutmut made of the code, and what became of each change."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

FOUND = {"killed", "segfault", "caught by type check"}
"""One that ran out of time counts as not tried: on a busy machine others do, too, and a fork may hang by itself."""
ALIVE = {"survived", "no tests"}
PACKAGE = "workflow_scripts."


@dataclass(frozen=True)
class Mutant:
    """One change of one function, of which `hash` is mutmut's."""

    name: str
    status: str
    path: Path
    hash: str

    @property
    def folder(self) -> str:
        """`tables`, `study.layout`."""
        return ".".join(self.path.parts[1:-1])

    @property
    def function(self) -> str:
        """`tables.tidy.series`, `tables.published.Row.values`."""
        module, _, mangled = self.name.rpartition("__mutmut_")[0].removeprefix(PACKAGE).rpartition(".")
        return f"{module}.{mangled.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"

    @property
    def tried(self) -> bool:
        return self.status in FOUND | ALIVE

    @property
    def change(self) -> tuple[str, str]:
        """The lines taken out and those put in, each as one line; the latter are empty where nothing is put in."""
        lines = get_diff_for_mutant(self.name, path=self.path).splitlines()[3:]
        before, after = (" ".join(line[1:].strip() for line in lines if line[:1] == sign) for sign in "-+")
        return before, after


def mutants() -> Iterator[Mutant]:
    """All that mutmut made, in order of files."""
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            function = name.rpartition("__mutmut_")[0].rpartition(".")[2]
            yield Mutant(name, status_by_exit_code[code], path, data.hash_by_function_name.get(function, ""))
