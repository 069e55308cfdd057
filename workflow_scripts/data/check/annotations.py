"""Checks each annotation of a COCO file: types, boxes, masks, keypoints, areas, crowd flags."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET, UnsetType

from workflow_scripts.data import coco
from workflow_scripts.data.check import geometry
from workflow_scripts.data.check.findings import Findings, Kind
from workflow_scripts.data.check.geometry import Box, Problem
from workflow_scripts.data.check.whole_file import Told, check_whole_file

REPAIR = "or have python -m workflow_scripts.data.check.repair write a copy where it is"

TYPE = Kind(
    "annotation-type",
    "error",
    "annotations",
    "fields of another type than in COCO's format",
    f"the types of {coco.FORMAT}",
    "Correct the export",
)
ID_NEGATIVE = Kind(
    "id-out-of-range",
    "error",
    "annotations",
    "ids that are negative, or too large",
    "whole numbers from 0 to 2^53",
    "Number them from 1",
)
ID_ZERO = Kind(
    "id-zero",
    "note",
    "annotations",
    "annotations of id 0",
    "ids from 1: COCO's own evaluation takes whatever such an annotation matches for unmatched",
    "Number them from 1, for use elsewhere",
    "trained on and evaluated like any other: this project's evaluation matches it",
)
BOX_MISSING = Kind(
    "box-missing",
    "error",
    "annotations",
    "annotations without bbox",
    "bbox as [x, y, width, height] in pixels",
    "Add the box around the object",
)
CROWD_MISSING = Kind(
    "iscrowd-missing",
    "error",
    "annotations",
    "annotations to evaluate on without iscrowd",
    "iscrowd, 0 or 1",
    f"Write 0 for single objects, {REPAIR} 0",
)
CROWD_OTHER = Kind(
    "iscrowd-other",
    "error",
    "annotations",
    "crowd flags that are neither 0 nor 1",
    "iscrowd, 0 or 1",
    f"Correct it, {REPAIR} 0 or 1: of false, true, null and text",
)
AREA_MISSING = Kind(
    "area-missing",
    "error",
    "annotations",
    "annotations to evaluate on without area",
    "area of the object in square pixels, which tells small objects from large ones",
    f"Add it, {REPAIR} that of the mask, or else of the box",
)
AREA_NEGATIVE = Kind(
    "area-negative",
    "error",
    "annotations",
    "negative areas",
    "area of the object in square pixels",
    f"Correct it, {REPAIR} that of the mask, or else of the box",
)
AREA_ZERO = Kind(
    "area-zero",
    "skipped",
    "annotations",
    "areas of 0",
    "area of the object in square pixels, above 0",
    f"Correct it, {REPAIR} that of the mask, or else of the box",
    "evaluated as a small object; a few are tolerated",
)
AREA_LARGE = Kind(
    "area-large",
    "skipped",
    "annotations",
    "areas larger than their box",
    "area of the object in square pixels, at most that of its box",
    f"Correct it, {REPAIR} that of the mask, or else of the box",
    "evaluated by it; a few are tolerated",
)
MASK_MISSING = Kind(
    "mask-missing",
    "error",
    "annotations",
    "annotations without segmentation, for a detector that learns masks",
    "polygons or run lengths",
    "Draw the outline, or remove the annotation; where the data has boxes alone, write `masks: false` below "
    "datasets.coco in the configuration",
)
MASK_RUN_LENGTHS = Kind(
    "mask-run-lengths",
    "note",
    "annotations",
    "masks as run lengths of what is no crowd",
    "polygons or run lengths",
    "None is needed",
    "all masks of the training set are learned as bitmaps, as with detectron2's INPUT.MASK_FORMAT: bitmask",
)
KEYPOINTS_LENGTH = Kind(
    "keypoints-length",
    "error",
    "annotations",
    "keypoints missing, or not three numbers each",
    "x, y and visibility (0, 1 or 2) of each keypoint of the category",
    "Write 0, 0, 0 for a keypoint that is not labelled",
)
KEYPOINTS_FLAG = Kind(
    "keypoints-visibility",
    "error",
    "annotations",
    "visibilities of keypoints other than 0, 1 and 2",
    "x, y and visibility: 0 not labelled, 1 hidden, 2 seen",
    "Correct the visibility",
)
KEYPOINTS_COUNT = Kind(
    "keypoints-count",
    "error",
    "annotations",
    "num_keypoints missing, or not the number of labelled keypoints",
    "num_keypoints as the number of keypoints of visibility 1 or 2",
    "Correct it: evaluation leaves out who has none",
)
KEYPOINTS_OUTSIDE = Kind(
    "keypoints-outside",
    "skipped",
    "annotations",
    "labelled keypoints outside their image",
    "x and y within the image",
    "Correct them, or write 0, 0, 0",
    "taken for not labelled in training, as in detectron2; a few are tolerated",
)
REPEATED = Kind(
    "annotation-twice",
    "note",
    "annotations",
    "boxes that stand twice in an image, of one category",
    "each object once",
    "Remove the copies",
    "trained on and evaluated as they are",
)
BOX_CUT = Kind(
    "box-cut",
    "note",
    "annotations",
    "boxes that reached beyond their image in PASCAL VOC's files",
    "1 <= xmin <= xmax <= width, and likewise down",
    "Correct the box, or the image's size, where it is more than rounding",
    "cut at the image's edges when they were read",
)
CROWD = Kind(
    "crowd",
    "note",
    "annotations",
    "crowds",
    "iscrowd 1 for groups alone, whose members are not told apart",
    "None is needed where they are groups; write iscrowd 0 for single objects",
    "left out of training; what is detected there counts neither way",
)


@dataclass(frozen=True)
class Needs:
    """What detectors learn from a data set, beside boxes."""

    masks: bool = False
    keypoints: bool = False


class RunLengths(msgspec.Struct, gc=False):
    """A mask in COCO's run-length encoding, compressed (text) or not; `size` is [height, width]."""

    size: tuple[int, int]
    counts: list[int] | str


