"""Measures what trainings cost on this machine and this data: the `costs` that a plan and a budget reckon with.

python -m workflow_scripts.training.measure --trainings '{"trainings": [{"recipe": "recipe.json", ...}]}' ...

Each training is tried as jobs run it, by its own command, for a few iterations and for some more. What the longer one
takes on top is the cost of iterations, and the rest that of a start. Copies train side by side where trainings share a
machine, for they slow each other down. What they make is thrown away.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.study.compiled.reading import read_recipe
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.schedules import Decay
from workflow_scripts.study.compiled.segments import Segment

FEW, MORE = 5, 45
"""Iterations of the two trainings: the difference takes 9 s and more on a core, beside which a start varies little."""
COSTS = {"detection": "iteration", "classification": "classification"}
"""What the scale calls an iteration's cost, by task."""


def measure(words: Sequence[str], recipe: Recipe, copies: int, folder: Path) -> tuple[float, float]:
    """Seconds of an iteration, and of a start with all that a job does beside iterations.

    `words`: the options of the training's command that do not depend on its length.

    Raises:
        SystemExit: a training failed, with its exit code; it has said why.
    """
    few, more = (_elapsed(words, recipe, iterations, copies, folder) for iterations in (FEW, MORE))
    iteration = max(0.0, more - few) / (MORE - FEW)
    return iteration, max(0.0, few - FEW * iteration)


def _elapsed(words: Sequence[str], recipe: Recipe, iterations: int, copies: int, folder: Path) -> float:
    """Seconds until the last of so many copies of a training has ended."""
    begun = time.perf_counter()
    commands = [
        _command(words, recipe, iterations, folder / f"{iterations}-{copy}") for copy in range(copies)
    ]
    jobs = [subprocess.Popen(command) for command in commands]
    codes = [each.wait() for each in jobs]
    if failed := [code for code in codes if code]:
        sys.exit(failed[0])
    return time.perf_counter() - begun


def _command(words: Sequence[str], recipe: Recipe, iterations: int, folder: Path) -> list[str]:
    part = Segment(
        recipe=recipe.name,
        stage="trunk",
        start=0,
        stop=iterations,
        decay=Decay(kind="steps", drops=()),
        parent=None,
        evaluations=(iterations,),
    )
    outputs = {
        "--progress": "progress",
        "--state": "state.safetensors",
        "--metrics": "metrics.jsonl",
        "--checkpoints": "checkpoints",
    }
    folder.mkdir()
    placed = [word for option, name in outputs.items() for word in (option, str(folder / name))]
    module = "workflow_scripts.training.train"
    return [sys.executable, "-m", module, *words, "--segment", part.model_dump_json(), *placed]


def as_yaml(costs: Mapping[str, Any], copies: int) -> str:
    """A configuration of those costs."""
    beside = f", {copies} trainings side by side" if copies > 1 else ""
    told = f"# Measured on the data of this study{beside}: name this file after your own with --configfile.\n"
    return told + yaml.safe_dump({"numbers": {"costs": costs}}, sort_keys=False)


def main() -> None:
    """Run the command line; options that it does not know are the training command's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--trainings",
        type=json.loads,
        required=True,
        help='JSON: {"trainings": [{"recipe": ..., "annotations": ..., "images": ...}]}, a detector and a classifier',
    )
    parser.add_argument(
        "--detection",
        type=json.loads,
        required=True,
        help='JSON, kept as it is: {"R50": seconds of a checkpoint}',
    )
    parser.add_argument("--copies", type=int, default=1, help="of each training, side by side")
    parser.add_argument("--threads", type=int, default=1, help="of each copy")
    parser.add_argument("--output", type=Path, required=True, help="output: a configuration of the costs")
    arguments, others = parser.parse_known_args()
    # Snakemake, with many names, has given each copy the threads of them all.
    threads = [name for name in os.environ if name.endswith("_NUM_THREADS")]
    os.environ.update(dict.fromkeys(["OMP_NUM_THREADS", *threads], str(arguments.threads)))
    costs: dict[str, Any] = {"detection": arguments.detection}
    for each in arguments.trainings["trainings"]:
        recipe = read_recipe(Path(each["recipe"]))
        words = [word for name, value in each.items() for word in (f"--{name}", value)] + others
        with tempfile.TemporaryDirectory(prefix=".costs.", dir=arguments.output.parent) as folder:
            iteration, start = measure(words, recipe, arguments.copies, Path(folder))
        costs[COSTS[recipe.task]] = {recipe.backbone: round(iteration, 3)}
        costs["start"] = round(max(start, costs.get("start", 0.0)), 1)
    text = as_yaml(costs, arguments.copies)
    print(text, flush=True)
    with write_atomically(arguments.output) as temporary:
        temporary.write_text(text)


if __name__ == "__main__":
    job(main)
