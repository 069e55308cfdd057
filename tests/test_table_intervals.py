"""The ± of tables: the intervals of the verdicts, of single values and of differences, down to the printed cell."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.test_tables import PUBLISHED, run
from workflow_scripts.errors import UserError
from workflow_scripts.report import table_intervals
from workflow_scripts.report.comparisons import REPLICATE_COLUMNS, Results
from workflow_scripts.tables import table1, table2, table3, text
from workflow_scripts.tables.latex import latex
from workflow_scripts.tables.layout import LAYOUTS, SPREAD_NOTES, grid
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.results import CELL, read_results, with_intervals

PAPER = read_published(PUBLISHED)


def several(initialisation: str, *ends: float, schedule: str = "6x", **what: str) -> list[pd.DataFrame]:
    """A run for each value at its end; on its way it is 10 lower."""
    return [
        run("R50 GN", initialisation, {400: end - 10, 540: end}, schedule, str(seed), **what)
        for seed, end in enumerate(ends)
    ]


def cells(
    evaluations: pd.DataFrame, module: ModuleType = table1, replicates: tuple[Path, ...] = ()
) -> pd.DataFrame:
    """Both ends of each cell's interval."""
    made = module.make(evaluations, PAPER, "mini")
    return table_intervals.intervals(Results([evaluations], replicates), made).set_index(CELL)


def interval(found: pd.DataFrame, **labels: str) -> list[float]:
    rows = found.reset_index()
    for name, value in labels.items():
        rows = rows[rows[name] == value]
    (row,) = rows.to_dict("records")
    return [row["low"], row["high"]]


SEEDS = pd.concat([*several("random", 40.0, 42.0, 41.5), *several("pretrained", 44.0, 45.0)])


def test_over_seeds_they_are_students_and_welchs() -> None:
    found = cells(SEEDS)
    random, pretrained = [40.0, 42.0, 41.5], [44.0, 45.0]
    assert interval(found, initialisation="random") == pytest.approx(
        list(stats.t.interval(0.95, 2, np.mean(random), stats.sem(random)))
    )
    welch = stats.ttest_ind(random, pretrained, equal_var=False).confidence_interval(0.95)
    assert interval(found, initialisation="difference") == pytest.approx(list(welch))


def resampled(path: Path, iteration: int, values: np.ndarray) -> Path:
    rows = [(iteration, number, "bbox", "AP", value) for number, value in enumerate(values)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=REPLICATE_COLUMNS).to_csv(path, index=False)
    return path


def test_of_one_seed_they_are_over_images_which_a_difference_has_in_common(tmp_path: Path) -> None:
    """Both vary with the images by 3 in step; the difference varies by what is the one's own, 0.5."""
    numbers = np.random.default_rng(0)
    images, own = 3 * numbers.standard_normal(200), 0.5 * numbers.standard_normal(200)
    rows, files = [], []
    for name, end, values in (("random", 40.0, images + own), ("pretrained", 41.0, images)):
        (one,) = several(name, end)
        rows.append(one.assign(source=f"{tmp_path}/{name}/metrics.json"))
        files.append(resampled(tmp_path / name / "replicates.csv", 540, end + values))
    found = cells(pd.concat(rows), replicates=tuple(files))
    low, high = interval(found, initialisation="random", metric="AP")
    assert (low + high) / 2 == pytest.approx(40.0)
    assert high - low == pytest.approx(2 * 1.959964 * (images + own).std(ddof=1))
    low, high = interval(found, initialisation="difference", metric="AP")
    assert high - low == pytest.approx(2 * 1.959964 * own.std(ddof=1))


def test_one_seed_without_replicates_has_none() -> None:
    assert cells(pd.concat([*several("random", 40.0), *several("pretrained", 41.0)])).empty


def test_a_difference_of_two_schedules_takes_each_ones_own() -> None:
    """Table 2: random init is best at 6x, pre-training at 5x."""
    rows = [*several("random", 40.0, 42.0), *several("pretrained", 46.0, 46.5, schedule="5x")]
    rows += several("pretrained", 30.0, 39.0)
    found = cells(pd.concat(rows), table2)
    welch = stats.ttest_ind([40.0, 42.0], [46.0, 46.5], equal_var=False).confidence_interval(0.95)
    assert interval(found, initialisation="difference", iou_type="bbox", metric="AP") == pytest.approx(
        list(welch)
    )
    assert set(found.reset_index().query("initialisation == 'difference'")["schedule"]) == {"6x − 5x"}


