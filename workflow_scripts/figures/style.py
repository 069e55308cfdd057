"""How figures look, and how they are written so that the same table gives the same bytes."""

import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
import msgspec
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.tables.convergence import UNCONVERGED_IF
from workflow_scripts.tables.tidy import INITIALISATION_LABELS, INITIALISATIONS

INK = "#22272e"
MUTED = "#6b7480"
GRID = "#e6e9ed"
HALO = [withStroke(linewidth=2.5, foreground="white")]
"""Keeps numbers legible on lines."""


class Colours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A colour (any of matplotlib's) by initialisation; the defaults suit the colour-blind too."""

    random: str = "#c8501e"
    pretrained: str = "#22629b"


class Style(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that may be changed about a figure's look: `width` in inches, `font_size` in points."""

    colours: Colours = Colours()
    width: float = 7.0
    font_size: float = 9.0
    dpi: int = 200


def parse_style(text: str) -> Style:
    """The style that a JSON object describes; what it leaves out keeps its default.

    Raises `UserError` on bad JSON, an unknown key, an unknown colour, or a size out of range.
    """
    try:
        style = msgspec.json.decode(text, type=Style)
    except msgspec.DecodeError as error:
        keys = ", ".join(Style.__struct_fields__)
        raise UserError(f"--style {text}: {error}. Expected a JSON object with any of {keys}.") from None
    for name, colour in msgspec.structs.asdict(style.colours).items():
        if not matplotlib.colors.is_color_like(colour):
            raise UserError(
                f"--style: colours.{name} is {colour!r}; expected a colour such as #22629b or teal."
            )
    for name, value, low, high in (
        ("width", style.width, 2, 40),
        ("font_size", style.font_size, 4, 40),
        ("dpi", style.dpi, 50, 1200),
    ):
        if not low <= value <= high:
            raise UserError(f"--style: {name} is {value}; expected {low} to {high}.")
    return style


def context(style: Style) -> AbstractContextManager[None]:
    """Matplotlib's settings while a figure is drawn and written."""
    return matplotlib.rc_context(
        {
            "font.family": "DejaVu Sans",
            "font.size": style.font_size,
            "axes.titlesize": style.font_size * 1.1,
            "axes.titleweight": "bold",
            "axes.edgecolor": MUTED,
            "axes.labelcolor": INK,
            "axes.linewidth": 0.8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "grid.color": GRID,
            "grid.linewidth": 0.8,
            "text.color": INK,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "legend.frameon": False,
            "pdf.fonttype": 42,
            "svg.hashsalt": "figure",
        }
    )


def footnote(figure: Figure, sentences: list[str], style: Style) -> None:
    """Write sentences small below everything else, in lines that fit the figure's width."""
    size = style.font_size * 0.8
    # A character of DejaVu Sans is about 0.55 of its size wide; there are 72 points in an inch.
    text = textwrap.fill(" ".join(sentences), max(20, int(figure.get_figwidth() * 72 / (0.57 * size))))
    figure.supxlabel(text, fontsize=size, color=MUTED, x=0.99, ha="right")


def draw_ends(
    axes: Axes, xs: Sequence[float], ys: Sequence[float], converged: Sequence[bool], colour: str, size: float
) -> None:
    """Round marks of `size` points; open where a training has not converged."""
    for full, face, edge, width in ((True, colour, "white", 0.8), (False, "white", colour, 1.4)):
        marks = [(x, y) for x, y, has in zip(xs, ys, converged, strict=True) if has == full]
        if marks:
            points = zip(*marks, strict=True)
            axes.plot(*points, "o", ms=size, color=colour, mfc=face, mec=edge, mew=width, zorder=4)


def ap_remarks(seeds: int, comparable: bool, unconverged: bool) -> list[str]:
    """What a figure of AP says below: what bands and open marks are, and why published values are missing."""
    remarks = [f"Mean and standard deviation of {seeds} seeds."] if seeds > 1 else []
    if unconverged:
        remarks.append(f"Open marks have not converged: {UNCONVERGED_IF}.")
    if not comparable:
        remarks.append("Published values are not drawn: at this scale AP is not comparable with the paper's.")
    return remarks


def legend(
    rows: pd.DataFrame, style: Style, published: str, unconverged: bool, **line: Any
) -> tuple[list[Line2D], list[str]]:
    """Handles and labels of the initialisations in `rows`; `published` names the diamonds, where there are any.

    unconverged: whether there are open marks. line: how the initialisations are drawn, beside their colour and marker.
    """
    present = [name for name in INITIALISATIONS if name in set(rows["initialisation"])]
    handles = [
        Line2D([], [], color=getattr(style.colours, name), marker="o", mec="white", **line)
        for name in present
    ]
    labels = [INITIALISATION_LABELS[name] for name in present]
    if published:
        handles.append(Line2D([], [], ls="", marker="D", ms=5.5, mfc="none", mec=INK))
        labels.append(published)
    if unconverged:
        handles.append(Line2D([], [], ls="", marker="o", ms=5, mfc="white", mec=INK, mew=1.4))
        labels.append("not converged")
    return handles, labels


def save(figure: Figure, style: Style, png: str | Path, pdf: str | Path) -> None:
    """Write the figure as PNG and PDF without dates or program versions in their metadata."""
    with context(style):
        with write_atomically(png) as path:
            figure.savefig(path, format="png", dpi=style.dpi, metadata={"Software": None})
        with write_atomically(pdf) as path:
            figure.savefig(
                path, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None}
            )
