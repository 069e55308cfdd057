"""Where results may go: rules of the path itself, and of what is there."""

import re
from collections.abc import Iterator
from pathlib import Path

LONGEST_NAME = 255
"""Bytes of a folder's name, on the file systems in use."""
LONGEST_PATH = 1000
"""Bytes, which leaves a file's own path within the results its share of Linux's 4,096."""
ROOT = Path(__file__).parents[3]
OWN = (
    ".git",
    ".snakemake",
    ".venv",
    "benchmarks",
    "docs",
    "envs",
    "profiles",
    "reports",
    "rules",
    "scales",
    "tests",
    "workflow_scripts",
)
"""The workflow's own folders."""
NOT_ON_DISK = ("/proc", "/sys", "/dev")
MEMORY = "/dev/shm"
"""Which is a folder like others."""


def without_braces(path: str) -> str:
    """The same. Raises `ValueError` where Snakemake would take a part of it for a wildcard."""
    if braces := sorted(set(path) & set("{}")):
        raise ValueError(f"expected a path without {' and '.join(braces)}, which Snakemake fills in")
    return path


def results_path(path: str) -> str:
    """The path without a slash at its end.

    Raises:
        ValueError: no jobs can be given such a path.
    """
    if not path.isprintable():
        raise ValueError("expected a path without line breaks and control characters")
    without_braces(path)
    if path != path.strip():
        raise ValueError("expected a path without spaces at its ends")
    if re.match(r"~|\$\w", path):
        raise ValueError("expected a path written out: nothing replaces ~ or variables here")
    if path.startswith("-"):
        raise ValueError("expected a path that no command takes for an option; write ./ before it")
    if "://" in path:
        raise ValueError("expected a folder, not a URL")
    if len(path.encode()) > LONGEST_PATH or any(
        len(part.encode()) > LONGEST_NAME for part in Path(path).parts
    ):
        raise ValueError(
            f"expected at most {LONGEST_PATH} bytes, and {LONGEST_NAME} to a name; choose a shorter one"
        )
    return str(Path(path))


def results_problems(results: str) -> Iterator[str]:
    """A line for each reason why results cannot be made there, in the working folder as it is."""
    place, here = Path(results).resolve(), Path.cwd().resolve()
    found = f"config.yaml: results: found {results!r}"
    if place in (here, *here.parents):
        yield f"{found}, the working folder or one that it lies in; expected a folder for results alone"
    elif any(place.is_relative_to(each) for each in (ROOT / name for name in OWN)):
        yield f"{found}, a folder of the workflow itself; expected one for results alone"
    elif any(place.is_relative_to(each) for each in NOT_ON_DISK) and not place.is_relative_to(MEMORY):
        yield f"{found}, where no files can be kept; expected a folder on a disk"
    elif blocking := next((each for each in (place, *place.parents) if each.is_file()), None):
        yield f"{found}, but {blocking} is a file; expected a folder, which need not be there yet"
