"""Published values as data, and the tables: numbers, differences, the best schedule, peaks, sources."""

import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.tables import table1, table2, table3, text
from workflow_scripts.tables.latex import latex
from workflow_scripts.tables.layout import LAYOUTS, Grid, markdown
from workflow_scripts.tables.layout import grid as grid_of
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.results import COLUMNS as RESULT_COLUMNS
from workflow_scripts.tables.results import read_results
from workflow_scripts.tables.tidy import EVALUATION_COLUMNS, schedule_order

PUBLISHED = Path(__file__).parent.parent / "reports" / "published.yaml"
ENDS = {
    ("random", "2x"): 30.0,
    ("random", "3x"): 41.0,
    ("pretrained", "2x"): 40.0,
    ("pretrained", "3x"): 39.0,
}
COMMON = {"train_set": "coco", "subset": "all", "setting": "baseline"}
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
                    what = ("coco", "all", "baseline", "R50 GN", initialisation, schedule, str(seed))
                    keys = (f"{recipe}/{schedule}", recipe, *what)
                    number = (iou_type, metric, end + seed + offset - loss)
                    source = f"results/{recipe}/{schedule}/{iteration}.json"
                    rows.append((*keys, f"tail-{stop}", "tail", iteration, *number, source))
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


def run(
    model: str,
    initialisation: str,
    values: dict[int, float],
    schedule: str = "6x",
    seed: str = "0",
    **what: str,
) -> pd.DataFrame:
    """Evaluations of one run by iteration; a metric is its offset above the iteration's value."""
    train_set, subset, setting = (COMMON | what).values()
    recipe = f"{train_set}-{subset}-{model}-{initialisation}-{setting.removesuffix(' + test aug')}-seed{seed}"
    labels = (
        f"{recipe}/{schedule}",
        recipe,
        train_set,
        subset,
        setting,
        model,
        initialisation,
        schedule,
        seed,
    )
    rows = [
        (*labels, "tail", "tail", iteration, *name, value + offset, f"results/{recipe}/{iteration}.json")
        for iteration, value in values.items()
        for name, offset in METRICS.items()
    ]
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


TRAIN_AUG = run("X152 GN", "random", {540: 40.0}, setting="train aug")


def grid(results: pd.DataFrame, name: str = "table1") -> Grid:
    return grid_of(results, LAYOUTS[name])


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return read_published(PUBLISHED)


def row(results: pd.DataFrame, *cell: str, **more: str) -> pd.Series:
    names = ["model", "initialisation", "schedule", "iou_type", "metric"][: len(cell)]
    names += more
    found = results[(results[names] == [*cell, *more.values()]).all(axis=1)]
    assert len(found) == 1
    return found.iloc[0]


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
    assert [r.labels[0] for r in table.rows] == ["R50 GN"] * 6
    assert table.rows[0].cells == ["30.0", "41.0‡", "", "", ""]
    assert table.rows[1].cells == ["36.8", "39.5", "40.6", "40.7", "41.3"]
    assert table.rows[4].cells[:2] == ["−10.0", "+2.0‡"]


def test_a_run_that_the_paper_lacks_has_a_cell(published: pd.DataFrame) -> None:
    results = table1.make(evaluations(ends=ENDS | {("random", "10x"): 43.0}), published, "paper")

    lengths = ["2x", "3x", "4x", "5x", "6x", "10x"]
    assert grid(results).header == lengths
    assert results[results["initialisation"] == "random"]["schedule"].tolist() == lengths
    assert pd.isna(row(results, "R50 GN", "random", "10x")["published"])


def test_several_seeds_are_mean_and_standard_deviation(published: pd.DataFrame) -> None:
    results = table1.make(evaluations(seeds=(0, 3)), published, "mini")

    ours = row(results, "R50 GN", "random", "2x")
    assert (ours["value"], ours["standard_deviation"], ours["seeds"]) == (31.5, 2.1213, 2)
    assert len(ours["source"].split("; ")) == 2
    assert row(results, "R50 GN", "difference", "2x")["standard_deviation"] == 3.0
    assert grid(results).rows[0].cells[0] == "31.5 ± 2.1"


def test_a_difference_has_the_seeds_of_the_fewer_and_no_iteration(published: pd.DataFrame) -> None:
    rows = evaluations(seeds=(0, 1))
    results = table1.make(
        rows[(rows["initialisation"] == "random") | (rows["seed"] == "0")], published, "mini"
    )

    assert [row(results, "R50 GN", name, "2x")["seeds"] for name in ("random", "pretrained")] == [2, 1]
    difference = row(results, "R50 GN", "difference", "2x")
    assert difference["seeds"] == 1
    assert pd.isna(difference["iteration"])


