"""Cuts the objects out of a detection set: image folders to pre-train a classifier on, where there are no others.

    python -m workflow_scripts.data.crops --train-annotations train.json --train-images train \\
        --val-annotations val.json --val-images val --side 40 --output crops --manifest crops.json

writes `crops/train` and `crops/val` with a folder a class: `category-ID` for each category that has objects in both
parts, and `background`, squares that hold little of any object. So a set of one category makes a task, too. The picture
of an object is the square around its box and a tenth more, shifted into the image where it leaves it, resized.

Crowds, boxes that are no boxes, and objects of fewer than `LEAST` pixels are left out. Of a class, at most `--most`
pictures are cut to train on and a tenth of that to validate on, drawn by `--seed`.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image, ImageOps

from workflow_scripts.data import coco
from workflow_scripts.data.subsets import seeded_order
from workflow_scripts.errors import UserError
from workflow_scripts.files import write_folder, write_json
from workflow_scripts.jobs.job import job

LEAST = 8
"""Pixels of an object's longer side: a smaller one shows nothing."""
CONTEXT = 1.1
"""Side of the square around an object, times the longer side of its box."""
MOST_OVERLAP = 0.1
"""Share of a background square that one object may cover."""
TRIES = 20
"""At a background square in an image, where objects leave little room."""
BACKGROUND = "background"

Square = tuple[int, int, int]
"""Left, top and side, in pixels."""


class _Object(msgspec.Struct):
    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    iscrowd: int = 0

    @property
    def usable(self) -> bool:
        """Whether a picture can be cut around it."""
        if self.iscrowd or len(self.bbox) != 4:
            return False
        return min(self.bbox[2:]) > 0 and max(self.bbox[2:]) >= LEAST


@dataclass(frozen=True)
class Part:
    """One of the two parts of a detection set: its images by id, their folder, and its objects."""

    images: dict[int, coco.Image]
    folder: Path
    objects: list[_Object]

    @property
    def categories(self) -> set[int]:
        """Ids of those with an object to cut out."""
        return {each.category_id for each in self.objects}


def read_part(annotations: Path, folder: Path) -> Part:
    """Raises `UserError` as `coco.read` does."""
    file = coco.read(annotations)
    found = coco.decode_each(file.sections.annotations, _Object, f"{annotations}: annotations")
    return Part({image.id: image for image in file.images}, folder, [each for each in found if each.usable])


def write_crops(parts: dict[str, Part], output: Path, side: int, most: int, seed: int) -> dict[str, Any]:
    """Write the folders of `train` and `val` below `output`; returns the number of pictures by part and class.

    Raises `UserError` where that is less than two classes.
    """
    shared = sorted(parts["train"].categories & parts["val"].categories)
    numbers = {"train": most, "val": max(1, most // 10)}
    squares = {name: _squares(part, shared, numbers[name], seed) for name, part in parts.items()}
    classes = [name for name in squares["train"] if all(each[name] for each in squares.values())]
    if len(classes) < 2:
        raise UserError(
            f"{parts['train'].folder}: found {', '.join(classes) or 'nothing'} to cut out in both parts of the data, "
            f"expected two classes at least, with objects of {LEAST} pixels or more; name pictures to pre-train on "
            "under datasets.classification, or weights under pretraining.fetch"
        )
    with write_folder(output) as temporary:
        for name, part in parts.items():
            _cut(part, {each: squares[name][each] for each in classes}, temporary / name, side)
    return {name: {each: len(found[each]) for each in classes} for name, found in squares.items()}


def _squares(
    part: Part, categories: Iterable[int], most: int, seed: int
) -> dict[str, list[tuple[int, Square]]]:
    """Of each class, the images and squares to cut out."""
    by_category: dict[int, dict[int, _Object]] = defaultdict(dict)
    for each in part.objects:
        by_category[each.category_id][each.id] = each
    found = {
        f"category-{category}": [
            (own[number].image_id, around(own[number].bbox, part.images[own[number].image_id]))
            for number in seeded_order(own, seed)[:most]
        ]
        for category in categories
        for own in [by_category[category]]
    }
    return found | {BACKGROUND: list(_background(part, most, seed))}


def around(box: list[float], image: coco.Image) -> Square:
    """The square around a box (x, y, width, height) and its context, within the image and no larger than it."""
    x, y, width, height = box
    side = max(1, min(round(CONTEXT * max(width, height)), image.width, image.height))
    left = min(max(0, round(x + width / 2 - side / 2)), image.width - side)
    top = min(max(0, round(y + height / 2 - side / 2)), image.height - side)
    return left, top, side


def _background(part: Part, most: int, seed: int) -> Iterator[tuple[int, Square]]:
    """A square an image, as large as some object or smaller where there is no room, with little of any object in it."""
    boxes = defaultdict(list)
    for each in part.objects:
        boxes[each.image_id].append(each.bbox)
    sizes = sorted(max(each.bbox[2:]) for each in part.objects)
    for image_id in seeded_order(part.images, seed)[: most if sizes else 0]:
        image, draw = part.images[image_id], random.Random(f"{seed} {image_id}")
        for attempt in range(TRIES):
            size = CONTEXT * draw.choice(sizes) * (1 - attempt / TRIES)
            side = max(1, min(round(size), image.width, image.height))
            square = draw.randint(0, image.width - side), draw.randint(0, image.height - side), side
            if all(_covered(square, box) <= MOST_OVERLAP for box in boxes[image_id]):
                yield image_id, square
                break


def _covered(square: Square, box: list[float]) -> float:
    """The share of a square that a box covers."""
    left, top, side = square
    width = min(left + side, box[0] + box[2]) - max(left, box[0])
    height = min(top + side, box[1] + box[3]) - max(top, box[1])
    return max(0.0, width) * max(0.0, height) / side**2


def _cut(part: Part, squares: dict[str, list[tuple[int, Square]]], folder: Path, side: int) -> None:
    """Write the pictures of each class; every image is read once."""
    of_image = defaultdict(list)
    for name, found in squares.items():
        (folder / name).mkdir(parents=True)
        for number, (image_id, square) in enumerate(found):
            of_image[image_id].append((folder / name / f"{number:06d}.png", square))
    for image_id, wanted in of_image.items():
        with Image.open(part.folder / part.images[image_id].file_name) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        for path, (left, top, length) in wanted:
            picture = image.crop((left, top, left + length, top + length))
            picture.resize((side, side), Image.Resampling.BILINEAR).save(path)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("train", "val"):
        parser.add_argument(f"--{name}-annotations", type=Path, required=True, help="COCO annotation file")
        parser.add_argument(f"--{name}-images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--side", type=int, required=True, help="of the pictures, in pixels")
    parser.add_argument("--most", type=int, default=500, help="pictures of a class to train on")
    parser.add_argument("--seed", type=int, default=0, help="fixes which")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--manifest", type=Path, required=True, help="JSON to write: pictures by part and class"
    )
    arguments = parser.parse_args()
    parts = {
        name: read_part(getattr(arguments, f"{name}_annotations"), getattr(arguments, f"{name}_images"))
        for name in ("train", "val")
    }
    counts = write_crops(parts, arguments.output, arguments.side, arguments.most, arguments.seed)
    write_json(arguments.manifest, counts)


if __name__ == "__main__":
    job(main)
