"""How tests start a program that goes on beside them."""

import subprocess
from collections.abc import Mapping
from pathlib import Path


def start(
    folder: Path, program: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen:
    """In a folder, which also gets what it says."""
    with (folder / f"{program}.out").open("a") as output:
        return subprocess.Popen(
            [program, *arguments], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
