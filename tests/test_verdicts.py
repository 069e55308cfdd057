"""Verdicts on the paper's conclusions: right where the answer is known by construction, intervals by hand."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.report import verdicts
from workflow_scripts.report.comparisons import Results
from workflow_scripts.report.intervals import Sample, estimate, t_quantile
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
) -> list[dict[str, Any]]:
    """One training; `curve` is {iteration: {"bbox AP": percent, ...}}."""
    labels = {"model": model, "initialisation": initialisation, "schedule": schedule, "setting": setting}
    labels |= {"train_set": train_set, "subset": subset, "segment": "s", "stage": "tail"}
    labels["recipe"] = "-".join((train_set, subset, model, setting, initialisation))
    labels["run"] = f"{labels['recipe']}/{schedule}"
    rows = []
    for iteration, points in curve.items():
        for name, value in points.items():
            iou_type, metric = name.split()
            rows.append(
                labels | {"iteration": iteration, "iou_type": iou_type, "metric": metric, "value": value}
            )
    return rows


def boxes(ap: float, ap50: float, ap75: float, mask: float) -> Points:
    return {"bbox AP": ap, "bbox AP50": ap50, "bbox AP75": ap75, "segm AP": mask}


def papers_numbers() -> list[dict[str, Any]]:
    """The paper's numbers; where it shows a curve or bar without one, a number that fits."""
    rows: list[dict[str, Any]] = []
    for model, initialisation, early, short, end in (
        ("R50 GN", "random", 15, 36.8, boxes(41.3, 61.8, 45.6, 36.6)),
        ("R50 GN", "pretrained", 28, 40.3, boxes(41.1, 61.7, 44.6, 36.4)),
        ("R101 GN", "random", 16, 38.2, boxes(42.7, 62.9, 47.0, 37.6)),
        ("R101 GN", "pretrained", 30, 41.8, boxes(42.3, 62.6, 46.2, 37.2)),
    ):
        rows += run(model, initialisation, "2x", {30: {"bbox AP": early}, 180: {"bbox AP": short}})
        rows += run(model, initialisation, "6x", {30: {"bbox AP": early}, 540: end})
    for initialisation, schedule, mask in (("random", "9x", 41.6), ("pretrained", "6x", 40.9)):
        rows += run("R50 GN", initialisation, schedule, {700: {"segm AP": mask}}, setting=TEST)
    for initialisation, schedule, end in (
        ("random", "9x", {"bbox AP": 50.9, "segm AP": 43.2}),
        ("pretrained", "6x", {"bbox AP": 50.3, "segm AP": 42.5}),
    ):
        rows += run("X152 GN", initialisation, schedule, {700: end}, setting=TEST)
    rows += run("X152 GN", "random", "9x", {700: boxes(46.4, 67.1, 51.1, 40.5)}, setting=TRAIN)
    rows += run("VGG-16", "random", "11x", {990: {"bbox AP": 35.2}}, setting=TRAIN)
    rows += run("VGG-16", "pretrained", "9x", {810: {"bbox AP": 35.6}}, setting=TRAIN)
    for schedule, ap in (("2x", 30.0), ("6x", 27.0)):
        rows += run(
            "R50 GN", "pretrained", schedule, {int(schedule[0]): {"bbox AP": ap}}, "coco", "35k", DEFAULT
        )
    for subset, random, pretrained in (("35k", 36.3, 36.3), ("10k", 25.9, 26.0), ("1k", 3.5, 9.9)):
        for initialisation, ap in (("random", random), ("pretrained", pretrained)):
            rows += run(
                "R50 GN", initialisation, f"{subset}-it", {60: {"bbox AP": ap}}, "coco", subset, SEARCHED
            )
    for initialisation, peak in (("random", 9.3), ("pretrained", 16.0)):  # both overfit to the same end
        curve = {40: {"bbox AP": peak}, 60: {"bbox AP": 8.0}}
        rows += run("R50 GN", initialisation, "3.5k-it", curve, "coco", "3.5k", SEARCHED)
    rows += run("R50 GN", "random", "1k-own", {60: {"bbox AP": 5.4}}, "coco", "1k", OWN)
    for initialisation, ap, end in (("random", 65.6, 66.4), ("pretrained", 65.5, 66.3)):
        rows += run("R50 GN", initialisation, "2x", {180: {"keypoints AP": ap}}, "keypoints")
        rows += run("R50 GN", initialisation, "3x", {270: {"keypoints AP": end}}, "keypoints")
    rows += run("R101 GN", "random", "voc-r", {144: {"bbox AP50": 77.6}}, "voc", setting=TRAIN)
    rows += run("R101 GN", "pretrained", "voc-p", {18: {"bbox AP50": 82.7}}, "voc", setting=TRAIN)
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
        | {"source": f"{row['run']}-{seed}/{row['iteration']}/metrics.json"}
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