def test_a_finished_table_keeps_its_texts(tmp_path: Path, published: pd.DataFrame) -> None:
    results = table1.make(evaluations(), published, "paper").assign(schedule="90", model="NA")
    results.to_csv(tmp_path / "table1.csv", index=False)

    back = read_results(tmp_path / "table1.csv")
    assert list(back.columns) == list(results.columns) == RESULT_COLUMNS
    assert (back["schedule"].unique().tolist(), back["model"].unique().tolist()) == (["90"], ["NA"])
    assert (tmp_path / "table1.csv").read_text().splitlines()[1] == (
        "coco,all,NA,baseline,random,90,end,180,bbox,AP,30.0,,1,,,,36.8,size,"
        "results/coco-R50_GN-random-seed0/2x/180.json"
    )


def test_table2_chooses_each_best_schedule_by_box_ap(published: pd.DataFrame) -> None:
    results = table2.make(evaluations(), published, "paper")

    assert row(results, "R50 GN", "random", "3x", "bbox", "AP75")["value"] == 45.0
    assert row(results, "R50 GN", "pretrained", "2x", "segm", "AP")["value"] == 35.0
    difference = row(results, "R50 GN", "difference", "3x − 2x", "bbox", "AP")
    assert (difference["value"], difference["published"]) == (1.0, 0.2)
    table = grid(results, "table2")
    assert table.header == ["box AP", "box AP50", "box AP75", "mask AP", "mask AP50", "mask AP75"]
    assert [r.labels[1] for r in table.rows[::2]][:3] == [
        "random init (3x)",
        "w/ pre-train (2x)",
        "random − pre-train (3x − 2x)",
    ]
    assert table.rows[0].cells == ["41.0‡", "61.0‡", "45.0‡", "36.0‡", "", ""]
    assert table.rows[5].cells == ["+0.2", "+0.1", "+1.0", "+0.2", "+0.5", "+0.2"]


