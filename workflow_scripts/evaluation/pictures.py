"""Validation images with what is there and what was detected, as data that the report draws; no side picks them."""

import base64
import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import hotcoco
import msgspec
import numpy as np
from PIL import Image

from workflow_scripts.data import coco
from workflow_scripts.evaluation.coco_metrics import Box
from workflow_scripts.evaluation.errors import Judged

COUNT = 24
"""Images that are shown."""
SHOWN = 0.5
"""Least score of a detection that is drawn."""
LONGEST = 320
"""Longest side in pixels of the copy that travels with the report."""
VISIBLE_SCORE = 0.05
"""Least score of a keypoint that is drawn: detectron2's Visualizer's."""


class Truth(msgspec.Struct):
    """An annotation as it is drawn and judged; VOC's difficult objects count as COCO's crowds do."""

    id: int
    image_id: int
    category_id: int
    bbox: Box
    area: float = 0.0
    iscrowd: int = 0
    difficult: int = 0
    segmentation: list[Any] | dict[str, Any] = []
    keypoints: list[float] = []

    @property
    def counts(self) -> bool:
        """Whether it is to be found."""
        return not (self.iscrowd or self.difficult)


def chosen_images(ids: Iterable[int], count: int = COUNT) -> list[int]:
    """The first image ids in the order of the SHA-256 of their decimal digits."""
    return sorted(ids, key=lambda image: hashlib.sha256(str(image).encode()).hexdigest())[:count]


def jpeg(path: Path) -> str:
    """A picture as JPEG in base64, no side longer than `LONGEST`."""
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((LONGEST, LONGEST))
    data = io.BytesIO()
    small.save(data, "JPEG", quality=80, optimize=True)
    return base64.b64encode(data.getvalue()).decode()


def truth_items(truths: Iterable[Truth], image: coco.Image) -> list[dict[str, Any]]:
    """What is there: by `category` (id), `box`, `size`, `mask` and `points` as `_drawn` tells."""
    return [
        {"category": truth.category_id, "size": size(truth.area)} | _drawn(msgspec.to_builtins(truth), image)
        for truth in truths
        if truth.counts
    ]


def detected_items(
    judged: Judged, found: list[dict[str, Any]], truths: list[Truth], images: Mapping[int, coco.Image]
) -> dict[int, list[dict[str, Any]]]:
    """What was detected by image id, best score last so that it lies on top, and what was missed: as `truth_items`,
    with `kind`, and `score` of what was detected."""
    items: dict[int, list[dict[str, Any]]] = {image: [] for image in images}
    for place in np.flatnonzero(judged.missed):
        truth = truths[place]
        if truth.image_id in images:
            box = _rounded(truth.bbox, images[truth.image_id])
            items[truth.image_id].append(
                {"category": truth.category_id, "size": size(truth.area), "kind": "missed", "box": box}
            )
    for number in reversed(range(len(judged.order))):
        detection = found[judged.order[number]]
        if detection["image_id"] in images:
            items[detection["image_id"]].append(
                {
                    "category": detection["category_id"],
                    "size": size(detection["bbox"][2] * detection["bbox"][3]),
                    "kind": str(judged.kinds[number]),
                    "score": round(detection["score"], 2),
                }
                | _drawn(detection, images[detection["image_id"]])
            )
    return items


def size(area: float) -> str:
    """COCO's word for an area in square pixels: small, medium or large."""
    usual = hotcoco.Params("bbox")
    ranges = zip(usual.area_rng_lbl, usual.area_rng, strict=True)
    return next(name for name, (_, most) in ranges if name != "all" and area <= most)


def _drawn(entry: Mapping[str, Any], image: coco.Image) -> dict[str, Any]:
    """`box` (x, y, width, height), `mask` (an SVG path) and `points` (x, y or None each) in the image's pixels; the
    latter two where there are any."""
    shape: dict[str, Any] = {"box": _rounded(entry["bbox"], image)}
    if entry.get("segmentation"):
        shape["mask"] = _path(_outlines(entry["segmentation"]), image)
    if entry.get("keypoints"):
        points = np.reshape(entry["keypoints"], (-1, 3))
        least = VISIBLE_SCORE if "score" in entry else 1
        shape["points"] = [_rounded(point[:2], image) if point[2] >= least else None for point in points]
    return shape


def _outlines(segmentation: list[Any] | dict[str, Any]) -> list[np.ndarray]:
    """Outlines [points, 2] of polygons or run lengths."""
    if isinstance(segmentation, list):
        return [np.reshape(polygon, (-1, 2)).astype(np.float32) for polygon in segmentation]
    mask = np.ascontiguousarray(hotcoco.mask.decode(segmentation))
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [outline.reshape(-1, 2).astype(np.float32) + 0.5 for outline in found]  # centres of pixels


def _path(outlines: list[np.ndarray], image: coco.Image) -> str:
    tolerance = max(image.width, image.height) / LONGEST
    simple = [cv2.approxPolyDP(outline, tolerance, closed=True).reshape(-1, 2) for outline in outlines]
    return "".join(
        "M" + " ".join(f"{x:g},{y:g}" for x, y in (_rounded(point, image) for point in outline)) + "z"
        for outline in simple
        if len(outline) > 2
    )


def _rounded(values: Iterable[float], image: coco.Image) -> list[float]:
    """Pixels as exactly as a copy of `LONGEST` pixels shows them."""
    digits = 1 if max(image.width, image.height) <= LONGEST else 0
    return [round(float(value), digits) for value in values]
