"""COCO's metrics: the numbers of pycocotools, driven as detectron2's COCOEvaluator drives it."""

import contextlib
import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from workflow_scripts.errors import UserError
from workflow_scripts.evaluation import coco_metrics
from workflow_scripts.evaluation.coco_metrics import METRICS, IouType

HEIGHT, WIDTH = 200, 240
IMAGES, BARE_IMAGES = 12, 3
CATEGORY_IDS = [5, 2, 9]
UNSEEN = 9
"""A category that no annotation has."""


def draw_shape(rng: Generator, near: list[float] | None = None) -> dict[str, Any]:
    """A box in the image and the octagon in it, small to large in COCO's sense; or one near a given box."""
    if near is None:
        width, height = np.exp(rng.uniform(np.log(8), np.log(160))) * rng.uniform(0.9, 1.2, 2)
        box = [rng.uniform(0, WIDTH - width), rng.uniform(0, HEIGHT - height), width, height]
    else:
        box = list(np.array(near) + rng.normal(0, 0.1, 4) * [near[2], near[3], near[2] / 2, near[3] / 2])
    x, y, width, height = (float(value) for value in box)
    angles = np.arange(8) * np.pi / 4
    corners = np.stack([x + width * (1 + np.cos(angles)) / 2, y + height * (1 + np.sin(angles)) / 2], axis=1)
    return {"bbox": [x, y, width, height], "segmentation": [corners.ravel().tolist()]}


def to_run_lengths(polygons: list[list[float]]) -> dict[str, Any]:
    (mask,) = masks.frPyObjects(polygons, HEIGHT, WIDTH)
    return {"size": [HEIGHT, WIDTH], "counts": mask["counts"].decode()}


def draw_keypoints(rng: Generator, box: list[float], visibility: Any) -> list[float]:
    x, y, width, height = box
    places = np.array([x, y]) + np.random.default_rng(1).random((17, 2)) * [width, height]
    places += rng.normal(0, 0.03, (17, 2)) * [width, height]
    return np.column_stack([places, np.broadcast_to(visibility, 17)]).ravel().tolist()


