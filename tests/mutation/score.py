"""The score of the last runs, and its survivors: those that `harmless.yaml` explains, and the others.

python -m tests.mutation.score [--sample 0.15] [--write tests/README.md]

The exit code is 1 where a survivor is unexplained.
"""

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Container
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import yaml

from tests.mutation import rules, sample
from tests.mutation.mutants import ALIVE, FOUND, Mutant, mutants

HARMLESS = Path(__file__).with_name("harmless.yaml")
NOT_EXPLAINED = "Alive, and not explained yet."
MARKER = "<!-- below: python -m tests.mutation.score --write tests/README.md -->\n"


@dataclass(frozen=True)
class Reason:
    """Why some changes of some functions alter nothing that counts. `within` is a pattern of names, `after` a regex."""

    why: str
    within: str
    after: str

    def explains(self, mutant: Mutant | rules.Mutant) -> bool:
        return fnmatch(mutant.function, self.within) and bool(re.search(self.after, mutant.change[1]))


def reasons() -> list[Reason]:
    """`harmless.yaml`: a reason, then where and what."""
    groups = yaml.safe_load(HARMLESS.read_text(encoding="utf-8"))
    return [Reason(group["why"], within, after) for group in groups for within, after in group["changes"]]


def table(made: list[Mutant | rules.Mutant], explained: Container[Mutant | rules.Mutant]) -> str:
    """A row a folder."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in made:
        status = "harmless" if mutant in explained else mutant.status
        kind = "found" if status in FOUND else "alive" if status in ALIVE else status
        for row in ("all", mutant.folder):
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


def listed(explained: dict[Mutant | rules.Mutant, Reason], left: list[Mutant | rules.Mutant]) -> str:
    """Survivors below the reason why each is harmless, and first those without one."""
    by_reason: dict[str, list[Mutant | rules.Mutant]] = {NOT_EXPLAINED: left} if left else {}
    for mutant, reason in explained.items():
        by_reason.setdefault(reason.why, []).append(mutant)
    lines = []
    for why, group in by_reason.items():
        lines.append(f"\n**{why}** ({len(group)})\n")
        lines += [f"- `{mutant.function}`: {_words(*mutant.change)}" for mutant in group]
    return "\n".join(lines)


def _words(before: str, after: str) -> str:
    return f"`{after}`" if after else f"without `{before}`"


def main() -> int:
    """Print, write where asked, and say whether nothing is left to explain."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", type=Path, help="a file to write it into, below its marker")
    parser.add_argument("--sample", type=float, help="the share that `tests.mutation.sample` tried")
    parser.add_argument(
        "--names", action="store_true", help="print the names of unexplained survivors and no more"
    )
    arguments = parser.parse_args()
    python = list(mutants())
    made = [*python, *rules.outcomes()]
    known = reasons()
    alive = [mutant for mutant in made if mutant.status in ALIVE]
    explained = {m: why for m in alive if (why := next((r for r in known if r.explains(m)), None))}
    left = [mutant for mutant in alive if mutant not in explained]
    if arguments.names:
        print(*(mutant.name for mutant in left if isinstance(mutant, Mutant)))
        return 0
    score = table(made, explained)
    if arguments.sample:
        score += f"\n\n{sample.table(python, arguments.sample, explained)}"
    print(score)
    if arguments.write:
        head = arguments.write.read_text(encoding="utf-8").partition(MARKER)[0]
        arguments.write.write_text(f"{head}{MARKER}\n{score}\n{listed(explained, left)}\n", encoding="utf-8")
    for mutant in left:
        before, after = mutant.change
        where = mutant.name if isinstance(mutant, Mutant) else f"{mutant.file}:{mutant.line}"
        print(f"\n{where} ({mutant.status})\n  - {before}\n  + {after}")
    if all(mutant.tried for mutant in made):
        for reason in set(known) - set(explained.values()):
            print(f"\n{HARMLESS.name}: nothing survived that this explains: {reason.within}: {reason.after}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
