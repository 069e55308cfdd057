"""Fig. 5: box and mask AP of enhanced baselines, from random init and pre-training.

The paper draws bars that start far above 0. Here values are dots: no length stands for them, so that their axis may
be zoomed. Bars from 0 would hide differences of half a point, which is what the figure is about.
"""

import itertools
import math
import textwrap
from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.errors import UserError
from workflow_scripts.figures.command import draw_from_arguments
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
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.convergence import converged
from workflow_scripts.tables.published import of_experiment, read_published
from workflow_scripts.tables.tidy import IOU_TYPE_LABELS, read_evaluations

SETTINGS = ("baseline", "train aug", "cascade + train aug", "cascade + train aug + test aug")
IOU_TYPES = ("bbox", "segm")
KEY = ["iou_type", "model", "setting", "initialisation"]
LANES = {"random": -0.17, "pretrained": 0.17}
NARROWEST = 2.0
"""Points of AP that an axis spans at least, so that noise does not look like a difference."""


def draw(table: pd.DataFrame, style: Style, published: pd.DataFrame | None) -> Figure:
    """Dots of AP (percent) by setting, a panel a model and kind of AP.

    Several seeds are a mean with one standard deviation, and a faint dot each; a mean is open where the training has
    not converged. `published`, if not None, marks the paper's values. Raises `UserError` where the table holds no AP
    of these settings.
    """
    rows = longest(table).merge(converged(table), how="left").fillna({"converged": True})
    unconverged = not rows["converged"].all()
    paper = None if published is None else of_experiment(published, "fig5")
    models = list(dict.fromkeys(rows["model"]))
    kinds = [name for name in IOU_TYPES if name in set(rows["iou_type"])]
    settings = [name for name in SETTINGS if name in set(rows["setting"])]
    with context(style):
        height = style.width * (0.12 + len(models) * (0.07 + 0.07 * len(settings)))
        figure = Figure(figsize=(style.width, height), layout="constrained")
        grid = figure.subplots(len(models), len(kinds), sharex="col", sharey=True, squeeze=False)
        for (model, kind), axes in zip(itertools.product(models, kinds), grid.flat, strict=True):
            own = rows[(rows["model"] == model) & (rows["iou_type"] == kind)]
            _dots(axes, own, paper, settings, style)
            axes.set_title(f"{model}: {IOU_TYPE_LABELS[kind]} AP (%)", loc="left")
        _settings(grid[0, 0], settings)
        for column in grid.T:
            _limits(column)
        marks = "published" if published is not None else ""
        handles, labels = legend(rows, style, marks, unconverged, ms=5.5, ls="")
        figure.legend(handles, labels, loc="outside upper right", ncols=len(handles))
        remarks = ap_remarks(rows["seed"].nunique(), published is not None, unconverged)
        footnote(figure, ["In brackets: the schedule.", *remarks], style)
        return figure


def longest(table: pd.DataFrame) -> pd.DataFrame:
    """AP of the last checkpoint of each `KEY`, all seeds: of several schedules, the longest.

    Raises `UserError` where there is none.
    """
    wanted = table["iou_type"].isin(IOU_TYPES) & (table["metric"] == "AP") & table["setting"].isin(SETTINGS)
    rows = table[wanted]
    if rows.empty:
        found = ", ".join(sorted(set(table["setting"]))) or "nothing"
        raise UserError(
            f"The table holds no box or mask AP of the settings {', '.join(SETTINGS)}; its settings are {found}. "
            "Evaluate the ends of these runs and gather the table again."
        )
    last = rows.groupby(KEY)["iteration"].transform("max")
    return rows[rows["iteration"] == last]


def _dots(
    axes: Axes, own: pd.DataFrame, paper: pd.DataFrame | None, settings: list[str], style: Style
) -> None:
    """One model's AP of one kind: rows of dots, the published value in the same lane, our mean as a number."""
    axes.grid(axis="x")
    measured = own.dropna(subset="value")
    for (setting, initialisation), group in measured.groupby(["setting", "initialisation"]):
        y = settings.index(setting) + LANES[initialisation]
        colour = getattr(style.colours, initialisation)
        values = group["value"]
        mean, deviation = values.mean(), values.std() if len(values) > 1 else 0.0
        marks = pd.Series(dtype=float) if paper is None else _published(paper, group)
        axes.scatter(
            marks, [y] * len(marks), marker="D", s=34, facecolors="none", edgecolors=colour, zorder=3
        )
        if len(values) > 1:
            axes.scatter(values, [y] * len(values), s=9, color=colour, alpha=0.4, lw=0, zorder=2)
            axes.errorbar(mean, y, xerr=deviation, color=colour, lw=1.2, capsize=2)
        draw_ends(axes, [mean], [y], [group["converged"].all()], colour, 5.5)
        axes.annotate(
            f"{mean:.1f} ({', '.join(dict.fromkeys(group['schedule']))})",
            (max(mean + deviation, *values, *marks), y),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=style.font_size * 0.85,
            path_effects=HALO,
        )
    if measured.empty:
        axes.text(0.5, 0.5, "no checkpoint has a value", transform=axes.transAxes, ha="center", color=MUTED)


def _published(paper: pd.DataFrame, group: pd.DataFrame) -> pd.Series:
    """The published values of one group of `KEY`."""
    keys = group.iloc[0][[*KEY, "metric"]]
    return paper.loc[(paper[list(keys.index)] == keys).all(axis=1), "value"]


def _settings(axes: Axes, settings: list[str]) -> None:
    """The settings from top to bottom, a line between them."""
    axes.set_yticks(range(len(settings)), [textwrap.fill(name, 20) for name in settings])
    axes.set_ylim(len(settings) - 0.5, -0.5)


def _limits(column: Iterable[Axes]) -> None:
    """Around all that is drawn, with room for numbers on the right."""
    drawn = [(axes.dataLim.x0, axes.dataLim.x1) for axes in column if math.isfinite(axes.dataLim.x1)]
    low, high = (min(x for x, _ in drawn), max(x for _, x in drawn)) if drawn else (0.0, 0.0)
    span = max(high - low, NARROWEST)
    for axes in column:
        axes.set_xlim(low - 0.1 * span, low + 1.4 * span)
        axes.tick_params(axis="y", length=0)


def main() -> None:
    """Command line: table -> PNG and PDF."""
    draw_from_arguments(__doc__, draw, read_evaluations, read_published)


if __name__ == "__main__":
    job(main)
