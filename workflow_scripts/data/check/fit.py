"""Measures how a training set fits what a detector sees: its images, its boxes after resizing, its anchors, its batch.

    python -m workflow_scripts.data.check.fit --annotations train.json --image-side 80 --longest-side 80 \\
        --anchor-sizes '{"levels": [[10], [20], [40]]}' --batch 8 --text fit.txt

Prints facts and, where the settings fit badly, others to write instead, by the rules of docs/data-checks.md. It needs
data that the check has accepted. Nothing is changed by it.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from workflow_scripts.data import coco
from workflow_scripts.data.check.findings import listed
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job

Floats = NDArray[np.float64]
RATIOS = (0.5, 1.0, 2.0)
"""Height by width of detectron2's anchors (`MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS`)."""
BACKGROUND = 0.3
"""IoU below which an anchor is background (the lower of detectron2's `MODEL.RPN.IOU_THRESHOLDS`)."""
BADLY = 0.05
"""Share of boxes that no anchor fits, from which on other settings are suggested."""
SMALLEST_ANCHOR = 8
"""Pixels: two cells of the finest level, of stride 4."""
STEP = 16
"""Pixels that suggested sides are multiples of."""
FEW_IMAGES = 10


class _Object(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


@dataclass(frozen=True)
class Settings:
    """What a detector sees: shorter side and longest of an image in pixels, anchors by level, images in a batch."""

    image_side: int
    longest_side: int
    anchors: tuple[tuple[float, ...], ...]
    batch: int

    @property
    def sizes(self) -> list[float]:
        """Every anchor's, the root of its area in pixels."""
        return sorted({size for level in self.anchors for size in level})


@dataclass(frozen=True)
class Boxes:
    """Images and objects, crowds aside, in the file's own pixels.

    `images`: width and height of each, n x 2; `boxes`: the same of each object, m x 2; `within`: the row in `images` of
    each object; `labels`: its category's id.
    """

    images: Floats
    boxes: Floats
    within: NDArray[np.int64]
    labels: NDArray[np.int64]

    def resized(self, settings: Settings) -> Floats:
        """The objects' widths and heights as a detector sees them."""
        return self.boxes * _scales(self.images, settings)[self.within, None]


@dataclass(frozen=True)
class Unfit:
    """Shares of the boxes that no anchor overlaps by `BACKGROUND`, wherever it lies."""

    small: float
    large: float
    long: float

    @property
    def by_size(self) -> float:
        """Of those that other sizes would fit."""
        return self.small + self.large


def read_boxes(file: coco.AnnotationFile) -> Boxes:
    """The images and objects of a file that the check has accepted."""
    rows = {image.id: number for number, image in enumerate(file.images)}
    found = coco.decode_each(file.sections.annotations, _Object, f"{file.path}: annotations")
    objects = [each for each in found if not each.iscrowd and min(each.bbox[2:]) > 0]
    return Boxes(
        np.array([(image.width, image.height) for image in file.images], dtype=float).reshape(-1, 2),
        np.array([each.bbox[2:] for each in objects], dtype=float).reshape(-1, 2),
        np.array([rows[each.image_id] for each in objects], dtype=np.int64),
        np.array([each.category_id for each in objects], dtype=np.int64),
    )


def unfit(boxes: Floats, sizes: Sequence[float]) -> Unfit:
    """Boxes (m x 2, as a detector sees them) that fit no anchor of these sizes: too small, too large, or too long.

    What counts is the largest IoU with an anchor of the same centre, which is the most that any place gives.
    """
    width, height = boxes.T
    best = np.zeros(len(boxes))
    for size in sizes:
        for ratio in RATIOS:
            across, down = size / math.sqrt(ratio), size * math.sqrt(ratio)
            common = np.minimum(width, across) * np.minimum(height, down)
            best = np.maximum(best, common / (width * height + across * down - common))
    none, side = best < BACKGROUND, np.sqrt(width * height)
    small, large = none & (side < min(sizes)), none & (side > max(sizes))
    return Unfit(*(float(kind.mean()) for kind in (small, large, none & ~small & ~large)))


def suggested(data: Boxes, settings: Settings) -> Settings:
    """Settings that fit the data better; the same where they fit.

    Sides: where more than `BADLY` of the boxes are too small, images so large that 95% are not, but no larger than
    half of them are anyway. Anchors: where then too many fit none, doubled from level to level, around the middle of
    the sizes of boxes. Batch: no image twice.
    """
    boxes = data.resized(settings)
    now = unfit(boxes, settings.sizes)
    better = settings
    if now.small > BADLY:
        smallest = math.sqrt(BACKGROUND) * settings.sizes[0]
        wanted = smallest / np.quantile(np.sqrt(boxes.prod(axis=1)), BADLY)
        shorter = np.median(data.images.min(axis=1))
        side = _stepped(min(_seen(data, settings) * wanted, shorter))
        if side > settings.image_side:
            longer = side * np.quantile(data.images.max(axis=1) / data.images.min(axis=1), 0.95)
            better = replace(settings, image_side=side, longest_side=max(side, _stepped(longer)))
    levels, seen = len(settings.anchors), data.resized(better)
    badly = unfit(seen, settings.sizes).by_size
    if badly > BADLY and levels > 1:
        low, high = np.quantile(np.sqrt(seen.prod(axis=1)), (BADLY, 1 - BADLY))
        first = max(SMALLEST_ANCHOR, round(math.sqrt(low * high) / 2 ** ((levels - 1) / 2)))
        anchors = replace(better, anchors=tuple((first * 2**level,) for level in range(levels)))
        if unfit(seen, anchors.sizes).by_size < badly:
            better = anchors
    used = len(np.unique(data.within))
    return replace(better, batch=2 ** int(math.log2(used))) if used < settings.batch else better


def as_text(file: coco.AnnotationFile, data: Boxes, settings: Settings) -> str:
    """Facts, and what to write instead, for people."""
    lines = [f"How {file.path} fits what a detector sees", *_facts(file, data, settings)]
    better = suggested(data, settings)
    if better == settings:
        return "\n".join([*lines, "Nothing else is suggested"]) + "\n"
    after = unfit(data.resized(better), better.sizes)
    pixels = (better.image_side / settings.image_side) ** 2
    lines += [
        f"Suggested, for {after.small:.1%} of the boxes to be too small and {after.large:.1%} too large"
        + (f"; an iteration has {pixels:.1f} times the pixels:" if pixels > 1 else ":"),
        f"  numbers: {{detection: {{{', '.join(_changes(settings, better))}}}}}",
    ]
    if better.batch != settings.batch:
        lines.append("  linear_scaling: true")
    return "\n".join(lines) + "\n"


def _facts(file: coco.AnnotationFile, data: Boxes, settings: Settings) -> list[str]:
    boxes = data.resized(settings)
    found = unfit(boxes, settings.sizes)
    names = {category.id: category.name for category in file.categories}
    pairs = np.unique(np.stack([data.labels, data.within]), axis=1)[0]
    counts = {name: int((pairs == number).sum()) for number, name in names.items()}
    few = [
        f"{name} ({count})"
        for name, count in sorted(counts.items(), key=lambda each: each[1])
        if count < FEW_IMAGES
    ]
    used = len(np.unique(data.within))
    return [
        f"  images: shorter side {_spread(data.images.min(axis=1))} pixels, longer {_spread(data.images.max(axis=1))}; "
        f"seen with a shorter side of {settings.image_side}, and none above {settings.longest_side}",
        f"  boxes: side (the root of the area) {_spread(np.sqrt(boxes.prod(axis=1)))} pixels as seen; anchors are "
        f"{', '.join(f'{size:g}' for size in settings.sizes)}",
        f"  boxes that no anchor overlaps by {BACKGROUND}: {found.small:.1%} too small, {found.large:.1%} too large, "
        f"{found.long:.1%} too long; detectron2 learns such a box from its best anchor alone",
        f"  categories: {_spread(np.array(list(counts.values())))} images each"
        + (f"; fewer than {FEW_IMAGES}: {listed(few)}" if few else ""),
        f"  batch: {settings.batch} of {used:,} images with objects; an epoch is {used / settings.batch:.3g} "
        "iterations",
    ]


def _changes(settings: Settings, better: Settings) -> list[str]:
    """What differs, as YAML."""
    changes = []
    if better.image_side != settings.image_side:
        changes += [f"image_sides: [{better.image_side}]", f"longest_side: {better.longest_side}"]
    if better.batch != settings.batch:
        changes.append(f"batch: {better.batch}")
    if better.anchors != settings.anchors:
        anchors = ", ".join(f"[{level[0]:g}]" for level in better.anchors)
        changes.append(f"detectron2: {{MODEL.ANCHOR_GENERATOR.SIZES: [{anchors}]}}")
    return changes


def _scales(images: Floats, settings: Settings) -> Floats:
    """By how much each image is resized, as detectron2's ResizeShortestEdge does."""
    return np.minimum(settings.image_side / images.min(axis=1), settings.longest_side / images.max(axis=1))


def _seen(data: Boxes, settings: Settings) -> float:
    """The shorter side that half of the images are seen with, at least: less than asked where the longest limits it."""
    return float(np.median(_scales(data.images, settings) * data.images.min(axis=1)))


def _stepped(side: float) -> int:
    return STEP * math.ceil(side / STEP)


def _spread(values: Floats) -> str:
    """`12 to 80 (median 31)`: the 5% and 95% quantiles, and the median."""
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return f"{low:.0f} to {high:.0f} (median {middle:.0f})"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True, help="annotation file to train on")
    parser.add_argument("--image-side", type=int, required=True, help="pixels of the shorter side")
    parser.add_argument("--longest-side", type=int, required=True, help="pixels that no side is above")
    parser.add_argument(
        "--anchor-sizes", type=json.loads, required=True, help='JSON: {"levels": [[32], [64], ...]}'
    )
    parser.add_argument("--batch", type=int, required=True, help="images")
    parser.add_argument("--text", type=Path, required=True, help="output: what was found")
    arguments = parser.parse_args()
    file = coco.read(arguments.annotations)
    anchors = tuple(tuple(level) for level in arguments.anchor_sizes["levels"])
    settings = Settings(arguments.image_side, arguments.longest_side, anchors, arguments.batch)
    text = as_text(file, read_boxes(file), settings)
    print(text, flush=True)
    with write_atomically(arguments.text) as temporary:
        temporary.write_text(text)


if __name__ == "__main__":
    job(main)
