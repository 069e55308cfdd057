"""Figures as pure functions of tidy tables: what is drawn, what is not, and the same bytes each time."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.colors import same_color

from tests.figures import PUBLISHED, counts, curves, enhanced, evaluations, less_data, losses, marked, texts
from workflow_scripts.errors import UserError
from workflow_scripts.figures import fig1, fig2, fig5, fig6, fig7, fig8
from workflow_scripts.figures.style import Style, parse_style, save
from workflow_scripts.tables.published import read_published, read_published_counts
from workflow_scripts.tables.tidy import read_counts, read_evaluations


def test_a_shared_trunk_is_drawn_once_and_each_schedule_leaves_it_at_its_drop() -> None:
    axes = fig1.draw(evaluations(), Style(), None).axes[0]

    assert curves(axes)[:2] == [
        ([10, 20, 30, 40, 50], [5.0, 10.0, 14.0, 22.0, 25.0]),
        ([20, 30, 40], [10.0, 18.0, 20.0]),
    ]
    assert len(curves(axes)) == 4


def test_runs_that_share_nothing_are_drawn_whole() -> None:
    table = evaluations()
    table.loc[table["schedule"] == "2x", "value"] += 0.5

    assert [xs for xs, _ in curves(fig1.draw(table, Style(), None).axes[0])][:2] == [
        [10, 20, 30, 40, 50],
        [10, 20, 30, 40],
    ]


def test_each_initialisation_has_its_colour_and_its_end_points_have_their_values() -> None:
    style = parse_style('{"colours": {"random": "teal"}}')
    figure = fig1.draw(evaluations(), style, None)

    ends = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [list(line.get_ydata()) for line in ends] == [[20.0, 25.0], [24.0, 29.0]]
    assert same_color(ends[0].get_color(), "teal")
    assert same_color(ends[1].get_color(), Style().colours.pretrained)
    assert {text.get_text() for text in figure.axes[0].texts} == {"20.0", "25.0", "24.0", "29.0"}


def test_published_end_points_are_drawn_only_where_they_are_comparable() -> None:
    with_paper = fig1.draw(evaluations(), Style(), read_published(PUBLISHED))
    without = fig1.draw(evaluations(), Style(), None)

    markers = with_paper.axes[0].collections
    assert sorted(y for marker in markers for _, y in marker.get_offsets()) == [36.8, 39.5, 40.3, 40.8]
    assert "published end points" in texts(with_paper)
    low, high = with_paper.axes[0].get_ylim()
    assert low < 36.8 < 40.8 < high
    assert not without.axes[0].collections
    assert "not comparable" in texts(without)


def test_several_seeds_are_a_mean_with_a_band() -> None:
    figure = fig1.draw(evaluations(seeds=(0, 2)), Style(), None)

    assert curves(figure.axes[0])[0][1] == [6.0, 11.0, 15.0, 23.0, 26.0]
    assert len(figure.axes[0].collections) == 4
    assert "2 seeds" in texts(figure)


def test_each_model_has_a_panel() -> None:
    figure = fig1.draw(evaluations(models=("R50 GN", "R101 GN")), Style(), None)

    assert [axes.get_title(loc="left") for axes in figure.axes] == ["R50 GN", "R101 GN"]


@pytest.mark.parametrize(("factor", "label"), [(1, "iterations"), (9_000, "iterations (thousands)")])
def test_iterations_are_in_units_that_fit_the_scale(factor: int, label: str) -> None:
    table = evaluations()
    table["iteration"] *= factor

    assert fig1.draw(table, Style(), None).axes[0].get_xlabel() == label


def test_a_study_whose_values_are_all_empty_is_still_drawn(tmp_path: Path) -> None:
    figure = fig1.draw(evaluations().assign(value=float("nan")), Style(), None)

    save(figure, Style(), tmp_path / "a.png", tmp_path / "a.pdf")
    assert "no checkpoint has a value" in texts(figure)


def test_keypoints_are_drawn_as_boxes_are_with_their_own_published_values() -> None:
    axes = fig6.draw(evaluations(iou_type="keypoints"), Style(), read_published(PUBLISHED)).axes[0]

    assert axes.get_ylabel() == "keypoint AP (%)"
    assert marked(axes) == [(40, 65.5), (40, 65.6)]


def test_a_table_without_the_metric_is_refused() -> None:
    with pytest.raises(UserError, match="no bbox AP, only segm AP"):
        fig1.draw(evaluations().assign(iou_type="segm"), Style(), None)


def test_bars_stack_pretraining_and_stand_beside_the_published_ones() -> None:
    figure = fig2.draw(counts(), Style(), read_published_counts(PUBLISHED))

    widths = [patch.get_width() for patch in figure.axes[0].patches]
    assert widths == pytest.approx([0.75, 0.25, 0.5])
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == [
        "images seen",
        "instances seen",
        "pixels seen",
    ]
    written = texts(figure)
    for expected in (
        "this study",
        "published",
        "8.00\xa0k",
        "6.00\xa0k + 2.00\xa0k",
        "131\xa0M",
        "9.08\xa0T",
    ):
        assert expected in written
    assert "declared" not in written


def test_declared_counts_are_marked() -> None:
    table = counts()
    table.loc[table["part"] == "pre-training", "source"] = "declared"

    assert "8.00\xa0k*" in texts(fig2.draw(table, Style(), None))


def test_bars_need_counts_of_our_own() -> None:
    with pytest.raises(UserError, match="none of our own"):
        fig2.draw(read_published_counts(PUBLISHED), Style(), None)


@pytest.mark.parametrize(
    ("value", "label"), [(12, "12"), (9_996, "10.0\xa0k"), (128e6, "128\xa0M"), (9.4512e12, "9.45\xa0T")]
)
def test_counts_are_labelled_with_three_digits(value: float, label: str) -> None:
    assert fig2.count_label(value) == label


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"color": "red"}', "unknown field `color`"),
        ('{"colours": {"random": "reddish"}}', "colours.random is 'reddish'"),
        ('{"dpi": 5}', "dpi is 5"),
        ("{", "--style {"),
    ],
)
def test_a_bad_style_is_named(text: str, found: str) -> None:
    with pytest.raises(UserError, match=re.escape(found)):
        parse_style(text)


@pytest.mark.parametrize("column", ["value", "initialisation", "source"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    for name, table, read in (
        ("e", evaluations(), read_evaluations),
        ("c", counts(), read_counts),
    ):
        path = tmp_path / f"{name}.csv"
        table.drop(columns=column).to_csv(path, index=False)
        with pytest.raises(UserError, match=f"{name}.csv: the column {column} is missing"):
            read(path)


def test_a_value_that_is_no_number_is_named_with_its_line(tmp_path: Path) -> None:
    table = evaluations().astype({"value": str})
    table.loc[1, "value"] = "high"
    table.to_csv(tmp_path / "e.csv", index=False)

    with pytest.raises(UserError, match="line 3: value is 'high'"):
        read_evaluations(tmp_path / "e.csv")


@pytest.mark.parametrize(
    ("figure", "table"),
    [(fig1, evaluations()), (fig2, counts()), (fig5, enhanced()), (fig7, less_data()), (fig8, losses())],
)
def test_the_command_writes_the_same_bytes_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: type, table: pd.DataFrame
) -> None:
    table.to_csv(tmp_path / "table.csv", index=False)
    written = []
    for name in ("first", "second"):
        outputs = {kind: tmp_path / f"{name}.{kind}" for kind in ("png", "pdf")}
        line = ["draw", "--table", tmp_path / "table.csv", "--published", PUBLISHED, "--scale", "mini"]
        line += ["--style", '{"dpi": 60}', "--png", outputs["png"], "--pdf", outputs["pdf"]]
        monkeypatch.setattr(sys, "argv", [str(word) for word in line])
        figure.main()
        written.append([path.read_bytes() for path in outputs.values()])

    assert written[0] == written[1]
    assert b"Software" not in written[0][0]
    assert b"CreationDate" not in written[0][1]
