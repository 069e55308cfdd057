"""Writes a copy of a COCO annotation file in which what can be repaired by rule is repaired, and counts it.

    python -m workflow_scripts.data.check.repair --annotations my.json --output repaired.json

The rules, in order; all else stays as it is, and what no rule repairs is still for a person to correct:

    iscrowd-missing    0
    iscrowd-other      0 or 1, for false, true, "0", "1", 0.0 and 1.0
    polygon            of fewer than three points or an odd number of numbers: removed; if none is left, the annotation
    box-missing        the box around the polygons
    box-corners        x1, y1, x2, y2 that fit the polygons, or the area, as corners alone: x, y, width, height
    box-beyond         cut at the edges of the image
    box-empty          no width or height, or outside the image: the annotation is removed
    area               missing, 0, negative or larger than the box: that of the mask, or else of the box
    num_keypoints      the number of keypoints of visibility 1 or 2
    id                 annotations are numbered from 1, where an id is 0, negative, missing or stands twice
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from pycocotools import mask as masks

from workflow_scripts.data import coco
from workflow_scripts.data.check.geometry import POLYGON_FAR, extent_of, given_as_corners, wrong_polygons
from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job

Json = dict[str, Any]
FLAGS = {"0": 0, "1": 1, "False": 0, "True": 1, "0.0": 0, "1.0": 1}


def repaired(content: Json) -> tuple[Json, Counter[str]]:
    """The contents of an annotation file with what is repaired, and how often each rule was used."""
    images = {image["id"]: image for image in content["images"]}
    counts: Counter[str] = Counter()
    kept = []
    for given in content["annotations"]:
        try:
            annotation = _repaired(dict(given), images.get(given.get("image_id")), counts)
        except (TypeError, ValueError, IndexError, AttributeError):  # of other types: the check names them
            annotation = given
        if annotation is not None:
            kept.append(annotation)
    ids = [annotation.get("id") for annotation in kept]
    if len(set(map(str, ids))) != len(ids) or not all(isinstance(each, int) and each > 0 for each in ids):
        counts["id"] = len(kept)
        kept = [annotation | {"id": number} for number, annotation in enumerate(kept, 1)]
    return content | {"annotations": kept}, counts


def _repaired(annotation: Json, image: Json | None, counts: Counter[str]) -> Json | None:
    """An annotation with what is repaired; None where it is removed. Without an image, as it is."""
    if image is None:
        return annotation
    _repair_crowd(annotation, counts)
    if not _repair_polygons(annotation, counts) or not _repair_box(annotation, image, counts):
        return None
    _repair_area(annotation, image, counts)
    flags = annotation.get("keypoints", [])[2::3]
    if "keypoints" in annotation and annotation.get("num_keypoints") != sum(flag in (1, 2) for flag in flags):
        annotation["num_keypoints"] = sum(flag in (1, 2) for flag in flags)
        counts["num_keypoints"] += 1
    return annotation


def _repair_crowd(annotation: Json, counts: Counter[str]) -> None:
    if "iscrowd" not in annotation:
        annotation["iscrowd"] = 0
        counts["iscrowd-missing"] += 1
    elif type(annotation["iscrowd"]) is not int and str(annotation["iscrowd"]) in FLAGS:
        annotation["iscrowd"] = FLAGS[str(annotation["iscrowd"])]
        counts["iscrowd-other"] += 1


def _repair_polygons(annotation: Json, counts: Counter[str]) -> bool:
    """Whether a polygon is left, of those that there were."""
    polygons = annotation.get("segmentation")
    if not isinstance(polygons, list) or not all(isinstance(each, list) for each in polygons):
        return True
    whole = [each for each in polygons if len(each) >= 6 and len(each) % 2 == 0]
    counts["polygon"] += len(polygons) - len(whole)
    annotation["segmentation"] = whole
    return bool(whole) or not polygons


def _repair_box(annotation: Json, image: Json, counts: Counter[str]) -> bool:
    """Whether a box is left."""
    polygons = annotation.get("segmentation")
    extent = extent_of(polygons) if isinstance(polygons, list) else None
    if not annotation.get("bbox") and extent:
        x1, y1, x2, y2 = extent
        annotation["bbox"] = [x1, y1, x2 - x1, y2 - y1]
        counts["box-missing"] += 1
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(each, int | float) for each in box):
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
    for name, number in sorted(counts.items()):
        if number:
            print(f"{name}: {number:,} repaired")
    coco.read(arguments.output)
    print(
        f"{arguments.output}: {len(content['annotations']):,} annotations. Name it in config.yaml, and check it"
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
        fields = [image[name] for image in content["images"] for name in ("id", "width", "height")]
        if not all(type(field) is int for field in fields):
            raise TypeError
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            f"{path}: found no lists of images, annotations and categories. Expected {coco.FORMAT}."
        ) from None
    return content


if __name__ == "__main__":
    job(main)
