"""Stands for `training/train.py` where the way from rule to rule counts alone: a state tells what it was made from.

It holds, as JSON, the recipe and segment told, the hashes of annotations and backbone, and the parent's state in whole.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from workflow_scripts.jobs.job import job


def sha256(path: Path | None) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else None


def line(recipe: str, iteration: int, images: int) -> dict[str, Any]:
    """A line of metrics whose numbers no other recipe and iteration has."""
    number = int(hashlib.sha256(f"{recipe} {iteration}".encode()).hexdigest()[:6], 16)
    counts = {"images": images, "instances": number % 9973, "pixels": number}
    return {
        "iteration": iteration,
        "learning_rate": 0.1,
        "loss": number / 1e6,
        "loss_cls": number / 2e6,
        **counts,
    }


def main() -> None:
    """Run the command line, which is that of the module it stands for."""
    parser = argparse.ArgumentParser()
    for name in ("recipe", "images", "progress", "state", "metrics", "checkpoints"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("annotations", "parent", "backbone"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--segment", required=True)
    parser.add_argument("--log-period", type=int, required=True)
    for name in ("save-period", "workers", "processes", "nodes", "runtime", "margin"):
        parser.add_argument(f"--{name}")
    told = parser.parse_args()
    recipe, segment = json.loads(told.recipe.read_text()), json.loads(told.segment)
    state = {
        "recipe": recipe["name"],
        "segment": segment,
        "annotations": sha256(told.annotations),
        "backbone": sha256(told.backbone),
        "parent": json.loads(told.parent.read_text()) if told.parent else None,
    }
    start, stop, period = segment["start"], segment["stop"], told.log_period
    ends = [end for end in range(start + 1, stop + 1) if end % period == 0 or end == stop]
    lines = [line(recipe["name"], end, recipe["batch"]) for end in ends]
    told.checkpoints.mkdir(exist_ok=True)
    for iteration in segment.get("evaluations", []):
        (told.checkpoints / f"{iteration}.safetensors").write_text(
            json.dumps(state | {"iteration": iteration})
        )
    told.metrics.write_text("".join(json.dumps(each) + "\n" for each in lines))
    told.state.write_text(json.dumps(state))


if __name__ == "__main__":
    job(main)
