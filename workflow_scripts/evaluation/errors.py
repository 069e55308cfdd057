"""What is wrong with detections, by kind, and what each kind costs: TIDE (Bolya et al., ECCV 2020, section 2).

Every detection that finds nothing has one kind of error. A truth that is not found, and that no wrong class and no bad
box would find if it were mended, is missed. What a kind costs is how much AP50 rises if it alone is mended. A wrong
class or a bad box becomes right if its truth is still to be found and no surer error is of that truth, or else goes.
Duplicates, background and what is wrong in both go. Missed truths are no longer asked for.

Matches are hotcoco's, at IoU 0.5, and as in TIDE's own code (tidecv 1.0.1) crowds have no part in errors.
hotcoco's `tide_errors` gives the same counts and costs, but neither which detection is of which kind nor resamples,
and takes a detection that lies a little on a crowd for a bad box.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import hotcoco
import numpy as np

from workflow_scripts.evaluation.bootstrap import (
    RECALLS,
    Matches,
    average_precision,
    mean_precision,
    overlaps,
)

Kind = Literal["classification", "localisation", "both", "duplicate", "background", "missed"]
KINDS: tuple[Kind, ...] = ("classification", "localisation", "both", "duplicate", "background", "missed")
FALSE_POSITIVES = KINDS[:-1]
RIGHT, IGNORED = "right", "ignored"
FOREGROUND = 0.5
"""IoU from which a detection finds a truth (TIDE's t_f)."""
BACKGROUND = 0.1
"""IoU up to which a detection has nothing to do with a truth (TIDE's t_b)."""
NONE = -1


@dataclass(frozen=True)
class Objects:
    """Detections or truths: `image` and `category` [n] are positions in ascending order of id, `boxes` [n, 4] are
    x, y, width, height in pixels."""

    image: np.ndarray
    category: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.image)

    def select(self, kept: np.ndarray) -> "Objects":
        """Those that an index or a mask names."""
        return Objects(self.image[kept], self.category[kept], self.boxes[kept])


@dataclass(frozen=True)
class Judged:
    """Detections, best score first, and truths, with what became of them.

    `order` [detections]: their places in the list that was judged. `kinds` [detections]: `RIGHT`, `IGNORED` (on a
    crowd, or beyond the most detections an image) or a kind of error. `mends` [detections]: the truth that a detection
    would find if its error were mended, else `NONE`. `wanted`, `missed` [truths]: what is to be found, and what was
    missed.
    """

    detections: Objects
    order: np.ndarray
    kinds: np.ndarray
    mends: np.ndarray
    truths: Objects
    wanted: np.ndarray
    missed: np.ndarray
    images: int
    categories: int

    def counts(self) -> dict[str, int]:
        """How many errors there are of each kind."""
        numbers: dict[str, int] = {kind: int((self.kinds == kind).sum()) for kind in FALSE_POSITIVES}
        return numbers | {"missed": int(self.missed.sum())}


def judge(
    truths: Sequence[dict[str, Any]], found: list[dict[str, Any]], images: list[int], categories: list[int]
) -> Judged:
    """Judge boxes.

    truths: annotations with `id`, `image_id`, `category_id`, `bbox`, `area` and `iscrowd`. found: detections in COCO's
    results format. images, categories: their ids, ascending.
    """
    theirs, ours = (_objects(each, images, categories) for each in (truths, found))
    kinds = np.full(len(ours), IGNORED, dtype="U14")
    wanted = np.array([not truth["iscrowd"] for truth in truths], dtype=bool)
    taken = np.zeros(len(theirs), dtype=bool)
    places = {truth["id"]: place for place, truth in enumerate(truths)}
    for result in _results(truths, found, images, categories):
        at = np.array(result["dtIds"], dtype=int) - 1  # numbered from 1 as they stand in the list
        right, ignored = (np.array(result[name][0], dtype=bool) for name in ("dtMatched", "dtIgnore"))
        kinds[at] = np.select([ignored, right], [IGNORED, RIGHT], default=KINDS[0])
        taken[[places[name] for name in result["gtIds"]]] = np.array(result["gtMatched"][0], dtype=bool)
    scores = np.array([each["score"] for each in found], dtype=float)
    order = np.lexsort((ours.image, -scores))
    ours, kinds = ours.select(order), kinds[order]
    mends = _name_errors(ours, kinds, theirs, wanted, taken)
    missed = wanted & ~taken
    missed[mends[mends != NONE]] = False
    return Judged(ours, order, kinds, mends, theirs, wanted, missed, len(images), len(categories))


def costs(judged: Judged, weights: np.ndarray) -> dict[str, np.ndarray]:
    """How much AP50 in percent each kind of error costs [replicates], with each image counted `weights` [replicates,
    images] times. A category without truths in a replicate has no part in its means; one whose truths are all missed
    gains nothing, as in TIDE's code. Empty where nothing is to be found."""
    wanted = _by_category(judged, judged.wanted)
    present = np.flatnonzero(wanted.sum(axis=1))
    if not present.size:
        return {}
    before = _precisions(judged, wanted, weights, present)
    found = {kind: _precisions(*_mended(judged, kind, wanted), weights, present) for kind in KINDS}
    gains = {kind: np.nan_to_num(after) - before for kind, after in found.items()}
    return {kind: 100 * mean_precision(gain) for kind, gain in gains.items()}


