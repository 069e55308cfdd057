"""The data of the report's curves to touch: that of the tidy table, each checkpoint once, with its interval."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.curves import BELOW, CATEGORIES, SWING, table, write
from tests.figures import counts, enhanced, less_data
from workflow_scripts.errors import UserError
from workflow_scripts.figures.style import Style, parse_style
from workflow_scripts.report.checkpoints import Categories, Panel, braced, panels
from workflow_scripts.report.curves import chart, curves
from workflow_scripts.report.figure_intervals import intervals

NAMES = {"random": "random init", "pretrained": "w/ pre-train"}
PERSON = next(iter(CATEGORIES))
KINDS = {"bbox": "box AP", "segm": "mask AP"}


def panel(rows: pd.DataFrame) -> Panel:
    """Without files beside the table."""
    (found,) = panels(rows, intervals(rows, []), Categories([]))
    return found


def of_files(folder: Path, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Panel:
    monkeypatch.chdir(folder)
    metrics, known = write(rows)
    (found,) = panels(rows, known, Categories(metrics))
    return found


def expanded(source: str) -> list[str]:
    """As a shell expands it."""
    return subprocess.run(
        ["bash", "-c", f"echo {source}"], check=True, capture_output=True, text=True
    ).stdout.split()


def test_the_data_of_a_chart_is_the_tidy_table() -> None:
    rows = table(seeds=(0, 2))
    found = panel(rows)
    values = chart(found)["data"]["values"]
    sources = {record["source"]: expanded(record["source"]) for record in values}

    told = {
        (
            record["initialisation"],
            schedule,
            record["iteration"],
            series,
            seed,
            sources[record["source"]][index],
        ): record[series][3 + index]
        for record in values
        if not record["start"]
        for schedule in record["schedules"]
        for series in found.series
        for index, seed in enumerate(found.seeds)
    }
    expected = {
        (
            NAMES[row["initialisation"]],
            row["schedule"],
            row["iteration"],
            KINDS[row["iou_type"]],
            int(row["seed"]),
            row["source"],
        ): row["value"]
        for row in rows.to_dict("records")
    }
    assert told == expected
    assert len([record for record in values if not record["start"]]) == 2 * 7
    assert [record["id"] for record in values] == list(range(len(values)))


def test_a_schedule_leaves_the_line_of_the_longest_where_it_drops_its_rate() -> None:
    found = panel(table())

    lines = [
        (
            record["line"],
            record["iteration"],
            record["schedules"],
            record["mask"],
            record["start"],
            record["end"],
        )
        for record in found.records
        if record["initialisation"] == "random init"
    ]
    assert found.schedules == ["2x", "3x"]
    assert lines == [
        ("3x", 10, ["2x", "3x"], 3, False, ""),
        ("3x", 20, ["2x", "3x"], 3, False, ""),
        ("3x", 30, ["3x"], 2, False, ""),
        ("3x", 40, ["3x"], 2, False, ""),
        ("3x", 50, ["3x"], 2, False, "3x"),
        ("2x", 20, ["2x"], 1, True, ""),
        ("2x", 30, ["2x"], 1, False, ""),
        ("2x", 40, ["2x"], 1, False, "2x"),
    ]


def test_a_run_that_is_cut_short_ends_once() -> None:
    """What was evaluated of 3x is the trunk that 2x leaves."""
    rows = table()
    cut = rows[(rows["schedule"] == "2x") | (rows["iteration"] <= 20)]

    ends = [(record["iteration"], record["end"]) for record in panel(cut).records if record["end"]]
    assert sorted(ends) == [(20, "3x"), (20, "3x"), (40, "2x"), (40, "2x")]


def test_runs_that_share_no_file_share_no_checkpoint() -> None:
    rows = table()
    rows["source"] = rows["run"] + rows["source"]

    assert all(len(record["schedules"]) == 1 and not record["start"] for record in panel(rows).records)


def test_intervals_of_several_seeds_are_students_t() -> None:
    """Two seeds 1 apart: 12.706 standard errors of 1/2, by a table of t with one degree of freedom."""
    first = panel(table(seeds=(0, 1))).records[0]

    assert first["box AP"] == pytest.approx([5.5, 5.5 - 6.353, 5.5 + 6.353, 5.0, 6.0], abs=1e-3)


def test_the_interval_of_one_seed_is_that_of_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replicates 1 above and 1 below, in equal numbers: a standard deviation of 1, so 1.96 either way."""
    found = of_files(tmp_path, table(), monkeypatch)
    half = 1.96 * SWING * (100 / 99) ** 0.5

    assert found.records[0]["mask AP"] == pytest.approx([2.0, 2.0 - half, 2.0 + half, 2.0], abs=1e-3)
    assert "100 resamples of the images; one seed" in found.methods["mask AP"]
    assert f"box AP, {PERSON}" not in found.methods
    assert panel(table()).records[0]["box AP"] == [5.0, None, None, 5.0]
    assert panel(table()).methods == {}


