"""A study that can be compiled, what is wrong with a changed one, and Snakemake run on it."""

import subprocess
import sys
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.study.compile import compile_study

ROOT = Path(__file__).parents[1]
GOOD = {"scale": "smoke", "experiments": ["fig1", "fig2", "table1", "table2"]}
WEIGHTS = {"source": "https://example.org/weights.pth", "sha256": "0" * 64}


def message(**changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        compile_study(GOOD | changes)
    return str(caught.value)


def assert_in_order(text: str, parts: list[str]) -> None:
    position = 0
    for part in parts:
        assert part in text[position:], f"{part!r} is missing after {text[:position]!r} in {text!r}"
        position = text.index(part, position)


def assert_one_line(changes: dict[str, Any], parts: list[str]) -> None:
    """A changed study is refused in one line, which says these parts in this order."""
    found = message(**changes)
    assert "\n" not in found
    assert_in_order(found, parts)


def at(values: dict[str, Any], field: str) -> Any:
    return reduce(getitem, field.split("."), values)


def put(values: dict[str, Any], field: str, value: Any) -> None:
    section, _, last = field.rpartition(".")
    at(values, section)[last] = value


def dry_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`snakemake -n` with the config.yaml of `folder`."""
    return snakemake(folder, "--dry-run", "--quiet", *arguments)


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
