"""Figures as pure functions of tidy tables: what is drawn, what is not, and the same bytes each time."""

import hashlib
import io
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.lines import Line2D
from PIL import Image

from tests.figures import (
    PUBLISHED,
    above,
    bands,
    counts,
    curves,
    end_marks,
    enhanced,
    evaluations,
    intervals,
    less_data,
    lines,
    losses,
    marked,
    misplaced,
    texts,
)
from workflow_scripts.errors import UserError
from workflow_scripts.figures import fig1, fig2, fig4, fig5, fig6, fig7, fig8
from workflow_scripts.figures.command import save
from workflow_scripts.figures.style import Style, parse_style
from workflow_scripts.tables.published import read_published, read_published_counts
from workflow_scripts.tables.tidy import read_counts, read_evaluations


def test_a_shared_trunk_is_drawn_once_and_each_schedule_leaves_it_at_its_drop() -> None:
    axes = fig1.draw(evaluations(), Style(), None).axes[0]

    assert curves(axes)[::2] == [
        ([10, 20, 30, 40, 50], [5.0, 10.0, 14.0, 22.0, 25.0]),
        ([20, 30, 40], [10.0, 18.0, 20.0]),
    ]
    assert [line.get_label() for line in lines(axes)] == ["3x", "3x", "2x", "2x"]


def test_runs_that_share_nothing_are_drawn_whole() -> None:
    table = evaluations()
    table.loc[table["schedule"] == "2x", "value"] += 0.5

    assert [xs for xs, _ in curves(fig1.draw(table, Style(), None).axes[0])][::2] == [
        [10, 20, 30, 40, 50],
        [10, 20, 30, 40],
    ]


def test_initialisations_differ_in_colour_marker_and_dash_and_the_legend_shows_it() -> None:
    figure = fig1.draw(evaluations(), parse_style('{"colours": {"random": "teal"}}'), None)

    assert_looks(lines(figure.axes[0])[:2])
    assert_looks(figure.legends[0].get_lines()[:2])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["random init", "w/ pre-train", "not converged"]


def assert_looks(pair: list[Line2D]) -> None:
    """One line of each initialisation."""
    random, pretrained = pair
    assert same_color(random.get_color(), "teal")
    assert same_color(pretrained.get_color(), Style().colours.pretrained)
    assert (random.get_marker(), pretrained.get_marker()) == ("o", "s")
    assert (random.is_dashed(), pretrained.is_dashed()) == (False, True)


def test_values_of_ends_stand_above_the_panel_and_on_no_line() -> None:
    axes = fig1.draw(evaluations(), Style(), None).axes[0]

    assert above(axes) == [["2x", "3x"], ["●", "20.0", "25.0"], ["■", "24.0", "29.0"]]
    assert [sorted(map(tuple, line.get_xydata())) for line in end_marks(axes)] == [
        [(40, 24), (50, 29)],
        [(40, 20), (50, 25)],
    ]
    FigureCanvasAgg(axes.figure).draw()
    assert all(text.get_window_extent().y0 > axes.bbox.y1 for text in axes.texts)


def test_an_end_upon_another_hides_none() -> None:
    """At the same place a square lies below a smaller circle."""
    below, on_it = end_marks(fig1.draw(evaluations(above=0.0), Style(), None).axes[0])

    assert (below.get_marker(), on_it.get_marker()) == ("s", "o")
    assert below.get_zorder() < on_it.get_zorder()
    assert below.get_markersize() > on_it.get_markersize() + 1


def test_where_schedules_end_close_together_the_longest_have_their_values() -> None:
    """Of 20 ends, not more values than fit; the guides and marks of all."""
    one = evaluations().query("schedule == '3x' and iteration <= 40")
    many = pd.concat(
        [
            one.assign(schedule=f"{k}x", run=one["run"] + f"/{k}", iteration=one["iteration"] + k)
            for k in range(1, 21)
        ]
    )
    axes = fig1.draw(many, Style(width=3.4), None).axes[0]

    names, random, pretrained = above(axes)
    assert names[-1] == "20x" and 1 < len(names) < 20
    assert len(random) == len(pretrained) == len(names) + 1
    assert misplaced(axes.figure) == []
    assert sum(len(line.get_xdata()) for line in end_marks(axes)) == 40


