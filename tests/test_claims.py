"""The claims behind the verdicts, number by number: worked out by hand from the paper's values."""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.verdicts import CASCADE, SEARCHED, TEST, judged, papers_numbers, run, table
from workflow_scripts.errors import UserError
from workflow_scripts.report import verdicts
from workflow_scripts.report.comparisons import Arm, Results
from workflow_scripts.tables.tidy import number

SHARE = 0.025
FEW = SEARCHED
R50 = Arm("coco", "all", "baseline", "R50 GN")

NO_WORSE, WORSE = "no worse, at most 2.5% short", "worse, more than 2.5% short"
USEFUL, BEHIND = "useful, more than 50% of pre-training", "behind"
VGG = "after 990 iterations against 810"
VOC = "after 144 iterations against 18"

# What, the value, what it is to be and of what it rests on a share, in percent of pre-training.
CLAIMS = {
    1: [
        ("R101 GN, box AP, end", 42.7 - 42.3 / 2, USEFUL, 0),
        ("R50 GN, box AP, end", 41.3 - 41.1 / 2, USEFUL, 0),
        (f"R50 GN, {CASCADE}, box AP, end", 48 - 48 / 2, USEFUL, 0),
        (f"X152 GN, {CASCADE}, box AP, end", 48 - 48 / 2, USEFUL, 0),
        (f"X152 GN, {TEST}, box AP, end", 50.9 - 50.3 / 2, USEFUL, 0),
        (f"VGG-16, train aug, box AP, end, {VGG}", 35.2 - 35.6 / 2, USEFUL, 0),
        ("R50 GN, person keypoints, keypoint AP, end", 66.4 - 66.3 / 2, USEFUL, 0),
        (f"R101 GN, PASCAL VOC, train aug, box AP50, end, {VOC}", 77.6 - 82.7 / 2, USEFUL, 0),
    ],
    2: [
        ("R101 GN, box AP, 2x", 38.2 - 41.8, BEHIND, 0),
        ("R101 GN, box AP, 6x", 42.7 - 42.3, NO_WORSE, -SHARE * 42.3),
        ("R50 GN, box AP, 2x", 36.8 - 40.3, BEHIND, 0),
        ("R50 GN, box AP, 6x", 41.3 - 41.1, NO_WORSE, -SHARE * 41.1),
    ],
    3: [
        ("R101 GN, box AP, end", 42.7 - 42.3, NO_WORSE, -SHARE * 42.3),
        ("R101 GN, box AP75, end", 47.0 - 46.2, NO_WORSE, -SHARE * 46.2),
        ("R101 GN, mask AP, end", 37.6 - 37.2, NO_WORSE, -SHARE * 37.2),
        ("R50 GN, box AP75, end", 45.6 - 44.6, NO_WORSE, -SHARE * 44.6),
        ("R50 GN, mask AP, end", 36.6 - 36.4, NO_WORSE, -SHARE * 36.4),
        (f"R50 GN, {CASCADE}, box AP, end", 0, NO_WORSE, -SHARE * 48),
        (f"X152 GN, {CASCADE}, box AP, end", 0, NO_WORSE, -SHARE * 48),
        (f"R50 GN, {TEST}, mask AP, end", 41.6 - 40.9, NO_WORSE, -SHARE * 40.9),
        (f"X152 GN, {TEST}, box AP, end", 50.9 - 50.3, NO_WORSE, -SHARE * 50.3),
        (f"X152 GN, {TEST}, mask AP, end", 43.2 - 42.5, NO_WORSE, -SHARE * 42.5),
        (f"VGG-16, train aug, box AP, end, {VGG}", 35.2 - 35.6, NO_WORSE, -SHARE * 35.6),
    ],
    4: [
        (f"R50 GN, 10k subset, {FEW}, box AP, end", 25.9 - 26.0, NO_WORSE, -SHARE * 26.0),
        (f"R50 GN, 35k subset, {FEW}, box AP, end", 36.3 - 36.3, NO_WORSE, -SHARE * 36.3),
        (f"R50 GN, 1k subset, {FEW}, box AP, end", 3.5 - 9.9, WORSE, -SHARE * 9.9),
        (f"R50 GN, 3.5k subset, {FEW}, box AP, peak", 9.3 - 16.0, WORSE, -SHARE * 16.0),
        ("R50 GN, 1k subset, own grid search, box AP, end", 5.4 - 9.9, WORSE, -SHARE * 9.9),
    ],
    5: [
        ("R101 GN, box AP, mean of 2 checkpoints of 2x", ((16 - 30) + (38.2 - 41.8)) / 2, BEHIND, 0),
        ("R50 GN, box AP, mean of 2 checkpoints of 2x", ((15 - 28) + (36.8 - 40.3)) / 2, BEHIND, 0),
    ],
    6: [
        ("R50 GN, 35k subset, default hyper-parameters, box AP, pre-train: 6x − 2x", 27 - 30, "falls", 0),
    ],
    7: [
        ("R101 GN, 6x", 100 * (47.0 / 46.2 - 62.9 / 62.6), "helps less", 0),
        ("R50 GN, 6x", 100 * (45.6 / 44.6 - 61.8 / 61.7), "helps less", 0),
        ("R50 GN, 2x", 100 * (65.6 / 65.5 - 36.8 / 40.3), "helps less", 0),
    ],
    8: [(f"R101 GN, PASCAL VOC, train aug, box AP50, end, {VOC}", 77.6 - 82.7, WORSE, -SHARE * 82.7)],
}
ABOVE = (USEFUL, NO_WORSE, "helps less")
COMPARED = {
    1: ": random − 0.5 pre-train",
    6: "",
    7: ": random − pre-train in %, box AP75 − AP50",
}
USUAL = ": random − pre-train"


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return judged(table(papers_numbers()))


