"""Each benchmark at its smallest size: it runs, and compares the same work on both sides. Times are not looked at."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALLEST = {
    "coco_evaluation": (["--images", "40"], r"bbox .* 0\.0e\+00 .*\nsegm .* 0\.0e\+00 .*\ntogether"),
    "dry_run": (["--seeds", "1", "2", "--experiments", "fig1"], r"1 seeds: \d+ jobs.*\n2 seeds: \d+ jobs"),
    "hashing": (["--gigabytes", "0.01", "--repeats", "1"], r"ours .* GB/s, openssl .* GB/s, ratio"),
    "subsets": (["--images", "300", "--repeats", "1"], r"300 images, 2,181 annotations(.|\n)*subset pass"),
    "training_step": (["--steps", "10", "--images", "12"], r"ours is .* times as fast \(1 pairs of 5 steps"),
}
"""Options, and what it prints."""


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py")))
def test_it_runs(name: str) -> None:
    options, printed = SMALLEST[name]
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(printed, done.stdout), done.stdout