def test_a_peak_has_the_interval_of_the_seeds_peaks() -> None:
    few = {"subset": "3.5k", "setting": "re-searched hyper-parameters"}
    rows = [
        run("R50 GN", "random", {10: early, 20: peak, 30: 1.0}, seed=str(seed), **few)
        for seed, (early, peak) in enumerate([(5.0, 16.0), (18.5, 4.0)])
    ]
    found = cells(pd.concat(rows), text)
    assert interval(found, initialisation="random") == pytest.approx(
        list(stats.t.interval(0.95, 1, 17.25, stats.sem([16.0, 18.5])))
    )


def test_settings_of_one_model_are_told_apart() -> None:
    rows = [
        run("X152 GN", "random", {540: value + more}, seed=str(seed), setting=setting)
        for setting, more in (("train aug", 0.0), ("cascade + train aug", 5.0))
        for seed, value in enumerate([40.0, 41.0])
    ]
    found = cells(pd.concat(rows), table3)
    low, high = interval(found, setting="cascade + train aug", iou_type="segm", metric="AP")
    plain = interval(found, setting="train aug", iou_type="segm", metric="AP")
    assert [low - 5, high - 5] == pytest.approx(plain)


def test_the_commands_print_half_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SEEDS.to_csv(tmp_path / "e.csv", index=False)
    usual = ["--table", str(tmp_path / "e.csv"), "--published", str(PUBLISHED), "--scale", "mini"]
    output = ["--name", "table1", "--output", str(tmp_path / "i.csv")]
    monkeypatch.setattr(sys, "argv", ["table_intervals", *usual, *output])
    table_intervals.main()
    files = [f"--{kind}={tmp_path / f'table1.{kind}'}" for kind in ("csv", "markdown", "latex")]
    monkeypatch.setattr(sys, "argv", ["table1", *usual, f"--intervals={tmp_path / 'i.csv'}", *files])
    table1.main()
    printed = (tmp_path / "table1.markdown").read_text()
    half = stats.sem([40.0, 42.0, 41.5]) * stats.t.ppf(0.975, 2)
    assert f"41.2 ± {half:.1f}" in printed and half > 2 * np.std([40.0, 42.0, 41.5])
    assert SPREAD_NOTES["interval"] in printed
    back = read_results(tmp_path / "table1.csv")
    assert f"\\scriptsize$\\pm${half:.1f}" in latex(grid(back, LAYOUTS["table1"]), "table1", "")
    first = back[back["value"].notna()].iloc[0]
    assert (first["high"] - first["low"]) / 2 == pytest.approx(half, abs=1e-4)


def test_the_note_tells_what_is_known_of_one_seed_and_what_without_intervals(tmp_path: Path) -> None:
    made = table1.make(SEEDS, PAPER, "mini")
    assert SPREAD_NOTES["deviation"] in grid(made, LAYOUTS["table1"]).note
    one = table1.make(SEEDS[SEEDS["seed"] == "0"], PAPER, "mini")
    assert "±" not in grid(one, LAYOUTS["table1"]).note
    path = tmp_path / "i.csv"
    cells_of = one.loc[one["value"].notna(), CELL].assign(low=39.0, high=41.5)
    cells_of.to_csv(path, index=False)
    table = grid(with_intervals(one, path), LAYOUTS["table1"])
    assert SPREAD_NOTES["interval, one seed"] in table.note and table.rows[0].cells[-1] == "40.0 ± 1.2"


def test_a_file_that_holds_no_intervals_is_refused(tmp_path: Path) -> None:
    made, path = table1.make(SEEDS, PAPER, "mini"), tmp_path / "i.csv"
    with pytest.raises(UserError, match="cannot be read as intervals"):
        with_intervals(made, path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="the columns are a, b; expected train_set"):
        with_intervals(made, path)