class Annotation(msgspec.Struct, gc=False):
    """An entry of `annotations`, with COCO's types; any of the fields but the ids may be missing."""

    id: int
    image_id: int
    category_id: int
    bbox: Box | UnsetType = UNSET
    area: float | UnsetType = UNSET
    iscrowd: int | UnsetType = UNSET
    segmentation: list[list[float]] | RunLengths | UnsetType | None = UNSET
    keypoints: list[float] | UnsetType | None = UNSET
    num_keypoints: int | UnsetType | None = UNSET
    cut: int = 0  # data/voc.py


@dataclass
class _Place:
    """Where annotations stand, and what of it no single one tells."""

    file: coco.AnnotationFile
    needs: Needs
    evaluated: bool
    findings: Findings
    told: Told = field(default_factory=Told)
    seen: set[int] = field(default_factory=set)
    categories: set[int] = field(default_factory=set)


def check_annotations(
    file: coco.AnnotationFile, needs: Needs, evaluated: bool, findings: Findings
) -> set[int]:
    """Check every annotation of a file that `coco.read` has accepted; returns the category ids in use.

    `evaluated`: whether detectors are evaluated on it, which takes fields that training does without.
    """
    place = _Place(file, needs, evaluated, findings)
    findings.total(file.path, "annotations", len(file.annotation_image_ids))
    images = {image.id: image for image in file.images}
    keypoints = {category.id: len(category.keypoints) for category in file.categories}
    decode = msgspec.json.Decoder(Annotation).decode
    for position, (raw, image_id) in enumerate(
        zip(file.sections.annotations, file.annotation_image_ids, strict=True)
    ):
        image = images[image_id]
        try:
            annotation = decode(raw)
        except coco.UNDECODABLE as error:
            place.told.unread += 1
            for kind, found in _wrong_types(raw, str(error)):
                findings.add(kind, file.path, f"annotations[{position}], of image id {image_id}", found)
            continue
        place.categories.add(annotation.category_id)
        for kind, found in _problems(annotation, image, keypoints[annotation.category_id], place):
            findings.add(kind, file.path, record_of(annotation.id, image), found)
    check_whole_file(file, place.told, findings)
    return place.categories


def record_of(annotation_id: int, image: coco.Image) -> str:
    """How messages name an annotation."""
    return f"annotation id {annotation_id} of image id {image.id} ({image.file_name})"


def _wrong_types(raw: msgspec.Raw, error: str) -> Iterator[Problem]:
    if error.endswith("`$.iscrowd`"):
        yield CROWD_OTHER, f"iscrowd: {error}"
    else:
        yield TYPE, f"{error} ({bytes(raw)[:80].decode(errors='replace')} ...)"


def _problems(annotation: Annotation, image: coco.Image, keypoints: int, place: _Place) -> Iterator[Problem]:
    if not 0 <= annotation.id <= 2**53:
        yield ID_NEGATIVE, f"id is {annotation.id}"
    elif annotation.id == 0:
        yield ID_ZERO, "id is 0"
    if place.evaluated and annotation.iscrowd is UNSET:
        yield CROWD_MISSING, "iscrowd is missing"
    elif annotation.iscrowd not in (UNSET, 0, 1):
        yield CROWD_OTHER, f"iscrowd is {annotation.iscrowd}"
    elif annotation.iscrowd == 1:
        place.told.crowds += 1
        yield CROWD, "iscrowd is 1"
    polygons = annotation.segmentation if isinstance(annotation.segmentation, list) else []
    extent = geometry.extent_of(polygons)
    yield from _box(annotation, image, extent, place)
    yield from _area(annotation, place.evaluated)
    yield from _mask(annotation, image, polygons, extent, place)
    if place.needs.keypoints:
        yield from _keypoints(annotation, image, keypoints)


