"""Verdicts on the paper's conclusions: right where the answer is known by construction."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.verdicts import (
    CASCADE,
    DEFAULT,
    NO_LOSSES,
    SEARCHED,
    TEST,
    TRAIN,
    boxes,
    judged,
    outcomes,
    papers_numbers,
    run,
    table,
)
from workflow_scripts.errors import UserError
from workflow_scripts.report import verdicts
from workflow_scripts.report.comparisons import Results


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
    assert {round(each["value"], 1) for each in behind} == {-3.5, -3.6, 0.2, 0.4}, "as Table 1 and 2 have it"
    for each in (each for record in records for each in record["evidence"]):
        assert each["low"] < each["value"] < each["high"]
        assert each["method"] == "3 seeds (Welch's t), one choice of images"
        assert each["outcome"] == "holds" and not each["reason"]
        assert each["sources"] and all(source.endswith("metrics.json") for source in each["sources"])
    assert json.loads(json.dumps(records)) == records


def test_the_opposite_of_the_papers_numbers_contradicts_all_eight() -> None:
    assert outcomes(table(reversed_numbers())) == ["contradicted"] * 8


def test_wide_intervals_leave_all_undecided() -> None:
    assert outcomes(table(papers_numbers(), 20.0)) == ["undecided"] * 8


def test_at_the_smoke_scale_nothing_is_judged() -> None:
    assert outcomes(table(papers_numbers()), "smoke") == ["not judged"] * 8
    assert outcomes(table([]), "smoke") == ["not run"] * 8


def test_one_seed_without_replicates_has_no_interval() -> None:
    records = judged(table(papers_numbers(), seeds=1))
    assert {record["verdict"] for record in records} == {"undecided"}
    assert "no interval" in records[1]["why"]


@pytest.mark.parametrize(
    ("number", "names", "drop"),
    [
        (1, "whole training set", lambda row: row["subset"] == "all" and row["initialisation"] == "random"),
        (2, "two schedules", lambda row: row["schedule"] != "2x" and row["setting"] == "baseline"),
        (3, "another model", lambda row: row["model"] != "R50 GN" or row["setting"] in (CASCADE, TEST)),
        (3, "AP75 of R50 GN", lambda row: row["model"] == "R50 GN" and row["setting"] == "baseline"),
        (3, "AP75 of R50 GN", lambda row: row["metric"] == "AP75"),
        (4, "10k subset", lambda row: row["subset"] == "10k"),
        (4, "1k subset", lambda row: row["subset"] == "1k"),
        (5, "checkpoints", lambda row: row["setting"] == "baseline" and row["initialisation"] == "random"),
        (6, "two schedules", lambda row: row["setting"] == DEFAULT and row["schedule"] == "6x"),
        (7, "keypoints", lambda row: row["train_set"] == "keypoints"),
        (
            7,
            "keypoints",
            lambda row: (row["model"], row["train_set"], row["schedule"]) == ("R50 GN", "coco", "2x"),
        ),
        (7, "AP75", lambda row: row["metric"] == "AP75"),
        (8, "VOC", lambda row: row["train_set"] == "voc"),
    ],
)
def test_what_is_missing_is_named(number: int, names: str, drop: Callable[[dict[str, Any]], bool]) -> None:
    record = judged(table(without(papers_numbers(), drop)))[number - 1]
    assert record["verdict"] == "not run"
    assert names in record["why"].partition("Not run: ")[2]


@pytest.mark.parametrize(
    ("value", "number", "verdict"),
    [
        (40.2, 2, "shown"),  # 0.9 short of 41.1: within the margin
        (40.07, 2, "undecided"),  # the interval holds the margin
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


def test_localisation_is_judged_by_baselines_alone() -> None:
    rows = papers_numbers()
    for initialisation in ("random", "pretrained"):
        rows += run("R50 GN", initialisation, "6x", {540: boxes(42.0, 62.0, 46.0, 37.0)}, setting=TRAIN)
    assert [len(judged(table(each))[6]["evidence"]) for each in (papers_numbers(), rows)] == [3, 3]


def test_localisation_is_told_in_percent_of_what_pretraining_reaches() -> None:
    """41.3, 45.6 and 61.8 against 41.1, 44.6 and 61.7 (Table 2): 2.2% and 0.2% better."""
    told = [each for each in judged(table(papers_numbers()))[6]["evidence"] if "R50 GN, 6x" in each["what"]]
    assert {each["unit"] for each in told} == {"%"}
    where = "in box AP75 than in AP50, relative to pre-training"
    assert (f"worse {where}", f"better {where}") in {(each["below"], each["above"]) for each in told}
    (value,) = (each["value"] for each in told if each["above"] == f"better {where}")
    assert value == pytest.approx(100 * (45.6 / 44.6 - 61.8 / 61.7), abs=0.01)


def test_a_study_without_evaluations_shows_nothing() -> None:
    records = verdicts.verdicts(Results([], ()), NO_LOSSES, "paper")
    assert {record["verdict"] for record in records} == {"not run"}
    assert all(record["why"].startswith("Not run: ") and not record["evidence"] for record in records)


def test_one_failure_among_many_comparisons_contradicts_and_is_named() -> None:
    rows = papers_numbers()
    for row in rows:
        if row["model"] == "VGG-16" and row["initialisation"] == "random":
            row["value"] = 30.0
    record = judged(table(rows))[2]
    assert record["verdict"] == "contradicted"
    told = record["why"].partition("Fails: ")[2]
    assert told.startswith(
        "VGG-16, train aug, box AP, end, after 990 iterations against 810: random − pre-train is −5.6"
    )
    assert told.endswith("no worse, at most 2.5% short: above −0.9.")


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
            pd.DataFrame({"iteration": row["iteration"], "replicate": range(150)})
            .assign(iou_type=row["iou_type"], metric=row["metric"])
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
    assert [record["verdict"] for record in records] == ["indicated"] * 8
    assert all("150 resamples of the images; one seed" in each["method"] for each in records[2]["evidence"])
    verdicts.main()
    assert Path("verdicts.json").read_bytes() == written