@pytest.mark.parametrize("conclusion", CLAIMS)
def test_every_claim_compares_what_it_says(records: list[dict], conclusion: int) -> None:
    record = records[conclusion - 1]
    count = len(CLAIMS[conclusion])
    assert record["why"] == f"{count} of {count} comparisons hold."
    for found, (what, value, means, bound) in zip(record["evidence"], CLAIMS[conclusion], strict=True):
        compared = COMPARED.get(conclusion, USUAL)
        if (conclusion, what) == (7, "R50 GN, 2x"):
            compared = ": random − pre-train in %, keypoint AP − box AP"
        side = "above" if means in ABOVE else "below"
        assert found["what"] == f"{what}{compared}"
        assert found["expects"] == f"{means}: {side} {number(bound)}"
        assert found["value"] == pytest.approx(value, abs=1e-4)
        assert (found["outcome"], found["reason"], found["seeds"]) == ("holds", "", 3)


def test_a_verdict_names_the_first_two_of_what_fails_with_their_intervals() -> None:
    rows = papers_numbers()
    for row in rows:
        if row["setting"] == TEST and row["initialisation"] == "random":
            row["value"] = 30.0
    record = judged(table(rows, spread=0.0))[2]
    assert record["verdict"] == "contradicted"
    assert record["why"] == (
        "8 of 11 comparisons hold. "
        f"Fails: R50 GN, {TEST}, mask AP, end: random − pre-train is −10.9 (−10.9 to −10.9); {NO_WORSE}: above −1.0; "
        f"X152 GN, {TEST}, box AP, end: random − pre-train is −20.3 (−20.3 to −20.3); {NO_WORSE}: above −1.3; "
        "and 1 more."
    )


def test_what_is_undecided_has_no_interval() -> None:
    (record,) = (each for each in judged(table(papers_numbers(), seeds=1)) if each["number"] == 8)
    assert record["why"] == (
        f"0 of 1 comparisons hold. Undecided: R101 GN, PASCAL VOC, train aug, box AP50, end, {VOC}: random − pre-train "
        f"is −5.1 (no interval); {WORSE}: below −2.1."
    )


# Samples of runs


def evaluated(tmp_path: Path, replicates: dict[str, dict[tuple[str, str], list[float]]]) -> Results:
    """One seed of R50 GN from random init at 2x, evaluated in folders named by iteration."""
    rows = run(
        "R50 GN",
        "random",
        "2x",
        {
            int(folder): {"bbox AP": 10.0 + int(folder), "bbox AP50": 20.0, "segm AP": 30.0}
            for folder in replicates
        },
    )
    files = []
    for folder, values in replicates.items():
        (tmp_path / folder).mkdir()
        lines = [
            {"iteration": int(folder), "replicate": place}
            | {"iou_type": iou_type, "metric": metric, "value": value}
            for (iou_type, metric), numbers in values.items()
            for place, value in enumerate(numbers)
        ]
        files.append(tmp_path / folder / "replicates.csv")
        pd.DataFrame(lines).to_csv(files[-1], index=False)
    for row in rows:
        row |= {"seed": "0", "source": str(tmp_path / str(row["iteration"]) / "metrics.json")}
    return Results([pd.DataFrame(rows)], files)


