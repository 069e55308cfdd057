"""Scenes in COCO's layout: polygons, run lengths and keypoints, and the two annotation files."""

from itertools import pairwise
from typing import Any

import contourpy
import numpy as np
from numpy.typing import NDArray

from workflow_scripts.data.world.people import KEYPOINTS, SKELETON
from workflow_scripts.data.world.scene import Instance
from workflow_scripts.data.world.vocabulary import CATEGORIES

Json = dict[str, Any]

# Identifiers must not depend on how many images are drawn, and never be shared by train and val.
FIRST_IMAGE_ID = {"train": 1, "val": 1_000_001}
ANNOTATIONS_PER_IMAGE = 100


def image_name(image_id: int) -> str:
    return f"{image_id:012d}.jpg"


def image_record(image_id: int, size: int) -> Json:
    return {"license": 1, "file_name": image_name(image_id), "height": size, "width": size, "id": image_id}


def annotations(instances: list[Instance], image_id: int) -> list[Json]:
    """COCO annotations of a scene's instances; people carry keypoints (for the keypoint file)."""
    return [
        _annotation(instance, image_id, image_id * ANNOTATIONS_PER_IMAGE + position)
        for position, instance in enumerate(instances)
    ]


def _annotation(instance: Instance, image_id: int, annotation_id: int) -> Json:
    mask = instance.mask
    annotation = {
        "segmentation": run_lengths(mask) if instance.crowd else polygons(instance.visible),
        "area": int(mask.sum()),
        "iscrowd": int(instance.crowd),
        "image_id": image_id,
        "bbox": tight_box(mask),
        "category_id": instance.category.id,
        "id": annotation_id,
    }
    if instance.keypoints is not None:
        annotation["num_keypoints"] = int((instance.keypoints[:, 2] > 0).sum())
        annotation["keypoints"] = instance.keypoints.ravel().tolist()
    return annotation


def tight_box(mask: NDArray[np.bool_]) -> list[int]:
    """The box [x, y, width, height] of a mask [h, w], its far edges after the last covered pixels."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]


def run_lengths(mask: NDArray[np.bool_]) -> Json:
    """COCO's uncompressed run-length encoding of a mask [h, w]: column by column, beginning with zeros."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    return {"counts": counts.tolist(), "size": list(mask.shape)}


def polygons(visible: NDArray[np.float32]) -> list[list[float]]:
    """COCO polygons [x1, y1, x2, y2, ...] around the pixels of `visible` [h, w] that are above one half.

    Smooth, as people would draw them, yet exact: they hold the centres of those pixels and of no others.
    A hole is joined to its outline by a bridge of no width, since COCO fills each polygon on its own.
    """
    mask = visible > 0.5
    x, y, width, height = tight_box(mask)
    window = np.pad(visible, 1)[y : y + height + 2, x : x + width + 2]
    # COCO rounds outlines to a fifth of a pixel, so they must keep that distance from every pixel's centre.
    window = np.where(window > 0.5, np.maximum(window, 0.75), np.minimum(window, 0.25))
    contours = contourpy.contour_generator(z=window, fill_type=contourpy.FillType.OuterOffset).filled(
        0.5, 2.0
    )
    outlines = []
    for points, offsets in zip(*contours, strict=True):
        rings = [points[first:last] for first, last in pairwise(offsets)]
        bridged = [rings[0][:-1], *(part for hole in rings[1:] for part in (rings[0][:1], hole))]
        outline = np.concatenate(bridged) + np.array([x - 0.5, y - 0.5])
        outlines.append(outline.round(1).ravel().tolist())
    return outlines


def instances_file(images: list[Json], annotations: list[Json]) -> Json:
    """The contents of an `instances_*.json`: every annotation, without keypoints."""
    categories = [{"supercategory": c.supercategory, "id": c.id, "name": c.name} for c in CATEGORIES]
    bare = [
        {key: value for key, value in annotation.items() if key not in ("keypoints", "num_keypoints")}
        for annotation in annotations
    ]
    return _file(images, bare, categories)


def person_keypoints_file(images: list[Json], annotations: list[Json]) -> Json:
    """The contents of a `person_keypoints_*.json`: all images, the annotations of people."""
    person = CATEGORIES[0]
    category = {
        "supercategory": person.supercategory,
        "id": person.id,
        "name": person.name,
        "keypoints": list(KEYPOINTS),
        "skeleton": [list(pair) for pair in SKELETON],
    }
    return _file(images, [a for a in annotations if a["category_id"] == person.id], [category])


def _file(images: list[Json], annotations: list[Json], categories: list[Json]) -> Json:
    return {
        "info": {"description": "Miniature world, drawn by this workflow", "version": "1"},
        "licenses": [{"id": 1, "name": "No known copyright restrictions", "url": ""}],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
