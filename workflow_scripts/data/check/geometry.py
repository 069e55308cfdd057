"""Boxes, polygons, run lengths and keypoints of one annotation: is each what COCO's format means by it?

Functions return the kind of damage and what was found, or None. Coordinates are in pixels, from the image's upper left
corner; `width` and `height` are the image's. Format: https://cocodataset.org/#format-data
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.data.check.findings import Kind

Box = tuple[float, float, float, float]
Problem = tuple[Kind, str]

BEYOND = 1.0
"""Pixels that a box or polygon may reach beyond its image: outlines that were rounded do."""
XYWH = "bbox as [x, y, width, height] in pixels, width and height above 0"

BOX_REVERSED = Kind(
    "box-reversed",
    "error",
    "annotations",
    "boxes of negative width or height",
    XYWH,
    "Swap the corners, or correct the export",
)
BOX_EMPTY = Kind(
    "box-empty",
    "skipped",
    "annotations",
    "boxes without width or height",
    XYWH,
    "Remove them, or draw them anew",
    "left out of training, as in detectron2; a few are tolerated",
)
BOX_OUTSIDE = Kind(
    "box-outside",
    "error",
    "annotations",
    "boxes outside their image",
    f"{XYWH}, within the image",
    "Correct the box, or the image's width and height",
)
BOX_BEYOND = Kind(
    "box-beyond",
    "note",
    "annotations",
    "boxes that reach beyond their image",
    f"{XYWH}, within the image",
    "Cut them at the edges: evaluation takes them as they are",
    "cut at the image's edges in training, as in detectron2",
)
BOX_CORNERS = Kind(
    "box-corners",
    "error",
    "annotations",
    "boxes given as two corners, x1, y1, x2, y2",
    f"{XYWH}, COCO's",
    "Write x2 - x1 and y2 - y1 in place of x2 and y2",
)
BOX_ELSEWHERE = Kind(
    "box-elsewhere",
    "skipped",
    "annotations",
    "boxes that hold none of their object's polygons",
    "the box around the polygons",
    "Compute the boxes from the polygons",
    "trained on as they are; a few are tolerated",
)
POLYGON_ODD = Kind(
    "polygon-odd",
    "error",
    "annotations",
    "polygons of an odd number of numbers",
    "polygons as [x1, y1, x2, y2, ...]",
    "Add the missing coordinate, or remove the polygon",
)
POLYGON_SHORT = Kind(
    "polygon-short",
    "skipped",
    "annotations",
    "polygons of fewer than 3 points",
    "polygons as [x1, y1, x2, y2, x3, y3, ...]",
    "Remove them, or draw the outline",
    "left out of training, as in detectron2, with their annotation if it has no other; a few are tolerated",
)
POLYGON_FAR = Kind(
    "polygon-far",
    "error",
    "annotations",
    "polygons far outside their image",
    "coordinates in pixels, within the image",
    "Correct the coordinates: such a polygon ends a training in a crash",
)
POLYGON_BEYOND = Kind(
    "polygon-beyond",
    "note",
    "annotations",
    "polygons that reach beyond their image",
    "coordinates in pixels, within the image",
    "Cut them at the edges",
    "what lies beyond the image is left out when masks are drawn",
)
RLE_SIZE = Kind(
    "rle-size",
    "error",
    "annotations",
    "run lengths of another size than their image",
    "size as [height, width] of the image",
    "Encode the mask anew, or correct the image's width and height",
)
RLE_BROKEN = Kind(
    "rle-broken",
    "error",
    "annotations",
    "run lengths that do not fill their image",
    "counts of no negative number, which add up to height times width",
    "Encode the mask anew, by pycocotools.mask.encode",
)
MASK_EMPTY = Kind(
    "mask-empty",
    "skipped",
    "annotations",
    "run lengths that cover no pixel",
    "a mask of at least one pixel",
    "Remove the annotation, or encode its mask anew",
    "left out of training, as in detectron2; a few are tolerated",
)


def wrong_box(box: Box, width: int, height: int) -> Problem | None:
    """A box that no detector can learn, or that reaches beyond its image."""
    x, y, across, down = box
    found = f"bbox is {numbers(box)}"
    if across < 0 or down < 0:
        return BOX_REVERSED, found
    if across == 0 or down == 0:
        return BOX_EMPTY, found
    if x >= width or y >= height or x + across <= 0 or y + down <= 0:
        return BOX_OUTSIDE, f"{found}, the image {width} x {height}"
    if min(x, y) < -BEYOND or x + across > width + BEYOND or y + down > height + BEYOND:
        return BOX_BEYOND, f"{found}, the image {width} x {height}"
    return None


def given_as_corners(box: Box, extent: Box | None, area: float | None) -> bool:
    """Whether a box is x1, y1, x2, y2, by the extent of its polygons (as corners), or by the area of a box alone.

    Nothing is said where both readings fit, or neither. The area is one of a box if it is so but for rounding: masks'
    areas, which boxes keep where masks were taken away, come within a percent of anything by chance.
    """
    x, y, third, fourth = box
    if third <= x or fourth <= y:
        return False
    if extent is not None:
        return _close(box, extent) and not _close((x, y, x + third, y + fourth), extent)
    if area is None or area <= 0:
        return False
    as_corners, as_sides = (third - x) * (fourth - y), third * fourth
    return abs(as_corners - area) <= 1e-6 * area < abs(as_sides - area)


def elsewhere(box: Box, extent: Box) -> bool:
    """Whether a box and the extent of its polygons (as corners) have less than a tenth in common (as IoU)."""
    x1, y1, x2, y2 = extent
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    common = max(0.0, min(right, x2) - max(left, x1)) * max(0.0, min(bottom, y2) - max(top, y1))
    union = box[2] * box[3] + (x2 - x1) * (y2 - y1) - common
    return union > 0 and common < 0.1 * union


def extent_of(polygons: Sequence[Sequence[float]]) -> Box | None:
    """The corners (x1, y1, x2, y2) around the polygons of at least three points; None where there are none."""
    whole = [polygon for polygon in polygons if len(polygon) >= 6]
    if not whole:
        return None
    columns, rows = [polygon[::2] for polygon in whole], [polygon[1::2] for polygon in whole]
    return (
        min(map(min, columns)),
        min(map(min, rows)),
        max(map(max, columns)),
        max(map(max, rows)),
    )


def wrong_polygons(
    polygons: Sequence[Sequence[float]], extent: Box | None, width: int, height: int
) -> Iterator[Problem]:
    """Polygons that are none, or that reach beyond their image; `extent` is `extent_of` them."""
    for number, polygon in enumerate(polygons):
        if len(polygon) % 2:
            yield POLYGON_ODD, f"segmentation[{number}] has {len(polygon)} numbers"
        elif len(polygon) < 6:
            yield POLYGON_SHORT, f"segmentation[{number}] has {len(polygon) // 2} points"
    if extent is None:
        return
    x1, y1, x2, y2 = extent
    over = max(-x1 / width, -y1 / height, x2 / width - 1, y2 / height - 1)
    found = f"its polygons reach from {x1:g}, {y1:g} to {x2:g}, {y2:g}, the image {width} x {height}"
    if over > 1:
        yield POLYGON_FAR, found
    elif min(x1, y1) < -BEYOND or x2 > width + BEYOND or y2 > height + BEYOND:
        yield POLYGON_BEYOND, found


def wrong_run_lengths(
    size: Sequence[int], counts: str | Sequence[int], width: int, height: int
) -> Problem | None:
    """Run lengths of another size, or that do not fill it. They start with zeros and alternate, column by column."""
    if list(size) != [height, width]:
        return (
            RLE_SIZE,
            f"the run lengths' size is {numbers(size)}, the image's height and width {height}, {width}",
        )
    if isinstance(counts, str):
        try:
            runs = decoded_counts(counts)
        except ValueError as error:
            return RLE_BROKEN, f"counts {error}"
    else:
        runs = np.asarray(counts, dtype=np.float64)
    if (runs < 0).any():
        return RLE_BROKEN, f"counts hold {runs.min():g}"
    if runs.sum() != height * width:
        return RLE_BROKEN, f"counts add up to {runs.sum():g}, the image has {height * width} pixels"
    if runs[1::2].sum() == 0:
        return MASK_EMPTY, "its run lengths cover no pixel"
    return None


def decoded_counts(text: str) -> NDArray[np.int64]:
    """The run lengths of COCO's compressed form: `rleFrString` of pycocotools' maskApi.c, which checks nothing.

    Each is a little-endian number of 5 bits a character (from "0" on), 32 saying that more follow, the highest bit of
    the last its sign; from the fourth on, it is the difference to the one two before.

    Raises:
        ValueError: other characters, or a number cut short.
    """
    if not text.isascii():
        raise ValueError("hold characters that are not ASCII")
    codes = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) - ord("0")
    if not len(codes) or ((codes < 0) | (codes > 63)).any():
        raise ValueError("are no run lengths of COCO's compressed form")
    last = (codes & 32) == 0
    if not last[-1]:
        raise ValueError("are cut short")
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    lengths = np.diff(np.concatenate([starts, [len(codes)]]))
    if lengths.max() > 12:
        raise ValueError("hold a number of more than 60 bits")
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 31) << (5 * places), starts)
    negative = (codes[last] & 16) != 0
    values = values - np.where(negative, np.int64(1) << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def numbers(values: Sequence[float]) -> str:
    """`[5, 4, 20, 11.5]`: coordinates for a message."""
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def _close(box: Box, other: Box) -> bool:
    """Whether corners agree to a pixel, or a hundredth of the sides."""
    tolerance = max(BEYOND, 0.01 * max(other[2] - other[0], other[3] - other[1]))
    return all(abs(one - two) <= tolerance for one, two in zip(box, other, strict=True))
