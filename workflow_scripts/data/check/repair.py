"""Writes a copy of a COCO annotation file in which what can be repaired by rule is repaired, and counts it.

    python -m workflow_scripts.data.check.repair --annotations my.json --output repaired.json

The rules, in order; all else stays as it is, and what no rule repairs is still for a person to correct:

    whole-number       ids, widths and heights as whole numbers, for 3.0 and "3"
    box-fractions      where all boxes lie within one pixel: times the image's sides, with polygons that do, too
    box-corners        x1, y1, x2, y2, where all boxes fit their images so, many as nothing else: x, y, width, height
    box-centres        likewise, for x and y of the middle
    iscrowd-missing    0
    iscrowd-other      0 or 1, for false, true, null, "0", "1", 0.0 and 1.0
    segmentation-empty "" and {}: removed
    polygon-flat       a list of coordinates: a list of that one polygon
    polygon            of fewer than three points or an odd number of numbers: removed
    polygon-none       none is left: the annotation is removed or, where no other has a mask, stays as a box
    box-missing        the box around the polygons
    box-corners        of one annotation, which fits its polygons, or its area, as corners alone
    box-beyond         cut at the edges of the image
    box-empty          no width or height, or outside the image: the annotation is removed
    area               missing, 0, negative or larger than the box: that of the mask, or else of the box
    num_keypoints      the number of keypoints of visibility 1 or 2
    id                 annotations are numbered from 1, where an id is 0, negative, missing or stands twice
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from pycocotools import mask as masks

from workflow_scripts.data import coco
from workflow_scripts.data.check.geometry import POLYGON_FAR, extent_of, given_as_corners, wrong_polygons
from workflow_scripts.data.check.whole_file import Reading, reading_of
from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job

Json = dict[str, Any]
WHOLE = {
    "images": ("id", "width", "height"),
    "annotations": ("id", "image_id", "category_id"),
    "categories": ("id",),
}
"""Fields that hold whole numbers."""
REMOVALS = ("polygon-none", "box-empty")
"""Rules by which an annotation goes."""
FLAGS = {"None": 0, "0": 0, "1": 1, "False": 0, "True": 1, "0.0": 0, "1.0": 1}


def repaired(content: Json) -> tuple[Json, Counter[str]]:
    """The contents of an annotation file with what is repaired, and how often each rule was used."""
    counts: Counter[str] = Counter()
    content = _whole_numbers(content, counts)
    images = {image["id"]: image for image in content["images"]}
    _read_boxes(content["annotations"], images, counts)
    masks_there = any(_has_mask(each.get("segmentation")) for each in content["annotations"])
    kept = []
    for given in content["annotations"]:
        own: Counter[str] = Counter()
        try:
            annotation = _repaired(dict(given), images.get(given.get("image_id")), masks_there, own)
        except (TypeError, ValueError, IndexError, AttributeError):  # of other types: the check names them
            annotation = given
        else:
            counts += own
        if annotation is not None:
            kept.append(annotation)
    ids = [annotation.get("id") for annotation in kept]
    if len(set(map(str, ids))) != len(ids) or not all(isinstance(each, int) and each > 0 for each in ids):
        counts["id"] = len(kept)
        kept = [annotation | {"id": number} for number, annotation in enumerate(kept, 1)]
    return content | {"annotations": kept}, counts


def _whole_numbers(content: Json, counts: Counter[str]) -> Json:
    """A copy of all records, with numbers in place of what stands for whole ones."""
    sections: dict[str, list[Json]] = {}
    for name, fields in WHOLE.items():
        sections[name] = []
        for entry in content[name]:
            whole = {field: number for field in fields if (number := _whole(entry.get(field))) is not None}
            counts["whole-number"] += len(whole)
            sections[name].append(entry | whole)
    return content | sections


def _whole(value: Any) -> int | None:
    """The number that a float or a text stands for; None where it is one, or stands for none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value, re.ASCII) else None


