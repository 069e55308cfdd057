"""The score of the last run of mutmut, and its survivors: those that `harmless.yaml` explains, and the others.

python -m tests.mutation.score                     # prints both; exit code 1 where a survivor is unexplained
python -m tests.mutation.score tests/README.md     # writes score and explained survivors below its marker, too
"""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import yaml
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

HARMLESS = Path(__file__).with_name("harmless.yaml")
MARKER = "<!-- below: python -m tests.mutation.score tests/README.md -->\n"
FOUND = {"killed", "timeout", "segfault", "caught by type check"}
ALIVE = {"survived", "no tests"}
PACKAGE = "workflow_scripts."


@dataclass(frozen=True)
class Mutant:
    """One change of one function; `after` is empty where lines are only taken out."""

    name: str
    status: str
    path: Path

    @property
    def function(self) -> str:
        """`tables.tidy.series`, `tables.published.Row.values`."""
        module, _, mangled = self.name.rpartition("__mutmut_")[0].removeprefix(PACKAGE).rpartition(".")
        return f"{module}.{mangled.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"

    @property
    def change(self) -> tuple[str, str]:
        """The lines taken out and those put in, each as one line."""
        lines = get_diff_for_mutant(self.name, path=self.path).splitlines()[3:]
        before, after = (" ".join(line[1:].strip() for line in lines if line[:1] == sign) for sign in "-+")
        return before, after


@dataclass(frozen=True)
class Reason:
    """Why some changes of some functions alter nothing that counts. `within` is a pattern of names, `after` a regex."""

    why: str
    within: str
    after: str

    def explains(self, mutant: Mutant) -> bool:
        return fnmatch(mutant.function, self.within) and bool(re.search(self.after, mutant.change[1]))


def mutants() -> Iterator[Mutant]:
    """All that mutmut made, with what became of each."""
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            yield Mutant(name, status_by_exit_code[code], path)


def reasons() -> list[Reason]:
    """`harmless.yaml`: a reason, then where and what."""
    groups = yaml.safe_load(HARMLESS.read_text(encoding="utf-8"))
    return [Reason(group["why"], within, after) for group in groups for within, after in group["changes"]]


def table(made: list[Mutant], explained: set[Mutant]) -> str:
    """A row a folder, or module of its own."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in made:
        folder = ".".join(mutant.path.with_suffix("").parts[1:-1])
        status = "harmless" if mutant in explained else mutant.status
        kind = "found" if status in FOUND else "alive" if status in ALIVE else status
        for row in (folder, "all"):
            rows[row][kind] += 1
    lines = [
        "| folder | mutants tried | found | harmless | alive | found of those that matter |",
        "| --- " + "| ---: " * 5 + "|",
    ]
    for name, row in rows.items():
        tried = row["found"] + row["harmless"] + row["alive"]
        share = f"{row['found'] / max(1, tried - row['harmless']):.1%}"
        of = "" if tried == row.total() else f" of {row.total()}"
        lines.append(
            f"| {name} | {tried}{of} | {row['found']} | {row['harmless']} | {row['alive']} | {share} |"
        )
    return "\n".join(lines)


def listed(explained: dict[Mutant, Reason]) -> str:
    """Survivors below the reason why each is harmless."""
    by_reason: dict[str, list[Mutant]] = defaultdict(list)
    for mutant, reason in explained.items():
        by_reason[reason.why].append(mutant)
    lines = []
    for why, group in by_reason.items():
        lines.append(f"\n**{why}** ({len(group)})\n")
        lines += [
            f"- `{mutant.function}`: `{mutant.change[1] or 'without ' + mutant.change[0]}`"
            for mutant in group
        ]
    return "\n".join(lines)


def main() -> int:
    """Print, write where asked, and say whether nothing is left to explain."""
    made = sorted(mutants(), key=lambda mutant: mutant.path)
    known = reasons()
    alive = [mutant for mutant in made if mutant.status in ALIVE]
    explained = {m: why for m in alive if (why := next((r for r in known if r.explains(m)), None))}
    left = [mutant for mutant in alive if mutant not in explained]
    if sys.argv[1:] == ["--names"]:
        print(*(mutant.name for mutant in left))
        return 0
    print(table(made, set(explained)))
    for path in map(Path, sys.argv[1:]):
        head = path.read_text(encoding="utf-8").partition(MARKER)[0]
        text = f"{head}{MARKER}\n{table(made, set(explained))}\n{listed(explained)}\n"
        path.write_text(text, encoding="utf-8")
    for mutant in left:
        before, after = mutant.change
        print(f"\n{mutant.name} ({mutant.status})\n  - {before}\n  + {after}")
    if all(mutant.status in FOUND | ALIVE for mutant in made):
        for reason in set(known) - set(explained.values()):
            print(f"\n{HARMLESS.name}: nothing survived that this explains: {reason.within}: {reason.after}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
