"""A metric against iterations, the schedules of a model overlaid (Figs. 1, 3, 4, 6 and 7 of the paper)."""

import math
import textwrap
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.figures.style import (
    DASHES,
    GLYPHS,
    INK,
    INTERVAL,
    MARK,
    MARKERS,
    MUTED,
    Style,
    context,
    draw_ends,
    footnote,
    handles,
    legend,
    legend_rows,
    lines_of,
    remarks,
    with_bounds,
)
from workflow_scripts.tables.convergence import converged
from workflow_scripts.tables.published import of_experiment
from workflow_scripts.tables.tidy import (
    INITIALISATIONS,
    IOU_TYPE_LABELS,
    number,
    schedule_order,
    series,
    with_intervals,
)

THOUSANDS_FROM = 10_000
TALLEST = 1.25
"""Of the highest value: where an axis ends at most, however far intervals reach."""
CURVE = ["initialisation", "schedule"]


@dataclass(frozen=True)
class Panel:
    """Curves of one model: rows of one metric, and the published end points (None where not comparable)."""

    title: str
    rows: pd.DataFrame
    published: pd.DataFrame | None


def draw_models(
    table: pd.DataFrame,
    style: Style,
    published: pd.DataFrame | None,
    intervals: pd.DataFrame | None,
    experiment: str,
    iou_type: str = "bbox",
) -> Figure:
    """One panel a model: AP in percent against iterations.

    published: all published values, of which `experiment`'s end points are marked; None where not comparable.
    Raises `UserError` where the table holds no AP of the `iou_type`.
    """
    rows = with_intervals(series(table, iou_type), intervals)
    paper = None if published is None else series(of_experiment(published, experiment), iou_type)
    panels = [
        Panel(model, of_model, None if paper is None else paper[paper["model"] == model])
        for model, of_model in rows.groupby("model", sort=False)
    ]
    return draw_panels(panels, style, f"{IOU_TYPE_LABELS[iou_type]} AP")


def draw_panels(panels: list[Panel], style: Style, ylabel: str) -> Figure:
    """Panels: value (percent) against iteration, a colour, marker and dash an initialisation, a line a schedule.

    AP has one scale for all panels, iterations have one each. Several seeds give their mean, its interval is a band,
    and the end of a training that has not converged is an open mark. Above a panel are the values at the ends.
    """
    evaluations = pd.concat([panel.rows for panel in panels])
    points = [mean_over_seeds(panel.rows) for panel in panels]
    ends = [_ends(panel, along) for panel, along in zip(panels, points, strict=True)]
    unconverged = not pd.concat(ends)["converged"].all()
    marked = any(panel.published is not None and len(panel.published) for panel in panels)
    marks = "published end points" if marked else ""
    entries = handles(evaluations["initialisation"], style, marks, unconverged)
    comparable = all(panel.published is not None for panel in panels)
    notes = remarks(evaluations, comparable, unconverged, "Bands")
    present = [name for name in INITIALISATIONS if name in set(evaluations["initialisation"])]
    with context(style):
        columns = style.columns(len(panels), least=2.1)
        rows = math.ceil(len(panels) / columns)
        across = style.width / columns
        around = len(lines_of(notes, style)) + legend_rows(entries, style) + 1
        panels = [replace(panel, title=_wrapped(panel.title, across, style)) for panel in panels]
        above = 6 + max(2, *(panel.title.count("\n") + 1 for panel in panels))
        height = rows * (max(1.4, 0.45 * across) + above * style.line) + around * style.line
        figure = Figure(figsize=(style.width, height), layout="constrained")
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes, panel, along, last in zip(grid.flat, panels, points, ends, strict=False):
            _panel(axes, panel, along, last, present, across, style)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        for axes in grid[:, 0]:
            axes.set_ylabel(f"{ylabel} (%)")
        grid[0, 0].set_ylim(*_limits(panels))
        legend(figure, entries, style)
        footnote(figure, notes, style)
        return figure


def _wrapped(title: str, across: float, style: Style) -> str:
    """A title on as many lines as its panel's width asks for."""
    # A bold character of DejaVu Sans is about 0.7 of its size wide; some of the panel is its axis.
    most = int(0.85 * across * 72 / (0.7 * style.font_size))
    return "\n".join(
        part for line in title.splitlines() for part in textwrap.wrap(line, most, break_on_hyphens=False)
    )


def mean_over_seeds(evaluations: pd.DataFrame) -> pd.DataFrame:
    """`value`, `low` and `high` by initialisation, schedule and iteration."""
    points = evaluations.dropna(subset="value").groupby([*CURVE, "iteration"], as_index=False)
    return points.agg({"value": "mean", "low": "first", "high": "first"})


def _ends(panel: Panel, points: pd.DataFrame) -> pd.DataFrame:
    """The last of the points of each schedule, and whether it has `converged`: so too where that cannot be told."""
    ends = points.loc[points.groupby(CURVE)["iteration"].idxmax()].sort_values("iteration", kind="stable")
    return ends.merge(converged(panel.rows)[[*CURVE, "converged"]], how="left").fillna({"converged": True})


def _panel(
    axes: Axes,
    panel: Panel,
    points: pd.DataFrame,
    ends: pd.DataFrame,
    present: list[str],
    across: float,
    style: Style,
) -> None:
    """One panel, `across` so many inches, of a figure in which these initialisations are `present`."""
    axes.grid(axis="y")
    _curves(axes, points, style)
    draw_ends(axes, ends, "iteration", "value", style)
    if panel.published is not None:
        _published(axes, ends, panel.published, style)
    if points.empty:
        axes.text(0.5, 0.5, "no checkpoint has a value", transform=axes.transAxes, ha="center", color=MUTED)
    unit, letter = iteration_axis(axes, points["iteration"].max() if len(points) else 1)
    axes.set_ylabel("")
    _above(axes, ends, present, unit, letter, across, style)
    axes.set_title(panel.title, pad=72 * style.line * (len(present) + 1.3))


