"""Published values as data, and Tables 1 and 2: numbers, differences, the best schedule, sources."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.tables import table1, table2
from workflow_scripts.tables.layout import grid, latex, markdown
from workflow_scripts.tables.published import of_experiment, read_published, read_published_counts
from workflow_scripts.tables.results import read_results
from workflow_scripts.tables.tidy import EVALUATION_COLUMNS, schedule_order

PUBLISHED = Path(__file__).parent.parent / "reports" / "published.yaml"
ENDS = {
    ("random", "2x"): 30.0,
    ("random", "3x"): 41.0,
    ("pretrained", "2x"): 40.0,
    ("pretrained", "3x"): 39.0,
}
METRICS = {("bbox", "AP"): 0.0, ("bbox", "AP50"): 20.0, ("bbox", "AP75"): 4.0, ("segm", "AP"): -5.0}


def evaluations(seeds: tuple[int, ...] = (0,), ends: dict[tuple[str, str], float] = ENDS) -> pd.DataFrame:
    """Each run has a checkpoint on its way, 10 AP lower, and its end; seed s is s AP above seed 0."""
    rows = []
    for (initialisation, schedule), end in ends.items():
        for seed in seeds:
            recipe = f"coco-R50_GN-{initialisation}-seed{seed}"
            stop = int(schedule[:-1]) * 90
            for iteration, loss in ((stop - 60, 10.0), (stop, 0.0)):
                for (iou_type, metric), offset in METRICS.items():
                    keys = (f"{recipe}/{schedule}", recipe, "R50 GN", initialisation, schedule, str(seed))
                    number = (iou_type, metric, end + seed + offset - loss)
                    source = f"results/{recipe}/{schedule}/{iteration}.json"
                    rows.append((*keys, f"tail-{stop}", "tail", iteration, *number, source))
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return read_published(PUBLISHED)


def row(results: pd.DataFrame, *cell: str) -> pd.Series:
    names = ["model", "initialisation", "schedule", "iou_type", "metric"][: len(cell)]
    found = results[(results[names] == list(cell)).all(axis=1)]
    assert len(found) == 1
    return found.iloc[0]


def test_published_values_are_the_papers(published: pd.DataFrame) -> None:
    paper = published[published["publisher"] == "paper"]

    assert of_experiment(published, "table1")["value"].agg(["size", "sum"]).round(1).tolist() == [20, 819.3]
    assert set(paper["experiment"]) >= {
        "table1",
        "table2",
        "table3",
        "fig5",
        "fig6",
        "fig7",
        "fig8",
        "voc",
        "vgg16",
    }
    assert set(published["publisher"]) == {"paper", "Detectron", "detectron2", "MMDetection"}
    voc = of_experiment(published, "voc").set_index("initialisation")
    assert voc["value"].to_dict() == {"pretrained": 82.7, "random": 77.6}
    assert voc["iterations"].to_dict() == {"pretrained": 18_000, "random": 144_000}
    assert (of_experiment(published, "table1")["tolerance"] == 0.5).all()


def test_published_counts_follow_from_the_text() -> None:
    counts = read_published_counts(PUBLISHED).set_index(["quantity", "initialisation", "part"])["value"]

    assert counts["images", "pretrained", "pre-training"] == 128e6
    assert counts["instances", "random", "training"] == 72 * 118_287 * 7
    totals = counts.groupby(["quantity", "initialisation"]).sum()
    assert totals["images", "pretrained"] / totals["images", "random"] == pytest.approx(15.4, abs=0.1)
    assert totals["pixels", "pretrained"] / totals["pixels", "random"] == pytest.approx(1.04, abs=0.01)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("bbox: {AP: 36.8}", "bbox: {AQ: 36.8}", r"Table 1\), rows\[0\]: Invalid enum value 'AQ'"),
        ("bbox: {AP: 36.8}", "bbox: {AP: high}", r"Table 1\), rows\[0\]: Expected `float`"),
        ("bbox: {AP: 36.8}", "bbox: {}", r"Table 1\), rows\[0\]: no value"),
        ("bbox: {AP: 36.8}", "box: {AP: 36.8}", r"unknown field `box`"),
        ("schedule: 3x, bbox: {AP: 39.5}", "schedule: 2x, bbox: {AP: 39.5}", "stands twice: paper, table1"),
        ("tolerance: 0.5\n", "", "missing required field `tolerance`"),
    ],
)
def test_a_bad_published_file_is_named(tmp_path: Path, old: str, new: str, found: str) -> None:
    path = tmp_path / "published.yaml"
    text = PUBLISHED.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(UserError, match=f"published.yaml.*{found}"):
        read_published(path)


def test_table1_holds_end_points_and_differences_with_their_sources(published: pd.DataFrame) -> None:
    results = table1.make(evaluations(), published, "paper")

    ours = row(results, "R50 GN", "random", "3x")
    assert (ours["value"], ours["published"], ours["iteration"]) == (41.0, 39.5, 270)
    assert ours["source"] == "results/coco-R50_GN-random-seed0/3x/270.json"
    difference = row(results, "R50 GN", "difference", "2x")
    assert (difference["value"], difference["published"]) == (-10.0, -3.5)
    assert difference["source"].split("; ") == [
        "results/coco-R50_GN-random-seed0/2x/180.json",
        "results/coco-R50_GN-pretrained-seed0/2x/180.json",
    ]


def test_table1_leaves_cells_empty_and_models_out_where_the_study_has_no_run(published: pd.DataFrame) -> None:
    results = table1.make(evaluations(), published, "paper")
    table = grid(results)

    missing = row(results, "R50 GN", "pretrained", "6x")
    assert pd.isna(missing["value"])
    assert (missing["published"], missing["source"]) == (41.1, "")
    assert table.header == ["2x", "3x", "4x", "5x", "6x"]
    assert [r.model for r in table.rows] == ["R50 GN"] * 6
    assert table.rows[0].cells == ["30.0", "41.0", "", "", ""]
    assert table.rows[1].cells == ["36.8", "39.5", "40.6", "40.7", "41.3"]
    assert table.rows[4].cells[:2] == ["−10.0", "+2.0"]


def test_a_run_that_the_paper_lacks_has_a_cell(published: pd.DataFrame) -> None:
    results = table1.make(evaluations(ends=ENDS | {("random", "9x"): 43.0}), published, "paper")

    assert grid(results).header == ["2x", "3x", "4x", "5x", "6x", "9x"]
    assert pd.isna(row(results, "R50 GN", "random", "9x")["published"])


def test_several_seeds_are_mean_and_standard_deviation(published: pd.DataFrame) -> None:
    results = table1.make(evaluations(seeds=(0, 2)), published, "mini")

    ours = row(results, "R50 GN", "random", "2x")
    assert (ours["value"], ours["standard_deviation"], ours["seeds"]) == (31.0, 1.4142, 2)
    assert len(ours["source"].split("; ")) == 2
    assert row(results, "R50 GN", "difference", "2x")["standard_deviation"] == 2.0
    assert grid(results).rows[0].cells[0] == "31.0 ± 1.4"


def test_table2_chooses_each_best_schedule_by_box_ap(published: pd.DataFrame) -> None:
    results = table2.make(evaluations(), published, "paper")

    assert row(results, "R50 GN", "random", "3x", "bbox", "AP75")["value"] == 45.0
    assert row(results, "R50 GN", "pretrained", "2x", "segm", "AP")["value"] == 35.0
    difference = row(results, "R50 GN", "difference", "3x − 2x", "bbox", "AP")
    assert (difference["value"], difference["published"]) == (1.0, 0.2)
    table = grid(results)
    assert table.header == ["box AP", "box AP50", "box AP75", "mask AP", "mask AP50", "mask AP75"]
    assert [r.initialisation for r in table.rows[::2]][:3] == [
        "random init (3x)",
        "w/ pre-train (2x)",
        "random − pre-train (3x − 2x)",
    ]
    assert table.rows[0].cells == ["41.0", "61.0", "45.0", "36.0", "", ""]
    assert table.rows[5].cells == ["+0.2", "+0.1", "+1.0", "+0.2", "+0.5", "+0.2"]


def test_of_two_equal_schedules_the_shorter_is_best(published: pd.DataFrame) -> None:
    results = table2.make(evaluations(ends=dict.fromkeys(ENDS, 40.0)), published, "paper")

    ours = results[results["seeds"].notna() & (results["model"] == "R50 GN")]
    assert set(ours["schedule"]) == {"2x"}


@pytest.mark.parametrize(
    ("scale", "comparable", "mark"),
    [("paper", "size", ""), ("mini", "sign", " †"), ("smoke", "nothing", " †")],
)
def test_published_values_are_marked(published: pd.DataFrame, scale: str, comparable: str, mark: str) -> None:
    results = table1.make(evaluations(), published, scale)
    text = markdown(grid(results))

    assert set(results["comparable"]) == {comparable}
    assert f"| R50 GN | random init | published{mark} | 36.8 |" in text
    assert ("only, not in size" in text) == (scale == "mini")
    assert ("compare with nothing" in text) == (scale == "smoke")


def test_latex_is_plain_latex(published: pd.DataFrame) -> None:
    text = latex(grid(table1.make(evaluations(), published, "mini")))

    assert "R50 GN & random $-$ pre-train & ours & $-$10.0 & +2.0" in text
    assert text.isascii()


def test_evaluations_whose_values_are_all_empty_give_empty_cells(published: pd.DataFrame) -> None:
    empty = evaluations().assign(value=float("nan"))

    for make in (table1.make, table2.make):
        assert set(grid(make(empty, published, "smoke")).rows[0].cells) == {""}


@pytest.mark.parametrize("table", [table1, table2])
def test_the_command_writes_the_same_bytes_each_time_and_reads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: pd.DataFrame, table: type
) -> None:
    evaluations().to_csv(tmp_path / "e.csv", index=False)
    written = []
    for name in ("first", "second"):
        outputs = {kind: tmp_path / f"{name}.{kind}" for kind in ("csv", "markdown", "latex")}
        line = ["table", "--table", tmp_path / "e.csv", "--published", PUBLISHED, "--scale", "mini"]
        for kind, path in outputs.items():
            line += [f"--{kind}", path]
        monkeypatch.setattr(sys, "argv", [str(word) for word in line])
        table.main()
        written.append([path.read_bytes() for path in outputs.values()])

    assert written[0] == written[1]
    back = read_results(tmp_path / "first.csv")
    assert grid(back) == grid(table.make(evaluations(), published, "mini"))


def test_schedules_are_ordered_by_length() -> None:
    assert sorted(["best", "10x", "2.5x", "2x"], key=schedule_order) == ["2x", "2.5x", "10x", "best"]
