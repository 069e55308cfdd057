"""How long Snakemake takes to plan the whole paper, and how that grows with the number of jobs.

    python -m benchmarks.dry_run

plans every experiment at the paper's scale for 1, 3 and 6 seeds, on files that only exist, and prints for each: jobs,
seconds, peak memory, and milliseconds a job as a ratio to those of the first. More seeds must mean more jobs.

Needs nothing but the environment.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
EXPERIMENTS = [
    "fig1",
    "fig2",
    "fig3",
    "fig4",
    "fig5",
    "fig6",
    "fig7",
    "fig8",
    "table1",
    "table2",
    "table3",
    "text",
]


def datasets(folder: Path) -> dict[str, object]:
    """Empty files and folders under every name that the configuration asks for."""
    for split in ("train", "val"):
        (folder / split).mkdir(exist_ok=True)
        (folder / f"{split}.json").touch()
    folders = {split: str(folder / split) for split in ("train", "val")}
    annotations = {split: str(folder / f"{split}.json") for split in folders}
    images = {split: {"annotations": annotations[split], "images": folders[split]} for split in folders}
    parts = {split: {"folder": folders[split], "split": split} for split in folders}
    return {
        "coco": {**images, "keypoints": annotations},
        "voc": {"train": [parts["train"]], "val": parts["val"]},
        "classification": folders,
    }


def plan(folder: Path, experiments: list[str], seeds: int) -> tuple[int, float]:
    """Jobs of a dry run from nothing, and its seconds."""
    values = {"scale": "paper", "experiments": experiments, "models": ["R50_GN", "R101_GN"]}
    config = folder / "config.json"
    config.write_text(json.dumps({**values, "seeds": list(range(seeds)), "datasets": datasets(folder)}))
    options = ["--snakefile", str(REPOSITORY / "Snakefile"), "--dry-run", "--quiet", "rules"]
    files = [str(REPOSITORY / "config.yaml"), str(config)]
    command = [sys.executable, "-m", "snakemake", *experiments, *options, "--configfile", *files]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ, check=False)
    seconds = time.perf_counter() - began
    found = re.search(r"^total +(\d+)", done.stdout + done.stderr, re.MULTILINE)
    if done.returncode or not found:
        raise RuntimeError(done.stdout + done.stderr)
    return int(found[1]), seconds


def check_more(seeds: int, jobs: int, before: int) -> None:
    """Refuse plans that lack jobs, or those of the seeds that were added."""
    if jobs <= before:
        raise SystemExit(f"{seeds} seeds: found {jobs} jobs, expected more than the {before} of fewer seeds")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 3, 6], help="numbers of seeds, ascending")
    parser.add_argument("--experiments", nargs="+", default=EXPERIMENTS)
    arguments = parser.parse_args()
    if arguments.seeds != sorted(set(arguments.seeds)) or arguments.seeds[0] < 1:
        parser.error(f"--seeds {arguments.seeds}: expected ascending numbers from 1 on")
    once, before = 0.0, 0
    for seeds in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            jobs, seconds = plan(Path(folder), arguments.experiments, seeds)
        check_more(seeds, jobs, before)
        before = jobs
        once = once or seconds / jobs
        # Of the largest child so far: each is larger than the one before.
        megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(
            f"{seeds} seeds: {jobs:,} jobs, {seconds:.1f} s, {megabytes:.0f} MB, {1000 * seconds / jobs:.1f} ms a job "
            f"({seconds / jobs / once:.2f} times that of the first)"
        )


if __name__ == "__main__":
    main()
