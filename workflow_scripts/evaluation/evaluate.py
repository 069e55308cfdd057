"""Score what a segment's checkpoints detect: COCO's or VOC's metrics, overall and by category.

    python -m workflow_scripts.evaluation.evaluate --recipe recipe.json --segment trunk-0-90 --stage trunk \\
        --iterations 45 90 --detections detections --annotations instances.json \\
        --metrics metrics.json --replicates replicates.csv

The replicates are the same metrics on resamples of the images, from which the report takes its intervals.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.data.voc import year_of
from workflow_scripts.evaluation import bootstrap
from workflow_scripts.evaluation.coco_metrics import IouType, evaluate
from workflow_scripts.evaluation.voc_metrics import evaluate_voc
from workflow_scripts.files import write_atomically, write_json
from workflow_scripts.jobs.job import job
from workflow_scripts.study.compiled.reading import read_recipe
from workflow_scripts.study.compiled.recipes import Recipe

IOU_TYPES: dict[str, tuple[IouType, ...]] = {
    "mask_rcnn": ("bbox", "segm"),
    "cascade_mask_rcnn": ("bbox", "segm"),
    "faster_rcnn": ("bbox",),
    "keypoint_rcnn": ("bbox", "keypoints"),
}
"""What each detector's output is scored by."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, required=True, help="recipe.json")
    parser.add_argument("--segment", required=True, help="name of the segment that made the checkpoints")
    parser.add_argument("--stage", required=True, help="the segment's stage: trunk or tail")
    parser.add_argument("--iterations", type=int, nargs="+", required=True, help="of the checkpoints")
    parser.add_argument(
        "--detections", type=Path, required=True, help="folder of detections in COCO's results format"
    )
    parser.add_argument("--annotations", type=Path, required=True, help="COCO annotations")
    parser.add_argument(
        "--testing",
        choices=("single_scale", "test_aug"),
        default="single_scale",
        help="how they were detected",
    )
    parser.add_argument(
        "--voc", nargs=2, metavar=("FOLDER", "SPLIT"), help="score as VOC does: its folder and split"
    )
    parser.add_argument(
        "--replicate-count", type=int, default=bootstrap.COUNT, help="resamples of the images; 0: none"
    )
    parser.add_argument("--metrics", type=Path, required=True, help="output: metrics.json")
    parser.add_argument("--replicates", type=Path, required=True, help="output: replicates.csv")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe)
    checkpoints, tables = [], []
    for iteration in arguments.iterations:
        files = arguments.annotations, arguments.detections / f"{iteration}.json"
        metrics, replicates = _scored(recipe, *files, arguments.voc, arguments.replicate_count)
        checkpoints.append({"iteration": iteration, "metrics": metrics})
        tables.append(replicates.assign(iteration=iteration))
        for iou_type, values in metrics.items():
            overall = {name: value for name, value in values.items() if not isinstance(value, dict)}
            print(recipe.name, arguments.segment, iteration, iou_type, overall)
    evaluated = {
        "recipe": recipe.name,
        "segment": arguments.segment,
        "stage": arguments.stage,
        "testing": arguments.testing,
        "checkpoints": checkpoints,
    }
    with write_atomically(arguments.replicates) as temporary:
        columns = ["iteration", *bootstrap.COLUMNS]
        pd.concat(tables)[columns].to_csv(temporary, index=False, float_format="%.4f")
    write_json(arguments.metrics, evaluated)


def _scored(
    recipe: Recipe, annotations: Path, detections: Path, voc: tuple[str, str] | None, count: int
) -> tuple[dict[Any, dict[str, Any]], pd.DataFrame]:
    """Metrics by IoU type, and their replicates."""
    iou_types = IOU_TYPES[recipe.detector]
    if voc is None:
        metrics: dict[Any, dict[str, Any]] = evaluate(annotations, detections, iou_types)
        return metrics, bootstrap.replicates(annotations, detections, iou_types, count)
    folder, split = voc
    metrics = evaluate_voc(annotations, detections, Path(folder), split)
    year = year_of(folder)
    return metrics, bootstrap.replicates(annotations, detections, iou_types, count, voc_year=year)


if __name__ == "__main__":
    job(main)
