"""Evaluations as a study would have them, made up or the paper's, and the verdicts on them."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from workflow_scripts.report import verdicts
from workflow_scripts.report.comparisons import Results
from workflow_scripts.report.intervals import Sample
from workflow_scripts.tables.tidy import EVALUATION_COLUMNS

TRAIN, CASCADE, TEST = "train aug", "cascade + train aug", "cascade + train aug + test aug"
DEFAULT, SEARCHED, OWN = "default hyper-parameters", "re-searched hyper-parameters", "own grid search"
NO_LOSSES = pd.DataFrame(columns=verdicts.TRAINING_COLUMNS)
Points = dict[str, float]


def run(
    model: str,
    initialisation: str,
    schedule: str,
    curve: dict[int, Points],
    train_set: str = "coco",
    subset: str = "all",
    setting: str = "baseline",
    trunk: dict[int, Points] | None = None,
    trained_as: str | None = None,
) -> list[dict[str, Any]]:
    """One training; `curve` is {iteration: {"bbox AP": percent, ...}}, before the first drop `trunk`.

    trained_as: the setting of the same training, tested in another way.
    """
    labels = {"model": model, "initialisation": initialisation, "schedule": schedule, "setting": setting}
    labels |= {"train_set": train_set, "subset": subset, "segment": "s"}
    labels["recipe"] = "-".join((train_set, subset, model, trained_as or setting, initialisation))
    labels["run"] = f"{labels['recipe']}/{schedule}"
    rows = []
    for stage, part in (("trunk", trunk or {}), ("tail", curve)):
        for iteration, points in part.items():
            for name, value in points.items():
                iou_type, metric = name.split()
                at = {"stage": stage, "iteration": iteration, "iou_type": iou_type, "metric": metric}
                rows.append(labels | at | {"value": value})
    return rows


def flat(ap: float, metric: str = "bbox AP") -> dict[int, Points]:
    """A trunk that has stopped rising: 2% of the end in a doubling."""
    return {1: {metric: 0.1 * ap}, 2: {metric: 0.78 * ap}, 4: {metric: 0.8 * ap}}


def boxes(ap: float, ap50: float, ap75: float, mask: float) -> Points:
    return {"bbox AP": ap, "bbox AP50": ap50, "bbox AP75": ap75, "segm AP": mask}


LADDERS = {
    ("R50 GN", "random"): (36.8, 39.5, 40.6, 40.7, 41.3),
    ("R50 GN", "pretrained"): (40.3, 40.8, 40.9, 40.9, 41.1),
    ("R101 GN", "random"): (38.2, 41.0, 41.8, 42.2, 42.7),
    ("R101 GN", "pretrained"): (41.8, 42.3, 42.3, 41.9, 42.2),
}
"""Table 1: box AP at 2x, 3x, 4x, 5x and 6x. Table 2 has R101 after pre-training at 42.3, its best schedule."""


def papers_numbers() -> list[dict[str, Any]]:
    """The paper's numbers; where it shows a curve or bar without one, a number that fits."""
    rows: list[dict[str, Any]] = []
    for model, initialisation, early, end in (
        ("R50 GN", "random", 15, boxes(41.3, 61.8, 45.6, 36.6)),
        ("R50 GN", "pretrained", 28, boxes(41.1, 61.7, 44.6, 36.4)),
        ("R101 GN", "random", 16, boxes(42.7, 62.9, 47.0, 37.6)),
        ("R101 GN", "pretrained", 30, boxes(42.3, 62.6, 46.2, 37.2)),
    ):
        for times, ap in zip((2, 3, 4, 5), LADDERS[model, initialisation], strict=False):
            curve = {30: {"bbox AP": float(early)}, 90 * times: {"bbox AP": ap}}
            rows += run(model, initialisation, f"{times}x", curve)
        rows += run(model, initialisation, "6x", {30: {"bbox AP": float(early)}, 540: end})
    for model, initialisation, schedule, end in (
        ("R50 GN", "random", "9x", {"segm AP": 41.6}),
        ("R50 GN", "pretrained", "6x", {"segm AP": 40.9}),
        ("X152 GN", "random", "9x", {"bbox AP": 50.9, "segm AP": 43.2}),
        ("X152 GN", "pretrained", "6x", {"bbox AP": 50.3, "segm AP": 42.5}),
    ):
        rows += run(model, initialisation, schedule, {700: end}, setting=TEST, trained_as=CASCADE)
        rows += run(
            model, initialisation, schedule, {700: {"bbox AP": 48.0}}, setting=CASCADE, trunk=flat(48)
        )
    rows += run("X152 GN", "random", "9x", {700: boxes(46.4, 67.1, 51.1, 40.5)}, setting=TRAIN)
    for initialisation, schedule, last, ap in (("random", "11x", 990, 35.2), ("pretrained", "9x", 810, 35.6)):
        rows += run(
            "VGG-16", initialisation, schedule, {last: {"bbox AP": ap}}, setting=TRAIN, trunk=flat(ap)
        )
    for schedule, ap in (("2x", 30.0), ("6x", 27.0)):
        curve = {30 * int(schedule[0]): {"bbox AP": ap}}
        rows += run("R50 GN", "pretrained", schedule, curve, "coco", "35k", DEFAULT, trunk=flat(ap))
    for subset, random, pretrained in (("35k", 36.3, 36.3), ("10k", 25.9, 26.0), ("1k", 3.5, 9.9)):
        for initialisation, ap in (("random", random), ("pretrained", pretrained)):
            labels = ("R50 GN", initialisation, f"{subset}-it")
            rows += run(*labels, {60: {"bbox AP": ap}}, "coco", subset, SEARCHED, trunk=flat(ap))
    for initialisation, peak in (("random", 9.3), ("pretrained", 16.0)):  # both overfit to the same end
        curve = {40: {"bbox AP": peak}, 60: {"bbox AP": 8.0}}
        rows += run("R50 GN", initialisation, "3.5k-it", curve, "coco", "3.5k", SEARCHED, trunk=flat(8.0))
    rows += run("R50 GN", "random", "1k-own", {60: {"bbox AP": 5.4}}, "coco", "1k", OWN, trunk=flat(5.4))
    for initialisation, ap, last in (("random", 65.6, 66.4), ("pretrained", 65.5, 66.3)):
        rows += run("R50 GN", initialisation, "2x", {180: {"keypoints AP": ap}}, "keypoints")
        rows += run("R50 GN", initialisation, "3x", {270: {"keypoints AP": last}}, "keypoints")
    for initialisation, last, ap in (("random", 144, 77.6), ("pretrained", 18, 82.7)):
        trunk = flat(ap, "bbox AP50")
        labels = ("R101 GN", initialisation, f"voc-{initialisation[0]}")
        rows += run(*labels, {last: {"bbox AP50": ap}}, "voc", setting=TRAIN, trunk=trunk)
    return rows


