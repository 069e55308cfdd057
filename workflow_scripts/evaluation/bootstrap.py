"""AP on resamples of the validation images: how much of a difference the choice of images explains.

A replicate draws as many images as there are, with replacement. Detections are matched once; a replicate
weighs each image's matches and truths by how often it drew the image, which gives the very AP of a data set in
which the image stands that often. Two evaluations on the same images get the same draws, so that the difference
of their replicates is a paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import hotcoco
import msgspec
import numpy as np
import pandas as pd

from workflow_scripts.data import coco
from workflow_scripts.evaluation.coco_metrics import IouType, evaluations, read_detections

COLUMNS = ["replicate", "iou_type", "metric", "value"]
COUNT = 200
"""Replicates: the ends of a 95% percentile interval then rest on the five outermost on each side."""
METRICS = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
"""Each metric's part of COCO's IoU thresholds 0.50, 0.55, ..., 0.95."""
RECALLS = np.linspace(0, 1, 101)
"""Where COCO reads off the precision."""
VOC2007_RECALLS = np.linspace(0, 1, 11)
VOC_IOU = 0.5
CHUNK = 25
"""Replicates that are weighed at once: enough to vectorise over, few enough to stay in the cache."""


@dataclass(frozen=True)
class Matches:
    """One category's detections, best score first, and its truths.

    `image` [detections] indexes the images in ascending order of id; `found` and `ignored`
    [thresholds, detections] say what was matched, and what counts neither way; `truths` [images] is the number
    of truths to find.
    """

    image: np.ndarray
    found: np.ndarray
    ignored: np.ndarray
    truths: np.ndarray


class _VocTruth(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: list[float]
    difficult: int


def replicates(
    annotations: Path,
    detections: Path,
    iou_types: Sequence[IouType],
    count: int = COUNT,
    seed: int = 0,
    voc_year: int | None = None,
) -> pd.DataFrame:
    """`count` replicates of AP, AP50 and AP75 in percent, by IoU type, as `COLUMNS`.

    NaN where a replicate has no truths; no rows where the annotations have none. A category without truths in a
    replicate is left out of its mean, as COCO does. With `voc_year`, only AP50 by that year's rules, 2007's or those
    from 2010 on; the annotations are `data/voc.py`'s.
    Raises `UserError` as `coco_metrics.evaluate` does.
    """
    if count < 1:
        return pd.DataFrame(columns=COLUMNS)
    truths = coco.read(annotations)
    weights = resamples([image.id for image in truths.images], count, seed)
    rows: list[tuple[int, str, str, float]] = []
    for iou_type, categories, recalls in _matched(truths, detections, iou_types, voc_year):
        present = [each for each in categories if each.truths.any()]
        if not present:
            continue
        precision = np.stack([average_precision(each, weights, recalls) for each in present])
        metrics = {"AP50": METRICS["AP50"]} if voc_year else METRICS
        means = {name: mean_precision(precision[:, :, part]) for name, part in metrics.items()}
        order = product(range(count), means)
        rows += [(number, iou_type, name, 100 * means[name][number]) for number, name in order]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values("replicate", kind="stable", ignore_index=True)


def resamples(image_ids: Sequence[int], count: int, seed: int) -> np.ndarray:
    """How often each replicate drew each image [count, images], images in ascending order of id.

    A function of the seed, the replicate's number and the images alone.
    """
    images = len(image_ids)
    draws = (np.random.default_rng((seed, number)).integers(images, size=images) for number in range(count))
    return np.stack([np.bincount(drawn, minlength=images) for drawn in draws]).astype(np.int32)


def average_precision(matches: Matches, weights: np.ndarray, recalls: np.ndarray | None) -> np.ndarray:
    """AP as a fraction [replicates, thresholds] with each image counted `weights` [replicates, images] times.

    recalls: the mean of the precisions there (COCO, VOC in 2007); None: the area under the curve (VOC from 2010 on).
    Precision is made monotonic first. NaN where a replicate has no truths.
    """
    parts = np.array_split(weights, -(-len(weights) // CHUNK))
    return np.concatenate([_average_precision(matches, part, recalls) for part in parts])


def _average_precision(matches: Matches, weights: np.ndarray, recalls: np.ndarray | None) -> np.ndarray:
    truths = (weights @ matches.truths)[:, None]
    drawn = weights[:, matches.image]
    seen = np.cumsum(drawn, axis=1)
    precisions = []
    for found, ignored in zip(matches.found, matches.ignored, strict=True):
        # Recall rises at right detections alone, so that the curve is known from these.
        right, skipped = np.flatnonzero(found & ~ignored), np.flatnonzero(ignored)
        uncounted = np.cumsum(np.pad(drawn[:, skipped], ((0, 0), (1, 0))), axis=1)
        counted = seen[:, right] - uncounted[:, np.searchsorted(skipped, right)]
        hits = np.cumsum(drawn[:, right], axis=1)
        envelope = np.maximum.accumulate((hits / np.maximum(counted, 1))[:, ::-1], axis=1)[:, ::-1]
        recall = hits / np.maximum(truths, 1)
        passed = recall if recalls is None else np.searchsorted(recalls, recall, "right") / len(recalls)
        precisions.append((envelope * np.diff(passed, axis=1, prepend=0)).sum(axis=1))
    return np.where(truths > 0, np.stack(precisions, axis=1), np.nan)


def mean_precision(precision: np.ndarray) -> np.ndarray:
    """[replicates] of [categories, replicates, thresholds]: over the categories that have truths."""
    known = ~np.isnan(precision)
    total = np.where(known, precision, 0).sum(axis=(0, 2))
    return np.divide(total, known.sum(axis=(0, 2)), out=np.full(len(total), np.nan), where=known.any((0, 2)))


def _matched(
    truths: coco.AnnotationFile, detections: Path, iou_types: Sequence[IouType], voc_year: int | None
) -> Iterator[tuple[IouType, list[Matches], np.ndarray | None]]:
    if voc_year:
        recalls = VOC2007_RECALLS if voc_year == 2007 else None
        yield "bbox", list(voc_matches(truths, detections).values()), recalls
        return
    for iou_type, evaluation in evaluations(truths, detections, iou_types):
        yield iou_type, list(coco_matches(evaluation, truths).values()), RECALLS


def coco_matches(
    evaluation: hotcoco.COCOeval, truths: coco.AnnotationFile, area: str = "all"
) -> dict[int, Matches]:
    """hotcoco's matches by category id, for objects of all areas or of COCO's `small`, `medium` or `large`, and with
    COCO's most detections an image. A category without any truth and detection is left out."""
    usual = hotcoco.Params(evaluation.params.iou_type)
    evaluation.params.area_rng_lbl = [area]
    evaluation.params.area_rng = [usual.area_rng[usual.area_rng_lbl.index(area)]]
    evaluation.evaluate()
    image_ids, category_ids = _ids(truths)
    position = {image_id: index for index, image_id in enumerate(image_ids)}
    by_category: dict[int, list[_ImageMatches]] = {category_id: [] for category_id in category_ids}
    for result in evaluation.eval_imgs:
        if result is not None:
            found, ignored = (np.array(result[name], dtype=bool) for name in ("dtMatched", "dtIgnore"))
            counted = len(result["gtIgnore"]) - sum(result["gtIgnore"])
            by_category[result["category_id"]].append(
                _ImageMatches(position[result["image_id"]], result["dtScores"], found, ignored, counted)
            )
    return {name: _sorted(images, len(image_ids)) for name, images in by_category.items() if images}


