"""Fig. 5: box and mask AP of enhanced baselines, from random init and pre-training.

The paper draws bars that start far above 0. Here values are dots: no length stands for them, so that their axis may
be zoomed. Bars from 0 would hide differences of half a point, which is what the figure is about.
"""

import itertools
import math
import textwrap

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.errors import UserError
from workflow_scripts.figures.command import draw_from_arguments
from workflow_scripts.figures.style import (
    HALO,
    INTERVAL,
    MARK,
    MUTED,
    PAGE,
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
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.convergence import converged
from workflow_scripts.tables.published import of_experiment, read_published
from workflow_scripts.tables.tidy import (
    INITIALISATIONS,
    IOU_TYPE_LABELS,
    number,
    read_evaluations,
    with_intervals,
)

SETTINGS = ("baseline", "train aug", "cascade + train aug", "cascade + train aug + test aug")
IOU_TYPES = ("bbox", "segm")
KEY = ["iou_type", "model", "setting", "initialisation"]
DODGE = 0.4
"""Of the distance between two settings: how far apart the initialisations are."""
NARROWEST = 2.0
"""Points of AP that an axis spans at least, so that noise does not look like a difference."""


def draw(
    table: pd.DataFrame,
    style: Style,
    published: pd.DataFrame | None,
    intervals: pd.DataFrame | None = None,
) -> Figure:
    """Dots of AP (percent) by setting, a panel a model and kind of AP.

    Several seeds are a mean, and a faint dot each; a mean is open where the training has not converged. published: if
    not None, the paper's values are marked. intervals: if not None, bars, as `tidy.read_intervals` reads them. Raises
    `UserError` where the table holds no AP of these settings.
    """
    rows = longest(table).merge(converged(table), how="left").fillna({"converged": True})
    rows = with_intervals(rows, intervals)
    unconverged = not rows["converged"].all()
    paper = None if published is None else of_experiment(published, "fig5")
    models = list(dict.fromkeys(rows["model"]))
    kinds = [name for name in IOU_TYPES if name in set(rows["iou_type"])]
    settings = [name for name in SETTINGS if name in set(rows["setting"])]
    notes = ["In brackets: the schedule.", *remarks(rows, published is not None, unconverged, "Bars")]
    entries = handles(rows["initialisation"], style, "" if published is None else "published", unconverged)
    for each in entries.values():
        each.set_linestyle("")
    with context(style):
        columns = len(kinds) if style.width >= PAGE else 1
        down = len(models) * len(kinds) // columns
        lines = (
            down * (3.5 + 3.4 * len(settings)) + len(lines_of(notes, style)) + legend_rows(entries, style) + 1
        )
        figure = Figure(figsize=(style.width, lines * style.line), layout="constrained")
        grid = figure.subplots(down, columns, sharex="col", sharey=True, squeeze=False)
        for (model, kind), axes in zip(itertools.product(models, kinds), grid.flat, strict=True):
            own = rows[(rows["model"] == model) & (rows["iou_type"] == kind)].dropna(subset="value")
            _dots(axes, own, paper, settings, style)
            axes.set_title(f"{model}: {IOU_TYPE_LABELS[kind]} AP (%)")
        grid[0, 0].set_yticks(range(len(settings)), [textwrap.fill(name, 20) for name in settings])
        grid[0, 0].set_ylim(len(settings) - 0.5, -0.5)
        for column in grid.T:
            _limits(column)
        legend(figure, entries, style)
        footnote(figure, notes, style)
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
    """One model's AP of one kind: means with their intervals, seeds, the published value, the mean as a number."""
    axes.grid(axis="x")
    if own.empty:
        axes.text(0.5, 0.5, "no checkpoint has a value", transform=axes.transAxes, ha="center", color=MUTED)
        return
    means = _means(own, paper, settings)
    shared = {
        "y": "setting",
        "hue": "initialisation",
        "order": settings,
        "hue_order": INITIALISATIONS,
        "palette": style.palette,
        "legend": False,
        "ax": axes,
    }
    seeds = own[own.duplicated(KEY, keep=False)]
    sns.stripplot(
        seeds, x="value", dodge=True, jitter=False, size=3, alpha=0.4, edgecolor="none", zorder=2, **shared
    )
    sns.pointplot(
        with_bounds(means),
        x="value_or_bound",
        dodge=DODGE,
        markers="",  # those of `draw_ends`
        linestyle="none",
        capsize=0.12,
        err_kws={"lw": 1.1},
        **INTERVAL,
        **shared,
    )
    axes.set(xlabel="", ylabel="")
    draw_ends(axes, means, "value", "lane", style)
    known = means.dropna(subset="published")
    colours = known["initialisation"].map(style.palette)
    look = {"marker": "D", "facecolors": "none", "edgecolors": colours, "zorder": 6}
    axes.scatter(known["published"], known["lane"], (MARK + 4) ** 2, **look)
    for row in means.itertuples():
        axes.annotate(
            f"{number(row.value)} ({row.schedules})",
            (row.right, row.lane),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=style.text_colour(row.initialisation),
            fontsize=style.font_size * 0.85,
            path_effects=HALO,
        )


def _means(own: pd.DataFrame, paper: pd.DataFrame | None, settings: list[str]) -> pd.DataFrame:
    """By `KEY`: mean over seeds and its interval, schedules, the published value, and where its row is."""
    means = own.groupby(KEY, as_index=False).agg(
        value=("value", "mean"),
        low=("low", "first"),
        high=("high", "first"),
        largest=("value", "max"),
        converged=("converged", "all"),
        schedules=("schedule", lambda names: ", ".join(dict.fromkeys(names))),
    )
    theirs = pd.DataFrame(columns=[*KEY, "value"]) if paper is None else paper[paper["metric"] == "AP"]
    means = means.merge(
        theirs[[*KEY, "value"]].rename(columns={"value": "published"}), how="left", on=KEY
    ).astype({"published": float})
    lanes = dict(zip(INITIALISATIONS, (-DODGE / 2, DODGE / 2), strict=True))
    return means.assign(
        lane=means["setting"].map(settings.index) + means["initialisation"].map(lanes),
        right=means[["high", "largest", "published"]].max(axis=1),
    )


def _limits(column: list[Axes]) -> None:
    """Around all that is drawn, with room for numbers on the right."""
    drawn = [(axes.dataLim.x0, axes.dataLim.x1) for axes in column if math.isfinite(axes.dataLim.x1)]
    low, high = (min(x for x, _ in drawn), max(x for _, x in drawn)) if drawn else (0.0, 0.0)
    span = max(high - low, NARROWEST)
    for axes in column:
        axes.set_xlim(low - 0.1 * span, low + 1.4 * span)
        axes.tick_params(axis="y", length=0)


def main() -> None:
    """Command line: table -> PNG, PDF and SVG."""
    draw_from_arguments(__doc__, draw, read_evaluations, read_published)


if __name__ == "__main__":
    job(main)
