"""The intervals that figures draw: each that of its own number, from its own seeds and replicates."""

import math
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.figures import point
from workflow_scripts.report import figure_intervals
from workflow_scripts.tables.tidy import (
    EVALUATION_COLUMNS,
    INTERVAL_COLUMNS,
    read_evaluations,
    read_intervals,
    with_intervals,
)

HALF = 1.959964 * math.sqrt(4 * 100 / 99)
"""Of a value whose hundred replicates lie 2 above or below it by turns: their variance is 4 x 100 / 99."""


def evaluated(
    folder: Path, name: str, value: float, spread: float = 2.0, **known: object
) -> dict[str, object]:
    """An evaluation with its replicates, and others of another metric that spread five times as widely."""
    path = folder / name / "metrics.json"
    row = point(value, **known) | {"source": str(path)}
    replicates = [
        (row["iteration"], number, row["iou_type"], metric, value + wide * spread * (-1) ** number)
        for metric, wide in (("AP", 1), ("AP75", 5))
        for number in range(100)
    ]
    path.parent.mkdir()
    columns = ["iteration", "replicate", "iou_type", "metric", "value"]
    pd.DataFrame(replicates, columns=columns).to_csv(path.with_name("replicates.csv"), index=False)
    return row


def found(folder: Path, *rows: dict[str, object]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=EVALUATION_COLUMNS)
    return figure_intervals.intervals(table, sorted(folder.glob("*/replicates.csv")))


def test_of_one_seed_it_is_that_of_its_replicates(tmp_path: Path) -> None:
    rows = [
        evaluated(tmp_path, "a", 40.0),
        evaluated(tmp_path, "b", 30.0, spread=1.0, initialisation="pretrained"),
        point(20.0, iteration=50),
    ]
    table = found(tmp_path, *rows)

    assert list(table.columns) == INTERVAL_COLUMNS
    told = table.set_index(["initialisation", "iteration"])[["value", "low", "high", "seeds"]]
    assert told.loc[("random", 60)].tolist() == pytest.approx([40, 40 - HALF, 40 + HALF, 1], abs=1e-5)
    expected = [30, 30 - HALF / 2, 30 + HALF / 2, 1]
    assert told.loc[("pretrained", 60)].tolist() == pytest.approx(expected, abs=1e-5)
    assert told.loc[("random", 50), "value"] == 20
    assert told.loc[("random", 50), ["low", "high"]].isna().all()


def test_of_several_seeds_it_is_over_them_too(tmp_path: Path) -> None:
    """By hand: of 38, 40 and 42 the mean's variance is 4 / 3, and Student's t of two degrees of freedom 4.302653."""
    rows = [evaluated(tmp_path, f"s{seed}", 38.0 + 2 * seed, spread=0.0, seed=str(seed)) for seed in range(3)]
    (row,) = found(tmp_path, *rows).to_dict("records")

    half = 4.302653 * math.sqrt(4 / 3)
    assert [row["value"], row["low"], row["high"]] == pytest.approx([40, 40 - half, 40 + half], abs=1e-5)
    assert row["seeds"] == 3


def test_a_value_that_was_not_measured_has_no_row(tmp_path: Path) -> None:
    assert found(tmp_path, point(float("nan"))).empty
    assert list(found(tmp_path).columns) == INTERVAL_COLUMNS


def test_the_command_writes_what_figures_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [evaluated(tmp_path, "a", 40.0), point(20.0, iteration=50)]
    pd.DataFrame(rows, columns=EVALUATION_COLUMNS).to_csv(tmp_path / "e.csv", index=False)
    words = ["--table", tmp_path / "e.csv", "--replicates", tmp_path / "a/replicates.csv"]
    monkeypatch.setattr(
        sys, "argv", [str(word) for word in ["figure_intervals", *words, "--output", tmp_path / "i.csv"]]
    )
    figure_intervals.main()

    known = read_intervals(tmp_path / "i.csv")
    merged = with_intervals(read_evaluations(tmp_path / "e.csv"), known)
    assert merged["low"].tolist() == pytest.approx([40 - HALF, float("nan")], abs=1e-5, nan_ok=True)
    assert merged["method"].str.contains("one seed").tolist() == [True, True]