def _ids(truths: coco.AnnotationFile) -> tuple[list[int], list[int]]:
    """Ids of images and of categories, ascending."""
    return sorted(image.id for image in truths.images), [category.id for category in truths.categories]


@dataclass(frozen=True)
class _ImageMatches:
    """As `Matches`, of one image."""

    image: int
    scores: Sequence[float]
    found: np.ndarray
    ignored: np.ndarray
    truths: int


def _sorted(images: list[_ImageMatches], count: int) -> Matches:
    """A category's images as one: by score, equal scores in the order of images, as COCO's code does."""
    images = sorted(images, key=lambda each: each.image)
    order = np.argsort(-np.concatenate([each.scores for each in images]), kind="stable")
    places = np.array([each.image for each in images])
    truths = np.zeros(count, dtype=np.int32)
    truths[places] = [each.truths for each in images]
    return Matches(
        image=np.repeat(places, [len(each.scores) for each in images])[order],
        found=np.concatenate([each.found for each in images], axis=1)[:, order],
        ignored=np.concatenate([each.ignored for each in images], axis=1)[:, order],
        truths=truths,
    )


def voc_matches(truths: coco.AnnotationFile, detections: Path) -> dict[int, Matches]:
    """Matches by category id at IoU 0.5 as detectron2's evaluation/pascal_voc_evaluation.py `voc_eval` makes them."""
    image_ids, category_ids = _ids(truths)
    objects = coco.decode_each(truths.sections.annotations, _VocTruth, f"{truths.path}: annotations")
    wanted: dict[tuple[int, int], list[_VocTruth]] = {}
    for truth in objects:
        wanted.setdefault((truth.category_id, truth.image_id), []).append(truth)
    guessed: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for detection in read_detections(detections, "bbox", truths):
        guessed.setdefault((detection["category_id"], detection["image_id"]), []).append(detection)
    return {
        category: _sorted(
            [
                _voc_image(index, wanted.get((category, image), []), guessed.get((category, image), []))
                for index, image in enumerate(image_ids)
            ],
            len(image_ids),
        )
        for category in category_ids
    }


def _voc_image(index: int, truths: list[_VocTruth], detections: list[dict[str, Any]]) -> _ImageMatches:
    """Each detection goes to the truth it overlaps most: right once a truth, ignored if that is difficult."""
    detections = sorted(detections, key=lambda detection: -detection["score"])
    found, ignored = (np.zeros((1, len(detections)), dtype=bool) for _ in range(2))
    shared = overlaps([each["bbox"] for each in detections], [truth.bbox for truth in truths])
    taken: set[int] = set()
    for number, row in enumerate(shared if truths else []):
        best = int(row.argmax())
        if row[best] > VOC_IOU:
            ignored[0, number] = truths[best].difficult
            found[0, number] = best not in taken
            taken.add(best)
    counted = sum(not truth.difficult for truth in truths)
    return _ImageMatches(index, [each["score"] for each in detections], found, ignored, counted)


def overlaps(detections: Any, truths: Any) -> np.ndarray:
    """IoU [detections, truths] of boxes [x, y, width, height]."""
    ours, theirs = (np.reshape(boxes, (-1, 4)).astype(float) for boxes in (detections, truths))
    near = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    far = np.minimum((ours[:, :2] + ours[:, 2:])[:, None], (theirs[:, :2] + theirs[:, 2:])[None])
    shared = np.maximum(far - near, 0).prod(axis=2)
    areas = ours[:, 2:].prod(axis=1)[:, None] + theirs[:, 2:].prod(axis=1)[None]
    return shared / (areas - shared)
