"""Stands for `evaluation/detect.py` in a study of few iterations: detections of which each checkpoint has its own AP.

They are the truths of the annotation file it is told, some left out, moved or renamed: by the name of the weights, that
says of which recipe, segment and iteration they are, and by whether it is told to augment.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask

from workflow_scripts.jobs.job import job

Json = dict[str, Any]
SALT = 5
"""Such that no two checkpoints have the same AP, and not every search takes its first point."""


def planted(truth: Json, detector: str, weights: str, augmented: bool) -> list[Json]:
    """Detections in COCO's results format: of boxes, with masks or keypoints where the detector has them."""
    seed = hashlib.sha256(f"{SALT} {weights} {augmented}".encode()).digest()
    rng = np.random.default_rng([*seed])
    found, noise = rng.uniform(0.6, 0.95), rng.uniform(0.01, 0.12)
    sizes = {image["id"]: (image["width"], image["height"]) for image in truth["images"]}
    categories = [category["id"] for category in truth["categories"]]
    results = []
    for each in truth["annotations"]:
        for _ in range(1 + 3 * each["iscrowd"]):  # several of a crowd, of which none counts
            left_out, other = rng.random(2)
            moves = rng.normal(0, noise, (3, 4))
            if left_out < found:
                category = each["category_id"] if other < 0.9 else int(rng.choice(categories))
                box = _moved(each["bbox"], moves[0], *sizes[each["image_id"]])
                known = {"image_id": each["image_id"], "category_id": category, "bbox": box}
                results.append(known | _more(detector, each, moves, rng, sizes[each["image_id"]]))
    # No two alike, nor after VOC's rounding.
    scores = rng.permutation(999)[: len(results)] / 1000
    return [result | {"score": float(score)} for result, score in zip(results, scores, strict=True)]


def _moved(box: list[float], moves: np.ndarray, width: int, height: int) -> list[float]:
    x, y, w, h = np.array(box) + moves * [box[2], box[3], box[2], box[3]]
    x, y = (min(max(place, 0.0), side - 4.0) for place, side in ((x, width), (y, height)))
    return [round(float(n), 1) for n in (x, y, min(max(w, 3), width - x), min(max(h, 3), height - y))]


def _more(
    detector: str, truth: Json, moves: np.ndarray, rng: np.random.Generator, size: tuple[int, int]
) -> Json:
    """A mask moved otherwise than the box, or keypoints moved otherwise."""
    if detector == "keypoint_rcnn":
        points = np.reshape(truth["keypoints"], (-1, 3)).astype(float)
        points[:, :2] += rng.normal(0, 4 * np.abs(moves[1, 0]) * truth["bbox"][2], (len(points), 2))
        points[:, 2] = 1
        return {"keypoints": [round(float(n), 2) for n in points.ravel()]}
    if detector == "faster_rcnn":
        return {}
    x, y, w, h = _moved(truth["bbox"], 1.5 * moves[2], *size)
    image = np.zeros((size[1], size[0]), dtype=np.uint8, order="F")
    image[round(y) : round(y + h), round(x) : round(x + w)] = 1
    code = mask.encode(image)
    return {"segmentation": {"size": code["size"], "counts": code["counts"].decode()}}


def main() -> None:
    """Run the command line, which is that of the module it stands for."""
    parser = argparse.ArgumentParser()
    for name in ("recipe", "checkpoints", "annotations", "images", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--iterations", type=int, nargs="+", required=True)
    parser.add_argument("--test-aug-sides", type=int, nargs="+")
    parser.add_argument("--test-aug-longest", type=int)
    parser.add_argument("--code", nargs="+")
    for name in ("runtime", "margin"):
        parser.add_argument(f"--{name}")
    told = parser.parse_args()
    truth = json.loads(told.annotations.read_text())
    assert all((told.images / image["file_name"]).is_file() for image in truth["images"])
    detector = json.loads(told.recipe.read_text())["detector"]
    told.output.mkdir()
    for iteration in told.iterations:
        weights = told.checkpoints / f"{iteration}.safetensors"
        assert weights.is_file()
        results = planted(truth, detector, str(weights), told.test_aug_sides is not None)
        (told.output / f"{iteration}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    job(main)