def reversed_numbers() -> list[dict[str, Any]]:
    """The initialisations swapped; on 35k images longer training helps; VGG-16 hardly trains from random init."""
    other = {"random": "pretrained", "pretrained": "random"}
    rows = []
    for row in papers_numbers():
        if row["setting"] == DEFAULT:
            rows.append(row | {"value": 57 - row["value"]})
        else:
            rows.append(row | {"initialisation": other[row["initialisation"]]})
            rows[-1]["value"] *= (
                0.4 if (row["model"], row["initialisation"]) == ("VGG-16", "pretrained") else 1
            )
    return rows


def without(rows: list[dict[str, Any]], drop: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    return [row for row in rows if not drop(row)]


def test_the_papers_own_numbers_show_all_eight() -> None:
    records = judged(table(papers_numbers()))
    assert [record["verdict"] for record in records] == ["shown"] * 8, [record["why"] for record in records]
    assert [record["number"] for record in records] == list(range(1, 9))
    behind = records[1]["evidence"]
    assert {round(each["value"], 1) for each in behind} == {-3.5, -3.6, 0.2, 0.4}
    for each in (each for record in records for each in record["evidence"]):
        assert each["low"] < each["value"] < each["high"]
        assert each["method"] == "Welch's t over 3 seeds"
        assert each["sources"] and all(source.endswith("metrics.json") for source in each["sources"])
    assert json.loads(json.dumps(records)) == [
        {**record, "evidence": [each | {"sources": list(each["sources"])} for each in record["evidence"]]}
        for record in records
    ]


def test_the_opposite_of_the_papers_numbers_contradicts_all_eight() -> None:
    assert outcomes(table(reversed_numbers())) == ["contradicted"] * 8


@pytest.mark.parametrize(("spread", "scale"), [(20.0, "paper"), (0.02, "smoke")])
def test_wide_intervals_and_the_smoke_scale_show_nothing(spread: float, scale: str) -> None:
    assert outcomes(table(papers_numbers(), spread), scale) == ["not shown"] * 8


def test_one_seed_without_replicates_has_no_interval() -> None:
    records = judged(table(papers_numbers(), seeds=1))
    assert {record["verdict"] for record in records} == {"not shown"}
    assert "no interval" in records[1]["why"]


@pytest.mark.parametrize(
    ("number", "names", "drop"),
    [
        (1, "whole training set", lambda row: row["subset"] == "all" and row["initialisation"] == "random"),
        (2, "two schedules", lambda row: row["schedule"] == "6x" and row["setting"] == "baseline"),
        (3, "another model", lambda row: row["model"] != "R50 GN" or row["setting"] == TEST),
        (3, "AP75 of R50 GN", lambda row: row["model"] == "R50 GN" and row["setting"] == "baseline"),
        (3, "AP75 of R50 GN", lambda row: row["metric"] == "AP75"),
        (4, "subset 10k", lambda row: row["subset"] == "10k"),
        (4, "subset 1k", lambda row: row["subset"] == "1k"),
        (5, "checkpoints", lambda row: row["setting"] == "baseline" and row["initialisation"] == "random"),
        (6, "two schedules", lambda row: row["setting"] == DEFAULT and row["schedule"] == "6x"),
        (7, "keypoints", lambda row: row["train_set"] == "keypoints"),
        (7, "AP75", lambda row: row["metric"] == "AP75"),
        (8, "VOC", lambda row: row["train_set"] == "voc"),
    ],
)
def test_what_is_missing_is_named(number: int, names: str, drop: Callable[[dict[str, Any]], bool]) -> None:
    record = judged(table(without(papers_numbers(), drop)))[number - 1]
    assert record["verdict"] == "not shown"
    assert names in record["why"].partition("Missing: ")[2]


@pytest.mark.parametrize(
    ("value", "number", "verdict"),
    [
        (40.2, 2, "shown"),  # 0.9 short of 41.1: within the margin
        (40.07, 2, "not shown"),  # the interval holds the margin
        (39.9, 2, "contradicted"),  # 1.2 short
    ],
)
def test_no_worse_ends_at_the_margin(value: float, number: int, verdict: str) -> None:
    rows = papers_numbers()
    for row in rows:
        same = row["model"] == "R50 GN" and row["train_set"] == "coco" and row["setting"] == "baseline"
        if same and (row["initialisation"], row["schedule"], row["iteration"]) == ("random", "6x", 540):
            row["value"] = value if row["iou_type"] + row["metric"] == "bboxAP" else row["value"]
    assert outcomes(table(rows))[number - 1] == verdict


def test_a_study_without_evaluations_shows_nothing() -> None:
    records = verdicts.verdicts(Results([], ()), NO_LOSSES, "paper")
    assert {record["verdict"] for record in records} == {"not shown"}
    assert all(record["why"].startswith("Missing: ") and not record["evidence"] for record in records)


def test_one_failure_among_many_comparisons_contradicts_and_is_named() -> None:
    rows = papers_numbers()
    for row in rows:
        if row["model"] == "VGG-16" and row["initialisation"] == "random":
            row["value"] = 30.0
    record = judged(table(rows))[2]
    assert record["verdict"] == "contradicted"
    assert (
        "Fails: VGG-16, train aug, box AP, end: random − pre-train; needs to be above −0.89" in record["why"]
    )


def test_tables_that_share_runs_count_them_once() -> None:
    evaluations = table(papers_numbers(), spread=0.3)
    once = judged(evaluations)
    twice = verdicts.verdicts(Results([evaluations, evaluations.sample(frac=1)], ()), NO_LOSSES, "paper")
    assert twice == once


def test_two_runs_with_the_same_labels_are_refused() -> None:
    rows = papers_numbers()
    with pytest.raises(UserError, match="same labels"):
        Results([table(rows), table([row | {"run": "other"} for row in rows])], ())


def test_training_loss_is_set_beside_and_decides_nothing() -> None:
    losses = pd.DataFrame(
        [
            {"run": name, "subset": "1k", "setting": SEARCHED, "initialisation": name, "seed": "0"}
            | {"iteration": iteration, "value": value + iteration / 100, "source": f"{name}.jsonl"}
            for name, value in (("random", 1.0), ("pretrained", 0.7))
            for iteration in range(1, 101)
        ]
    )
    evaluations = table(papers_numbers())
    with_losses, alone = judged(evaluations, losses=losses), judged(evaluations)
    assert [record["verdict"] for record in with_losses] == [record["verdict"] for record in alone]
    (loss,) = (each for each in with_losses[3]["evidence"] if "training loss" in each["what"])
    assert loss["value"] == pytest.approx(0.3)


# Intervals


def sample(*values: float, replicates: Iterable[float] = ()) -> Sample:
    return Sample(pd.Series(values), pd.Series(list(replicates), dtype=float), ("metrics.json",))


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.7062), (2, 4.30265), (10, 2.22814), (1000, 1.96234)]
)
def test_students_t(freedom: float, expected: float) -> None:
    assert t_quantile(freedom) == pytest.approx(expected, rel=1e-5)


