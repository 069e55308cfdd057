"""Kinds of error and what they cost: by hand, and as hotcoco's TIDE counts them on images that really stand there."""

import contextlib
import io
from typing import Any

import hotcoco
import numpy as np
import pytest
from numpy.random import Generator
from test_bootstrap import as_drawn

from workflow_scripts.evaluation import bootstrap, errors

CAT, DOG = 3, 7
CATEGORIES = [CAT, DOG]
THEIR_NAMES = {
    "Cls": "classification",
    "Loc": "localisation",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
}
PER_RECALL = 100 / 101 / 2
"""What one of COCO's 101 recalls at precision 1 adds to the AP50 of two categories, in percent."""


def truth(number: int, category: int, x: float, y: float = 0, crowd: bool = False) -> dict[str, Any]:
    """A square of ten pixels in image 1, or a crowd of 30."""
    side = 30 if crowd else 10
    box = [x, y, side, side]
    return {
        **{"id": number, "image_id": 1, "category_id": category, "bbox": box},
        **{"area": side * side, "iscrowd": int(crowd)},
    }


def square(score: float, category: int, x: float, y: float = 0) -> dict[str, Any]:
    return {"image_id": 1, "category_id": category, "score": score, "bbox": [x, y, 10, 10]}


def judged(truths: list[dict[str, Any]], found: list[dict[str, Any]], images: int = 1) -> errors.Judged:
    return errors.judge(truths, found, list(range(1, images + 1)), CATEGORIES)


def costs(found: errors.Judged) -> dict[str, float]:
    once = np.ones((1, found.images), dtype=np.int32)
    return {kind: values[0] for kind, values in errors.costs(found, once).items()}


A, B, C, D, E = (
    truth(11, CAT, 0),
    truth(12, CAT, 20),
    truth(13, DOG, 40),
    truth(14, DOG, 60),
    truth(15, CAT, 80),
)
ONE_OF_EACH = [
    square(0.70, CAT, 0, 50),  # nothing there
    square(0.80, CAT, 66),  # over a dog with IoU 40 / 160
    square(0.85, CAT, 40),  # on a dog
    square(0.90, CAT, 24),  # over a cat with IoU 60 / 140
    square(0.95, CAT, 1),  # the first cat, once more
    square(0.99, CAT, 0),
]


def test_one_of_each_kind_by_hand() -> None:
    """Cats: one of three found, at once: 34 recalls of 101. Dogs: none of two."""
    found = judged([A, B, C, D, E], ONE_OF_EACH)
    assert found.order.tolist() == [5, 4, 3, 2, 1, 0]
    assert found.kinds.tolist() == [
        "right",
        "duplicate",
        "localisation",
        "classification",
        "both",
        "background",
    ]
    assert found.mends.tolist() == [-1, -1, 1, 2, -1, -1]
    assert found.missed.tolist() == [False, False, False, True, True]
    assert found.counts() == dict.fromkeys(errors.KINDS, 1) | {"missed": 2}
    assert costs(found) == pytest.approx(
        {
            "duplicate": 0,
            "both": 0,
            "background": 0,
            "localisation": 33 * 2 / 3 * PER_RECALL,  # two of three cats, the second at precision 2/3
            "classification": 51 * PER_RECALL,  # one of two dogs
            "missed": (51 - 34) * PER_RECALL,  # one of two cats; none of one dog
        }
    )


@pytest.mark.parametrize(
    ("category", "height", "kind"),
    [
        (CAT, 20, "localisation"),  # IoU 0.5 with a cat that is found
        (CAT, 100, "localisation"),  # IoU 0.1
        (DOG, 20, "classification"),
        (DOG, 100, "background"),
    ],
)
def test_the_limits_belong_to_kinds_as_in_tides_code(category: int, height: int, kind: str) -> None:
    over = square(0.9, category, 0) | {"bbox": [0, 0, 10, height]}
    assert judged([A], [square(0.99, CAT, 0), over]).kinds.tolist() == ["right", kind]


def test_what_stands_before_the_right_one_halves_its_precision() -> None:
    found = judged([B, A], [square(0.9, CAT, 0, 50), square(0.8, CAT, 0)])
    assert costs(found)["background"] == pytest.approx(51 * 0.5 / 101 * 100)


def test_a_bad_box_of_what_is_found_goes() -> None:
    """IoU 60 / 140 with a cat that a surer detection has found: nothing is left for it to find."""
    found = judged([truth(1, CAT, 40), A], [square(0.99, CAT, 40), square(0.9, CAT, 44), square(0.8, CAT, 0)])
    assert found.mends.tolist() == [-1, -1, -1]
    assert costs(found)["localisation"] == pytest.approx(50 / 3 / 101 * 100)


