"""Searches: the grid, the point that wins, and what an experiment calls its runs."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.recipes import HyperParameters
from workflow_scripts.study.compiled.searches import grid_points
from workflow_scripts.study.configuration.scales import SearchGrid
from workflow_scripts.tables.concatenate import gather
from workflow_scripts.tables.search import main, result
from workflow_scripts.tables.tidy import EVALUATION_COLUMNS, read_evaluations

RUN_COLUMNS = [name for name in EVALUATION_COLUMNS if name != "setting"]


def run_table(path: Path, values: dict[int, float | None]) -> Path:
    """The evaluations of one run: box AP by iteration."""
    row = dict.fromkeys(RUN_COLUMNS, "x") | {
        "initialisation": "pretrained",
        "iou_type": "bbox",
        "metric": "AP",
    }
    rows = [
        row | {"iteration": iteration, "value": value, "source": f"{path.stem}/{iteration}.json"}
        for iteration, value in values.items()
    ]
    pd.DataFrame(rows, columns=RUN_COLUMNS).to_csv(path, index=False)
    return path


def search(*points: str) -> dict[str, Any]:
    return {"search": "s", "points": [{"point": point, "recipe": point} for point in points]}


def test_grid_is_every_combination_and_names_what_it_changes() -> None:
    grid = SearchGrid(base_lr=(1, 2), decay_factor=(0.1, 0.02), shortest_side=(1, 0.64))
    points = grid_points(grid, usual_decay=0.1)
    assert len(points) == 8
    assert points["lr1-decay0.1-side1"] == HyperParameters()
    assert points["lr2-decay0.02-side0.64"] == HyperParameters(2, 0.02, 0.64)
    assert points["lr2-decay0.02-side0.64"].changes == ["lr2", "decay0.02", "side0.64"]


def test_a_search_is_described_by_what_its_points_change() -> None:
    study = compile_study({"scale": "mini", "experiments": ["fig7_middle"], "seeds": [4]})
    (search,) = [each for each in study.searches.values() if "10k" in each.name]
    described = search.description()
    first = described["points"][0]
    assert {name: value for name, value in described.items() if name != "points"} == {
        "search": search.name,
        "subset": "10k",
        "model": "R50 GN",
        "initialisation": "pretrained",
        "schedule": "10k-pretrained",
        "seed": 4,
    }
    assert first.keys() == {"point", "recipe", "base_lr", "decay_factor", "image_sides"}
    assert (first["base_lr"], first["decay_factor"], first["image_sides"]) == (0.04, 0.1, (80,))


def test_highest_ap_at_the_end_wins_and_every_point_is_kept(tmp_path: Path) -> None:
    tables = [
        run_table(tmp_path / "a.csv", {10: 30.0, 20: 10.0}),  # highest along the way, not at the end
        run_table(tmp_path / "b.csv", {10: 5.0, 20: 12.5}),
        run_table(tmp_path / "c.csv", {20: 12.5}),
        run_table(tmp_path / "d.csv", {20: None}),
    ]
    found = result(search("a", "b", "c", "d"), tables)
    assert found["chosen"] == "b", "the first of equal points"
    assert [point["value"] for point in found["points"]] == [10.0, 12.5, 12.5, None]
    assert [point["source"] for point in found["points"]][1] == "b/20.json"
    json.dumps(found, allow_nan=False)


def test_the_command_keeps_what_was_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [run_table(tmp_path / f"{name}.csv", {20: value}) for name, value in (("a", 1.0), ("b", 2.0))]
    output = tmp_path / "search.json"
    words = ["--search", json.dumps(search("a", "b")), "--tables", *tables, "--output", output]
    monkeypatch.setattr(sys, "argv", ["search", *map(str, words)])
    main()

    found = json.loads(output.read_text())
    assert (found["search"], found["metric"], found["chosen"]) == ("s", "bbox AP", "b")
    assert [(point["recipe"], point["value"]) for point in found["points"]] == [("a", 1.0), ("b", 2.0)]


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff\xfe", b"[]", b"{}", b'{"chosen": "lr9"}', b'{"chosen": ["lr9"]}', b'{"chosen": null}'],
)
def test_a_choice_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    """Else its runs would be left out without a word, or the DAG end in a traceback."""
    study = compile_study({"scale": "mini", "experiments": ["fig7_right"]})
    searched = study.searches[study.searches_of("fig7_right")[0]]
    path = tmp_path / "search.json"
    path.write_text(json.dumps({"chosen": list(searched.runs)[1]}))
    assert searched.chosen(str(path)) == list(searched.runs)[1]
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=rf"^{path}: found .* chosen, expected one of .*lr.*; remove the file"
    ):
        searched.chosen(str(path))


def test_search_without_any_ap_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no point has an AP"):
        result(search("a"), [run_table(tmp_path / "a.csv", {20: None})])


def test_experiment_names_the_setting_of_each_run(tmp_path: Path) -> None:
    tables = [run_table(tmp_path / "a.csv", {20: 1.0}), run_table(tmp_path / "b.csv", {20: 2.25})]
    gathered = tmp_path / "all.csv"
    gather(tables, ["baseline", "train aug"]).to_csv(gathered, index=False)
    rows = read_evaluations(gathered)
    assert list(rows["setting"]) == ["baseline", "train aug"]
    assert list(rows["value"]) == [1.0, 2.25]
    with pytest.raises(UserError, match="found 1, expected one for each of 2 tables"):
        gather(tables, ["baseline"])


def test_points_that_differ_in_decay_alone_share_their_trunk() -> None:
    study = compile_study({"scale": "smoke", "experiments": ["fig8"]})
    runs = study.searches["1k-R50_GN-pretrained"].runs
    usual, decayed = runs["lr1-decay0.1-side1"], runs["lr1-decay0.02-side1"]
    assert decayed.segments[0] == usual.segments[0]
    assert decayed.segments[1].recipe == decayed.recipe.name != usual.recipe.name
    assert decayed.segments[1].parent == (usual.recipe.name, usual.segments[0].name)
    assert study.recipes[decayed.recipe.name].decay_factor == 0.02
