"""Trainings that have not converged: told from a table's own rows, and marked in figures and tables."""

from pathlib import Path

import pandas as pd
import pytest

from tests.figures import enhanced, evaluations, less_data, open_marks, point, texts
from workflow_scripts.figures import fig1, fig5, fig6, fig7
from workflow_scripts.figures.style import Style
from workflow_scripts.tables import table1, table2, table3, text
from workflow_scripts.tables.convergence import LEAST_AP, SHARE, converged
from workflow_scripts.tables.latex import latex
from workflow_scripts.tables.layout import LAYOUTS, grid, markdown
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.results import read_results
from workflow_scripts.tables.tidy import EVALUATION_COLUMNS

PUBLISHED = read_published(Path(__file__).parents[1] / "reports" / "published.yaml")
CASCADE, TEST_AUG = "cascade + train aug", "cascade + train aug + test aug"
JUST_NOT, JUST = 1.01 * SHARE, 0.99 * SHARE
"""Gains by a doubling, of the end: one that has not converged, and one that has."""
END = 40.0


def training(gain: float, end: float = END, **known: object) -> list[dict[str, object]]:
    """A training that gains that share of its end from iteration 50 to 100 of its trunk; before, it is far lower."""
    trunk = {10: 1.0, 50: 0.8 * end - gain * end, 100: 0.8 * end}
    rows = [point(value, stage="trunk", iteration=at, **known) for at, value in trunk.items()]
    return [*rows, point(end, iteration=120, **known)]