def test_welchs_interval() -> None:
    """By hand: variances 1 and 4 over 3 and 3 seeds, df = (5/3)^2 / ((1/3)^2/2 + (4/3)^2/2) = 2.941."""
    found = estimate(sample(9, 10, 11), sample(5, 7, 9) * -1)
    assert found.value == pytest.approx(3)
    assert found.low is not None and found.high is not None
    half = t_quantile(50 / 17) * (5 / 3) ** 0.5
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))
    assert half == pytest.approx(4.156, abs=0.01)


def test_one_seed_takes_the_percentiles_of_paired_replicates() -> None:
    """Images move both alike: the interval of the difference is that of the difference, not of either."""
    rng = np.random.default_rng(0)
    images, own = rng.normal(0, 5, 400), rng.normal(0, 0.1, 400)
    random, pretrained = sample(40, replicates=40 + images + own), sample(41, replicates=41 + images)
    found = estimate(random, pretrained * -1)
    assert found.low is not None and found.high is not None
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(own - 1, [0.025, 0.975])))
    assert -1.3 < found.low < -1 < found.high < -0.7
    assert "one seed" in found.method


def test_a_checkpoint_and_its_own_later_one_are_paired_by_seed() -> None:
    found = estimate(sample(11, 21, 31) - sample(10, 20, 30))
    assert (found.low, found.value, found.high) == (1, 1, 1)


# Command line


def test_the_command_pairs_replicates_by_the_folder_of_the_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluations = table(papers_numbers(), seeds=1)
    rng = np.random.default_rng(0)
    images = rng.normal(0, 5, 150)
    files = []
    for source, rows in evaluations.groupby("source"):
        folder = Path(source).parent
        folder.mkdir(parents=True)
        parts = [
            pd.DataFrame({"replicate": range(150), "iou_type": row["iou_type"], "metric": row["metric"]})
            # Images move all metrics by the same share.
            .assign(value=row["value"] * (1 + images / 100) + rng.normal(0, 0.02, 150))
            for row in rows.to_dict("records")
        ]
        files.append(folder / "replicates.csv")
        pd.concat(parts).to_csv(files[-1], index=False, float_format="%.4f")
    evaluations.to_csv("fig1-evaluations.csv", index=False)
    line = ["verdicts", "--tables", "fig1-evaluations.csv", "--scale", "paper", "--output", "verdicts.json"]
    monkeypatch.setattr(sys, "argv", [*line, "--replicates", *map(str, files)])
    verdicts.main()
    written = Path("verdicts.json").read_bytes()
    records = json.loads(written)
    assert [record["verdict"] for record in records] == ["shown"] * 8
    assert all("bootstrap, 150 resamples" in each["method"] for each in records[2]["evidence"])
    verdicts.main()
    assert Path("verdicts.json").read_bytes() == written
