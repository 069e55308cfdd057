"""What the study's numbers must be: checkpoints told from names of files, AP by pycocotools, VOC's by hand."""

import contextlib
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.chain.study import SECOND_TAIL, SHORT, TAIL, ChainStudy, X, read

AUGMENTED = (51, 54, 56, 59, 61, 64)
"""Shorter sides of train aug: 640, 672, ..., 800 for a side of 64 instead of 800."""
TYPES = {
    "mask_rcnn": ("bbox", "segm"),
    "cascade_mask_rcnn": ("bbox", "segm"),
    "faster_rcnn": ("bbox",),
    "keypoint_rcnn": ("bbox", "keypoints"),
}


class Point(NamedTuple):
    """A checkpoint, and how it was tested."""

    recipe: str
    segment: str
    iteration: int
    testing: str = "single_scale"


def length(schedule: str) -> tuple[int, int, int]:
    """Iterations at the first drop, at the second and at the end: the paper's last 60k and 20k, or 2x's proportions."""
    if schedule in SHORT:
        end = SHORT[schedule]
        return round(end * 2 / 3), round(end * 8 / 9), end
    end = int(schedule.removesuffix("x")) * X
    return end - TAIL, end - SECOND_TAIL, end


def back(start: int, stop: int, period: int) -> list[int]:
    """Evaluated iterations after `start`, counted back from `stop`."""
    return sorted(range(stop, start, -period))


@dataclass(frozen=True)
class Oracle:
    """The files of a study that has run."""

    study: ChainStudy

    # Which checkpoint

    def recipe(self, **fields: Any) -> str:
        """The one recipe that has these fields; of a detector from the usual settings where nothing else is said."""
        usual = {"train_set": "coco", "subset": "all", "detector": "mask_rcnn", "decay_factor": 0.1}
        wanted = usual | {"image_sides": [64], "base_lr": 0.01, "label": "R50 GN"} | fields
        files = (read(path) for path in self.study.results.glob("recipes/*-seed0.json"))
        found = [each for each in files if wanted.items() <= ({"subset": "all"} | each).items()]
        assert len(found) == 1, (wanted, [each["name"] for each in found])
        return str(found[0]["name"])

    def end(self, recipe: str, schedule: str, testing: str = "single_scale") -> Point:
        first, second, end = length(schedule)
        return Point(recipe, f"tail-{first}-{second}-{end}", end, testing)

    def curve(
        self, recipe: str, schedule: str, trunk: str | None = None, fork: int | None = None
    ) -> list[Point]:
        """All that is evaluated along a run, which leaves another recipe's `trunk` at its first drop or at a `fork`."""
        first, second, end = length(schedule)
        short = schedule in SHORT
        fork = fork or first
        cuts = [0, first] if short else sorted({0, *range(1, first, X), fork, first})
        periods = (end // 2, end // 2) if short else (2, 4)
        points = [
            Point((trunk or recipe) if stop <= fork else recipe, f"trunk-{start}-{stop}", iteration)
            for start, stop in itertools.pairwise(cuts)
            for iteration in back(start, stop, periods[0])
        ]
        tail = f"tail-{first}-{second}-{end}"
        return points + [Point(recipe, tail, iteration) for iteration in back(first, end, periods[1])]

    # What it is worth

    def folder(self, point: Point) -> Path:
        return self.study.results / "evaluation" / point.recipe / point.segment / point.testing

    def metrics(self, point: Point) -> dict[tuple[str, str], float]:
        """AP, AP50 and AP75 in percent of each kind that the detector of a checkpoint is scored by."""
        recipe = read(self.study.results / "recipes" / f"{point.recipe}.json")
        detections = self.folder(point) / f"detections/{point.iteration}.json"
        if recipe["train_set"] == "voc":
            return {("bbox", "AP50"): voc_map(self.study.data / "voc/VOC2012", detections)}
        name = "person_keypoints" if recipe["train_set"] == "keypoints" else "instances"
        truths = self.study.data / f"coco/{name}_val.json"
        return {
            (kind, metric): value
            for kind in TYPES[recipe["detector"]]
            for metric, value in coco_ap(truths, detections, kind).items()
        }

    def box_ap(self, point: Point) -> float:
        return self.metrics(point)["bbox", "AP"]

    # Searches

    def searched(self, subset: str, by: str = "pretrained") -> float:
        """The decay factor at which the search on a subset, from the initialisation `by`, ends with the higher AP."""
        ends = {
            decay: self.end(
                self.recipe(subset=subset, initialisation=by, decay_factor=decay), f"{subset}-{by}"
            )
            for decay in (0.1, 0.02)
        }
        return max(ends, key=lambda decay: self.box_ap(ends[decay]))


@cache
def coco_ap(truths: Path, detections: Path, kind: str) -> dict[str, float]:
    """COCO's AP, AP50 and AP75 in percent by pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(truths))
        evaluation = COCOeval(truth, truth.loadRes(str(detections)), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(("AP", "AP50", "AP75"), (100 * evaluation.stats[:3]).tolist(), strict=True))


@cache
def voc_map(folder: Path, detections: Path) -> float:
    """VOC's mAP in percent at IoU 0.5, by the rules from 2010 on, with truths from the XML files of `val`."""
    names = (folder / "ImageSets/Main/val.txt").read_text().split()
    found = sorted(read(detections), key=lambda each: -each["score"])
    truths = [truth for number, name in enumerate(names, 1) for truth in _objects(folder, number, name)]
    classes = sorted({kind for _, kind, _, _ in truths})
    return 100 * float(
        np.mean([_area(truths, found, kind, number) for number, kind in enumerate(classes, 1)])
    )


Truth = tuple[int, str, list[float], bool]
"""Image, class, box as x, y, width, height, and whether it is difficult."""


def _objects(folder: Path, image: int, name: str) -> Iterator[Truth]:
    for element in ElementTree.parse(folder / f"Annotations/{name}.xml").getroot().iter("object"):
        x1, y1, x2, y2 = (
            int(element.findtext(f"bndbox/{corner}", "")) for corner in ("xmin", "ymin", "xmax", "ymax")
        )
        difficult = element.findtext("difficult") == "1"
        yield image, element.findtext("name", ""), [x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1], difficult


def _area(truths: list[Truth], found: list[dict[str, Any]], kind: str, category: int) -> float:
    """The area under the curve of monotonic precision over recall."""
    own = [truth for truth in truths if truth[1] == kind]
    taken: set[int] = set()
    right: list[bool] = []
    for each in (each for each in found if each["category_id"] == category):
        overlaps = [_iou(each["bbox"], t[2]) if t[0] == each["image_id"] else 0 for t in own]
        best = int(np.argmax(overlaps))
        if overlaps[best] <= 0.5:
            right.append(False)
        elif not own[best][3]:
            right.append(best not in taken)
            taken.add(best)
    hits = np.cumsum(right)
    recall = hits / sum(not difficult for *_, difficult in own)
    precision = np.maximum.accumulate((hits / np.arange(1, len(right) + 1))[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * precision).sum())


def _iou(one: list[float], other: list[float]) -> float:
    sides = [min(one[i] + one[i + 2], other[i] + other[i + 2]) - max(one[i], other[i]) for i in (0, 1)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