def _curves(axes: Axes, points: pd.DataFrame, style: Style) -> None:
    """Each schedule from where it leaves what is drawn already, so that a shared trunk is drawn once."""
    for schedule, part in _parts(points).groupby("schedule", sort=False):
        before = len(axes.lines)
        sns.lineplot(
            with_bounds(part),
            x="iteration",
            y="value_or_bound",
            hue="initialisation",
            style="initialisation",
            hue_order=INITIALISATIONS,
            style_order=INITIALISATIONS,
            palette=style.palette,
            markers=MARKERS,
            dashes=DASHES,
            markersize=3.2,
            mew=0.4,
            lw=1.3,
            err_kws={"lw": 0, "alpha": 0.16},
            legend=False,
            ax=axes,
            **INTERVAL,
        )
        for line in axes.lines[before:]:
            line.set_label(schedule)


def _parts(points: pd.DataFrame) -> pd.DataFrame:
    """What each schedule adds to longer ones, from the last point that they share."""
    parts = [points.iloc[:0]]
    for _, curves in points.groupby("initialisation"):
        drawn: set[tuple[int, float]] = set()
        for schedule in sorted(curves["schedule"].unique(), key=schedule_order, reverse=True):
            curve = curves[curves["schedule"] == schedule]
            steps = list(zip(curve["iteration"], curve["value"], strict=True))
            shared = next((index for index, step in enumerate(steps) if step not in drawn), len(steps))
            drawn.update(steps)
            parts.append(curve.iloc[max(shared - 1, 0) :])
    return pd.concat(parts)


def _above(
    axes: Axes,
    ends: pd.DataFrame,
    present: list[str],
    unit: int,
    letter: str,
    across: float,
    style: Style,
) -> None:
    """Above a panel, where each schedule ends: its name, and a line of values for each initialisation `present`.

    There they lie on no curve, however close curves are.
    """

    def write(text: str, x: float, line: int, colour: Any, xcoords: str = "data", ha: str = "center") -> None:
        axes.annotate(
            text,
            (x, 1),
            xycoords=(xcoords, "axes fraction"),
            xytext=(0, 72 * style.line * (line + 0.25)),
            textcoords="offset points",
            fontsize=style.font_size * 0.85,
            color=colour,
            ha=ha,
            va="bottom",
        )

    shown = _apart(ends, across, style)
    for line, name in enumerate(reversed(present)):
        colour, own = style.text_colour(name), shown[shown["initialisation"] == name]
        if len(own):
            write(GLYPHS[name], 0, line, colour, "axes fraction", "left")
        for iteration, value in zip(own["iteration"], own["value"], strict=True):
            write(number(value), iteration, line, colour)
    for iteration, schedule in dict(zip(shown["iteration"], shown["schedule"], strict=True)).items():
        multiple = math.isfinite(schedule_order(schedule)[0])
        write(schedule if multiple else f"{iteration / unit:g}{letter}", iteration, len(present), INK)
    for iteration in ends["iteration"].unique():
        axes.axvline(iteration, color=MUTED, lw=0.6, ls=(0, (1, 3)), zorder=0)


def _apart(ends: pd.DataFrame, across: float, style: Style) -> pd.DataFrame:
    """Those of the ends whose numbers have room in a panel `across` so many inches, the longest first."""
    least = ends["iteration"].max() * (2.6 * style.font_size / 72) / (across - 5 * style.font_size / 72)
    kept: list[int] = []
    for iteration in sorted(set(ends["iteration"]), reverse=True):
        if not kept or kept[-1] - iteration >= least:
            kept.append(iteration)
    return ends[ends["iteration"].isin(kept)]


def _published(axes: Axes, ends: pd.DataFrame, published: pd.DataFrame, style: Style) -> None:
    """Mark published values at the end points that they speak of: those of the longest schedule, if they name none."""
    for row in published.to_dict("records"):
        own = ends[ends["initialisation"] == row["initialisation"]]
        if row["schedule"]:
            own = own[own["schedule"] == row["schedule"]]
        elif pd.notna(row["iterations"]):
            own = own[own["iteration"] == row["iterations"]]
        if len(own):
            colour = style.palette[row["initialisation"]]
            where = own["iteration"].max(), row["value"]
            axes.scatter(
                *where, marker="D", s=(MARK + 4) ** 2, facecolors="none", edgecolors=colour, zorder=6
            )


def iteration_axis(axes: Axes, last: int) -> tuple[int, str]:
    """Iterations from 0 to `last` below, in units that fit; returns the unit and its letter."""
    unit, letter = (1000, "k") if last >= THOUSANDS_FROM else (1, "")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / unit:g}")
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("iterations (thousands)" if unit == 1000 else "iterations")
    axes.set_xlim(0, last * 1.04)
    return unit, letter


def _limits(panels: list[Panel]) -> tuple[float, float]:
    """From 0, with room for marks there, to above all values, and intervals that are not far above them."""
    shown = [panel.rows for panel in panels]
    shown += [panel.published for panel in panels if panel.published is not None]
    rows = pd.concat(shown)
    highest = max(1.0, rows["value"].fillna(0).max())
    top = 1.06 * max(highest, min(TALLEST * highest, rows["high"].fillna(0).max()))
    return -0.03 * top, top
