"""Run checkpoints of a recipe over a validation set, each once, and dump what they detect in COCO's results format.

python -m workflow_scripts.evaluation.detect --recipe recipe.json --checkpoints checkpoints --iterations 300 600 ...
"""

import argparse
import hashlib
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from detectron2.data import DatasetMapper
from detectron2.data import transforms as T
from detectron2.evaluation.coco_evaluation import instances_to_coco_json
from detectron2.modeling import GeneralizedRCNNWithTTA
from torch import nn

from workflow_scripts.errors import Interrupted, UserError
from workflow_scripts.evaluation.pieces import Pieces, joined
from workflow_scripts.files import sha256, write_folder
from workflow_scripts.jobs.job import job
from workflow_scripts.models.build import build
from workflow_scripts.models.config import detectron2_config
from workflow_scripts.models.devices import claimed_device, fix_arithmetic
from workflow_scripts.models.tensors import load_tensors
from workflow_scripts.study.compiled.reading import read_recipe
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.training.deadline import Deadline, add_options, job_deadline
from workflow_scripts.training.examples import Example, category_ids, coco_records

BATCH = 8
PIECE = 64
"""Batches whose results are kept together; with test augmentation, some two minutes on a GPU at the paper's scale."""


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
    detector = Detector(recipe, annotations, images, device, augmentation)
    for path in weights:
        yield detector.detect(path, detector.batches)


class Detector:
    """A recipe's model, whose weights come with each call, and the images in batches: see `detect_each`."""

    def __init__(
        self,
        recipe: Recipe,
        annotations: Path,
        images: Path,
        device: str,
        augmentation: Augmentation | None = None,
    ) -> None:
        records, classes = coco_records(annotations, images)
        self.batches = list(same_size_batches(records))
        self._recipe, self._num_classes = recipe, len(classes)
        self._categories = category_ids(annotations)
        fix_arithmetic()
        self._model = self._inner = _untrained(recipe, len(classes), device)
        if augmentation is None:
            resize = T.ResizeShortestEdge(max(recipe.image_sides), recipe.longest_side)
            self._mapper = DatasetMapper(is_train=False, augmentations=[resize], image_format="RGB")
        else:
            self._model = _augmented(self._inner, recipe, len(classes), augmentation)
            self._mapper = _as_it_is
        self._loaded: Path | None = None

    def detect(self, weights: Path, batches: Iterable[Sequence[Example]]) -> list[dict[str, Any]]:
        """What a checkpoint detects on some of the batches, in COCO's results format."""
        if self._loaded != weights:
            _load(self._inner, weights, self._recipe, self._num_classes)
            self._loaded = weights
        results: list[dict[str, Any]] = []
        with torch.inference_mode():
            for batch in batches:
                outputs = self._model([self._mapper(record) for record in batch])
                for record, output in zip(batch, outputs, strict=True):
                    results += instances_to_coco_json(output["instances"].to("cpu"), record["image_id"])
        for result in results:
            result["category_id"] = self._categories[result["category_id"]]
        return results


def detect_in_pieces(
    detector: Detector, weights: Iterable[Path], pieces: Pieces, deadline: Deadline, size: int
) -> Iterator[bytes]:
    """What each checkpoint detects, as JSON in COCO's results format; what an earlier job kept is not detected again.

    Raises:
        Interrupted: the job ends before another piece of `size` batches would be done; what there is is kept.
    """
    longest = 0.0
    for path in weights:
        found = []
        for start in range(0, len(detector.batches), size):
            name = f"{path.stem}-{start}"
            piece = pieces.kept(name)
            if piece is None:
                if longest and deadline.near(2 * longest):
                    raise Interrupted(
                        f"{path}: detected on {start} of {len(detector.batches)} batches of images, kept them and "
                        "stopped, before its job ends; started again, it goes on from there"
                    )
                began = time.perf_counter()
                piece = pieces.keep(name, detector.detect(path, detector.batches[start : start + size]))
                longest = max(longest, time.perf_counter() - began)
            found.append(piece)
        yield joined(found)


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


def _identity(recipe: Recipe, weights: Sequence[Path], arguments: argparse.Namespace) -> str:
    """A hash of all that the results depend on, but for the images themselves."""
    for path in weights:
        if not path.is_file():
            raise UserError(f"{path}: found nothing, expected a checkpoint that the segment's training took")
    parts = [recipe.model_dump_json(exclude_defaults=True)]
    parts += [
        str(option) for option in (arguments.test_aug_sides, arguments.test_aug_longest, arguments.piece)
    ]
    parts += [sha256(path) for path in (arguments.annotations, *weights, *arguments.code)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


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
    parser.add_argument("--piece", type=int, default=PIECE, help="batches whose results are kept together")
    parser.add_argument(
        "--code",
        type=Path,
        nargs="+",
        default=[],
        help="modules whose change makes worthless what a killed job kept",
    )
    add_options(parser)
    arguments = parser.parse_args()
    sides, longest = arguments.test_aug_sides, arguments.test_aug_longest
    if (sides is None) != (longest is None):
        parser.error("--test-aug-sides and --test-aug-longest belong together")
    deadline = job_deadline(arguments.runtime, arguments.margin)
    recipe = read_recipe(arguments.recipe)
    weights = [arguments.checkpoints / f"{iteration}.safetensors" for iteration in arguments.iterations]
    pieces = Pieces(arguments.output.with_suffix(".progress"), _identity(recipe, weights, arguments))
    detector = Detector(
        recipe,
        arguments.annotations,
        arguments.images,
        claimed_device(),
        Augmentation(tuple(sides), longest) if sides else None,
    )
    found = detect_in_pieces(detector, weights, pieces, deadline, arguments.piece)
    with write_folder(arguments.output) as folder:
        for path, results in zip(weights, found, strict=True):
            dump = folder / f"{path.stem}.json"
            dump.write_bytes(results)
            count = results.count(b'"image_id":')
            print(f"{arguments.output}/{dump.name}: {count} detections", flush=True)
    pieces.drop()


if __name__ == "__main__":
    job(main)