def test_published_end_points_are_drawn_only_where_they_are_comparable() -> None:
    with_paper = fig1.draw(evaluations(), Style(), read_published(PUBLISHED))
    without = fig1.draw(evaluations(), Style(), None)

    assert sorted(y for _, y in marked(with_paper.axes[0])) == [36.8, 39.5, 40.3, 40.8]
    assert "published end points" in texts(with_paper)
    low, high = with_paper.axes[0].get_ylim()
    assert low < 36.8 < 40.8 < high
    assert not marked(without.axes[0])
    assert "not comparable" in texts(without)


def test_bands_are_the_intervals_of_means_over_seeds() -> None:
    table = evaluations(seeds=(0, 2))
    axes = fig1.draw(table, Style(), None, intervals(table)).axes[0]

    assert curves(axes)[0][1] == [6.0, 11.0, 15.0, 23.0, 26.0]
    assert bands(axes) == [(10, 5, 8), (10, 9, 12), (20, 10, 13), (20, 14, 17)]
    assert "Bands: 95% intervals, as canned." in texts(axes.figure)
    without = fig1.draw(table, Style(), None)
    assert curves(without.axes[0])[0][1] == curves(axes)[0][1]
    assert bands(without.axes[0]) == []
    assert "Bands" not in texts(without) and "Means of 2 seeds." in texts(without)


def test_no_interval_is_drawn_of_a_value_that_has_none() -> None:
    table = evaluations()
    known = intervals(table)
    known.loc[known["iteration"] < 30, ["low", "high"]] = float("nan")

    assert [start for start, *_ in bands(fig1.draw(table, Style(), None, known).axes[0])] == [30] * 4


def test_an_interval_that_tells_nothing_does_not_flatten_the_curves() -> None:
    table = evaluations()
    _, top = fig1.draw(table, Style(), None, intervals(table, half=1000.0)).axes[0].get_ylim()

    assert 29 < top < 1.5 * 29


def test_each_model_has_a_panel_beside_others_where_they_have_room() -> None:
    table = evaluations(models=("R50 GN", "R101 GN", "X152 GN"))
    wide, narrow = (fig1.draw(table, Style(width=width), None) for width in (7.0, 3.4))

    assert [axes.get_title(loc="left") for axes in wide.axes] == ["R50 GN", "R101 GN", "X152 GN"]
    assert {axes.get_subplotspec().colspan.start for axes in wide.axes} == {0, 1, 2}
    assert [axes.get_subplotspec().rowspan.start for axes in narrow.axes] == [0, 1, 2]
    assert wide.get_figwidth() == 7.0 and narrow.get_figwidth() == 3.4


@pytest.mark.parametrize(("factor", "label"), [(1, "iterations"), (9_000, "iterations (thousands)")])
def test_iterations_are_in_units_that_fit_the_scale(factor: int, label: str) -> None:
    table = evaluations()
    table["iteration"] *= factor

    assert fig1.draw(table, Style(), None).axes[0].get_xlabel() == label


def test_a_study_whose_values_are_all_empty_is_still_drawn(tmp_path: Path) -> None:
    figure = fig1.draw(evaluations().assign(value=float("nan")), Style(), None)

    save(figure, Style(), [tmp_path / "a.png"])
    assert "no checkpoint has a value" in texts(figure)


def test_keypoints_are_drawn_as_boxes_are_with_their_own_published_values() -> None:
    axes = fig6.draw(evaluations(iou_type="keypoints"), Style(), read_published(PUBLISHED)).axes[0]

    assert axes.get_ylabel() == "keypoint AP (%)"
    assert marked(axes) == [(40, 65.5), (40, 65.6)]


def test_a_table_without_the_metric_is_refused() -> None:
    with pytest.raises(UserError, match="no bbox AP, only segm AP"):
        fig1.draw(evaluations().assign(iou_type="segm"), Style(), None)


def test_bars_end_where_parts_do_and_stand_beside_what_follows_from_the_paper() -> None:
    figure = fig2.draw(counts(), Style(), read_published_counts(PUBLISHED))

    bars = [(patch.get_width(), bool(patch.get_hatch())) for patch in figure.axes[0].patches]
    assert [bar for bar in bars if bar[0] > 0] == [(0.5, False), (1.0, False), (0.75, True)]
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"{quantity}, {whose}"
        for whose in ("this study", "the paper")
        for quantity in ("images", "instances", "pixels")
    ]
    written = texts(figure)
    for expected in ("8.00\xa0k", "6.00\xa0k + 2.00\xa0k", "131\xa0M", "9.08\xa0T"):
        assert expected in written
    assert "declared" not in written
    assert "published" not in written, "the paper prints none of them"


