"""Tries each model of a study on one small picture before anything trains, so that settings that do not fit are found.

    python -m workflow_scripts.models.check --recipes '{"recipes": [...]}' --report models.json --text models.txt

Each is built with its random weights on a CPU, and its losses are computed once. The picture is of grey noise, with one
object as large as half of it. What depends on the size of images or the number of classes alone is not tried.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from detectron2.data.detection_utils import annotations_to_instances
from detectron2.structures import BoxMode
from detectron2.utils.events import EventStorage
from torch import nn

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically, write_json
from workflow_scripts.jobs.job import job
from workflow_scripts.models.build import build, unfit, where_set
from workflow_scripts.study.compiled.recipes import Recipe

SIDE = 128
"""Pixels: two by two cells of the coarsest level that detectron2's FPN has."""
CLASSES = 2
KEYPOINTS = 17
"""COCO's, of a person: the data's check accepts no others."""


def try_model(recipe: Recipe) -> dict[str, Any]:
    """Build a recipe's model and compute its losses; returns what it is and how many parameters it has.

    Raises:
        UserError: it cannot be built, or computes no losses.
    """
    model, example = build(recipe, CLASSES, "cpu"), _example(recipe)
    try:
        with torch.no_grad(), EventStorage():
            losses = model([example])
    except Exception as error:  # detectron2 and torch raise many kinds where settings do not fit
        raise unfit(recipe, "its model was built, and does not train", error) from error
    if wrong := sorted(name for name, loss in losses.items() if not loss.isfinite()):
        raise UserError(
            f"recipe {recipe.name}: with these settings of detectron2 {', '.join(wrong)} is no number before "
            f"anything is trained; expected finite losses: {where_set(recipe)}"
        )
    return {
        "model": recipe.label,
        "detector": recipe.detector,
        "initialisation": recipe.initialisation,
        "parameters": _parameters(model),
        "losses": sorted(losses),
    }


def _example(recipe: Recipe) -> dict[str, Any]:
    image = torch.randint(
        0, 256, (3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    if recipe.task == "classification":
        return {"image": image, "label": 0}
    low, high = SIDE / 4, 3 * SIDE / 4
    annotation = {
        "bbox": [low, low, high, high],
        "bbox_mode": BoxMode.XYXY_ABS,
        "category_id": 0,
        "segmentation": [[low, low, high, low, high, high, low, high]],
        "keypoints": [[SIDE / 2, SIDE / 2, 2]] * KEYPOINTS,
    }
    kept = {"mask_rcnn": "segmentation", "cascade_mask_rcnn": "segmentation", "keypoint_rcnn": "keypoints"}
    for name in {"segmentation", "keypoints"} - {kept.get(recipe.detector)}:
        del annotation[name]
    instances = annotations_to_instances([annotation], (SIDE, SIDE))
    return {"image": image, "instances": instances, "height": SIDE, "width": SIDE}


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def as_text(tried: Sequence[Mapping[str, Any]]) -> str:
    """For people."""
    lines = [
        f"  {each['detector']} {each['model']}, {each['initialisation']}: {each['parameters'] / 1e6:.1f} million "
        f"parameters, {', '.join(each['losses'])}"
        for each in tried
    ]
    return (
        "\n".join(["Tried each model on one small picture", *lines, "No errors: they can be trained"]) + "\n"
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipes", type=json.loads, required=True, help='JSON: {"recipes": [...]}')
    parser.add_argument("--report", type=Path, required=True, help="output: what was tried, as JSON")
    parser.add_argument("--text", type=Path, required=True, help="output: the same as text")
    arguments = parser.parse_args()
    recipes = [Recipe.model_validate(each) for each in arguments.recipes["recipes"]]
    tried = []
    for recipe in recipes:
        print(f"Trying {recipe.name}", flush=True)
        tried.append(try_model(recipe))
    text = as_text(tried)
    print(text, flush=True)
    with write_atomically(arguments.text) as temporary:
        temporary.write_text(text)
    write_json(arguments.report, {"tried": tried})


if __name__ == "__main__":
    job(main)