def test_of_two_equal_schedules_the_shorter_is_best(published: pd.DataFrame) -> None:
    for k, places in ((1, (5, 11, 17)), (2, (2, 10, 18))):
        lengths = range(20 * k, 0, -k)
        ends = {("random", f"{x}x"): 40.0 if x // k in places else 30.0 for x in lengths}
        results = table2.make(evaluations(ends=ends), published, "paper")
        ours = results[results["seeds"].notna() & (results["initialisation"] == "random")]
        assert set(ours["schedule"]) == {f"{places[0] * k}x"}


@pytest.mark.parametrize(
    ("scale", "comparable", "mark"),
    [("paper", "size", ""), ("mini", "sign", " †"), ("smoke", "nothing", " †")],
)
def test_published_values_are_marked(published: pd.DataFrame, scale: str, comparable: str, mark: str) -> None:
    printed = markdown(grid(table1.make(evaluations(), published, scale)))

    for make in (table1.make, table2.make, text.make):
        assert set(make(everything(), published, scale)["comparable"]) == {comparable}
    assert set(table3.make(TRAIN_AUG, published, scale)["comparable"]) == {comparable}
    assert f"| R50 GN | random init | published{mark} | 36.8 |" in printed
    assert ("only, not in size" in printed) == (scale == "mini")
    assert ("compare with nothing" in printed) == (scale == "smoke")


def test_latex_is_plain_latex(published: pd.DataFrame) -> None:
    text = latex(grid(table1.make(evaluations(), published, "mini")), "table1", LAYOUTS["table1"].caption)

    assert "\nrandom $-$ pre-train & $-$10.0 & +2.0" in text
    assert text.isascii()


def test_evaluations_whose_values_are_all_empty_give_empty_cells(published: pd.DataFrame) -> None:
    empty = evaluations().assign(value=float("nan"))

    for name, make in (("table1", table1.make), ("table2", table2.make)):
        assert set(grid(make(empty, published, "smoke"), name).rows[0].cells) == {""}


def everything() -> pd.DataFrame:
    """Runs of every table, each from both initialisations."""
    tables = [evaluations()]
    for initialisation, value in (("random", 40.0), ("pretrained", 42.0)):
        for setting in ("train aug", "cascade + train aug", "cascade + train aug + test aug"):
            tables.append(run("X152 GN", initialisation, {540: value}, setting=setting))
        few = {"subset": "3.5k", "setting": "re-searched hyper-parameters"}
        curve = {10: value - 30, 20: value - 20, 30: value - 25}
        tables.append(run("R50 GN", initialisation, curve, f"3.5k-{initialisation}", **few))
        tables.append(run("R50 GN", initialisation, curve, f"1k-{initialisation}", **few | {"subset": "1k"}))
    own = {"subset": "1k", "setting": "own grid search"}
    tables.append(run("R50 GN", "random", {30: 16.0}, "1k-random", **own))
    return pd.concat(tables, ignore_index=True)


def test_settings_and_subsets_of_one_model_stay_out_of_tables_1_and_2(published: pd.DataFrame) -> None:
    for make in (table1.make, table2.make):
        pd.testing.assert_frame_equal(
            make(everything(), published, "paper"), make(evaluations(), published, "paper")
        )


def test_table3_is_from_scratch_by_setting(published: pd.DataFrame) -> None:
    table = grid(table3.make(everything().query("model == 'X152 GN'"), published, "paper"), "table3")

    assert table.stub == ["model", "setting"]
    assert table.header == ["box AP", "box AP50", "box AP75", "mask AP", "mask AP50", "mask AP75"]
    assert [r.labels for r in table.rows[::2]] == [
        ("X152 GN", "train aug"),
        ("X152 GN", "cascade + train aug"),
        ("X152 GN", "cascade + train aug + test aug"),
    ]
    assert table.rows[0].cells == ["40.0", "60.0", "44.0", "35.0", "", ""]
    assert table.rows[5].cells == ["50.9", "68.7", "55.4", "43.2", "66.1", "46.8"]


def test_a_setting_that_did_not_run_has_empty_cells(published: pd.DataFrame) -> None:
    table = grid(table3.make(TRAIN_AUG, published, "mini"), "table3")

    assert [r.whose for r in table.rows] == ["ours", "published †"] * 3
    assert set(table.rows[2].cells) == {""}
    assert table.rows[3].cells[0] == "48.6"


def test_two_schedules_of_one_setting_are_refused(published: pd.DataFrame) -> None:
    runs = [run("X152 GN", "random", {540: 40.0}, schedule, setting="train aug") for schedule in ("6x", "9x")]

    with pytest.raises(UserError, match="several schedules of coco, all, X152 GN, train aug, random: 6x, 9x"):
        table3.make(pd.concat(runs), published, "paper")


def test_results_of_the_text_join_the_published_values(published: pd.DataFrame) -> None:
    results = text.make(everything(), published, "paper")
    table = grid(results, "text")
    texts = {(*r.labels, r.whose): r.cells for r in table.rows}
    few = "R50 GN, 3.5k subset, re-searched hyper-parameters"
    large = "X152 GN, cascade + train aug + test aug"

    assert table.header == ["random init", "w/ pre-train", "random − pre-train"]
    assert texts[large, "mask AP", "ours"] == ["35.0", "37.0", "−2.0"]
    assert texts[large, "box AP", "published"] == ["50.9", "50.3", "+0.6"]
    assert texts[few, "box AP, peak", "published"] == ["9.3", "16.0", "−6.7"]
    assert texts["R50 GN, 1k subset, own grid search", "box AP", "ours"] == ["16.0", "", ""]
    assert texts["R50 GN, 1k subset, own grid search", "box AP", "published"] == ["5.4", "", ""]
    assert texts["R50 GN, person keypoints", "keypoint AP", "ours"] == ["", "", ""]
    assert texts["R50 GN, person keypoints", "keypoint AP", "published"] == ["65.6", "65.5", "+0.1"]
    assert not any("VGG-16" in label or "VOC" in label for label, *_ in texts)
    missing = row(results, "R50 GN", "random", train_set="keypoints")
    assert (missing["source"], missing["schedule"]) == ("", "2x")


def test_longer_trainings_stand_beside_what_they_continue(published: pd.DataFrame) -> None:
    few = {"subset": "10k", "setting": "re-searched hyper-parameters"}
    longer = few | {"setting": "re-searched hyper-parameters, longer"}
    runs = [
        run("R50 GN", "random", {220: 20.0}, "10k-random", **few),
        run("R50 GN", "pretrained", {60: 25.0}, "10k-pretrained", **few),
        run("R50 GN", "pretrained", {220: 24.0}, "10k-longer", **longer),
        run("VGG-16", "random", {990: 30.0}, "11x", setting="train aug"),
        run("VGG-16", "random", {1170: 31.0}, "13x", setting="train aug, longer"),
    ]
    table = grid(text.make(pd.concat(runs), published, "paper"), "text")
    cells = {(*row.labels, row.whose): row.cells for row in table.rows}
    few_images = "R50 GN, 10k subset, re-searched hyper-parameters"

    assert cells[few_images, "box AP", "ours"] == ["20.0", "25.0", "−5.0"]
    assert cells[few_images, "box AP", "published"] == ["25.9", "26.0", "−0.1"]
    assert cells[f"{few_images}, longer", "box AP", "ours"] == ["", "24.0", ""]
    assert cells[f"{few_images}, longer", "box AP", "published"] == ["", "", ""]
    assert cells["VGG-16, train aug", "box AP", "ours"][0] == "30.0"
    assert cells["VGG-16, train aug, longer", "box AP", "ours"][0] == "31.0"


def test_a_peak_is_the_highest_checkpoint_of_each_seed_and_1k_images_are_taken_at_the_end(
    published: pd.DataFrame,
) -> None:
    few = {"subset": "3.5k", "setting": "re-searched hyper-parameters"}
    second = run("R50 GN", "random", {10: 24.0, 20: 24.0, 30: float("nan")}, "3.5k-random", seed="1", **few)
    results = text.make(pd.concat([everything(), second]), published, "paper")

    peak = row(results, "R50 GN", "random", subset="3.5k")
    assert (peak["value"], peak["seeds"], peak["iteration"]) == (22.0, 2, 20)
    assert [source.rsplit("/", 1)[1] for source in peak["source"].split("; ")] == ["20.json", "10.json"]
    end = row(results, "R50 GN", "random", subset="1k", setting="re-searched hyper-parameters")
    assert (end["value"], end["iteration"], end["published"]) == (15.0, 30, 3.5)


def test_of_equal_peaks_the_earliest_counts() -> None:
    curve = {10 * place: 40.0 if place in (5, 11, 17) else 30.0 for place in range(20, 0, -1)}
    rows = run("R50 GN", "random", curve)

    assert set(text.peaks(rows)["iteration"]) == {50}


def test_a_schedule_of_its_own_for_each_initialisation_has_a_difference(published: pd.DataFrame) -> None:
    runs = [
        run("VGG-16", "random", {990: 35.0}, "11x", setting="train aug"),
        run("VGG-16", "pretrained", {810: 36.0}, "9x", setting="train aug"),
        run("R101 GN", "random", {144: 70.0}, "voc-random", train_set="voc", setting="train aug"),
        run("R101 GN", "pretrained", {18: 75.0}, "voc-pretrained", train_set="voc", setting="train aug"),
    ]
    results = text.make(pd.concat(runs), published, "paper")

    difference = row(results, "VGG-16", "difference")
    assert (difference["value"], difference["published"], difference["schedule"]) == (-1.0, -0.4, "11x − 9x")
    voc = row(results, "R101 GN", "difference")
    assert (voc["metric"], voc["value"], voc["published"]) == ("AP50", -5.0, -5.1)
    assert grid(results, "text").rows[-1].labels == ("R101 GN, PASCAL VOC, train aug", "box AP50")


@pytest.mark.parametrize("table", [table1, table2, table3, text])
def test_the_command_writes_the_same_bytes_each_time_and_reads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: pd.DataFrame, table: ModuleType
) -> None:
    name = table.__name__.rpartition(".")[2]
    rows = everything()
    if table is table3:
        rows = rows[rows["model"] == "X152 GN"]
    rows.to_csv(tmp_path / "e.csv", index=False)
    written = []
    for copy in ("first", "second"):
        (tmp_path / copy).mkdir()
        outputs = {kind: tmp_path / copy / f"{name}.{kind}" for kind in ("csv", "markdown", "latex")}
        line = ["table", "--table", tmp_path / "e.csv", "--published", PUBLISHED, "--scale", "paper"]
        for kind, path in outputs.items():
            line += [f"--{kind}", path]
        monkeypatch.setattr(sys, "argv", [str(word) for word in line])
        table.main()
        written.append([path.read_bytes() for path in outputs.values()])

    assert written[0] == written[1]
    back = read_results(tmp_path / "first" / f"{name}.csv")
    assert list(back.columns) == RESULT_COLUMNS
    assert grid(back, name) == grid(table.make(rows, published, "paper"), name)


def test_schedules_are_ordered_by_length() -> None:
    names = ["best", "1.2.3x", "10x", "2.5x", "2x"]
    assert sorted(names, key=schedule_order) == ["2x", "2.5x", "10x", "1.2.3x", "best"]
