"""The tidy tables of one run: its evaluations and its training, gathered along the chain of its segments.

python -m workflow_scripts.tables.runs evaluations --recipe r.json --schedule 2x --metrics a.json b.json --output e.csv
python -m workflow_scripts.tables.runs training --recipe r.json --schedule 2x --metrics a.jsonl b.jsonl --output t.csv
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.study.compiled.reading import read_recipe
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.tables.tidy import EVALUATION_COLUMNS


def labels(recipe: Recipe, schedule: str) -> dict[str, Any]:
    """What tells a run's rows from another's; the experiments that read it add what they call its setting."""
    return {
        "run": f"{recipe.name}/{schedule}",
        "recipe": recipe.name,
        "train_set": recipe.train_set,
        "subset": recipe.subset,
        "model": recipe.label,
        "initialisation": recipe.initialisation,
        "schedule": schedule,
        "seed": recipe.seed,
    }


def evaluations(recipe: Recipe, schedule: str, paths: Sequence[Path], points: str = "curve") -> pd.DataFrame:
    """One row a metric of a checkpoint, in percent, with the file that it was read from.

    points: all checkpoints of the `curve`, or the last one, the `end`.
    """
    rows = []
    for path in paths:
        evaluation = _json(path)
        segment = {name: evaluation[name] for name in ("segment", "stage")}
        for checkpoint in evaluation["checkpoints"]:
            at = segment | {"iteration": checkpoint["iteration"], "source": str(path)}
            for iou_type, metrics in checkpoint["metrics"].items():
                for metric, value in metrics.items():
                    if not isinstance(value, dict):  # categories stay in the file
                        number = {"iou_type": iou_type, "metric": metric, "value": value}
                        rows.append(labels(recipe, schedule) | at | number)
    table = pd.DataFrame(rows, columns=[name for name in EVALUATION_COLUMNS if name != "setting"])
    if points == "end":
        table = table[table["iteration"] == table["iteration"].max()]
    return table.sort_values("iteration", kind="stable")


def training(recipe: Recipe, schedule: str, paths: Sequence[Path]) -> pd.DataFrame:
    """One row a line of metrics: losses, learning rate, and images, instances and pixels seen since the line before."""
    rows = [
        labels(recipe, schedule) | json.loads(line) | {"source": str(path)}
        for path in paths
        for line in path.read_text().splitlines()
    ]
    return pd.DataFrame(rows)


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as metrics ({error}); remove it to evaluate again") from None


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=("evaluations", "training"))
    parser.add_argument("--recipe", type=Path, required=True, help="recipe.json")
    parser.add_argument("--schedule", required=True, help="the run's schedule, such as 2x")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="metrics of its segments")
    parser.add_argument(
        "--points",
        choices=("curve", "end"),
        default="curve",
        help="of evaluations: all checkpoints, or the last",
    )
    parser.add_argument("--output", type=Path, required=True, help="output: tidy CSV")
    arguments = parser.parse_args()
    run = read_recipe(arguments.recipe), arguments.schedule, arguments.metrics
    table = evaluations(*run, arguments.points) if arguments.kind == "evaluations" else training(*run)
    with write_atomically(arguments.output) as temporary:
        table.to_csv(temporary, index=False)


if __name__ == "__main__":
    job(main)
