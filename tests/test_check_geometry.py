"""Boxes, polygons and run lengths of annotations against pycocotools, detectron2 and values worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from detectron2.data.datasets import load_coco_json
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as masks

from tests.checked import Dataset, annotation
from workflow_scripts.data.check import geometry
from workflow_scripts.data.check.whole_file import reading_of

SIDE = st.integers(1, 40)
MASKS = st.tuples(SIDE, SIDE).flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1)))


def above(least: float, most: float) -> st.SearchStrategy[float]:
    """Without the tiniest numbers: where a training of this process has them flushed to 0, hypothesis refuses them."""
    return st.floats(least, most, allow_subnormal=False)


COORDINATE = st.floats(-200, 200, allow_nan=False, allow_subnormal=False).map(lambda value: round(value, 2))


@given(MASKS)
@settings(max_examples=150)
def test_compressed_run_lengths_are_read_as_pycocotools_writes_them(mask: np.ndarray) -> None:
    code = masks.encode(np.asfortranarray(mask))
    flat = np.concatenate([[0], mask.ravel(order="F")])
    changes = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], changes, [mask.size]]))
    text = code["counts"].decode()
    assert geometry.decoded_counts(text).tolist() == runs.tolist()
    height, width = mask.shape
    problem = geometry.wrong_run_lengths(code["size"], text, width, height)
    assert (problem is None) == bool(mask.any())
    assert problem is None or problem[0] is geometry.MASK_EMPTY


@given(MASKS, st.data())
@settings(max_examples=150)
def test_no_run_lengths_that_do_not_fill_the_image_pass(mask: np.ndarray, data: st.DataObject) -> None:
    """A character less, one more, or another: what passes decodes to as many pixels as the image has."""
    text = masks.encode(np.asfortranarray(mask))["counts"].decode()
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.text(st.characters(min_codepoint=32, max_codepoint=130), max_size=2))
    changed = text[:at] + new + text[at + 1 :]
    height, width = mask.shape
    problem = geometry.wrong_run_lengths([height, width], changed, width, height)
    if problem is None:
        decoded = masks.decode({"size": [height, width], "counts": changed})
        assert decoded.shape == mask.shape and decoded.any()
        assert geometry.decoded_counts(changed).sum() == mask.size


@given(COORDINATE, COORDINATE, COORDINATE, COORDINATE)
@settings(max_examples=400)
def test_boxes_that_pass_have_pixels_in_the_image(x: float, y: float, width: float, height: float) -> None:
    problem = geometry.wrong_box((x, y, width, height), 60, 40)
    within_x = min(60, x + width) - max(0, x)
    within_y = min(40, y + height) - max(0, y)
    fits = within_x > 0 and within_y > 0
    if problem is None or problem[0] is geometry.BOX_BEYOND:
        assert fits
    else:
        assert not fits
        assert (problem[0] is geometry.BOX_REVERSED) == (min(width, height) < 0)
    if problem is None:
        assert x >= -1 and y >= -1 and x + width <= 61 and y + height <= 41


@given(above(0, 50), above(0, 30), above(2, 60), above(2, 60), st.booleans(), st.booleans())
@settings(max_examples=300)
def test_corners_are_told_from_sides(
    x: float, y: float, width: float, height: float, corners: bool, polygons: bool
) -> None:
    """A box of sides is never taken for corners; one of corners is where that makes more than rounding."""
    box = (x, y, x + width, y + height) if corners else (x, y, width, height)
    extent = (x, y, x + width, y + height) if polygons else None
    told = geometry.given_as_corners(box, extent, None if polygons else width * height)
    if not corners:
        # By area alone, another box may have the same by chance: sides are taken first.
        assert not told
    elif max(x, y) > 0.02 * max(width, height) + 2 and min(width, height) > 4:
        assert told


def test_boxes_that_are_all_meant_otherwise() -> None:
    sizes = np.full((3, 2), 100.0)
    corners = np.array([[10, 10, 60, 60], [50, 20, 90, 95], [5, 60, 40, 99]], dtype=float)
    sides = corners.copy()
    sides[:, 2:] -= sides[:, :2]
    centres = sides.copy()
    centres[:, :2] += sides[:, 2:] / 2
    assert reading_of(sides, sizes) is None
    assert reading_of(corners, sizes) == "corners"
    assert reading_of(centres, sizes) == "centres"
    for boxes in (sides, corners, centres):
        assert reading_of(boxes / 100, sizes) == "fractions"
    assert reading_of(corners[:2], sizes[:2]) is None, "two say nothing"
    assert reading_of(np.array([[0, 0, 100, 100.0]] * 3), sizes) is None, "both readings fit"
    beyond = np.vstack([centres, [[1, 50, 30, 30]]])
    assert reading_of(beyond, np.full((4, 2), 100.0)) is None, "a box at an edge is no centre's"
    assert reading_of(np.ones((3, 4)), np.full((3, 2), 2.0)) is None, "pictures of two pixels"


def test_polygons_far_and_near() -> None:
    """Within, a pixel beyond, beyond, and beyond by more than the image's own side; by hand."""
    found = {}
    for right in (60, 61, 62, 120, 121):
        polygon = [[10.0, 5, right, 5, 10, 30]]
        problems = list(geometry.wrong_polygons(polygon, geometry.extent_of(polygon), 60, 40))
        found[right] = [kind.name for kind, _ in problems]
    beyond, far = ["polygon-beyond"], ["polygon-far"]
    assert found == {60: [], 61: [], 62: beyond, 120: beyond, 121: far}


@pytest.mark.parametrize(
    ("box", "is_elsewhere"),
    [
        ((10, 10, 20, 20), False),
        ((50, 50, 20, 20), True),
        ((27, 27, 20, 20), True),
        ((20, 20, 20, 20), False),
    ],
)
def test_box_elsewhere(box: geometry.Box, is_elsewhere: bool) -> None:
    """Of two boxes of 20 x 20, 17 apart each way, 9 pixels of 791 are common; 10 apart, 100 of 700: a seventh."""
    assert geometry.elsewhere(box, (10, 10, 30, 30)) == is_elsewhere


def test_polygons_that_are_found_are_those_that_detectron2_drops(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    shapes = {
        10: [[5, 4, 25, 4, 25, 15]],
        11: [[5, 4, 25, 4]],
        12: [[5, 4, 25, 4, 25, 15, 5]],
        13: [[5, 4], [5, 4, 25, 4, 25, 15]],
        14: [[5, 4, 25, 4, 25, 15, 5, 15]],
    }
    dataset.train["annotations"] = [
        annotation(number, 1, 3, (5, 4, 20, 11)) | {"segmentation": polygons, "keypoints": []}
        for number, polygons in shapes.items()
    ]
    dataset.write()
    records = load_coco_json(str(tmp_path / "train.json"), str(tmp_path), extra_annotation_keys=["id"])
    kept = {each["id"]: each["segmentation"] for record in records for each in record["annotations"]}
    for number, polygons in shapes.items():
        problems = list(geometry.wrong_polygons(polygons, geometry.extent_of(polygons), 60, 40))
        assert len(problems) == len(polygons) - len(kept.get(number, []))
    assert json.loads((tmp_path / "train.json").read_text()) == dataset.train