def test_replicates_are_those_of_the_metric_and_the_checkpoint(tmp_path: Path) -> None:
    boxes, loose, masks = ("bbox", "AP"), ("bbox", "AP50"), ("segm", "AP")
    results = evaluated(
        tmp_path,
        {"30": {boxes: [1.0, 2.0], loose: [3.0, 4.0], masks: [5.0, 6.0]}, "60": {boxes: [7.0, 8.0]}},
    )
    found = {
        (iteration, metric): results.at(R50, "random", metric, "2x", iteration)
        for iteration in (30, 60)
        for metric in (boxes, loose, masks)
    }
    assert {key: list(each.replicates) for key, each in found.items() if each is not None} == {
        (30, boxes): [1, 2],
        (30, loose): [3, 4],
        (30, masks): [5, 6],
        (60, boxes): [7, 8],
        (60, loose): [],
        (60, masks): [],
    }
    early, late = found[30, boxes], found[60, boxes]
    assert early is not None and late is not None
    assert (early.mean, late.mean) == (40.0, 70.0)
    assert early.sources == (str(tmp_path / "30/metrics.json"),)
    both = early + late
    assert (both.mean, list(both.replicates), both.sources) == (110, [8, 10], early.sources + late.sources)


@pytest.mark.parametrize("content", [None, "a,b\n1,2\n"])
def test_replicates_that_cannot_be_read_are_named(tmp_path: Path, content: str | None) -> None:
    results = evaluated(tmp_path, {"30": {("bbox", "AP"): [1.0]}})
    path = tmp_path / "30/replicates.csv"
    path.unlink()
    if content:
        path.write_text(content)
    with pytest.raises(UserError, match=re.escape(str(path))):
        results.at(R50, "random", ("bbox", "AP"), "2x", 30)


def test_schedules_are_by_length_and_the_longest_is_the_end() -> None:
    rows = [
        row
        for schedule, stop in (("10x", 900), ("2x", 180), ("9x", 810))
        for initialisation in ("random", "pretrained")
        if (schedule, initialisation) != ("10x", "pretrained")
        for row in run(
            "R50 GN", initialisation, schedule, {90: {"bbox AP": 1.0}, stop: {"bbox AP": stop / 10}}
        )
    ]
    results = Results([table(rows, spread=0.0)], ())
    assert results.schedules(R50, "random") == ["2x", "9x", "10x"]
    assert results.common_schedules(R50) == ["2x", "9x"]
    assert results.iterations(R50, "9x") == [90, 810]
    longest = results.end(R50, "random", ("bbox", "AP"))
    named = results.end(R50, "random", ("bbox", "AP"), "2x")
    assert longest is not None and named is not None
    assert (longest.mean, named.mean) == (90.0, 18.0)
    assert results.end(R50, "random", ("segm", "AP")) is None
    assert results.end(R50, "random", ("bbox", "AP"), "3x") is None
    assert results.peak(Arm("coco", "all", "baseline", "R101 GN"), "random", ("bbox", "AP")) is None


def test_the_command_reads_the_training_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(papers_numbers()).to_csv(tmp_path / "e.csv", index=False)
    labels = {"train_set": "coco", "model": "R50 GN", "subset": "1k", "setting": SEARCHED, "recipe": "r"}
    losses = [
        labels
        | {"run": name, "initialisation": name, "schedule": "1k", "seed": "0", "source": f"{name}.jsonl"}
        | {"iteration": iteration, "loss": loss if iteration > 90 else 9.0}
        for name, loss in (("random", 1.0), ("pretrained", 0.75))
        for iteration in range(10, 101, 10)
    ]
    pd.DataFrame(losses).to_csv(tmp_path / "t.csv", index=False)
    words = ["--tables", tmp_path / "e.csv", "--training", tmp_path / "t.csv", "--scale", "paper"]
    monkeypatch.setattr(sys, "argv", ["verdicts", *map(str, words), "--output", str(tmp_path / "v.json")])
    verdicts.main()

    (loss,) = (
        each
        for each in json.loads((tmp_path / "v.json").read_text())[3]["evidence"]
        if "training loss" in each["what"]
    )
    assert loss["value"] == 0.25
    assert loss["sources"] == ["random.jsonl", "pretrained.jsonl"]
