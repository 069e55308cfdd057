"""Fig. 2: images, instances and pixels seen in all of training, pre-train + fine-tune against random init.

Counted or declared, never measured in AP: the paper's own counts stand beside ours at every scale.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from workflow_scripts.errors import UserError
from workflow_scripts.figures.command import draw_from_arguments
from workflow_scripts.figures.style import INK, MUTED, Style, context, footnote
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.published import read_published_counts
from workflow_scripts.tables.tidy import INITIALISATION_LABELS, read_counts

QUANTITIES = ("images", "instances", "pixels")
PARTS = ("pre-training", "fine-tuning", "training")
ROWS = {"pretrained": 0.0, "random": 1.0}


def draw(table: pd.DataFrame, style: Style, published: pd.DataFrame | None) -> Figure:
    """Bars of counts by quantity, each normalised to the longer bar of its quantity and source.

    Raises `UserError` where the table holds no count of our own.
    """
    ours = table[table["source"] != "published"]
    if ours.empty:
        raise UserError(
            "The table of counts holds none of our own. Count what the study trains, and gather again."
        )
    paper = table[table["source"] == "published"] if published is None else published
    sides = [(name, side) for name, side in (("this study", ours), ("published", paper)) if len(side)]
    with context(style):
        figure = Figure(figsize=(style.width, style.width * (0.26 + 0.17 * len(sides))), layout="constrained")
        grid = figure.subplots(len(sides), len(QUANTITIES), sharex=True, sharey=True, squeeze=False)
        for panels, (name, side) in zip(grid, sides, strict=True):
            for axes, quantity in zip(panels, QUANTITIES, strict=True):
                _bars(axes, side[side["quantity"] == quantity], style, published=name == "published")
            panels[0].set_ylabel(name, color=INK, fontweight="bold", labelpad=8)
        for axes, quantity in zip(grid[0], QUANTITIES, strict=True):
            axes.set_title(f"{quantity} seen", loc="left")
        _legend(figure, style, bool((ours["source"] == "declared").any()))
        return figure


def count_label(value: float) -> str:
    """Three digits and a unit that people read: `128 M`, `9.45 T`."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            digits = value / size
            return f"{digits:.{2 if digits < 9.995 else 1 if digits < 99.95 else 0}f}\N{NO-BREAK SPACE}{unit}"
    return f"{value:.0f}"


def _bars(axes: Axes, rows: pd.DataFrame, style: Style, published: bool) -> None:
    totals = rows.groupby("initialisation")["value"].sum()
    longest = totals.max() if len(totals) else 1.0
    for initialisation, position in ROWS.items():
        bar = rows[rows["initialisation"] == initialisation]
        left = 0.0
        for part in PARTS:
            for _, row in bar[bar["part"] == part].iterrows():
                width = row["value"] / longest
                axes.barh(position, width, 0.62, left, **_look(part, initialisation, style, published))
                left += width
        if len(bar):
            _label(axes, left + 0.03, position, bar, style)
    axes.set_yticks(list(ROWS.values()), [INITIALISATION_LABELS[name] for name in ROWS])
    axes.set_ylim(1.55, -0.55)
    axes.set_xlim(0, 1.34)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _label(axes: Axes, left: float, position: float, bar: pd.DataFrame, style: Style) -> None:
    """The total and, where it has parts, the parts below it in the order of the bar."""
    star = "*" if (bar["source"] == "declared").any() else ""
    axes.text(left, position, count_label(bar["value"].sum()) + star, va="center")
    if len(bar) > 1:
        parts = " + ".join(count_label(bar.loc[bar["part"] == part, "value"].sum()) for part in PARTS[:2])
        offset: dict[str, Any] = {
            "xytext": (0, -style.font_size * 0.75),
            "textcoords": "offset points",
            "va": "top",
        }
        axes.annotate(parts, (0.0, position + 0.24), fontsize=style.font_size * 0.75, color=MUTED, **offset)


def _look(part: str, initialisation: str, style: Style, published: bool) -> dict[str, Any]:
    """Pre-training is the pale part of its colour; published bars are outlined and hatched."""
    colour = getattr(style.colours, initialisation)
    pale = 0.35 if part == "pre-training" else 1.0
    if published:
        return {
            "facecolor": (colour, 0.22 * pale),
            "edgecolor": colour,
            "hatch": "////",
            "hatch_linewidth": 0.5,
        }
    return {"facecolor": (colour, pale), "edgecolor": colour}


def _legend(figure: Figure, style: Style, declared: bool) -> None:
    kinds = (
        ("pre-training", "pretrained", "pre-training"),
        ("fine-tuning", "pretrained", "fine-tuning"),
        ("training", "random", "training from random init"),
    )
    handles = [Patch(**_look(part, name, style, published=False)) for part, name, _ in kinds]
    labels = [label for _, _, label in kinds]
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    sentences = ["Bars relative to the longer one of each pair."]
    if declared:
        sentences.append("* with a declared count: those weights were not trained here.")
    footnote(figure, sentences, style)


def main() -> None:
    """Command line: table -> PNG and PDF."""
    draw_from_arguments(__doc__, draw, read_counts, read_published_counts, any_scale=True)


if __name__ == "__main__":
    job(main)