def draw_truths(rng: Generator, crowds: bool = True) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image_id in range(1, IMAGES + 1 - BARE_IMAGES):
        for _ in range(6):
            shape = draw_shape(rng)
            crowd = crowds and rng.random() < 0.2
            visibility = rng.integers(0, 3, 17) * (rng.random() < 0.8)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(rng.choice([5, 2])),
                    "area": float(masks.area(to_run_lengths(shape["segmentation"]))),
                    "iscrowd": int(crowd),
                    "bbox": shape["bbox"],
                    "segmentation": to_run_lengths(shape["segmentation"]) if crowd else shape["segmentation"],
                    "keypoints": draw_keypoints(rng, shape["bbox"], visibility),
                    "num_keypoints": int((visibility > 0).sum()),
                }
            )
    names = [f"point {k}" for k in range(17)]
    return {
        "images": [
            {"id": k, "height": HEIGHT, "width": WIDTH, "file_name": f"{k}"} for k in range(1, IMAGES + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": k, "name": f"thing {k}", "keypoints": names} for k in CATEGORY_IDS],
    }


def draw_detections(rng: Generator, truths: dict[str, Any], an_image: int = 20) -> list[dict[str, Any]]:
    """Some near truths, some of the wrong category, some where nothing is; scores with ties, in no order."""
    detections: list[dict[str, Any]] = []
    for image_id in range(1, IMAGES + 1):
        present = [truth for truth in truths["annotations"] if truth["image_id"] == image_id]
        for _ in range(an_image):
            truth = present[int(rng.integers(len(present)))] if present and rng.random() < 0.8 else None
            shape = draw_shape(rng, truth and truth["bbox"])
            known = truth and rng.random() < 0.8
            detections.append(
                {
                    "image_id": image_id,
                    "category_id": truth["category_id"] if truth and known else int(rng.choice(CATEGORY_IDS)),
                    "score": round(float(rng.random()), 2),
                    "bbox": shape["bbox"],
                    "segmentation": to_run_lengths(shape["segmentation"]),
                    "keypoints": draw_keypoints(rng, truth["bbox"] if truth else shape["bbox"], rng.random()),
                }
            )
    return detections


def evaluate_with_pycocotools(
    annotations: Path, results: list[dict[str, Any]], iou_type: str
) -> dict[str, Any]:
    results = copy.deepcopy(results)
    if iou_type == "segm":
        for result in results:
            result.pop("bbox", None)
    with contextlib.redirect_stdout(io.StringIO()):
        truths = COCO(annotations)
        evaluation = COCOeval(truths, truths.loadRes(results), iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    known = [(k, precision[:, :, i]) for i, k in enumerate(evaluation.params.catIds)]
    return {
        name: None if value < 0 else value * 100
        for name, value in zip(METRICS[iou_type], evaluation.stats, strict=False)  # type: ignore[index]
    } | {
        "per_category": {f"thing {k}": np.mean(p[p > -1]) * 100 if (p > -1).any() else None for k, p in known}
    }


def evaluate(
    folder: Path, truths: Any, detections: Any, *iou_types: IouType
) -> dict[IouType, dict[str, Any]]:
    (folder / "annotations.json").write_text(json.dumps(truths))
    (folder / "detections.json").write_text(json.dumps(detections))
    return coco_metrics.evaluate(folder / "annotations.json", folder / "detections.json", iou_types)


@pytest.mark.parametrize("iou_type", METRICS)
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_pycocotools(tmp_path: Path, seed: int, iou_type: IouType) -> None:
    rng = np.random.default_rng(seed)
    truths = draw_truths(rng)
    detections = draw_detections(rng, truths)
    metrics = evaluate(tmp_path, truths, detections, iou_type)[iou_type]
    assert metrics == evaluate_with_pycocotools(tmp_path / "annotations.json", detections, iou_type)
    assert list(metrics) == [*METRICS[iou_type], "per_category"]
    assert all(0 < metrics[name] < 100 for name in METRICS[iou_type])
    assert metrics["per_category"][f"thing {UNSEEN}"] is None


@pytest.mark.parametrize("iou_type", METRICS)
def test_equal_to_pycocotools_above_the_detections_an_image(tmp_path: Path, iou_type: IouType) -> None:
    rng = np.random.default_rng(9)
    truths = draw_truths(rng)
    detections = draw_detections(rng, truths, an_image=350)
    metrics = evaluate(tmp_path, truths, detections, iou_type)[iou_type]
    assert metrics == evaluate_with_pycocotools(tmp_path / "annotations.json", detections, iou_type)


def test_keypoint_dumps_without_boxes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truths = draw_truths(rng)
    detections = draw_detections(rng, truths)
    for detection in detections:
        del detection["bbox"], detection["segmentation"]
    metrics = evaluate(tmp_path, truths, detections, "keypoints")["keypoints"]
    assert metrics == evaluate_with_pycocotools(tmp_path / "annotations.json", detections, "keypoints")


def test_masks_are_sized_by_the_mask_and_boxes_by_the_box(tmp_path: Path) -> None:
    """A false detection whose box is medium (1,600 pixels) and whose mask is small (64)."""
    small = [[10.0, 10.0, 18.0, 10.0, 18.0, 18.0, 10.0, 18.0]]
    medium = [[60.0, 60.0, 100.0, 60.0, 100.0, 100.0, 60.0, 100.0]]
    truths = draw_truths(np.random.default_rng(0)) | {
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 2,
                "area": 1600,
                "iscrowd": 0,
                "bbox": [60, 60, 40, 40],
                "segmentation": medium,
            }
        ]
    }
    false = {"bbox": [10, 10, 40, 40], "segmentation": to_run_lengths(small), "score": 0.9}
    right = {"bbox": [60, 60, 40, 40], "segmentation": to_run_lengths(medium), "score": 0.8}
    detections = [shape | {"image_id": 1, "category_id": 2} for shape in (false, right)]
    metrics = evaluate(tmp_path, truths, detections, "bbox", "segm")
    assert metrics["bbox"]["APm"] == pytest.approx(50)
    assert metrics["segm"]["APm"] == pytest.approx(100)


@pytest.mark.parametrize("iou_type", METRICS)
def test_no_detections_score_nothing(tmp_path: Path, iou_type: IouType) -> None:
    metrics = evaluate(tmp_path, draw_truths(np.random.default_rng(0)), [], iou_type)[iou_type]
    assert [metrics[name] for name in METRICS[iou_type]] == [0] * len(METRICS[iou_type])
    assert metrics["per_category"] == {"thing 2": 0, "thing 5": 0, "thing 9": None}


@pytest.mark.parametrize("iou_type", METRICS)
@pytest.mark.parametrize("empty", [True, False])
def test_no_truths_leave_nothing_to_score(tmp_path: Path, iou_type: IouType, empty: bool) -> None:
    rng = np.random.default_rng(0)
    truths = draw_truths(rng)
    detections = [] if empty else draw_detections(rng, truths)
    metrics = evaluate(tmp_path, truths | {"annotations": []}, detections, iou_type)[iou_type]
    assert [metrics[name] for name in METRICS[iou_type]] == [None] * len(METRICS[iou_type])
    assert set(metrics["per_category"].values()) == {None}


def test_iou_types_are_evaluated_side_by_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truths = draw_truths(rng)
    detections = draw_detections(rng, truths)
    together = evaluate(tmp_path, truths, detections, *METRICS)
    assert list(together) == list(METRICS)
    for iou_type in METRICS:
        assert together[iou_type] == evaluate(tmp_path, truths, detections, iou_type)[iou_type]


@pytest.mark.parametrize(
    ("iou_type", "change", "message"),
    [
        ("bbox", {"image_id": 99}, r"detections have image_id 99, which .*annotations.json lacks"),
        ("bbox", {"category_id": 7}, r"detections have category_id 7, which .*annotations.json lacks"),
        ("bbox", {"bbox": [1, 2, 3]}, r"not bbox detections .* length >= 4 - at `\$\[0\].bbox`"),
        ("bbox", {"score": float("nan")}, r"not bbox detections .* malformed"),
        ("segm", {"segmentation": [[1, 2, 3, 4, 5, 6]]}, r"not segm detections .* `object`, got `array`"),
        ("keypoints", {"keypoints": [1, 2, 0.5]}, r"not keypoints detections .* length >= 51"),
    ],
)
def test_detections_that_make_no_sense_are_refused(
    tmp_path: Path, iou_type: IouType, change: dict[str, Any], message: str
) -> None:
    rng = np.random.default_rng(0)
    truths = draw_truths(rng)
    detections = draw_detections(rng, truths)
    with pytest.raises(UserError, match=f"detections.json: {message}"):
        evaluate(tmp_path, truths, [detections[0] | change, *detections[1:]], iou_type)


@pytest.mark.parametrize(
    ("iou_type", "field"), [("bbox", "bbox"), ("segm", "segmentation"), ("keypoints", "keypoints")]
)
def test_what_an_iou_type_compares_must_be_there(tmp_path: Path, iou_type: IouType, field: str) -> None:
    """The engine itself would make up a mask from the box, or find nothing."""
    rng = np.random.default_rng(0)
    truths = draw_truths(rng)
    detections = draw_detections(rng, truths)
    (broken := copy.deepcopy(detections))[3].pop(field)
    with pytest.raises(
        UserError, match=rf"detections.json: .* missing required field `{field}` - at `\$\[3\]`"
    ):
        evaluate(tmp_path, truths, broken, iou_type)
    truths["annotations"][3].pop(field)
    with pytest.raises(
        UserError, match=rf"annotations.json: .*annotations\[3\]: .* missing required field `{field}`"
    ):
        evaluate(tmp_path, truths, detections, iou_type)


@pytest.mark.parametrize("iou_type", METRICS)
def test_what_else_a_file_tells_may_be_of_any_type(tmp_path: Path, iou_type: IouType) -> None:
    """The engine has types for what it does not compare, too, and for files without a key twice."""
    rng = np.random.default_rng(0)
    truths = draw_truths(rng)
    detections = draw_detections(rng, truths)
    expected = evaluate(tmp_path, truths, detections, iou_type)
    for entry in truths["images"]:
        entry |= {"license": "CC BY", "coco_url": 3, "date_captured": None}
    for entry in truths["annotations"]:
        entry |= {"score": "sure", "ignore": 1, "attributes": {"occluded": False}, "x": 1e300}
    for entry in truths["categories"]:
        entry |= {"supercategory": 3, "skeleton": "x"}
    assert evaluate(tmp_path, truths | {"info": 3, "licenses": "x"}, detections, iou_type) == expected
    file = tmp_path / "annotations.json"
    file.write_text(file.read_text().replace('"bbox": [', '"bbox": [1, 2, 3, 4], "bbox": [', 1))
    assert coco_metrics.evaluate(file, tmp_path / "detections.json", [iou_type]) == expected


def test_keypoints_are_cocos(tmp_path: Path) -> None:
    truths = draw_truths(np.random.default_rng(0))
    del truths["categories"][0]["keypoints"]
    with pytest.raises(UserError, match=r"category thing 5 has 0 `keypoints`\. Expected COCO's 17"):
        evaluate(tmp_path, truths, [], "keypoints")


def test_missing_detections_are_named(tmp_path: Path) -> None:
    evaluate(tmp_path, draw_truths(np.random.default_rng(0)), [], "bbox")
    with pytest.raises(UserError, match=r"nothing.json: no such file"):
        coco_metrics.evaluate(tmp_path / "annotations.json", tmp_path / "nothing.json", ["bbox"])
