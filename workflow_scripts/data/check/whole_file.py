"""Checks what no annotation tells by itself: whether there are objects, and how the boxes of a file are to be read."""

from array import array
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.data import coco
from workflow_scripts.data.check.findings import Findings, Kind
from workflow_scripts.data.check.geometry import BEYOND, BOX_CORNERS, XYWH

NO_OBJECT = Kind(
    "no-object",
    "error",
    "files",
    "no image holds an object, crowds aside",
    "annotations of objects",
    "Name the file that holds them, or write iscrowd 0 for single objects",
)
BARE_IMAGES = Kind(
    "image-bare",
    "note",
    "images",
    "images without objects",
    "nothing: COCO has such images",
    "None is needed",
    "left out of training, evaluated like all others",
)
BOX_FRACTIONS = Kind(
    "box-fractions",
    "error",
    "annotations",
    "boxes in fractions of their image",
    f"{XYWH}: fractions would all lie in one pixel",
    "Multiply x and width by the image's width, y and height by its height",
)
BOX_CENTRES = Kind(
    "box-centres",
    "error",
    "annotations",
    "boxes given by their centres, x, y, width, height",
    f"{XYWH}, x and y those of the upper left corner",
    "Subtract half of the width from x, and half of the height from y",
)

Reading = Literal["fractions", "corners", "centres"]
_READINGS: dict[Reading, tuple[Kind, str]] = {
    "fractions": (BOX_FRACTIONS, "all {:,} boxes lie within 1 pixel"),
    "corners": (
        BOX_CORNERS,
        "all {:,} boxes fit their images as corners, and many do not as x, y, width and height",
    ),
    "centres": (
        BOX_CENTRES,
        "all {:,} boxes fit their images by their centres, and many do not by their upper left corners",
    ),
}


@dataclass
class Told:
    """What annotations tell together.

    objects: ids of images that hold one, crowds aside. boxes: six numbers each, the last two the image's width and
    height. unread: how many annotations are of other types than COCO's.
    """

    objects: set[int] = field(default_factory=set)
    boxes: array = field(default_factory=lambda: array("d"))
    crowds: int = 0
    unread: int = 0


def check_whole_file(file: coco.AnnotationFile, told: Told, findings: Findings) -> None:
    """Check what the annotations of a file tell together; that of single ones has been found before."""
    number = len(file.annotation_image_ids)
    if not told.objects and not told.unread:
        found = (
            f"all {number:,} are crowds: iscrowd is 1" if number and told.crowds == number else "no object"
        )
        findings.add(NO_OBJECT, file.path, "annotations", f"{number:,} entries, {found}")
    for image in file.images:
        if image.id not in told.objects:
            findings.add(BARE_IMAGES, file.path, f"image id {image.id} ({image.file_name})", "no object")
    known = {(each.kind.name, each.file) for each in findings.all()}
    boxes = np.frombuffer(told.boxes).reshape(-1, 6)
    reading = reading_of(boxes[:, :4], boxes[:, 4:])
    if reading is not None and (BOX_CORNERS.name, str(file.path)) not in known:
        kind, found = _READINGS[reading]
        findings.add(kind, file.path, "annotations", found.format(len(boxes)), len(boxes))


def reading_of(boxes: NDArray[np.float64], sizes: NDArray[np.float64]) -> Reading | None:
    """How all boxes (n x 4) of images (n x 2, width and height) are meant, if not as COCO's x, y, width, height.

    Fractions lie within one pixel, all of them. Of true boxes some are narrower than their distance from the left, so
    that not all fit as corners, and some lie near an edge, so that not all fit by their centres; and few reach beyond
    their image. Of these two, fewer than three boxes say nothing.
    """
    if len(boxes) == 0:
        return None
    if boxes.max() <= 1 and sizes.min() > 2:
        return "fractions"
    first, second = boxes[:, :2], boxes[:, 2:]
    if len(boxes) < 3 or (first + second > sizes + BEYOND).any(axis=1).mean() <= 0.1:
        return None
    if ((second > first) & (second <= sizes + BEYOND)).all():
        return "corners"
    low, high = first - second / 2, first + second / 2
    return "centres" if ((low >= -BEYOND) & (high <= sizes + BEYOND)).all() else None
