"""Breaks the workflow's rules in small ways, one at a time, and sees whether a test of the workflow fails.

    python -m tests.mutation.rules [--sample 0.15] [--cores 2]

mutmut knows Python alone. Here a line of a rule is changed: an entry taken out, the values of two entries exchanged, an
option or a wildcard exchanged or dropped, a constant or a condition turned round. The code that a rule lists stays:
it decides what runs again and not what is made. What was tried is kept in `mutants/rules.json` by the hash of the
changed file and of the tests, so a run that was cut goes on.
"""

import argparse
import hashlib
import json
import math
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from queue import Queue

from tests.checkout import PARTS, ROOT

TESTS = ("-m", "not slow")
TESTS += tuple(f"tests/test_{name}.py" for name in ("code_inputs", "workflow", "config", "chain_study"))
KEPT = ROOT / "mutants" / "rules.json"
SECONDS = 600
SECTIONS = re.compile(r"^ {4}([a-z_]+):")
BROKEN = {"input", "params", "shell"}
"""Sections to break within rules: the rest are paths of logs, messages and resources, of which no result is made."""
ENTRY = re.compile(r"^( +)(\w+)=(.+),$")
TURNED = {
    " == ": " != ",
    " != ": " == ",
    " is None": " is not None",
    "True": "False",
    "False": "True",
    " not ": " ",
}
EXCHANGED = {
    '"train"': '"val"',
    '"val"': '"train"',
    '"single_scale"': '"test_aug"',
    "[0]": "[1]",
    "[1]": "[2]",
}


@dataclass(frozen=True)
class Mutant:
    """A file of rules with one change: `before` and `after` are the lines that differ."""

    file: str
    line: int
    before: str
    after: str
    text: str
    status: str = "not checked"
    folder: str = "rules"

    @property
    def function(self) -> str:
        """Where it stands; rules have no names that are theirs alone."""
        return self.file

    @property
    def change(self) -> tuple[str, str]:
        """The lines taken out and those put in."""
        return self.before, self.after

    @property
    def tried(self) -> bool:
        return self.status != "not checked"

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.file}\n{self.text}\n{tested()}".encode()).hexdigest()[:16]


def tested() -> str:
    """The hash of the tests that decide."""
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in TESTS[2:])).hexdigest()


def mutants() -> Iterator[Mutant]:
    """Every change of every file of rules, in order."""
    for path in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]:
        lines = path.read_text(encoding="utf-8").splitlines()
        for start, stop, new in changes(lines):
            text = "\n".join([*lines[:start], *new, *lines[stop:]]) + "\n"
            before, after = ("; ".join(map(str.strip, part)) for part in (lines[start:stop], new))
            yield Mutant(str(path.relative_to(ROOT)), start + 1, before, after, text)


def outcomes() -> list[Mutant]:
    """Every change with what it came to."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    return [replace(mutant, status=kept.get(mutant.key, mutant.status)) for mutant in mutants()]


def changes(lines: list[str]) -> Iterator[tuple[int, int, list[str]]]:
    """(first line, the line after the last, what stands there instead)."""
    places = list(broken_lines(lines))
    for place in places:
        for new in line_changes(lines[place]):
            yield place, place + 1, new
    for one, other in pairwise(places):
        first, second = ENTRY.match(lines[one]), ENTRY.match(lines[other])
        if other == one + 1 and first and second and first[1] == second[1]:
            yield one, other + 1, [f"{first[1]}{first[2]}={second[3]},", f"{first[1]}{second[2]}={first[3]},"]


def broken_lines(lines: list[str]) -> Iterator[int]:
    """Lines of rules' sections in `BROKEN`, and of functions; no comments or docstrings."""
    section = kind = ""
    prose = False
    for place, line in enumerate(lines):
        words = line.strip()
        if line and not line.startswith(" "):
            kind = line.split(" ")[0]
        if found := SECTIONS.match(line):
            section = found[1]
        quotes = words.count('"""')
        left_alone = (
            prose or quotes or found or words.startswith(("#", "code=", "+ code(")) or "=code(" in words
        )
        prose ^= quotes == 1
        within = kind == "def" or (kind in {"rule", "checkpoint"} and section in BROKEN)
        if line.startswith("    ") and within and not left_alone:
            yield place


def line_changes(line: str) -> Iterator[list[str]]:
    """What may stand for a line: one change each."""
    if line.endswith(",") and line.count("(") == line.count(")"):
        yield []
    for pairs in (TURNED, EXCHANGED):
        for old, new in pairs.items():
            if old in line:
                yield [line.replace(old, new, 1)]
    for found in re.finditer(r" --[\w-]+ \{[^}]+\}", line):
        yield [line.replace(found[0], "", 1)]
    for found in re.finditer(r'"\w+", (?="|\w)|, "\w+"(?=[,)])', line):
        yield [line[: found.start()] + line[found.end() :]]
    names = list(dict.fromkeys(re.findall(r"wildcards\.(\w+)", line)))
    if len(names) > 1:
        first, second = names[:2]
        turn = {first: second, second: first}
        yield [re.sub(r"wildcards\.(\w+)", lambda found: f"wildcards.{turn.get(found[1], found[1])}", line)]


def outcome(mutant: Mutant, tree: Path) -> str:
    """`killed` where a test fails, `survived` where none does."""
    file = tree / mutant.file
    file.write_text(mutant.text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS]
    try:
        done = subprocess.run(command, cwd=tree, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return "timeout"
    finally:
        shutil.copy(ROOT / mutant.file, file)
    return "killed" if done.returncode else "survived"


def copy(tree: Path) -> Path:
    """A copy of the repository to break."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for name in (*PARTS, "tests", "benchmarks", "docs", "config.yaml", "pyproject.toml", "README.md"):
        copied = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copied(ROOT / name, tree / name)
    return tree


def main() -> None:
    """Try what was not tried yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=float, default=1.0, help="the share to try, a seeded choice (all)")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    every = outcomes()
    chosen = random.Random(0).sample(every, math.ceil(arguments.sample * len(every)))
    kept = {mutant.key: mutant.status for mutant in every if mutant.tried}
    trees: Queue[Path] = Queue()
    for number in range(arguments.cores):
        trees.put(copy(KEPT.parent / f"rules-{number}"))

    def attempt(mutant: Mutant) -> None:
        tree = trees.get()
        try:
            kept[mutant.key] = outcome(mutant, tree)
        finally:
            trees.put(tree)
        KEPT.write_text(json.dumps(kept))

    with ThreadPoolExecutor(arguments.cores) as pool:
        list(pool.map(attempt, [mutant for mutant in chosen if not mutant.tried]))


if __name__ == "__main__":
    main()
