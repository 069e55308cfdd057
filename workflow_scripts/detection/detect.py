"""Run a checkpoint over a validation set, once, and dump what it detects in COCO's results format.

python -m workflow_scripts.detection.detect --recipe recipe.json --weights checkpoint.safetensors ...
"""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import torch
from detectron2.data import DatasetMapper
from detectron2.data import transforms as T
from detectron2.evaluation.coco_evaluation import instances_to_coco_json
from torch import nn

from workflow_scripts.detection.examples import Example, category_ids, coco_records
from workflow_scripts.detection.models import build
from workflow_scripts.detection.state import load_tensors
from workflow_scripts.errors import UserError, command
from workflow_scripts.files import write_atomically
from workflow_scripts.study.recipes import Recipe

BATCH = 8


def detect(
    recipe: Recipe, weights: Path, annotations: Path, images: Path, device: str
) -> list[dict[str, Any]]:
    """Detections of every image of a COCO annotation file, in COCO's results format (boxes as x, y, w, h).

    Single scale, no augmentation (paper, section 3). Images share a batch only where they share a size: padding one to
    another's size would change what is detected.

    Raises:
        UserError: the weights do not fit the recipe and the categories.
    """
    records, classes = coco_records(annotations, images)
    categories = category_ids(annotations)
    torch.set_flush_denormal(True)
    model = _trained(recipe, weights, len(classes), device)
    resize = T.ResizeShortestEdge(max(recipe.image_sides), recipe.longest_side)
    mapper = DatasetMapper(is_train=False, augmentations=[resize], image_format="RGB")
    results: list[dict[str, Any]] = []
    with torch.inference_mode():
        for batch in same_size_batches(records):
            for record, output in zip(batch, model([mapper(record) for record in batch]), strict=True):
                results += instances_to_coco_json(output["instances"].to("cpu"), record["image_id"])
    for result in results:
        result["category_id"] = categories[result["category_id"]]
    return results


def same_size_batches(records: Sequence[Example]) -> Iterator[list[Example]]:
    """Neighbouring records of the same height and width, at most `BATCH` together."""
    for _, group in itertools.groupby(records, key=lambda record: (record["height"], record["width"])):
        neighbours = list(group)
        for first in range(0, len(neighbours), BATCH):
            yield neighbours[first : first + BATCH]


def _trained(recipe: Recipe, weights: Path, num_classes: int, device: str) -> nn.Module:
    model = build(recipe, num_classes, device)
    try:
        model.load_state_dict(load_tensors(weights)[0])
    except RuntimeError as error:
        raise UserError(
            f"{weights}: does not fit recipe {recipe.name} with {num_classes} categories ({error}); evaluate it on a "
            "set with the categories that it was trained on"
        ) from None
    return model.eval()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, required=True, help="recipe.json")
    parser.add_argument("--weights", type=Path, required=True, help="checkpoint to evaluate")
    parser.add_argument("--annotations", type=Path, required=True, help="COCO annotations")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument(
        "--output", type=Path, required=True, help="output: detections in COCO's results format"
    )
    arguments = parser.parse_args()
    recipe = Recipe.model_validate_json(arguments.recipe.read_bytes())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    results = detect(recipe, arguments.weights, arguments.annotations, arguments.images, device)
    with write_atomically(arguments.output) as temporary:
        temporary.write_bytes(orjson.dumps(results, option=orjson.OPT_SERIALIZE_NUMPY))
    print(f"{arguments.output}: {len(results)} detections")


if __name__ == "__main__":
    command(main)
