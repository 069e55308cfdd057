"""A random sample of mutants, the same share of each folder: what share of all is found can be told from it.

python -m tests.mutation.sample 0.15     # tries what was not tried yet of 15 % of each folder

The sample of a folder is the start of one order of its mutants, by a hash of `SEED` and the name: it is the same each
time, and a larger one holds a smaller one. What a mutant of it came to when it was tried first is kept, in
`mutants/sample.json`: once a test was written for a survivor that the sample showed, the sample no longer tells of
those outside it.
"""

import json
import math
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Container, Iterable
from hashlib import sha256
from pathlib import Path

from mutmut.__main__ import CatchOutput, copy_also_copy_files, copy_src_dir, create_mutants
from scipy.stats import binomtest

from tests.mutation.mutants import FOUND, Mutant, mutants

SEED = 0
KEPT = Path("mutants/sample.json")


def drawn(made: Iterable[Mutant], share: float) -> list[Mutant]:
    """The share of each folder, rounded up."""
    folders: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in made:
        folders[mutant.folder].append(mutant)
    return [
        mutant
        for group in folders.values()
        for mutant in sorted(group, key=_order)[: math.ceil(share * len(group))]
    ]


def _order(mutant: Mutant) -> str:
    return sha256(f"{SEED} {mutant.name}".encode()).hexdigest()


def first_outcomes(sample: Iterable[Mutant]) -> dict[Mutant, str]:
    """What each came to when it was tried first, as its function stands now; those tried since are added to `KEPT`."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    first = {}
    for mutant in sample:
        if mutant.tried:
            first[mutant] = kept.setdefault(f"{mutant.name} {mutant.hash}", mutant.status)
    KEPT.write_text(json.dumps(kept, indent=0))
    return first


def table(made: list[Mutant], share: float, harmless: Container[object]) -> str:
    """A row a folder that was not tried in whole and its sample was, and one of these together.

    The share found is of those that are not harmless, with Wilson's 95 % interval.
    """
    sample = drawn(made, share)
    first = first_outcomes(sample)
    unfinished = {mutant.folder for mutant in made if not mutant.tried}
    missed = {mutant.folder for mutant in sample if not mutant.tried}
    rows = {
        folder: {folder}
        for folder in dict.fromkeys(m.folder for m in sample)
        if folder in unfinished - missed
    }
    if len(rows) > 1:
        rows["together"] = {*rows}
    lines = [
        "| folder | sample of all | harmless | found at first | share of all found (95 %) |",
        "| --- " + "| ---: " * 4 + "|",
    ]
    for name, folders in rows.items():
        ours = [mutant for mutant in sample if mutant.folder in folders]
        counted = [mutant for mutant in ours if mutant not in harmless]
        found = sum(first[mutant] in FOUND for mutant in counted)
        numbers = f"{len(ours)} of {sum(mutant.folder in folders for mutant in made)}"
        row = f"| {name} | {numbers} | {len(ours) - len(counted)} | {found} "
        lines.append(f"{row}| {_share(found, len(counted))} |")
    return "\n".join(lines)


def _share(found: int, of: int) -> str:
    interval = binomtest(found, of).proportion_ci(0.95, method="wilson")
    return f"{found / of:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def main() -> None:
    """Make the mutants of the code as it is, and try those of the sample that were not tried yet."""
    share = float(sys.argv[1])
    KEPT.parent.mkdir(exist_ok=True)
    with CatchOutput(spinner_title="Generating mutants"):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(os.cpu_count() or 1)
    names = [mutant.name for mutant in drawn(mutants(), share) if not mutant.tried]
    if names:
        subprocess.run(["mutmut", "run", *names], check=True)


if __name__ == "__main__":
    main()
