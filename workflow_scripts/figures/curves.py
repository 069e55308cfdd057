"""A metric against iterations, the schedules of a model overlaid (Figs. 1, 3, 4, 6 and 7 of the paper)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.figures.style import (
    HALO,
    MUTED,
    Style,
    ap_remarks,
    context,
    draw_ends,
    footnote,
    legend,
)
from workflow_scripts.tables.convergence import converged
from workflow_scripts.tables.published import of_experiment
from workflow_scripts.tables.tidy import (
    INITIALISATIONS,
    IOU_TYPE_LABELS,
    end_points,
    schedule_order,
    series,
)

THOUSANDS_FROM = 10_000


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
    experiment: str,
    iou_type: str = "bbox",
) -> Figure:
    """One panel a model: AP in percent against iterations.

    published: all published values, of which `experiment`'s end points are marked; None where not comparable.
    Raises `UserError` where the table holds no AP of the `iou_type`.
    """
    rows = series(table, iou_type)
    paper = None if published is None else series(of_experiment(published, experiment), iou_type)
    panels = [
        Panel(model, of_model, None if paper is None else paper[paper["model"] == model])
        for model, of_model in rows.groupby("model", sort=False)
    ]
    return draw_panels(panels, style, f"{IOU_TYPE_LABELS[iou_type]} AP")


def draw_panels(panels: list[Panel], style: Style, ylabel: str) -> Figure:
    """Panels side by side: value (percent) against iteration, a colour an initialisation, a line a schedule.

    AP has one scale for all panels, iterations have one each. Several seeds give their mean, in a band of one
    standard deviation. The end of a training that has not converged is an open mark.
    """
    evaluations = pd.concat([panel.rows for panel in panels])
    with context(style):
        width = style.width * (0.75 + 0.25 * len(panels))
        figure = Figure(figsize=(width, style.width * 0.6), layout="constrained")
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        ends = [_panel(axes, panel, style) for axes, panel in zip(grid, panels, strict=True)]
        _limits(grid, end_points(evaluations))
        grid[0].set_ylabel(f"{ylabel} (%)")
        marked = any(panel.published is not None and len(panel.published) for panel in panels)
        marks = "published end points" if marked else ""
        unconverged = not pd.concat(ends)["converged"].all()
        handles, labels = legend(evaluations, style, marks, unconverged, ms=5, lw=1.6)
        figure.legend(handles, labels, loc="outside upper right", ncols=len(handles))
        comparable = all(panel.published is not None for panel in panels)
        footnote(figure, ap_remarks(evaluations["seed"].nunique(), comparable, unconverged), style)
        return figure


def chains(evaluations: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation (0 for one seed) over seeds, by initialisation, schedule and iteration."""
    measured = evaluations.dropna(subset="value")
    groups = measured.groupby(["initialisation", "schedule", "iteration"], sort=True)["value"]
    return groups.agg(mean="mean", deviation="std").fillna({"deviation": 0.0}).reset_index()


def _ends(panel: Panel, points: pd.DataFrame) -> pd.DataFrame:
    """The last of the `chains` of each schedule, and whether it has `converged`: so too where that cannot be told."""
    schedule = ["initialisation", "schedule"]
    ends = points.loc[points.groupby(schedule)["iteration"].idxmax()]
    return ends.merge(converged(panel.rows)[[*schedule, "converged"]], how="left").fillna({"converged": True})


def _panel(axes: Axes, panel: Panel, style: Style) -> pd.DataFrame:
    """Draws a panel; returns its `_ends`."""
    points = chains(panel.rows)
    ends = _ends(panel, points)
    axes.grid(axis="y")
    for initialisation in INITIALISATIONS:
        colour = getattr(style.colours, initialisation)
        _curves(axes, points[points["initialisation"] == initialisation], colour)
        own = ends[ends["initialisation"] == initialisation]
        draw_ends(axes, own["iteration"], own["mean"], own["converged"], colour, 5)
    _label_ends(axes, ends, style)
    if panel.published is not None:
        _published(axes, ends, panel.published, style)
    if points.empty:
        axes.text(0.5, 0.5, "no checkpoint has a value", transform=axes.transAxes, ha="center", color=MUTED)
    _schedules(axes, ends, *iteration_axis(axes, points["iteration"].max() if len(points) else 1))
    axes.set_title(panel.title, loc="left", pad=20)
    return ends