def _read_boxes(annotations: list[Json], images: dict[Any, Json], counts: Counter[str]) -> None:
    """Write boxes that are all meant otherwise as x, y, width and height in pixels; fractions may be of corners."""
    for _ in range(2):
        placed = [
            (each, images[each["image_id"]])
            for each in annotations
            if type(each.get("image_id")) is int and each["image_id"] in images and _is_box(each.get("bbox"))
        ]
        boxes = np.array([each["bbox"] for each, _ in placed], dtype=float).reshape(-1, 4)
        sizes = np.array([(image["width"], image["height"]) for _, image in placed], dtype=float)
        reading = reading_of(boxes, sizes.reshape(-1, 2))
        if reading is None:
            return
        for each, image in placed:
            _read_as(reading, each, image["width"], image["height"])
        counts[f"box-{reading}"] += len(placed)


def _read_as(reading: Reading, annotation: Json, across: int, down: int) -> None:
    x, y, third, fourth = annotation["bbox"]
    if reading == "corners":
        annotation["bbox"] = [x, y, third - x, fourth - y]
    elif reading == "centres":
        annotation["bbox"] = [x - third / 2, y - fourth / 2, third, fourth]
    else:
        annotation["bbox"] = [x * across, y * down, third * across, fourth * down]
        annotation.pop("area", None)
        given = annotation.get("segmentation")
        polygons = _nested(given) if isinstance(given, list) else []
        if polygons and all(_are_numbers(polygon) and max(polygon, default=0) <= 1 for polygon in polygons):
            annotation["segmentation"] = [
                [each * (down if place % 2 else across) for place, each in enumerate(polygon)]
                for polygon in polygons
            ]


def _is_box(box: Any) -> TypeGuard[list[float]]:
    return _are_numbers(box) and len(box) == 4


def _are_numbers(values: Any) -> bool:
    """Whether it is a list of numbers that pixels may have."""
    return isinstance(values, list) and all(
        type(each) in (int, float) and -1e12 < each < 1e12 for each in values
    )


def _has_mask(segmentation: Any) -> bool:
    """Whether there are run lengths, or a polygon of three points."""
    if isinstance(segmentation, dict):
        return bool(segmentation)
    return isinstance(segmentation, list) and any(map(_is_polygon, _nested(segmentation)))


def _is_polygon(polygon: Any) -> bool:
    return isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0


def _nested(polygons: list[Any]) -> list[Any]:
    """A list of polygons, of coordinates that are those of one."""
    return [polygons] if polygons and _are_numbers(polygons) else polygons


def _repaired(annotation: Json, image: Json | None, masks_there: bool, counts: Counter[str]) -> Json | None:
    """An annotation with what is repaired; None where it is removed. Without an image, as it is."""
    if image is None:
        return annotation
    _repair_crowd(annotation, counts)
    if not _repair_polygons(annotation, masks_there, counts) or not _repair_box(annotation, image, counts):
        return None
    _repair_area(annotation, image, counts)
    flags = (annotation.get("keypoints") or [])[2::3]
    labelled = sum(flag in (1, 2) for flag in flags)
    if annotation.get("keypoints") is not None and annotation.get("num_keypoints") != labelled:
        annotation["num_keypoints"] = labelled
        counts["num_keypoints"] += 1
    return annotation


def _repair_crowd(annotation: Json, counts: Counter[str]) -> None:
    if "iscrowd" not in annotation:
        annotation["iscrowd"] = 0
        counts["iscrowd-missing"] += 1
    elif type(annotation["iscrowd"]) is not int and str(annotation["iscrowd"]) in FLAGS:
        annotation["iscrowd"] = FLAGS[str(annotation["iscrowd"])]
        counts["iscrowd-other"] += 1


def _repair_polygons(annotation: Json, masks_there: bool, counts: Counter[str]) -> bool:
    """Whether the annotation stays."""
    given = annotation.get("segmentation")
    if given in ("", {}):
        del annotation["segmentation"]
        counts["segmentation-empty"] += 1
    if not isinstance(given, list) or not given:
        return True
    polygons = _nested(given)
    counts["polygon-flat"] += polygons is not given
    if not all(isinstance(each, list) for each in polygons):
        return True
    whole = list(filter(_is_polygon, polygons))
    counts["polygon"] += len(polygons) - len(whole)
    annotation["segmentation"] = whole
    counts["polygon-none"] += not whole and masks_there
    return bool(whole) or not masks_there


