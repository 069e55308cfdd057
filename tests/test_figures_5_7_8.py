"""Figures of settings and subsets: which panels are drawn, in which order, and what is left out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tests.figures import (
    PUBLISHED,
    above,
    bands,
    dots,
    enhanced,
    evaluations,
    intervals,
    less_data,
    losses,
    marked,
    misplaced,
    texts,
)
from workflow_scripts.errors import UserError
from workflow_scripts.figures import fig5, fig7, fig8
from workflow_scripts.figures.style import Style
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.tidy import read_training


def test_enhanced_baselines_have_a_panel_a_model_and_kind_of_ap_and_settings_from_top_to_bottom() -> None:
    figure = fig5.draw(enhanced(), Style(), None)

    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        f"{model}: {kind} AP (%)" for model in ("R50 GN", "R101 GN") for kind in ("box", "mask")
    ]
    assert dots(figure.axes[0])["random"] == [(41.0, 0), (43.0, 1), (45.0, 2), (47.0, 3)]
    assert dots(figure.axes[3])["pretrained"] == [(36.0, 0), (38.0, 1), (40.0, 2), (42.0, 3)]
    ticks = [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]
    assert ticks == list(fig5.SETTINGS)
    assert "47.0 (9x)" in texts(figure)
    assert "47.0 (6x)" in texts(figure)


def test_enhanced_baselines_that_were_not_run_are_not_drawn() -> None:
    table = enhanced(models=("R101 GN",), settings=("train aug", "baseline"))
    figure = fig5.draw(table[table["iou_type"] == "segm"], Style(), None)

    assert [axes.get_title(loc="left") for axes in figure.axes] == ["R101 GN: mask AP (%)"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["baseline", "train aug"]
    with pytest.raises(UserError, match="its settings are own grid search"):
        fig5.draw(table.assign(setting="own grid search"), Style(), None)


def test_enhanced_baselines_of_several_seeds_are_a_mean_and_of_several_schedules_the_longest() -> None:
    table = enhanced(seeds=(0, 2))
    shorter = table.assign(schedule="1x", iteration=10, value=0.0)
    axes = fig5.draw(pd.concat([shorter, table]), Style(), None).axes[0]

    assert dots(axes)["random"][0] == (42.0, 0)
    seeds = [float(x) for marks in axes.collections for x, _ in marks.get_offsets()]
    assert sorted(x for x in seeds if x == x) == sorted(2 * [41.0, 43.0, 43.0, 45.0, 45.0, 47.0, 47.0, 49.0])
    assert "1x" not in texts(axes.figure)


def test_bars_of_enhanced_baselines_are_intervals_in_the_lane_of_their_mean() -> None:
    table = enhanced(models=("R50 GN",), seeds=(0, 2))
    axes = fig5.draw(table, Style(), None, intervals(table)).axes[0]

    bars = [line for line in axes.lines if line.get_marker() in ("", "None") and len(line.get_xdata()) > 1]
    spans = {
        (min(xs), max(xs), round(sorted(ys)[len(ys) // 2], 1))
        for xs, ys in ((list(line.get_xdata()), list(line.get_ydata())) for line in bars)
    }
    assert {(41.0, 44.0, -0.2), (41.0, 44.0, 0.2), (47.0, 50.0, 3.2)} <= spans
    assert "Bars: 95% intervals, as canned." in texts(axes.figure)


def test_published_masks_stand_beside_enhanced_baselines_only_where_comparable() -> None:
    figure = fig5.draw(enhanced(), Style(), read_published(PUBLISHED))

    assert [sorted(x for x, _ in marked(axes)) for axes in figure.axes] == [
        [],
        [40.9, 41.6],
        [],
        [41.9, 42.5],
    ]
    without = fig5.draw(enhanced(), Style(), None)
    assert not any(marked(axes) for axes in without.axes)
    assert "not comparable" in texts(without)


@pytest.mark.parametrize("value", [0.0, 0.04, float("nan")])
def test_enhanced_baselines_without_a_difference_do_not_get_an_axis_of_noise(value: float) -> None:
    low, high = fig5.draw(enhanced().assign(value=value), Style(), None).axes[0].get_xlim()

    assert high - low > 2


def test_less_data_has_a_panel_a_subset_and_setting_with_its_own_iterations_and_one_ap() -> None:
    figure = fig7.draw(less_data(), Style(), read_published(PUBLISHED))

    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "35k subset,\ndefault\nhyper-parameters",
        "35k subset,\nre-searched\nhyper-parameters",
        "10k subset,\nre-searched\nhyper-parameters",
    ]
    assert [marked(axes) for axes in figure.axes] == [
        [],
        [(540_000, 36.3), (540_000, 36.3)],
        [(60_000, 26.0), (220_000, 25.9)],
    ]
    assert [above(axes)[0] for axes in figure.axes] == [["2x", "6x"], ["6x"], ["60k", "220k"]]
    assert above(figure.axes[2])[1:] == [["●", "25.0"], ["■", "25.5"]]
    assert above(figure.axes[0])[1:] == [["■", "33.0", "30.0"]]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert len({axes.get_xlim() for axes in figure.axes}) == 2


@pytest.mark.parametrize("width", [5.0, 7.0, 10.0])
def test_titles_of_less_data_fit_their_panels(width: float) -> None:
    figure = fig7.draw(less_data(), Style(width=width), None)
    assert misplaced(figure) == []
    titles = {" ".join(axes.get_title(loc="left").split()) for axes in figure.axes}
    assert "10k subset, re-searched hyper-parameters" in titles


def test_panels_of_less_data_that_were_not_run_are_left_out() -> None:
    table = less_data()
    figure = fig7.draw(table[table["subset"] == "10k"], Style(), None)

    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "10k subset,\nre-searched hyper-parameters"
    ]
    with pytest.raises(UserError, match="holds all with baseline; expected 35k with default"):
        fig7.draw(evaluations(), Style(), None)


def loss_lines(axes: Axes) -> tuple[list[Line2D], list[Line2D]]:
    """Lines of the log, and running means."""
    faint = [line for line in axes.lines if line.get_alpha()]
    return faint, [line for line in axes.lines if line not in faint]


def test_a_loss_is_a_running_mean_before_the_lines_of_the_log_and_begins_where_they_do() -> None:
    """By hand: at either end a mean of one value, else of three."""
    table = losses()
    table.loc[table["iteration"] == 40, "value"] = 30.0
    axes = fig8.draw(table, Style(), None).axes[0]

    faint, means = loss_lines(axes)
    assert list(faint[0].get_ydata()) == [10.0, 30.0, *(float(value) for value in range(8, 0, -1))]
    assert list(means[0].get_ydata())[:4] == pytest.approx([10.0, 16.0, 15.0, 7.0])
    assert list(means[0].get_ydata())[-2:] == [2.0, 1.0]
    assert axes.get_ylim()[0] == 0
    assert "3 lines of the log, 60 iterations" in texts(axes.figure)


def test_losses_of_seeds_are_their_mean_with_its_interval() -> None:
    """By hand: of 10 and 12 the mean is 11, its standard error 1, and Student's t of one degree of freedom 12.706."""
    axes = fig8.draw(losses(seeds=(0, 2)), Style(), None).axes[0]

    assert loss_lines(axes)[1][0].get_ydata()[0] == 11.0
    assert bands(axes)[0] == pytest.approx((20, 11 - 12.706, 11 + 12.706), abs=1e-3)
    assert "Mean of 2 seeds" in texts(axes.figure)
    assert bands(fig8.draw(losses(), Style(), None).axes[0]) == []


