"""The runs that each figure and table of the study must read, worked out from the paper and not from the workflow."""

from collections.abc import Iterator
from typing import NamedTuple

from tests.chain.oracle import AUGMENTED, Oracle, Point, length
from tests.chain.study import X

BOTH = ("random", "pretrained")
TRAIN, CASCADE = "train aug", "cascade + train aug"
TEST, SEARCHED, OWN = "cascade + train aug + test aug", "re-searched hyper-parameters", "own grid search"
FOUR = ("baseline", TRAIN, CASCADE, TEST)
FOUND_35K = {"base_lr": 0.02, "decay_factor": 0.02, "image_sides": [41, 44, 46, 49, 51, 54, 56, 59, 61, 64]}
"""The paper's 0.04, 0.02 and shorter sides from 512 to 800, for a rate of 0.01 and a side of 64."""


class Row(NamedTuple):
    """What tells a run's rows in a table of evaluations."""

    setting: str
    model: str
    initialisation: str
    schedule: str


Runs = dict[Row, list[Point]]
"""The checkpoints of each run that is read."""


def runs(oracle: Oracle, experiment: str) -> Runs:
    """The runs of one figure or table."""
    return dict(EXPERIMENTS[experiment](oracle))


def curves(oracle: Oracle) -> Iterator[tuple[Row, list[Point]]]:
    """Figure 1."""
    for name in BOTH:
        recipe = oracle.recipe(initialisation=name)
        for schedule in ("2x", "3x"):
            yield Row("baseline", "R50 GN", name, schedule), oracle.curve(recipe, schedule)


def ends(oracle: Oracle) -> Iterator[tuple[Row, list[Point]]]:
    """Tables 1 and 2."""
    for row, points in curves(oracle):
        yield row, points[-1:]


def keypoints(oracle: Oracle) -> Iterator[tuple[Row, list[Point]]]:
    """Figure 6."""
    fields = {"train_set": "keypoints", "detector": "keypoint_rcnn", "image_sides": list(AUGMENTED)}
    for name in BOTH:
        for schedule in ("2x", "3x"):
            recipe = oracle.recipe(initialisation=name, **fields)
            yield Row("baseline", "R50 GN", name, schedule), oracle.curve(recipe, schedule)


def voc(oracle: Oracle) -> Iterator[tuple[Row, list[Point]]]:
    """PASCAL VOC."""
    fields = {"train_set": "voc", "detector": "faster_rcnn", "image_sides": list(AUGMENTED)}
    for name in BOTH:
        recipe = oracle.recipe(initialisation=name, label="R101 GN", **fields)
        yield Row(TRAIN, "R101 GN", name, f"voc-{name}"), oracle.curve(recipe, f"voc-{name}")


def enhanced(
    oracle: Oracle, model: str, name: str, settings: tuple[str, ...] = FOUR
) -> Iterator[tuple[Row, list[Point]]]:
    """Those of figure 5's four settings: 9x from random init but for the baseline, 6x after pre-training.

    A random init's cascade is the plain detector up to 3x before its end. Test aug looks at the end alone.
    """
    usual = {"label": model, "initialisation": name}
    longer = "9x" if name == "random" else "6x"
    augmented = usual | {"image_sides": list(AUGMENTED)}
    fork = length("9x")[2] - 3 * X if name == "random" else None
    if "baseline" in settings:
        yield Row("baseline", model, name, "6x"), oracle.curve(oracle.recipe(**usual), "6x")
    if TRAIN in settings:
        yield Row(TRAIN, model, name, longer), oracle.curve(oracle.recipe(**augmented), longer, fork=fork)
    cascade = oracle.recipe(detector="cascade_mask_rcnn", **augmented)
    if CASCADE in settings:
        plain = oracle.recipe(**augmented) if fork else None
        yield Row(CASCADE, model, name, longer), oracle.curve(cascade, longer, plain, fork)
    if TEST in settings:
        yield Row(TEST, model, name, longer), [oracle.end(cascade, longer, "test_aug")]


def baselines(oracle: Oracle) -> Iterator[tuple[Row, list[Point]]]:
    """Figure 5."""
    for model in ("R50 GN", "R101 GN"):
        for name in BOTH:
            yield from enhanced(oracle, model, name)


def larger(oracle: Oracle) -> Iterator[tuple[Row, list[Point]]]:
    """Table 3."""
    yield from enhanced(oracle, "R101 GN", "random", (TRAIN,))
    yield from enhanced(oracle, "X152 GN", "random", FOUR[1:])


def searched(oracle: Oracle, subset: str, by: str = "pretrained", only: tuple[str, ...] = BOTH) -> Runs:
    """On a subset with what the search `by` an initialisation found; with another decay a run leaves a trunk."""
    decay = oracle.searched(subset, by)
    found = {}
    for name in only:
        recipe, trunk = (
            oracle.recipe(subset=subset, initialisation=name, decay_factor=d) for d in (decay, 0.1)
        )
        row = Row(SEARCHED if by == "pretrained" else OWN, "R50 GN", name, f"{subset}-{name}")
        found[row] = oracle.curve(recipe, f"{subset}-{name}", trunk)
    return found


def less(oracle: Oracle) -> Iterator[tuple[Row, list[Point]]]:
    """Figure 7."""
    usual = oracle.recipe(subset="35k", initialisation="pretrained")
    for schedule in ("2x", "6x"):
        row = Row("default hyper-parameters", "R50 GN", "pretrained", schedule)
        yield row, oracle.curve(usual, schedule)
    for name in BOTH:
        recipe, trunk = (
            oracle.recipe(subset="35k", initialisation=name, **fields)
            for fields in (FOUND_35K, FOUND_35K | {"decay_factor": 0.1})
        )
        yield Row(SEARCHED, "R50 GN", name, "6x"), oracle.curve(recipe, "6x", trunk)
    yield from searched(oracle, "10k").items()


def quoted(oracle: Oracle) -> Iterator[tuple[Row, list[Point]]]:
    """What the text quotes."""
    yield from ((row, points) for row, points in keypoints(oracle) if row.schedule == "2x")
    fields = {"label": "VGG-16", "detector": "faster_rcnn", "image_sides": list(AUGMENTED)}
    for name, schedule in (("random", "11x"), ("pretrained", "9x")):
        recipe = oracle.recipe(initialisation=name, **fields)
        yield Row(TRAIN, "VGG-16", name, schedule), oracle.curve(recipe, schedule)
    for name in BOTH:
        yield from enhanced(oracle, "X152 GN", name, (CASCADE, TEST))
    for subset in ("3.5k", "1k"):
        yield from searched(oracle, subset).items()
    yield from searched(oracle, "1k", "random", only=("random",)).items()
    yield from voc(oracle)


EXPERIMENTS = {
    "fig1": curves,
    "fig5": baselines,
    "fig6": keypoints,
    "fig7": less,
    "table1": ends,
    "table2": ends,
    "table3": larger,
    "text": quoted,
    "text_voc": voc,
}