def _curves(axes: Axes, points: pd.DataFrame, colour: str) -> None:
    """Each schedule from where it leaves what is drawn already, so that a shared trunk is drawn once."""
    drawn: set[tuple[int, float]] = set()
    for schedule in sorted(points["schedule"].unique(), key=schedule_order, reverse=True):
        chain = points[points["schedule"] == schedule].reset_index(drop=True)
        steps = list(zip(chain["iteration"], chain["mean"], strict=True))
        shared = next((index for index, step in enumerate(steps) if step not in drawn), len(steps))
        drawn.update(steps)
        part = chain.iloc[max(shared - 1, 0) :]
        axes.plot(
            part["iteration"], part["mean"], "-", color=colour, lw=1.4, marker=".", ms=3, label=schedule
        )
        if part["deviation"].any():
            low, high = part["mean"] - part["deviation"], part["mean"] + part["deviation"]
            axes.fill_between(part["iteration"], low, high, color=colour, alpha=0.15, lw=0)


def _label_ends(axes: Axes, ends: pd.DataFrame, style: Style) -> None:
    """Write end points' values: above for the better initialisation at an iteration, else below."""
    for _, group in ends.groupby("iteration"):
        best = group["mean"].idxmax()
        for index, end in group.iterrows():
            offset, align = (6, "bottom") if index == best else (-6, "top")
            axes.annotate(
                f"{end['mean']:.1f}",
                (end["iteration"], end["mean"]),
                xytext=(0, offset),
                textcoords="offset points",
                ha="center",
                va=align,
                color=getattr(style.colours, end["initialisation"]),
                fontsize=style.font_size * 0.85,
                path_effects=HALO,
                zorder=5,
            )


def _published(axes: Axes, ends: pd.DataFrame, published: pd.DataFrame, style: Style) -> None:
    """Mark published values at the end points that they speak of: those of the longest schedule, if they name none."""
    for row in published.to_dict("records"):
        own = ends[ends["initialisation"] == row["initialisation"]]
        if row["schedule"]:
            own = own[own["schedule"] == row["schedule"]]
        elif pd.notna(row["iterations"]):
            own = own[own["iteration"] == row["iterations"]]
        if len(own):
            colour = getattr(style.colours, row["initialisation"])
            where = own["iteration"].max(), row["value"]
            axes.scatter(*where, marker="D", s=34, facecolors="none", edgecolors=colour, zorder=3)


def iteration_axis(axes: Axes, last: int) -> tuple[int, str]:
    """Iterations from 0 to `last` below, in units that fit; returns the unit and its letter."""
    unit, letter = (1000, "k") if last >= THOUSANDS_FROM else (1, "")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / unit:g}")
    axes.set_xlabel("iterations (thousands)" if unit == 1000 else "iterations")
    axes.set_xlim(0, last * 1.04)
    return unit, letter


def _schedules(axes: Axes, ends: pd.DataFrame, unit: int, letter: str) -> None:
    """Above, where each schedule ends: its name where that is a multiple such as `6x`, else its iterations."""
    names = dict(zip(ends["iteration"], ends["schedule"], strict=True))
    labels = [
        name if math.isfinite(schedule_order(name)[0]) else f"{iteration / unit:g}{letter}"
        for iteration, name in names.items()
    ]
    top = axes.secondary_xaxis("top")
    top.set_xticks(list(names), labels)
    top.tick_params(length=3)
    top.spines["top"].set_visible(False)
    for iteration in names:
        axes.axvline(iteration, color=MUTED, lw=0.6, ls=(0, (1, 3)), zorder=0)


def _limits(panels: Iterable[Axes], ends: pd.DataFrame) -> None:
    """From 0, or a little below where end points near 0 need room for their values, to above all that is drawn."""
    drawn = [axes.dataLim.y1 for axes in panels]
    top = 1.14 * max([1.0, *filter(math.isfinite, drawn)])
    bottom = -0.08 * top if ends["value"].min() < 0.08 * top else 0.0
    for axes in panels:
        axes.set_ylim(bottom, top)