def test_a_loss_does_not_show_where_segments_were_cut() -> None:
    """A segment that ends after 47 iterations leaves lines of 7 and 13 iterations: by their weight, they are one."""
    whole = losses()
    cut = whole[whole["iteration"] == 60].assign(iteration=47, value=4.0)
    rest = whole["iteration"] == 60
    whole.loc[rest, "value"] = (7 * 4.0 + 13 * 6.0) / 20
    seamed = whole.copy()
    seamed.loc[rest, "value"] = 6.0
    seamed = pd.concat([seamed, cut])

    plain, healed = (
        [list(line.get_ydata()) for line in fig8.draw(table, Style(), None).axes[0].lines]
        for table in (whole, seamed)
    )
    assert np.allclose(plain, healed)
    assert len(plain[0]) == 10


def test_losses_of_several_settings_differ_in_their_lines() -> None:
    settings = ("re-searched hyper-parameters", "own grid search")
    figure = fig8.draw(losses(settings=settings), Style(), None)

    entries = zip(figure.legends[0].get_texts(), figure.legends[0].get_lines(), strict=True)
    drawn = loss_lines(figure.axes[0])[1]
    found = [(text.get_text(), line.get_marker(), line._dash_pattern) for text, line in entries]
    assert [label for label, *_ in found] == [
        "random init, re-searched hyper-parameters",
        "w/ pre-train, re-searched hyper-parameters",
        "random init, own grid search",
        "w/ pre-train, own grid search",
    ]
    assert [marker for _, marker, _ in found] == ["o", "s", "o", "s"]
    assert len({str(dashes) for *_, dashes in found}) == 3
    assert {(line.get_color(), line.is_dashed()) for line in drawn} == {
        (line.get_color(), line.is_dashed()) for line in figure.legends[0].get_lines()
    }
    with pytest.raises(UserError, match="no loss on the subset 1k; its subsets: all"):
        fig8.draw(losses().assign(subset="all"), Style(), None)


def test_a_spike_of_the_loss_does_not_flatten_the_curves() -> None:
    table = losses()
    table.loc[3, "value"] = 1e6

    assert fig8.draw(table, Style(), None).axes[0].get_ylim()[1] < 1e6


@pytest.mark.parametrize("column", ["setting", "iteration", "loss"])
def test_a_missing_column_of_training_is_named(tmp_path: Path, column: str) -> None:
    losses().drop(columns=["value", column]).to_csv(tmp_path / "t.csv", index=False)

    with pytest.raises(UserError, match=f"t.csv: the column {column} is missing"):
        read_training(tmp_path / "t.csv")


def test_a_training_is_read_as_its_total_loss(tmp_path: Path) -> None:
    losses().drop(columns="value").to_csv(tmp_path / "t.csv", index=False)

    table = read_training(tmp_path / "t.csv")
    assert list(table["value"][:2]) == [10.0, 9.0]
    assert list(table["iteration"][:2]) == [20, 40]