def table(rows: Iterable[dict[str, Any]], spread: float = 0.02, seeds: int = 3) -> pd.DataFrame:
    """Each run with several seeds, their values `spread` apart or a little more, by iteration."""
    several = [
        row
        | {
            "seed": str(seed),
            "run": f"{row['run']}-{seed}",
            "value": row["value"] + spread * (1 + row["iteration"] % 7 / 7) * (seed - (seeds - 1) / 2),
        }
        | {"source": f"{row['run']}-{seed}/{row['setting']}/{row['iteration']}/metrics.json"}
        for row in rows
        for seed in range(seeds)
    ]
    return pd.DataFrame(several, columns=EVALUATION_COLUMNS)


def judged(evaluations: pd.DataFrame, scale: str = "paper", **more: Any) -> list[dict[str, Any]]:
    return verdicts.verdicts(
        Results([evaluations], more.get("replicates", ())), more.get("losses", NO_LOSSES), scale
    )


def outcomes(evaluations: pd.DataFrame, scale: str = "paper") -> list[str]:
    return [record["verdict"] for record in judged(evaluations, scale)]


def sample(*values: float, replicates: Iterable[float] = ()) -> Sample:
    return Sample(pd.Series(values), pd.Series(list(replicates), dtype=float), ("metrics.json",))
