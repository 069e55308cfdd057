"""Fig. 2: images, instances and pixels seen in all of training, pre-train + fine-tune against random init.

Counted or declared, never measured in AP: what follows from the paper's text stands beside ours at every scale.
"""

import math
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from workflow_scripts.errors import UserError
from workflow_scripts.figures.command import draw_from_arguments
from workflow_scripts.figures.style import (
    MUTED,
    PAGE,
    PAPER,
    Style,
    context,
    footnote,
    legend,
    legend_rows,
    lines_of,
)
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.published import read_published_counts
from workflow_scripts.tables.tidy import INITIALISATION_LABELS, read_counts

QUANTITIES = ("images", "instances", "pixels")
PARTS = {
    "pre-training": "pre-training",
    "fine-tuning": "fine-tuning",
    "training": "training from random init",
}
"""What is counted, from left to right in a bar, and its name in the legend."""
ROWS = ("pretrained", "random")
OURS, THEIRS = "this study", "the paper"


def draw(table: pd.DataFrame, style: Style, published: pd.DataFrame | None) -> Figure:
    """Bars of counts by quantity, each relative to the longer bar of its panel.

    published: counts that follow from the paper's text, or None for those of the table, if it has some. Raises
    `UserError` where the table holds no count of our own.
    """
    ours = table[table["source"] != "published"]
    if ours.empty:
        raise UserError(
            "The table of counts holds none of our own. Count what the study trains, and gather again."
        )
    paper = table[table["source"] == "published"] if published is None else published
    sides = [(name, side) for name, side in ((OURS, ours), (THEIRS, paper)) if len(side)]
    panels = [(quantity, name, side) for name, side in sides for quantity in QUANTITIES]
    notes = _remarks(len(paper) > 0, bool((ours["source"] == "declared").any()))
    with context(style):
        columns = len(QUANTITIES) if style.width >= PAGE else 1
        rows = math.ceil(len(panels) / columns)
        lines = rows * 7.5 + len(lines_of(notes, style)) + legend_rows(PARTS.values(), style) + 1
        figure = Figure(figsize=(style.width, lines * style.line), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (quantity, name, side) in zip(grid.flat, panels, strict=True):
            _bars(axes, side[side["quantity"] == quantity], style)
            axes.set_title(f"{quantity}, {name}")
        looks = {label: _look(part, style) for part, label in PARTS.items()}
        legend(figure, {label: Patch(facecolor=face, **look) for label, (face, look) in looks.items()}, style)
        footnote(figure, notes, style)
        return figure


def count_label(value: float) -> str:
    """Three digits and a unit that people read: `128 M`, `9.45 T`."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            digits = value / size
            return f"{digits:.{2 if digits < 9.995 else 1 if digits < 99.95 else 0}f}\N{NO-BREAK SPACE}{unit}"
    return f"{value:.0f}"


def _bars(axes: Axes, rows: pd.DataFrame, style: Style) -> None:
    """A bar from 0 to where each part ends, so the first part is drawn last; what was counted beside and below."""
    counts = rows.pivot_table("value", "initialisation", "part", "sum").reindex(index=ROWS, columns=PARTS)
    ends = counts.cumsum(axis=1) / counts.sum(axis=1).max()
    for part in reversed(PARTS):
        face, look = _look(part, style)
        labels = [INITIALISATION_LABELS[name] for name in ROWS]
        sns.barplot(x=ends[part].to_numpy(), y=labels, width=0.5, color=face, saturation=1, ax=axes, **look)
    for place, name in enumerate(ROWS):
        parts = counts.loc[name].dropna()
        if len(parts):
            star = "*" if (rows.loc[rows["initialisation"] == name, "source"] == "declared").any() else ""
            total = count_label(parts.sum()) + star
            axes.text(ends.loc[name].max() + 0.03, place, total, va="center")
        if len(parts) > 1:
            text = " + ".join(map(count_label, parts))
            axes.text(0, place + 0.29, text, va="top", fontsize=style.font_size * 0.75, color=MUTED)
    axes.set(xlim=(0, 1.34), ylim=(1.5, -0.5), xticks=[], xlabel="", ylabel="")
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _look(part: str, style: Style) -> tuple[str, dict[str, Any]]:
    """Its face, and the rest: pre-training is the hatched part of its colour."""
    colour = style.palette["random" if part == "training" else "pretrained"]
    if part == "pre-training":
        return PAPER, {"edgecolor": colour, "hatch": "////"}
    return colour, {"edgecolor": colour}


def _remarks(paper: bool, declared: bool) -> list[str]:
    notes = ["Bars relative to the longer one of each pair."]
    if paper:
        notes.append(
            "The paper draws bars without numbers: its counts follow from the epochs, images and sizes of its text."
        )
    if declared:
        notes.append("* with a declared count: those weights were not trained here.")
    return notes


def main() -> None:
    """Command line: table -> PNG, PDF and SVG."""
    draw_from_arguments(__doc__, draw, read_counts, read_published_counts, any_scale=True, intervals=False)


if __name__ == "__main__":
    job(main)