def test_one_error_a_truth_is_mended_the_surest() -> None:
    """Of three bad boxes around one cat, one becomes right and the others go; none is missed."""
    boxes = [square(score, CAT, x) for score, x in ((0.7, 24), (0.9, 25), (0.8, 26))]
    found = judged([B], boxes)
    assert found.counts() == dict.fromkeys(errors.KINDS, 0) | {"localisation": 3}
    assert found.mends.tolist() == [0, -1, -1]
    assert costs(found)["localisation"] == pytest.approx(100)


def test_crowds_have_no_part_in_errors() -> None:
    """On a crowd: not counted. A little on it: background. Of another class on it: background."""
    crowd, empty = truth(1, CAT, 0, crowd=True), truth(3, CAT, 0, 60, crowd=True)
    boxes = [square(0.9, CAT, 5, 5), square(0.8, CAT, 28, 28), square(0.7, DOG, 5, 5)]
    found = judged([crowd, truth(2, DOG, 80), empty], boxes)
    assert found.kinds.tolist() == ["ignored", "background", "background"]
    assert found.missed.tolist() == [False, True, False]


def test_nothing_there_and_nothing_found() -> None:
    assert judged([], []).counts() == dict.fromkeys(errors.KINDS, 0)
    assert errors.costs(judged([], [square(0.9, CAT, 0)]), np.ones((1, 1), dtype=np.int32)) == {}
    nothing = judged([A], [])
    assert nothing.counts() == dict.fromkeys(errors.KINDS, 0) | {"missed": 1}
    assert costs(nothing)["missed"] == 0


def drawn(rng: Generator, images: int = 6) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Crowded images, detections near truths and anywhere, of the right class and of the other."""
    truths: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image in range(1, images + 1):
        for _ in range(rng.integers(0, 6)):
            box = [*rng.integers(0, 60, 2).tolist(), *rng.integers(8, 30, 2).tolist()]
            category = int(rng.choice(CATEGORIES))
            truths.append(
                {
                    **{"id": len(truths) + 1, "image_id": image, "category_id": category},
                    **{"bbox": box, "area": box[2] * box[3], "iscrowd": 0},
                }
            )
            for _ in range(rng.integers(0, 4)):
                near = np.maximum(box + rng.normal(0, 5, 4), [0, 0, 2, 2]).tolist()
                seen = category if rng.random() < 0.7 else int(rng.choice(CATEGORIES))
                found.append({"image_id": image, "category_id": seen, "bbox": near})
        anywhere = [*rng.uniform(0, 60, 2).tolist(), *rng.uniform(8, 30, 2).tolist()]
        found.append({"image_id": image, "category_id": int(rng.choice(CATEGORIES)), "bbox": anywhere})
    for detection, score in zip(found, rng.permutation(len(found)), strict=True):
        detection["score"] = float(score + 1) / (len(found) + 1)
    images_drawn = [
        {"id": image, "height": 90, "width": 90, "file_name": ""} for image in range(1, images + 1)
    ]
    categories = [{"id": category, "name": str(category)} for category in CATEGORIES]
    return {"images": images_drawn, "annotations": truths, "categories": categories}, found


def tide(truths: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, Any]:
    engine = hotcoco.COCO(truths)
    evaluation = hotcoco.COCOeval(engine, engine.load_res(found), "bbox")
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    return evaluation.tide_errors()


@pytest.mark.parametrize("seed", range(20))
def test_equal_to_hotcocos_tide(seed: int) -> None:
    truths, found = drawn(np.random.default_rng(seed))
    theirs = tide(truths, found)
    ours = judged(truths["annotations"], found, images=6)
    assert ours.counts() == {name: theirs["counts"][short] for short, name in THEIR_NAMES.items()}
    expected = {name: 100 * theirs["delta_ap"][short] for short, name in THEIR_NAMES.items()}
    assert costs(ours) == pytest.approx(expected, abs=1e-9)


def test_a_replicate_is_tide_on_the_images_it_drew() -> None:
    truths, found = drawn(np.random.default_rng(100))
    weights = bootstrap.resamples([image["id"] for image in truths["images"]], 4, 0)
    ours = errors.costs(judged(truths["annotations"], found, images=6), weights)
    for replicate, times in enumerate(weights):
        assert times.max() > 1 and times.min() == 0
        theirs = tide(*as_drawn(truths, found, times))["delta_ap"]
        for short, name in THEIR_NAMES.items():
            assert ours[name][replicate] == pytest.approx(100 * theirs[short], abs=1e-9)
