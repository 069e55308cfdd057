"""A metric against iterations, the schedules of a model overlaid (Figs. 1, 3, 4 and 6 of the paper)."""

import math
from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from workflow_scripts.figures.style import INK, MUTED, Style, context
from workflow_scripts.tables.tidy import INITIALISATION_LABELS, INITIALISATIONS, end_points, schedule_order

THOUSANDS_FROM = 10_000
HALO = [withStroke(linewidth=2.5, foreground="white")]


def draw_curves(
    evaluations: pd.DataFrame, style: Style, published: pd.DataFrame | None, ylabel: str, title: str = ""
) -> Figure:
    """One panel a model: value (percent) against iteration, a colour an initialisation, a line a schedule.

    evaluations: rows of one metric; several seeds give their mean, in a band of one standard deviation.
    published: rows with model, initialisation, schedule, value (percent); None where not comparable.
    """
    with context(style):
        models = list(dict.fromkeys(evaluations["model"]))
        figure = Figure(figsize=(style.width * len(models), style.width * 0.6), layout="constrained")
        panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
        for axes, model in zip(panels, models, strict=True):
            rows = evaluations[evaluations["model"] == model]
            paper = None if published is None else published[published["model"] == model]
            _panel(axes, rows, style, paper)
            axes.set_title(title or model, loc="left", pad=20)
        _limits(panels, end_points(evaluations))
        panels[0].set_ylabel(f"{ylabel} (%)")
        figure.legend(*_legend(evaluations, style, published), loc="outside upper right", ncols=3)
        note = _note(evaluations, published)
        figure.supxlabel(note, fontsize=style.font_size * 0.8, color=MUTED, x=0.99, ha="right")
        return figure


def chains(evaluations: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation (0 for one seed) over seeds, by initialisation, schedule and iteration."""
    measured = evaluations.dropna(subset="value")
    groups = measured.groupby(["initialisation", "schedule", "iteration"], sort=True)["value"]
    return groups.agg(mean="mean", deviation="std").fillna({"deviation": 0.0}).reset_index()


def _panel(axes: Axes, rows: pd.DataFrame, style: Style, published: pd.DataFrame | None) -> None:
    points = chains(rows)
    ends = points.loc[points.groupby(["initialisation", "schedule"])["iteration"].idxmax()]
    axes.grid(axis="y")
    for initialisation in INITIALISATIONS:
        colour = getattr(style.colours, initialisation)
        _curves(axes, points[points["initialisation"] == initialisation], colour)
        own = ends[ends["initialisation"] == initialisation]
        axes.plot(own["iteration"], own["mean"], "o", ms=5, color=colour, mec="white", mew=0.8, zorder=4)
    _label_ends(axes, ends, style)
    if published is not None:
        _published(axes, ends, published, style)
    if points.empty:
        axes.text(0.5, 0.5, "no checkpoint has a value", transform=axes.transAxes, ha="center", color=MUTED)
    _iterations(axes, points, ends)


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
    """Write end points' values: above for the better initialisation of a schedule, else below."""
    for _, group in ends.groupby("schedule"):
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
    """Mark the published values at our end points' iterations."""
    key = ["initialisation", "schedule"]
    both = ends.merge(published[[*key, "value"]], on=key)
    colours = [getattr(style.colours, name) for name in both["initialisation"]]
    axes.scatter(
        both["iteration"], both["value"], marker="D", s=34, facecolors="none", edgecolors=colours, zorder=3
    )


def _iterations(axes: Axes, points: pd.DataFrame, ends: pd.DataFrame) -> None:
    """Iterations below, in units that fit; above, where each schedule ends."""
    last = points["iteration"].max() if len(points) else 1
    unit = 1000 if last >= THOUSANDS_FROM else 1
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / unit:g}")
    axes.set_xlabel("iterations (thousands)" if unit == 1000 else "iterations")
    axes.set_xlim(0, last * 1.04)
    schedules = ends.groupby("schedule")["iteration"].max()
    top = axes.secondary_xaxis("top")
    top.set_xticks(list(schedules), list(schedules.index))
    top.tick_params(length=3)
    top.spines["top"].set_visible(False)
    for iteration in schedules:
        axes.axvline(iteration, color=MUTED, lw=0.6, ls=(0, (1, 3)), zorder=0)


def _limits(panels: Iterable[Axes], ends: pd.DataFrame) -> None:
    """From 0, or a little below where end points near 0 need room for their values, to above all that is drawn."""
    drawn = [axes.dataLim.y1 for axes in panels]
    top = 1.14 * max([1.0, *filter(math.isfinite, drawn)])
    bottom = -0.08 * top if ends["value"].min() < 0.08 * top else 0.0
    for axes in panels:
        axes.set_ylim(bottom, top)


def _legend(
    evaluations: pd.DataFrame, style: Style, published: pd.DataFrame | None
) -> tuple[list[Line2D], list[str]]:
    present = [name for name in INITIALISATIONS if name in set(evaluations["initialisation"])]
    handles = [
        Line2D([], [], color=getattr(style.colours, name), marker="o", ms=5, mec="white", lw=1.6)
        for name in present
    ]
    labels = [INITIALISATION_LABELS[name] for name in present]
    if published is not None:
        handles.append(Line2D([], [], ls="", marker="D", ms=5.5, mfc="none", mec=INK))
        labels.append("published end points")
    return handles, labels


def _note(evaluations: pd.DataFrame, published: pd.DataFrame | None) -> str:
    seeds = evaluations["seed"].nunique()
    notes = [f"Mean and standard deviation of {seeds} seeds."] if seeds > 1 else []
    if published is None:
        notes.append(
            "Published end points are not drawn: at this scale AP is not comparable with the paper's."
        )
    return " ".join(notes)
