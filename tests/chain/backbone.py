"""Stands for `training/backbone.py` after `train.py`: the backbone is the classifier's state."""

import argparse
import json
import shutil
from pathlib import Path

from workflow_scripts.jobs.job import job


def main() -> None:
    """Run the command line, which is that of the module it stands for."""
    parser = argparse.ArgumentParser()
    for name in ("recipe", "state", "val", "backbone", "summary"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    told = parser.parse_args()
    shutil.copy(told.state, told.backbone)
    recipe = json.loads(told.recipe.read_text())["name"]
    told.summary.write_text(json.dumps({"kind": "train", "recipe": recipe, "classes": 4, "top1": 25.0}))


if __name__ == "__main__":
    job(main)