def test_categories_are_read_beside_the_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = of_files(tmp_path, table(), monkeypatch)

    assert found.series == ["box AP", "mask AP"]
    assert found.categories == {"box AP": list(CATEGORIES), "mask AP": list(CATEGORIES)}
    for record in found.records:
        for name, more in CATEGORIES.items():
            assert record[f"box AP, {name}"][0] == pytest.approx(record["box AP"][0] + more)
            assert record[f"mask AP, {name}"][0] == pytest.approx(record["box AP"][0] - BELOW + more)


def test_values_that_are_missing_are_no_zeros() -> None:
    rows = table(seeds=(0, 1))
    rows.loc[(rows["iou_type"] == "segm") & (rows["iteration"] == 10), "value"] = float("nan")
    rows = rows.drop(rows.index[(rows["seed"] == "0") & (rows["iteration"] == 50)])
    records = panel(rows).records

    assert all("mask AP" not in record for record in records if record["iteration"] == 10)
    ends = [record["box AP"] for record in records if record["end"] == "3x"]
    assert [end[0] for end in ends] == [26.0, 30.0]
    assert all(end[3] is None for end in ends)


def test_the_main_metric_is_first_and_voc_has_its_own() -> None:
    boxes = table()[lambda rows: rows["iou_type"] == "bbox"]
    rows = boxes.assign(train_set="voc")
    halves = [rows.assign(metric="AP"), rows.assign(metric="AP50", value=rows["value"] + 20)]

    assert panel(pd.concat(halves)).series[0] == "box AP50"


def test_what_has_not_converged_is_told() -> None:
    """With equal ends, the longer schedule has the shorter one to show for it; that one's trunk still climbs."""
    rows = table()
    flat = rows.assign(value=rows["value"].where(rows["iteration"] < 40, 20.0))

    assert {record["converged"] for record in panel(rows).records if record["end"]} == {False}
    found = {(record["end"], record["converged"]) for record in panel(flat).records if record["end"]}
    assert found == {("2x", False), ("3x", True)}


def test_each_set_of_images_and_setting_is_a_panel() -> None:
    found = panels(less_data(), None, Categories([]))

    assert [each.title for each in found] == [
        "R50 GN, 10k subset, re-searched hyper-parameters",
        "R50 GN, 35k subset, default hyper-parameters",
        "R50 GN, 35k subset, re-searched hyper-parameters",
    ]


def test_there_are_no_curves_where_no_more_than_ends_were_evaluated() -> None:
    tables = {"fig5": enhanced(), "fig2": counts(), "fig1": table().assign(value=float("nan"))}

    assert curves(tables, {}, [], Style()) is None


def test_colours_are_those_of_the_study() -> None:
    """`teal` by CSS is #008080."""
    found = curves({"fig1": table()}, {}, [], parse_style('{"colours": {"random": "teal"}}'))

    assert found is not None
    assert found.colours == {"random": "#008080", "pretrained": Style().colours.pretrained}
    assert "</script" not in found.library
    assert found == curves({"fig1": table()}, {}, [], parse_style('{"colours": {"random": "teal"}}'))


def test_metrics_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "metrics.json"
    broken.write_text('{"checkpoints": 3}')

    with pytest.raises(UserError, match=r"metrics\.json: cannot be read as metrics \(Expected `array`"):
        Categories([broken])
    with pytest.raises(UserError, match="cannot be read as metrics"):
        Categories([tmp_path / "none.json"])


@pytest.mark.parametrize(
    "paths", [["a/b"], ["a/0/m", "a/1/m"], ["seed1/m", "seed10/m", "seed2/m"], ["x", "y"], ["aa/x", "aaa/x"]]
)
def test_braces_are_those_of_a_shell(paths: list[str]) -> None:
    assert expanded(braced(paths)) == paths
