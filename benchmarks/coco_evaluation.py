"""Time of COCO's metrics by `coco_metrics` against pycocotools, in the same run, and the largest difference.

    python -m benchmarks.coco_evaluation [--require]

Draws a data set of 1,000 images with 7 objects each and a detector's dump of 100 detections an image
(ellipses of 10 categories, masks as RLE), writes both as files, and evaluates boxes and masks with either:
from the files to the metrics, reading included. pycocotools is driven as by detectron2's COCOEvaluator.
The metrics of both must be equal to the last bit.

Needs nothing but the environment.
"""

import argparse
import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from workflow_scripts.evaluation import coco_metrics

IMAGES = 1000
OBJECTS_PER_IMAGE = 7
DETECTIONS_PER_IMAGE = 100
CATEGORIES = 10
HEIGHT, WIDTH = 240, 320
IOU_TYPES = ("bbox", "segm")
LEAST_SPEEDUP = 10
ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
UNIT_CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument(
        "--require", action="store_true", help=f"exit with 1 below {LEAST_SPEEDUP} times pycocotools' speed"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        annotations, detections = Path(folder) / "annotations.json", Path(folder) / "detections.json"
        draw_files(np.random.default_rng(0), arguments.images, annotations, detections)
        print(f"{arguments.images:,} images x {OBJECTS_PER_IMAGE} truths x {DETECTIONS_PER_IMAGE} detections")
        print(
            f"{'':10}{'pycocotools s':>15}{'coco_metrics s':>16}{'speed-up':>10}{'difference':>12}{'AP':>8}"
        )
        totals = np.zeros(2)
        for iou_type in IOU_TYPES:
            theirs, their_seconds = timed(evaluate_with_pycocotools, annotations, detections, iou_type)
            ours, our_seconds = timed(evaluate, annotations, detections, iou_type)
            row(iou_type, their_seconds, our_seconds, float(np.nanmax(np.abs(theirs - ours))), ours[0])
            totals += their_seconds, our_seconds
            check_equal(iou_type, theirs, ours)
        row("together", *totals)
        if arguments.require and totals[0] / totals[1] < LEAST_SPEEDUP:
            raise SystemExit(f"below {LEAST_SPEEDUP} times the speed of pycocotools")


def check_equal(iou_type: str, theirs: np.ndarray, ours: np.ndarray) -> None:
    """Refuse to compare engines that disagree, or that found nothing to agree on."""
    if not np.array_equal(theirs, ours, equal_nan=True):
        raise SystemExit(f"{iou_type}: the metrics differ")
    if not ours[0] > 0:
        raise SystemExit(f"{iou_type}: expected an AP above 0, found {ours[0]}")


def row(
    name: str, theirs: float, ours: float, difference: float | None = None, ap: float | None = None
) -> None:
    end = "" if difference is None else f"{difference:12.1e}{ap:8.2f}"
    print(f"{name:10}{theirs:15.2f}{ours:16.2f}{theirs / ours:10.1f}{end}")


def timed(function: Callable[..., np.ndarray], *arguments: Any) -> tuple[np.ndarray, float]:
    start = time.perf_counter()
    return function(*arguments), time.perf_counter() - start


def evaluate(annotations: Path, detections: Path, iou_type: coco_metrics.IouType) -> np.ndarray:
    """AP, AP50, AP75, APs, APm, APl and each category's AP, in percent; not a number where there is no truth."""
    metrics = coco_metrics.evaluate(annotations, detections, [iou_type])[iou_type]
    values = [metrics[name] for name in coco_metrics.METRICS[iou_type]] + list(
        metrics["per_category"].values()
    )
    return np.array(values, dtype=float)


def evaluate_with_pycocotools(annotations: Path, detections: Path, iou_type: str) -> np.ndarray:
    """The same numbers, computed as in detectron2's COCOEvaluator."""
    with contextlib.redirect_stdout(io.StringIO()):
        truths = COCO(annotations)
        results = json.loads(detections.read_text())
        if iou_type == "segm":
            for result in results:
                del result["bbox"]
        evaluation = COCOeval(truths, truths.loadRes(results), iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    per_category = [p[p > -1].mean() if (p > -1).any() else np.nan for p in np.moveaxis(precision, 2, 0)]
    overall = [np.nan if value == -1 else value for value in evaluation.stats[:6]]
    return 100 * np.array([*overall, *per_category])


def draw_files(rng: Generator, images: int, annotations: Path, detections: Path) -> None:
    """Write a data set and the dump of a detector that finds each object several times, more or less well."""
    truths: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image_id in range(1, images + 1):
        found = [draw_object(rng) | {"image_id": image_id} for _ in range(OBJECTS_PER_IMAGE)]
        truths += found
        for k in range(DETECTIONS_PER_IMAGE):
            results.append(detect(rng, found[k % OBJECTS_PER_IMAGE]))
    content = {
        "images": [
            {"id": i + 1, "height": HEIGHT, "width": WIDTH, "file_name": f"{i}.jpg"} for i in range(images)
        ],
        "annotations": [truth | {"id": k + 1, "iscrowd": 0} for k, truth in enumerate(truths)],
        "categories": [{"id": k + 1, "name": f"thing {k + 1}"} for k in range(CATEGORIES)],
    }
    annotations.write_text(json.dumps(content))
    detections.write_text(json.dumps(results))


def draw_object(rng: Generator) -> dict[str, Any]:
    width, height = np.exp(rng.uniform(np.log(8), np.log(160), 2))
    shape = draw_ellipse([rng.uniform(0, WIDTH - width), rng.uniform(0, HEIGHT - height), width, height])
    return shape | {
        "category_id": int(rng.integers(1, CATEGORIES + 1)),
        "area": float(masks.area(shape["segmentation"])),
    }


def detect(rng: Generator, truth: dict[str, Any]) -> dict[str, Any]:
    box = np.array(truth["bbox"])
    shift = rng.normal(0, rng.choice([0.03, 0.1, 0.4]), 4)
    moved = np.array([*(box[:2] + shift[:2] * box[2:]), *(box[2:] * np.exp(shift[2:]))])
    category_id = truth["category_id"] if rng.random() < 0.8 else int(rng.integers(1, CATEGORIES + 1))
    score = float(np.clip(0.8 - np.abs(shift).sum() + rng.normal(0, 0.2), 0.01, 1))
    return draw_ellipse(moved) | {"image_id": truth["image_id"], "category_id": category_id, "score": score}


def draw_ellipse(box: Any) -> dict[str, Any]:
    """The box (x, y, width, height) and the mask of the ellipse in it, as far as it lies in the image."""
    x, y, width, height = (float(value) for value in box)
    corners = np.array([x, y]) + (UNIT_CIRCLE + 1) / 2 * [width, height]
    (mask,) = masks.frPyObjects([corners.ravel().tolist()], HEIGHT, WIDTH)
    return {"bbox": [x, y, width, height], "segmentation": mask | {"counts": mask["counts"].decode()}}


if __name__ == "__main__":
    main()
