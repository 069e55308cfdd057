"""Run checkpoints of a recipe over a validation set, each once, and dump what they detect in COCO's results format.

python -m workflow_scripts.evaluation.detect --recipe recipe.json --checkpoints checkpoints --iterations 300 600 ...
"""

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import torch
from detectron2.data import DatasetMapper
from detectron2.data import transforms as T
from detectron2.evaluation.coco_evaluation import instances_to_coco_json
from detectron2.modeling import GeneralizedRCNNWithTTA
from torch import nn

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_folder
from workflow_scripts.jobs.job import job
from workflow_scripts.models.build import build
from workflow_scripts.models.config import detectron2_config
from workflow_scripts.models.devices import claimed_device, fix_arithmetic
from workflow_scripts.models.tensors import load_tensors
from workflow_scripts.study.compiled.reading import read_recipe
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.training.examples import Example, category_ids, coco_records

BATCH = 8


@dataclass(frozen=True)
class Augmentation:
    """Test-time augmentation: each image at several shorter sides, no longer than `longest`, and mirrored."""

    sides: tuple[int, ...]
    longest: int


def detect(
    recipe: Recipe,
    weights: Path,
    annotations: Path,
    images: Path,
    device: str,
    augmentation: Augmentation | None = None,
) -> list[dict[str, Any]]:
    """`detect_each` of one checkpoint."""
    (results,) = detect_each(recipe, [weights], annotations, images, device, augmentation)
    return results


def detect_each(
    recipe: Recipe,
    weights: Iterable[Path],
    annotations: Path,
    images: Path,
    device: str,
    augmentation: Augmentation | None = None,
) -> Iterator[list[dict[str, Any]]]:
    """Detections of every image of a COCO annotation file, in COCO's results format (boxes as x, y, w, h), of one
    checkpoint after the other.

    Single scale, no augmentation (paper, section 4). Images share a batch only where they share a size: padding one to
    another's size would change what is detected. With augmentation, detectron2's `GeneralizedRCNNWithTTA`: boxes of all
    versions of an image pass non-maximum suppression together, and their masks are averaged.

    Raises:
        UserError: the weights do not fit the recipe and the categories, or the recipe's detector cannot be augmented.
    """
    records, classes = coco_records(annotations, images)
    categories = category_ids(annotations)
    fix_arithmetic()
    model = detector = _untrained(recipe, len(classes), device)
    if augmentation is None:
        resize = T.ResizeShortestEdge(max(recipe.image_sides), recipe.longest_side)
        mapper = DatasetMapper(is_train=False, augmentations=[resize], image_format="RGB")
    else:
        model = _augmented(detector, recipe, len(classes), augmentation)
        mapper = _as_it_is
    for path in weights:
        _load(detector, path, recipe, len(classes))
        results: list[dict[str, Any]] = []
        with torch.inference_mode():
            for batch in same_size_batches(records):
                for record, output in zip(batch, model([mapper(record) for record in batch]), strict=True):
                    results += instances_to_coco_json(output["instances"].to("cpu"), record["image_id"])
        for result in results:
            result["category_id"] = categories[result["category_id"]]
        yield results


def same_size_batches(records: Sequence[Example]) -> Iterator[list[Example]]:
    """Neighbouring records of the same height and width, at most `BATCH` together."""
    for _, group in itertools.groupby(records, key=lambda record: (record["height"], record["width"])):
        neighbours = list(group)
        for first in range(0, len(neighbours), BATCH):
            yield neighbours[first : first + BATCH]


def _augmented(
    model: nn.Module, recipe: Recipe, num_classes: int, augmentation: Augmentation
) -> GeneralizedRCNNWithTTA:
    if recipe.detector == "keypoint_rcnn":
        raise UserError(
            f"recipe {recipe.name}: found detector keypoint_rcnn, which detectron2 cannot test with augmentation; "
            "leave out --test-aug-sides and --test-aug-longest"
        )
    config = detectron2_config(recipe, num_classes).clone()
    config.defrost()
    config.TEST.AUG.MIN_SIZES, config.TEST.AUG.MAX_SIZE = augmentation.sides, augmentation.longest
    config.TEST.AUG.FLIP = True
    # An image and its mirror image share a batch: nothing is padded.
    return GeneralizedRCNNWithTTA(config, model, batch_size=2)


def _as_it_is(record: Example) -> Example:
    """The record for `GeneralizedRCNNWithTTA`, which reads the image, and copies the record for each version of it."""
    return {name: record[name] for name in ("file_name", "height", "width")}


def _untrained(recipe: Recipe, num_classes: int, device: str) -> nn.Module:
    model = build(recipe, num_classes, device)
    heads: Any = model.roi_heads
    if device == "cpu" and heads.mask_on:
        heads.mask_head.to(memory_format=torch.channels_last)  # its deconvolution is twice as fast so
    return model.eval()


def _load(model: nn.Module, weights: Path, recipe: Recipe, num_classes: int) -> None:
    try:
        model.load_state_dict(load_tensors(weights)[0])
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip().rstrip(".")
        raise UserError(
            f"{weights}: does not fit recipe {recipe.name} with {num_classes} categories ({first}); evaluate it on a "
            "set with the categories that it was trained on"
        ) from None


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, required=True, help="recipe.json")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder of a segment's checkpoints")
    parser.add_argument("--iterations", type=int, nargs="+", required=True, help="those to run")
    parser.add_argument("--annotations", type=Path, required=True, help="COCO annotations")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument(
        "--output", type=Path, required=True, help="output: folder of detections, one file a checkpoint"
    )
    parser.add_argument(
        "--test-aug-sides", type=int, nargs="+", metavar="SIDE", help="test-time augmentation: shorter sides"
    )
    parser.add_argument("--test-aug-longest", type=int, metavar="SIDE", help="and the longest side allowed")
    arguments = parser.parse_args()
    sides, longest = arguments.test_aug_sides, arguments.test_aug_longest
    if (sides is None) != (longest is None):
        parser.error("--test-aug-sides and --test-aug-longest belong together")
    found = detect_each(
        read_recipe(arguments.recipe),
        [arguments.checkpoints / f"{iteration}.safetensors" for iteration in arguments.iterations],
        arguments.annotations,
        arguments.images,
        claimed_device(),
        Augmentation(tuple(sides), longest) if sides else None,
    )
    with write_folder(arguments.output) as folder:
        for iteration, results in zip(arguments.iterations, found, strict=True):
            path = folder / f"{iteration}.json"
            path.write_bytes(orjson.dumps(results, option=orjson.OPT_SERIALIZE_NUMPY))
            print(f"{arguments.output}/{path.name}: {len(results)} detections", flush=True)


if __name__ == "__main__":
    job(main)