def _box(annotation: Annotation, image: coco.Image, extent: Box | None, place: _Place) -> Iterator[Problem]:
    box = annotation.bbox
    if isinstance(box, UnsetType):
        yield BOX_MISSING, "bbox is missing"
        return
    if annotation.iscrowd != 1:
        place.told.objects.add(image.id)
    area = annotation.area if extent is None and not annotation.segmentation else None
    corners = geometry.given_as_corners(box, extent, None if isinstance(area, UnsetType) else area)
    problem = geometry.wrong_box(box, image.width, image.height)
    if corners:
        yield geometry.BOX_CORNERS, f"bbox is {geometry.numbers(box)}, which fits its object as corners alone"
    elif problem:
        yield problem
    elif extent is not None and annotation.iscrowd != 1 and geometry.elsewhere(box, extent):
        yield (
            geometry.BOX_ELSEWHERE,
            f"bbox is {geometry.numbers(box)}, the polygons' corners are {geometry.numbers(extent)}",
        )
    if annotation.cut:
        yield BOX_CUT, f"what is left of it is {geometry.numbers(box)}"
    place.told.boxes.extend((*box, image.width, image.height))
    same = hash((image.id, annotation.category_id, *map(round, box)))
    if same in place.seen:
        yield REPEATED, f"bbox is {geometry.numbers(box)}, of category id {annotation.category_id}"
    place.seen.add(same)


def _area(annotation: Annotation, evaluated: bool) -> Iterator[Problem]:
    area, box = annotation.area, annotation.bbox
    if isinstance(area, UnsetType):
        if evaluated:
            yield AREA_MISSING, "area is missing"
        return
    if area < 0:
        yield AREA_NEGATIVE, f"area is {area:g}"
    elif area == 0:
        yield AREA_ZERO, "area is 0"
    elif not isinstance(box, UnsetType) and min(box[2:]) > 0 and area > 1.05 * (box[2] + 1) * (box[3] + 1):
        yield AREA_LARGE, f"area is {area:g}, its box {box[2]:g} x {box[3]:g}"


def _mask(
    annotation: Annotation,
    image: coco.Image,
    polygons: list[list[float]],
    extent: Box | None,
    place: _Place,
) -> Iterator[Problem]:
    mask = annotation.segmentation
    if not mask:
        if place.needs.masks:
            yield MASK_MISSING, f"segmentation is {'missing' if mask is UNSET else mask}"
        return
    if isinstance(mask, RunLengths):
        wrong = geometry.wrong_run_lengths(mask.size, mask.counts, image.width, image.height)
        if wrong:
            yield wrong
        elif place.needs.masks and not place.evaluated and annotation.iscrowd != 1:
            yield MASK_RUN_LENGTHS, "segmentation is a run-length code"
    else:
        yield from geometry.wrong_polygons(polygons, extent, image.width, image.height)


def _keypoints(annotation: Annotation, image: coco.Image, count: int) -> Iterator[Problem]:
    points = annotation.keypoints
    if not isinstance(points, list) or len(points) != 3 * count:
        found = f"of {len(points)} numbers" if isinstance(points, list) else "missing"
        yield KEYPOINTS_LENGTH, f"keypoints are {found}, its category has {count} keypoints"
        return
    flags = points[2::3]
    wrong = [flag for flag in flags if flag not in (0, 1, 2)]
    if wrong:
        yield KEYPOINTS_FLAG, f"a visibility is {wrong[0]:g}"
        return
    labelled = [(x, y) for x, y, flag in zip(points[::3], points[1::3], flags, strict=True) if flag > 0]
    if annotation.num_keypoints != len(labelled):
        told = annotation.num_keypoints if isinstance(annotation.num_keypoints, int) else "missing"
        yield KEYPOINTS_COUNT, f"num_keypoints is {told}, labelled are {len(labelled)}"
    outside = [(x, y) for x, y in labelled if not (0 <= x <= image.width and 0 <= y <= image.height)]
    if outside:
        x, y = outside[0]
        yield KEYPOINTS_OUTSIDE, f"a keypoint is at {x:g}, {y:g}, the image {image.width} x {image.height}"