def _repair_box(annotation: Json, image: Json, counts: Counter[str]) -> bool:
    """Whether a box is left."""
    polygons = annotation.get("segmentation")
    extent = extent_of(polygons) if isinstance(polygons, list) else None
    if not annotation.get("bbox") and extent:
        x1, y1, x2, y2 = extent
        annotation["bbox"] = [x1, y1, x2 - x1, y2 - y1]
        counts["box-missing"] += 1
    box = annotation.get("bbox")
    if not _is_box(box):
        return True
    x, y, width, height = box
    if given_as_corners((x, y, width, height), extent, None if polygons else annotation.get("area")):
        width, height = width - x, height - y
        counts["box-corners"] += 1
    if min(width, height) < 0:
        return True
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, image["width"]), min(y + height, image["height"])
    if right <= left or bottom <= top:
        counts["box-empty"] += 1
        return False
    annotation["bbox"] = [x, y, width, height]
    if (left, top) != (x, y) or right < x + width or bottom < y + height:
        annotation["bbox"] = [left, top, right - left, bottom - top]
        counts["box-beyond"] += 1
    return True


def _repair_area(annotation: Json, image: Json, counts: Counter[str]) -> None:
    box, area = annotation.get("bbox"), annotation.get("area")
    if not isinstance(box, list) or min(box[2:], default=0) <= 0:
        return
    if (
        isinstance(area, int | float)
        and not isinstance(area, bool)
        and 0 < area <= 1.05 * (box[2] + 1) * (box[3] + 1)
    ):
        return
    annotation["area"] = _mask_area(annotation.get("segmentation"), image) or box[2] * box[3]
    counts["area"] += 1


def _mask_area(segmentation: Any, image: Json) -> int:
    """Pixels of a mask, as COCO counts them; 0 where there is none."""
    height, width = image["height"], image["width"]
    if isinstance(segmentation, list) and segmentation:
        if any(kind is POLYGON_FAR for kind, _ in wrong_polygons([], extent_of(segmentation), width, height)):
            return 0  # to draw it would take all memory
        return int(masks.area(masks.merge(masks.frPyObjects(segmentation, height, width))))
    if isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), list):
        return sum(segmentation["counts"][1::2])
    if isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), str):
        return int(masks.area(segmentation))
    return 0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True, help="annotation file in COCO's format")
    parser.add_argument("--output", type=Path, required=True, help="file to write; not the same")
    arguments = parser.parse_args()
    if arguments.output.resolve() == arguments.annotations.resolve():
        raise UserError(
            f"--output: found {arguments.output}, the file to repair. Expected another: name one."
        )
    content, counts = repaired(_content(arguments.annotations))
    with write_atomically(arguments.output) as temporary:
        temporary.write_text(json.dumps(content, allow_nan=False))
        try:
            coco.read(temporary)
        except UserError as error:  # of what no rule repairs
            raise UserError(str(error).replace(str(temporary), str(arguments.annotations))) from None
    for name, number in sorted(counts.items()):
        if number:
            print(f"{name}: {number:,} {'annotations removed' if name in REMOVALS else 'repaired'}")
    if not any(counts.values()):
        print("No rule found anything to repair.")
    print(
        f"{arguments.output}: {len(content['annotations']):,} annotations. Name it in your configuration, and check it"
    )


def _content(path: Path) -> Json:
    """What the file holds.

    Raises:
        UserError: it is not what lists of images and annotations are made of; a number is not finite.
    """

    def refuse(word: str) -> float:
        raise UserError(f"{path}: found {word}. Expected finite numbers: correct it, or remove the record.")

    try:
        content = json.loads(path.read_bytes(), parse_constant=refuse)
        sections = [content[name] for name in ("images", "annotations", "categories")]
        if not all(isinstance(entry, dict) for section in sections for entry in section):
            raise TypeError
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            f"{path}: found no lists of images, annotations and categories. Expected {coco.FORMAT}."
        ) from None
    for number, image in enumerate(content["images"]):
        for name in WHOLE["images"]:
            if type(image.get(name)) is not int and _whole(image.get(name)) is None:
                raise UserError(
                    f"{path}: images[{number}]: {name} is {image.get(name)!r}. Expected whole numbers as id, width and "
                    "height of each image, in pixels: read them from the pictures."
                )
    return content


if __name__ == "__main__":
    job(main)