def _objects(entries: Sequence[dict[str, Any]], images: list[int], categories: list[int]) -> Objects:
    def positions(field: str, ids: list[int]) -> np.ndarray:
        return np.searchsorted(ids, [entry[field] for entry in entries]).astype(int)

    boxes = np.array([entry["bbox"] for entry in entries], dtype=float).reshape(-1, 4)
    return Objects(positions("image_id", images), positions("category_id", categories), boxes)


def _results(
    truths: Sequence[dict[str, Any]], found: list[dict[str, Any]], images: list[int], categories: list[int]
) -> Iterator[dict[str, Any]]:
    """hotcoco's matches at IoU 0.5, an image and category each."""
    if not found:
        return
    engine = hotcoco.COCO(
        {
            "images": [{"id": image} for image in images],
            "categories": [{"id": category, "name": str(category)} for category in categories],
            "annotations": list(truths),
        }
    )
    evaluation = hotcoco.COCOeval(engine, engine.load_res(found), "bbox")
    evaluation.params.area_rng_lbl, evaluation.params.area_rng = ["all"], evaluation.params.area_rng[:1]
    evaluation.params.iou_thrs = [FOREGROUND]
    evaluation.evaluate()
    yield from (result for result in evaluation.eval_imgs if result is not None)


def _name_errors(
    ours: Objects, kinds: np.ndarray, theirs: Objects, wanted: np.ndarray, taken: np.ndarray
) -> np.ndarray:
    """Give each error in `kinds` its name, and tell which truth it would find if it were mended, one error a truth."""
    mends = np.full(len(ours), NONE)
    open_truths = wanted & ~taken
    by_image = {image: np.flatnonzero((theirs.image == image) & wanted) for image in np.unique(ours.image)}
    wrong = np.flatnonzero((kinds != RIGHT) & (kinds != IGNORED))
    for image, near in by_image.items():
        errors = wrong[ours.image[wrong] == image]
        if not near.size:
            kinds[errors] = "background"
            continue
        shared = overlaps(ours.boxes[errors], theirs.boxes[near])
        same = ours.category[errors][:, None] == theirs.category[near][None]
        for error, overlap, of_class in zip(errors, shared, same, strict=True):
            kinds[error], place = _kind(overlap, of_class)
            if place != NONE and open_truths[near[place]]:
                mends[error] = near[place]
                open_truths[near[place]] = False
    return mends


def _kind(overlap: np.ndarray, of_class: np.ndarray) -> tuple[Kind, int]:
    """The kind of one error and the truth that it is of, from its IoU with the truths [truths] of its image and which
    of them are of its class. The first that fits, in the order of TIDE's code."""
    right_class, wrong_class = overlap * of_class, overlap * ~of_class
    if BACKGROUND <= right_class.max() <= FOREGROUND:
        return "localisation", int(right_class.argmax())
    if wrong_class.max() >= FOREGROUND:
        return "classification", int(wrong_class.argmax())
    if right_class.max() >= FOREGROUND:  # a surer detection has found it, or it would not be wrong
        return "duplicate", NONE
    return ("background" if overlap.max() <= BACKGROUND else "both"), NONE


def _mended(judged: Judged, kind: Kind, wanted: np.ndarray) -> tuple[Judged, np.ndarray]:
    """What was judged, and truths to find by category and image, without one kind of error."""
    if kind == "missed":
        return judged, wanted - _by_category(judged, judged.missed)
    of_kind = judged.kinds == kind
    mended = of_kind & (judged.mends != NONE)
    kinds = np.where(mended, RIGHT, np.where(of_kind, IGNORED, judged.kinds))
    category = judged.detections.category.copy()
    category[mended] = judged.truths.category[judged.mends[mended]]
    return replace(judged, kinds=kinds, detections=replace(judged.detections, category=category)), wanted


def _by_category(judged: Judged, chosen: np.ndarray) -> np.ndarray:
    """Chosen truths, counted [categories, images]."""
    numbers = np.zeros((judged.categories, judged.images), dtype=np.int32)
    np.add.at(numbers, (judged.truths.category[chosen], judged.truths.image[chosen]), 1)
    return numbers


def _precisions(
    judged: Judged, wanted: np.ndarray, weights: np.ndarray, categories: np.ndarray
) -> np.ndarray:
    """AP50 as a fraction [categories, replicates, 1]."""
    return np.stack(
        [
            average_precision(_matches(judged, category, wanted[category]), weights, RECALLS)
            for category in categories
        ]
    )


def _matches(judged: Judged, category: int, truths: np.ndarray) -> Matches:
    of_category = judged.detections.category == category
    kinds = judged.kinds[of_category]
    return Matches(
        image=judged.detections.image[of_category],
        found=(kinds == RIGHT)[None],
        ignored=(kinds == IGNORED)[None],
        truths=truths,
    )