def table(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


def told(rows: pd.DataFrame) -> dict[tuple[str, str], bool]:
    """Whether it has converged, by setting and initialisation."""
    return converged(rows).set_index(["setting", "initialisation"])["converged"].to_dict()


# What tells


def test_each_training_is_told_of_by_its_own_rows() -> None:
    rows = (
        training(JUST_NOT) + training(JUST, initialisation="pretrained") + training(JUST, setting="train aug")
    )

    assert told(table(*rows)) == {
        ("baseline", "random"): False,
        ("baseline", "pretrained"): True,
        ("train aug", "random"): True,
    }


@pytest.mark.parametrize(
    ("train_set", "main", "other"),
    [
        ("coco", ("bbox", "AP"), ("segm", "AP")),
        ("keypoints", ("keypoints", "AP"), ("bbox", "AP")),
        ("voc", ("bbox", "AP50"), ("bbox", "AP")),
    ],
)
def test_the_metric_that_a_data_set_is_scored_by_tells(
    train_set: str, main: tuple[str, str], other: tuple[str, str]
) -> None:
    rows = [
        row
        for (iou_type, metric), gain in ((other, JUST), (main, JUST_NOT), (("bbox", "AP75"), JUST))
        for row in training(gain, train_set=train_set, iou_type=iou_type, metric=metric)
    ]

    assert told(table(*rows)) == {("baseline", "random"): False}


def test_what_is_tested_at_several_scales_is_told_of_by_the_same_run_without() -> None:
    """A run is a recipe and a schedule: here that of the cascade, from either initialisation."""
    rows = []
    for initialisation, gain in (("random", JUST_NOT), ("pretrained", JUST)):
        known = {"setting": CASCADE, "initialisation": initialisation}
        cascade = training(gain, **known)
        tested = point(END + 2, iteration=120, **known) | {"setting": TEST_AUG}
        rows += [*cascade, tested]
    assert rows[3]["run"] == rows[4]["run"]

    assert told(table(*rows)) == {
        (CASCADE, "random"): False,
        (TEST_AUG, "random"): False,
        (CASCADE, "pretrained"): True,
        (TEST_AUG, "pretrained"): True,
    }
    assert told(table(rows[4])) == {}, "alone, its end tells nothing"
    masks = rows[4] | {"iou_type": "segm"}
    assert told(table(*rows[:4], masks)) == {(CASCADE, "random"): False, (TEST_AUG, "random"): False}


def test_what_can_be_told_of_by_its_own_rows_is() -> None:
    first, second = training(JUST_NOT), training(JUST)
    other = [row | {"setting": "train aug"} for row in second]
    assert first[0]["run"] == other[0]["run"]

    assert told(table(*first, *other)) == {("baseline", "random"): False, ("train aug", "random"): True}


def test_a_training_that_has_learned_nothing_has_not_converged() -> None:
    low = training(0.0, end=0.9 * LEAST_AP) + training(0.0, end=1.1 * LEAST_AP, initialisation="pretrained")

    assert told(table(*low)) == {("baseline", "random"): False, ("baseline", "pretrained"): True}
    assert converged(table()).empty


# Figures


def test_an_end_is_an_open_mark_only_where_it_has_not_converged() -> None:
    rows = training(JUST_NOT) + training(JUST, end=50.0, initialisation="pretrained")
    figure = fig1.draw(table(*rows), Style(), None)

    assert open_marks(figure.axes[0]) == [(120, END)]
    assert "not converged\n" in texts(figure)
    assert (
        f"Open marks have not converged: twice the length might still add more than {100 * SHARE:g}%"
        in texts(figure)
    )


@pytest.mark.parametrize("rows", [training(JUST), training(JUST_NOT)[-1:]])
def test_where_all_have_converged_or_none_can_be_told_of_marks_are_full(
    rows: list[dict[str, object]],
) -> None:
    figure = fig1.draw(table(*rows), Style(), None)

    assert open_marks(figure.axes[0]) == []
    assert "converged" not in texts(figure)


def test_seeds_and_schedules_have_a_mark_each_and_keypoints_their_own_ap() -> None:
    """All gain 16 AP a doubling from 40 to 50 iterations, where both schedules end, and 5 until 20, where 2x leaves: of
    22 that is more than a fifth, of 26 less.
    """
    rows = evaluations(seeds=(0, 2), iou_type="keypoints").assign(train_set="keypoints")
    rows["value"] += 1

    assert open_marks(fig6.draw(rows, Style(), None).axes[0]) == [(40, 22), (50, 27), (50, 31)]
    assert open_marks(fig1.draw(evaluations(above=1000), Style(), None).axes[0]) == [(40, 20), (50, 25)]


def test_on_less_data_each_panel_has_marks_of_its_own() -> None:
    """Pre-training cut short after 200 iterations, at AP 4.5, beside a random init that has converged."""
    few = {"subset": "10k", "setting": "re-searched hyper-parameters"}
    cut = [
        point(
            value, stage="trunk", iteration=at, initialisation="pretrained", schedule="10k-pretrained", **few
        )
        for at, value in ((66, 0.4), (132, 3.1))
    ]
    end = point(4.5, iteration=200, initialisation="pretrained", schedule="10k-pretrained", **few)
    rows = table(*cut, end, *training(JUST, schedule="10k-random", **few))
    more = less_data()
    figure = fig7.draw(pd.concat([more[more["subset"] == "35k"], rows]), Style(), None)

    assert [open_marks(axes) for axes in figure.axes] == [[], [], [(200, 4.5)]]
    assert "not converged\n" in texts(figure)


def test_enhanced_baselines_are_open_in_boxes_and_masks_where_their_boxes_have_not_converged() -> None:
    rows = enhanced(models=("R50 GN",)).assign(iteration=120)
    known = {"setting": CASCADE, "schedule": "9x"}
    curve = [row for row in training(JUST_NOT, end=45.0, **known) if row["stage"] == "trunk"]
    same = rows["setting"].isin([CASCADE, TEST_AUG]) & (rows["initialisation"] == "random")
    rows.loc[same, "run"] = curve[0]["run"]
    figure = fig5.draw(pd.concat([rows, table(*curve)]), Style(), None)

    boxes, masks = ([(x, round(y)) for x, y in open_marks(axes)] for axes in figure.axes)
    assert boxes == [(45.0, 2), (47.0, 3)]
    assert masks == [(40.0, 2), (42.0, 3)]
    assert "Open marks" in texts(figure)
    without = fig5.draw(rows, Style(), None)
    assert not any(open_marks(axes) for axes in without.axes)
    assert "converged" not in texts(without)


# Tables


def test_a_cell_of_a_training_that_has_not_converged_is_marked_and_so_is_its_difference() -> None:
    rows = training(JUST_NOT, schedule="2x") + training(
        JUST, end=42.0, schedule="2x", initialisation="pretrained"
    )
    rows += [
        point(44.0, schedule="9x", iteration=540, initialisation=name) for name in ("random", "pretrained")
    ]
    results = table1.make(table(*rows), PUBLISHED, "paper")

    finished = grid(results, LAYOUTS["table1"])
    ours = [row.cells for row in finished.rows if row.whose == "ours"]
    assert [(cells[0], cells[-1]) for cells in ours] == [
        ("40.0‡", "44.0"),
        ("42.0", "44.0"),
        ("−2.0‡", "0.0"),
    ]
    assert [cell for row in finished.rows if row.whose != "ours" for cell in row.cells if "‡" in cell] == []
    note = "‡ Not converged, of a difference at least one side: twice the length might still add more than"
    assert note in markdown(finished).splitlines()[-1]
    text = latex(finished, "table1", "")
    assert "40.0\\rlap{$^\\ddagger$}" in text and text.isascii()


def test_without_a_mark_there_is_no_note_and_an_empty_cell_has_no_mark() -> None:
    """Without a pre-trained side there is no difference, whatever the other."""
    one = table1.make(table(*training(JUST, schedule="2x")), PUBLISHED, "paper")
    assert "‡" not in markdown(grid(one, LAYOUTS["table1"]))

    without = table1.make(table(*training(JUST_NOT, schedule="2x")), PUBLISHED, "paper")
    cells = [row.cells[0] for row in grid(without, LAYOUTS["table1"]).rows if row.whose == "ours"]
    assert cells == ["40.0‡", "", ""]


def test_marks_are_the_same_after_reading_the_csv_of_a_model_of_our_own(tmp_path: Path) -> None:
    """The paper has none of it, so that each row of the CSV says false."""
    results = table1.make(table(*training(JUST_NOT, model="R18")), PUBLISHED, "paper")
    results.to_csv(tmp_path / "t.csv", index=False)

    assert grid(read_results(tmp_path / "t.csv"), LAYOUTS["table1"]).rows[0].cells == ["40.0‡"]


def test_the_csv_says_whether_each_has_converged_or_that_it_cannot_be_told(tmp_path: Path) -> None:
    """A difference has converged where both sides have; not if one has not, whatever the other; else nobody knows."""
    rows = []
    for schedule, random, pretrained in (
        ("2x", JUST, JUST),
        ("3x", JUST_NOT, JUST),
        ("4x", JUST, JUST_NOT),
        ("5x", JUST_NOT, None),
        ("6x", JUST, None),
    ):  # of one length: their ends are one point, so that only a trunk tells
        for name, gain in (("random", random), ("pretrained", pretrained)):
            rows += training(gain or 0.0, schedule=schedule, initialisation=name)[-1 if gain is None else 0 :]
    table1.make(table(*rows), PUBLISHED, "paper").to_csv(tmp_path / "t.csv", index=False)

    back = read_results(tmp_path / "t.csv")
    ours = back[back["source"] != ""].pivot(index="initialisation", columns="schedule", values="converged")
    assert ours.loc["random"].tolist() == ["true", "false", "true", "false", "true"]
    assert ours.loc["pretrained"].tolist() == ["true", "true", "false", "", ""]
    assert ours.loc["difference"].tolist() == ["true", "false", "false", "false", ""]


def test_each_table_tells() -> None:
    """Table 2 of all metrics at the best schedule, Table 3 of test augmentation, the text of a peak and of VOC."""
    boxes = training(JUST_NOT)
    masks = [row | {"iou_type": "segm", "value": row["value"] - 5} for row in boxes]
    second = table2.make(table(*boxes, *masks), PUBLISHED, "paper")
    assert set(second.loc[second["source"] != "", "converged"]) == {"false"}

    known = {"model": "X152 GN", "setting": CASCADE, "schedule": "9x"}
    tested = point(END + 2, iteration=120, **known) | {"setting": TEST_AUG}
    third = table3.make(table(*training(JUST, **known), tested), PUBLISHED, "paper")
    assert third.loc[third["source"] != "", ["setting", "converged"]].values.tolist() == [
        [CASCADE, "true"],
        [TEST_AUG, "true"],
    ]

    few = {"subset": "3.5k", "setting": "re-searched hyper-parameters", "schedule": "3.5k-random"}
    voc = {"train_set": "voc", "model": "R101 GN", "setting": "train aug", "metric": "AP50"}
    quoted = text.make(table(*training(JUST_NOT, **few), *training(JUST, **voc)), PUBLISHED, "paper")
    found = quoted.loc[quoted["value"].notna(), ["subset", "train_set", "point", "converged"]]
    assert found.values.tolist() == [["3.5k", "coco", "peak", "false"], ["all", "voc", "end", "true"]]
