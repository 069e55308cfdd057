"""What the documentation holds: its pages, their fenced blocks, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.checkout import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name / "README.md" for name in ("benchmarks", "envs", "tests")),
]
FENCE = re.compile(r'^ *```(\w*)(?: title=")?([^"\n]*)"?\n(.*?)^ *```$', re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:make|snakemake|python -m) [^`]+)`")
"""Commands within a sentence."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `title` is the file that it is, or that it changes."""

    page: Path
    language: str
    title: str
    text: str


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(language: str, *pages: str) -> list[Block]:
    """The blocks in a language, of all pages or of those named."""
    chosen = [ROOT / page for page in pages] or PAGES
    found = (Block(page, *match.groups()) for page in chosen for match in FENCE.finditer(page.read_text()))
    return [block for block in found if block.language == language]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def commands(page: Path) -> Iterator[tuple[str, ...]]:
    """The words of each command of a page: of blocks without a language, and within sentences.

    Of a block that shows what was printed, too, the lines after a `$`.
    """
    found = list(INLINE.findall(prose(page)))
    for block in blocks("", name_of(page)):
        lines = block.text.replace("\\\n", " ").splitlines()
        typed = [line[2:] for line in lines if line.startswith("$ ")]
        found += typed or lines
    for part in (part for line in found for part in line.split("&&")):
        if words := shlex.split(part, comments=True):
            yield tuple(words)


def all_commands(*programs: str, besides: str = "") -> list[tuple[str, ...]]:
    """The commands that start with these words, each once, of all pages but one."""
    found = dict.fromkeys(words for page in PAGES if name_of(page) != besides for words in commands(page))
    return [words for words in found if words[: len(programs)] == programs]
