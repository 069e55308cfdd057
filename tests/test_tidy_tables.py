"""The tidy tables between metrics and figures: gathered from files, checked on entry, taken apart."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.study.compile import compile_study
from workflow_scripts.tables import concatenate, counts, runs
from workflow_scripts.tables.results import boxes_and_masks, join_sources
from workflow_scripts.tables.tidy import (
    COUNT_COLUMNS,
    EVALUATION_COLUMNS,
    end_points,
    read_counts,
    read_evaluations,
    read_run,
    read_training,
    series,
)

PUBLISHED = Path(__file__).parent.parent / "reports" / "published.yaml"
RECIPE = next(
    run.recipe
    for run in compile_study({"scale": "smoke", "experiments": ["fig7_right"]}).runs.values()
    if run.recipe.subset == "10k" and run.recipe.initialisation == "random"
)
LABELS = {
    "run": f"{RECIPE.name}/10k-random",
    "recipe": RECIPE.name,
    "train_set": "coco",
    "subset": "10k",
    "model": "R50 GN",
    "initialisation": "random",
    "schedule": "10k-random",
    "seed": 0,
}


def test_evaluations_of_a_run_are_one_row_a_metric_by_iteration(tmp_path: Path) -> None:
    paths = []
    for iteration, segment, stage in ((90, "tail-90", "tail"), (30, "trunk-0-60", "trunk")):
        found = {"bbox": {"AP": iteration / 2, "AP50": None, "categories": {"cup": 1.0}}, "segm": {"AP": 7.0}}
        checkpoints = [{"iteration": iteration, "metrics": found}]
        content = {"segment": segment, "stage": stage, "checkpoints": checkpoints}
        paths.append(tmp_path / f"{iteration}.json")
        paths[-1].write_text(json.dumps(content))

    table = runs.evaluations(RECIPE, "10k-random", paths)
    assert list(table.columns) == [name for name in EVALUATION_COLUMNS if name != "setting"]
    assert table[list(LABELS)].drop_duplicates().to_dict("records") == [LABELS]
    what = ["segment", "stage", "iteration", "iou_type", "metric", "source"]
    late, early = map(str, paths)
    assert list(table[what].itertuples(index=False, name=None)) == [
        ("trunk-0-60", "trunk", 30, "bbox", "AP", early),
        ("trunk-0-60", "trunk", 30, "bbox", "AP50", early),
        ("trunk-0-60", "trunk", 30, "segm", "AP", early),
        ("tail-90", "tail", 90, "bbox", "AP", late),
        ("tail-90", "tail", 90, "bbox", "AP50", late),
        ("tail-90", "tail", 90, "segm", "AP", late),
    ]
    assert table["value"].fillna(-1).tolist() == [15.0, -1, 7.0, 45.0, -1, 7.0]


def test_of_a_segment_all_checkpoints_are_the_curve_and_the_last_is_the_end(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    checkpoints = [
        {"iteration": iteration, "metrics": {"bbox": {"AP": ap, "AP50": ap}}}
        for iteration, ap in ((90, 30.0), (60, 40.0), (30, 20.0))
    ]
    path.write_text(json.dumps({"segment": "tail-90", "stage": "tail", "checkpoints": checkpoints}))
    curve, end = (runs.evaluations(RECIPE, "10k-random", [path], points) for points in ("curve", "end"))
    assert curve["iteration"].tolist() == [30, 30, 60, 60, 90, 90]
    assert curve["value"].tolist() == [20, 20, 40, 40, 30, 30]
    assert end[["iteration", "metric", "value"]].to_numpy().tolist() == [[90, "AP", 30], [90, "AP50", 30]]


def test_a_run_without_metrics_is_a_heading() -> None:
    table = runs.evaluations(RECIPE, "10k-random", [])
    assert list(table.columns) == [name for name in EVALUATION_COLUMNS if name != "setting"]
    assert table.empty


@pytest.mark.parametrize("content", [None, "{"])
def test_metrics_that_cannot_be_read_are_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"metrics\.json: cannot be read as metrics"):
        runs.evaluations(RECIPE, "10k-random", [path])


def test_training_of_a_run_is_one_row_a_line(tmp_path: Path) -> None:
    paths = [tmp_path / "trunk.jsonl", tmp_path / "tail.jsonl"]
    paths[0].write_text('{"iteration": 20, "loss": 2.5, "images": 80}\n{"iteration": 40, "loss": 2.25}\n')
    paths[1].write_text('{"iteration": 60, "loss": 1.5, "images": 70}\n')

    table = runs.training(RECIPE, "10k-random", paths)
    assert table[list(LABELS)].drop_duplicates().to_dict("records") == [LABELS]
    rest = table[["iteration", "loss", "images", "source"]].fillna(0)
    assert list(rest.itertuples(index=False, name=None)) == [
        (20, 2.5, 80, str(paths[0])),
        (40, 2.25, 0, str(paths[0])),
        (60, 1.5, 70, str(paths[1])),
    ]


def command(monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    main()


def test_commands_gather_what_they_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, lines, metrics = (tmp_path / name for name in ("recipe.json", "a.jsonl", "a.json"))
    recipe.write_text(RECIPE.model_dump_json())
    lines.write_text('{"iteration": 20, "loss": 2.5}\n')
    checkpoints = [{"iteration": at, "metrics": {"bbox": {"AP": at / 2}}} for at in (60, 90)]
    metrics.write_text(json.dumps({"segment": "tail-90", "stage": "tail", "checkpoints": checkpoints}))
    known = ("--recipe", recipe, "--schedule", "10k-random")
    for kind, path in (("training", lines), ("evaluations", metrics)):
        output = tmp_path / f"{kind}.csv"
        command(
            monkeypatch, runs.main, kind, *known, "--metrics", path, "--points", "end", "--output", output
        )

    written = read_run(tmp_path / "evaluations.csv")
    assert (written["run"].item(), written["value"].item()) == (LABELS["run"], 45.0)
    training = pd.read_csv(tmp_path / "training.csv")
    assert list(training.columns) == [*LABELS, "iteration", "loss", "source"]
    both = (tmp_path / "evaluations.csv", tmp_path / "evaluations.csv")
    output = tmp_path / "all.csv"
    command(
        monkeypatch, concatenate.main, "--tables", *both, "--settings", "baseline", "NA", "--output", output
    )
    table = read_evaluations(output)
    assert list(table.columns) == EVALUATION_COLUMNS
    assert table["setting"].tolist() == ["baseline", "NA"]


def test_numbers_and_texts_are_gathered_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c,d,e,f\n10.50,NA,,007,x,1e3\n")

    gathered = concatenate.gather([tmp_path / "a.csv"], ["baseline"])
    assert gathered.iloc[0].tolist() == ["10.50", "NA", "", "007", "baseline", "x", "1e3"]


def test_counts_are_sums_over_all_of_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, factor in (("random", 1), ("pretrained", 10)):
        lines = [(4, 30, 9_000), (4, 10, 8_000), (2, 20, 5_000)]
        rows = [
            {"initialisation": name, "images": a * factor, "instances": b * factor, "pixels": c * factor}
            for a, b, c in lines
        ]
        pd.DataFrame(rows).to_csv(tmp_path / f"{name}.csv", index=False)
    before = tmp_path / "metrics.jsonl"
    before.write_text("".join(f'{{"images": {n}, "instances": {n}, "pixels": {n}00}}\n' for n in (3, 5)))
    trainings = [tmp_path / "random.csv", tmp_path / "pretrained.csv"]
    words = ("--training", *trainings, "--published", PUBLISHED, "--output", tmp_path / "counts.csv")

    command(monkeypatch, counts.main, "--pretraining", before, *words)
    table = read_counts(tmp_path / "counts.csv")
    assert list(table.columns) == COUNT_COLUMNS
    assert list(table.itertuples(index=False, name=None)) == [
        ("images", "pretrained", "pre-training", 8, "counted", str(before)),
        ("instances", "pretrained", "pre-training", 8, "counted", str(before)),
        ("pixels", "pretrained", "pre-training", 800, "counted", str(before)),
        ("images", "random", "training", 10, "counted", str(trainings[0])),
        ("instances", "random", "training", 60, "counted", str(trainings[0])),
        ("pixels", "random", "training", 22_000, "counted", str(trainings[0])),
        ("images", "pretrained", "fine-tuning", 100, "counted", str(trainings[1])),
        ("instances", "pretrained", "fine-tuning", 600, "counted", str(trainings[1])),
        ("pixels", "pretrained", "fine-tuning", 220_000, "counted", str(trainings[1])),
    ]

    command(monkeypatch, counts.main, *words)
    declared = read_counts(tmp_path / "counts.csv")
    paper = declared[declared["source"] == "declared"]
    assert paper[["quantity", "initialisation", "part"]].values.tolist() == [
        [quantity, "pretrained", "pre-training"] for quantity in ("images", "instances", "pixels")
    ]
    assert paper["value"].iloc[0] == 128e6
    counted = declared[declared["source"] == "counted"]
    assert counted.values.tolist() == table.iloc[3:].values.tolist()


def table(path: Path, columns: list[str], **values: str) -> Path:
    """Two rows of texts, the second with `values`."""
    usual = dict.fromkeys(columns, "x") | {"initialisation": "random", "iteration": "10", "value": "1.5"}
    usual = {
        name: usual[name] for name in [*columns, *(["loss"] if "loss" in values else [])] if name in usual
    }
    rows = [usual | ({"loss": "1.5"} if "loss" in values else {}), usual | values]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


READERS = [
    (read_evaluations, EVALUATION_COLUMNS),
    (read_run, [name for name in EVALUATION_COLUMNS if name != "setting"]),
    (read_counts, COUNT_COLUMNS),
]


@pytest.mark.parametrize(("read", "columns"), READERS)
def test_what_is_no_number_is_named_with_its_line(
    tmp_path: Path, read: Callable[[Path], pd.DataFrame], columns: list[str]
) -> None:
    path = tmp_path / "t.csv"
    with pytest.raises(UserError, match=r"t\.csv, line 3: value is 'high'; expected a number"):
        read(table(path, columns, value="high"))
    with pytest.raises(UserError, match=r"t\.csv: initialisation is warm; expected random or pretrained"):
        read(table(path, columns, initialisation="warm"))
    assert read(table(path, columns, value=" 2 "))["value"].tolist() == [1.5, 2.0]
    for empty in ("", "nan", "NaN"):
        assert read(table(path, columns, value=empty))["value"].isna().tolist() == [False, True]


@pytest.mark.parametrize(("read", "columns"), READERS[:2])
def test_an_iteration_is_an_integer_and_never_empty(
    tmp_path: Path, read: Callable[[Path], pd.DataFrame], columns: list[str]
) -> None:
    path = tmp_path / "t.csv"
    assert read(table(path, columns, iteration="540000"))["iteration"].dtype == "int64"
    for wrong in ("", "nan", "late"):
        with pytest.raises(UserError, match=rf"t\.csv, line 3: iteration is '{wrong}'; expected a number"):
            read(table(path, columns, iteration=wrong))


def test_lines_of_training_give_the_loss_as_value(tmp_path: Path) -> None:
    columns = [*EVALUATION_COLUMNS[: EVALUATION_COLUMNS.index("segment")], "iteration"]
    path = tmp_path / "t.csv"
    read = read_training(table(path, columns, loss="2.5", iteration="20"))
    assert (read["value"].tolist(), read["iteration"].tolist()) == ([1.5, 2.5], [10, 20])
    assert read["iteration"].dtype == "int64"
    with pytest.raises(UserError, match=r"t\.csv, line 3: value is 'high'; expected a number"):
        read_training(table(path, columns, loss="high"))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no such table"),
        (b"", "not a CSV table"),
        (b'a,b\n1,"\n2', "not a CSV table"),
        (b"\xff\xfe,b\n", "not a CSV table"),
        (b"a,initialisation\n1,random\n", "the column run, .* is missing; found a, initialisation"),
    ],
)
def test_what_is_no_tidy_table_is_named(tmp_path: Path, content: bytes | None, found: str) -> None:
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"t\.csv: {found}"):
        read_evaluations(path)


def test_a_metric_and_the_ends_of_runs_are_picked() -> None:
    rows = [
        ("a", 10, "bbox", "AP"),
        ("a", 20, "bbox", "AP"),
        ("a", 20, "bbox", "AP50"),
        ("b", 10, "segm", "AP"),
        ("b", 10, "bbox", "AP"),
    ]
    every = pd.DataFrame(rows, columns=["run", "iteration", "iou_type", "metric"])

    assert series(every).index.tolist() == [0, 1, 4]
    assert series(every, "segm").index.tolist() == [3]
    assert series(every, metric="AP50").index.tolist() == [2]
    assert end_points(every).index.tolist() == [1, 2, 3, 4]
    with pytest.raises(UserError, match="no keypoints AP, only bbox AP, bbox AP50, segm AP"):
        series(every, "keypoints")


def test_files_of_a_value_are_named_once() -> None:
    assert join_sources(pd.Series(["a a; b", "b; c", None, ""])) == "a a; b; c"


def test_boxes_and_masks_leave_out_other_metrics_and_keypoints() -> None:
    every = [("bbox", "AP"), ("bbox", "APs"), ("segm", "AP75"), ("keypoints", "AP"), ("segm", "APl")]
    rows = pd.DataFrame(every, columns=["iou_type", "metric"])

    assert list(boxes_and_masks(rows).itertuples(index=False, name=None)) == [
        ("bbox", "AP"),
        ("segm", "AP75"),
    ]