def test_the_legend_shows_hatching_as_the_bars_have_it() -> None:
    (legend,) = fig2.draw(counts(), Style(), None).legends

    hatched = {
        text.get_text(): patch.get_hatch()
        for text, patch in zip(legend.get_texts(), legend.get_patches(), strict=True)
    }
    assert hatched == {"pre-training": "////", "fine-tuning": None, "training from random init": None}


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


def test_a_style_may_be_given_by_config_which_passes_numbers_on_as_text() -> None:
    style = parse_style('{"dpi": "150", "width": "3.4"}')

    assert (style.dpi, style.width) == (150, 3.4)
    with pytest.raises(UserError, match="Expected `int`"):
        parse_style('{"dpi": "many"}')


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


DRAWN = [(fig1, evaluations()), (fig2, counts()), (fig5, enhanced()), (fig7, less_data()), (fig8, losses())]


def draw_by_command(
    monkeypatch: pytest.MonkeyPatch, folder: Path, figure: ModuleType, table: pd.DataFrame, *more: str
) -> list[bytes]:
    """PNG, PDF and SVG."""
    table.to_csv(folder / "table.csv", index=False)
    outputs = {kind: folder / f"figure.{kind}" for kind in ("png", "pdf", "svg")}
    line = ["draw", "--table", folder / "table.csv", "--published", PUBLISHED, "--scale", "mini"]
    line += ["--style", '{"dpi": 60}', *more]
    line += [word for kind, path in outputs.items() for word in (f"--{kind}", path)]
    monkeypatch.setattr(sys, "argv", [str(word) for word in line])
    figure.main()
    return [path.read_bytes() for path in outputs.values()]


@pytest.mark.parametrize(("figure", "table"), DRAWN)
def test_the_command_writes_the_same_bytes_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: ModuleType, table: pd.DataFrame
) -> None:
    first, again = (draw_by_command(monkeypatch, tmp_path, figure, table) for _ in range(2))

    assert first == again


def test_files_tell_what_they_show_and_of_which_table_and_of_no_time_or_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    png, pdf, svg = draw_by_command(monkeypatch, tmp_path, fig4, evaluations())

    digest = hashlib.sha256((tmp_path / "table.csv").read_bytes()).hexdigest()
    title, source = "Fig. 4: learning curves as in Fig. 1, of R50-FPN with SyncBN", f"(SHA-256 {digest})"
    told = Image.open(io.BytesIO(png)).text
    assert told["Title"] == title and told["Source"].endswith(source)
    found = {element.tag.rpartition("}")[2]: element.text for element in ElementTree.fromstring(svg).iter()}
    assert found["title"] == title and found["source"].endswith(source)
    assert f"/Title ({title})".encode() in pdf and digest.encode() in pdf
    for content in (png, pdf, svg):
        assert not re.search(rb"CreationDate|Software|Producer|Creator|dc:date|matplotlib\.org/, ", content)


def test_an_svg_has_no_ground_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It follows the page's: nothing of the figure's size is filled."""
    svg = draw_by_command(monkeypatch, tmp_path, fig1, evaluations())[2].decode()

    grounds = re.findall(r'<g id="patch_[12]">\s*<path d="[^"]*" style="([^"]*)"', svg)
    assert grounds and all("fill: none" in style or "opacity: 0" in style for style in grounds)


def test_the_command_draws_intervals_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = evaluations()
    intervals(table).to_csv(tmp_path / "bands.csv", index=False)
    without = draw_by_command(monkeypatch, tmp_path, fig1, table)
    given = draw_by_command(monkeypatch, tmp_path, fig1, table, "--intervals", str(tmp_path / "bands.csv"))

    assert given != without


def test_a_figure_brings_no_torch() -> None:
    """It would take longer to import than all else takes."""
    code = (
        "import sys, workflow_scripts.figures.fig1; print(sorted({'torch', 'detectron2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
