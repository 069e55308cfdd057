"""Score a dump of detections: COCO's metrics, overall and by category, with what they were measured on.

python -m workflow_scripts.detection.evaluate --detections detections.json --annotations instances.json ...
"""

import argparse
from pathlib import Path

from workflow_scripts.detection.coco_metrics import IouType, evaluate
from workflow_scripts.errors import command
from workflow_scripts.files import write_json
from workflow_scripts.study.recipes import Recipe

IOU_TYPES: dict[str, tuple[IouType, ...]] = {
    "mask_rcnn": ("bbox", "segm"),
    "keypoint_rcnn": ("bbox", "keypoints"),
}
"""What each detector's output is scored by."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, required=True, help="recipe.json")
    parser.add_argument("--segment", required=True, help="name of the segment that made the checkpoint")
    parser.add_argument("--stage", required=True, help="the segment's stage: trunk or tail")
    parser.add_argument("--iteration", type=int, required=True, help="iteration of the checkpoint")
    parser.add_argument("--detections", type=Path, required=True, help="detections in COCO's results format")
    parser.add_argument("--annotations", type=Path, required=True, help="COCO annotations")
    parser.add_argument("--output", type=Path, required=True, help="output: metrics.json")
    arguments = parser.parse_args()
    recipe = Recipe.model_validate_json(arguments.recipe.read_bytes())
    metrics = evaluate(arguments.annotations, arguments.detections, IOU_TYPES[recipe.detector])
    checkpoint = {
        "recipe": recipe.name,
        "segment": arguments.segment,
        "stage": arguments.stage,
        "iteration": arguments.iteration,
    }
    write_json(arguments.output, {**checkpoint, "metrics": metrics})
    for iou_type, values in metrics.items():
        overall = {name: value for name, value in values.items() if not isinstance(value, dict)}
        print(recipe.name, arguments.segment, arguments.iteration, iou_type, overall)


if __name__ == "__main__":
    command(main)
