"""How figures look: seaborn's theme and sizes, a colour, a marker and a dash for each initialisation."""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
import msgspec
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from workflow_scripts.errors import UserError
from workflow_scripts.study.configuration.look import Look, out_of_bounds, read_look
from workflow_scripts.tables.convergence import CONFIDENCE, UNCONVERGED_IF
from workflow_scripts.tables.tidy import INITIALISATION_LABELS, INITIALISATIONS

INK = "#22272e"
MUTED = "#5f6873"
GRID = "#e6e9ed"
PAPER = "#ffffff"
"""With the two colours of a style, all that a figure is drawn in: a page that embeds an SVG may exchange them."""
HALO = [withStroke(linewidth=2.5, foreground=PAPER)]
"""Keeps numbers legible on lines."""
MARKERS = {"random": "o", "pretrained": "s"}
GLYPHS = {"random": "●", "pretrained": "■"}
DASHES: dict[str, tuple[float, ...]] = {"random": (), "pretrained": (4, 1.5)}
MARK = 4.8
"""Points across the mark of an end; squares are drawn first and larger, so that a circle on one hides none of it."""
PAGE = 5.0
"""Inches from which a figure is as wide as a page: panels stand side by side, below it above one another."""
INTERVAL = {"estimator": "median", "errorbar": ("pi", 100)}
"""How seaborn draws `with_bounds`: three rows a point, of which the middle is the value and the others its interval."""


class Style(Look, frozen=True, forbid_unknown_fields=True):
    """A figure's look, and what follows from it."""

    @property
    def palette(self) -> dict[str, str]:
        """Colours by initialisation, as seaborn takes them."""
        return msgspec.structs.asdict(self.colours)

    @property
    def line(self) -> float:
        """Inches from one line of text to the next."""
        return self.font_size * 1.3 / 72

    def columns(self, panels: int, least: float) -> int:
        """How many panels of at `least` so many inches stand side by side."""
        return min(panels, max(1, int(self.width / least)))

    def text_colour(self, initialisation: str) -> tuple[float, float, float]:
        """Darker than the colour of lines, for what is read."""
        return sns.blend_palette([self.palette[initialisation], INK], 5)[2]


def parse_style(text: str) -> Style:
    """The style that a JSON object describes; what it leaves out keeps its default.

    Raises `UserError` on bad JSON, an unknown key, an unknown colour, or a size out of range.
    """
    try:
        style = read_look(msgspec.json.decode(text), Style)
    except msgspec.DecodeError as error:
        keys = ", ".join(Style.__struct_fields__)
        raise UserError(f"--style {text}: {error}. Expected a JSON object with any of {keys}.") from None
    for line in out_of_bounds(style):
        raise UserError(f"--style: {line}")
    return style


def context(style: Style) -> AbstractContextManager[None]:
    """Matplotlib's settings while a figure is drawn and written: seaborn's, in ink of our own."""
    paper = sns.plotting_context("paper")
    return matplotlib.rc_context(
        {
            **sns.axes_style("ticks", {"axes.spines.top": False, "axes.spines.right": False}),
            **sns.plotting_context("paper", font_scale=style.font_size / paper["font.size"]),
            "font.family": "DejaVu Sans",  # which comes with matplotlib: the same on every machine
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.edgecolor": MUTED,
            "grid.color": GRID,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "legend.frameon": False,
            "pdf.fonttype": 42,
            "svg.hashsalt": "figure",
            **dict.fromkeys(["text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"], INK),
        }
    )


def with_bounds(points: pd.DataFrame) -> pd.DataFrame:
    """Three rows for each: its `value`, `low` and `high`, of which the last two may be NaN. See `INTERVAL`."""
    others = [name for name in points.columns if name not in ("value", "low", "high")]
    return points.melt(others, ["value", "low", "high"], value_name="value_or_bound")


def draw_ends(axes: Axes, ends: pd.DataFrame, x: str, y: str, style: Style) -> None:
    """A mark at each of `ends`; open where a training has not `converged`.

    ends: columns `x`, `y`, `initialisation` and `converged`.
    """
    for level, name in enumerate(reversed(INITIALISATIONS), start=4):
        colour, size = style.palette[name], MARK + 1.8 * (name == "pretrained")
        own = ends[ends["initialisation"] == name]
        for full, face, edge, width in ((True, colour, PAPER, 0.8), (False, PAPER, colour, 1.3)):
            marks = own[own["converged"].astype(bool) == full]
            look: dict[str, Any] = {"mfc": face, "mec": edge, "mew": width, "color": colour, "zorder": level}
            axes.plot(marks[x], marks[y], MARKERS[name], ms=size, ls="", **look)


def remarks(rows: pd.DataFrame, comparable: bool, unconverged: bool, interval: str) -> list[str]:
    """What a figure of AP says below: what `interval` (bands, bars) and open marks are, and why published values miss.

    rows: evaluations with their interval's `method`, if they have one.
    """
    methods = sorted(set(rows["method"].dropna()) - {""})
    seeds = rows["seed"].nunique()
    said = [f"Means of {seeds} seeds."] if seeds > 1 else []
    if methods:
        said.append(f"{interval}: {100 * CONFIDENCE:g}% intervals, {' or '.join(methods)}.")
    if unconverged:
        said.append(f"Open marks have not converged: {UNCONVERGED_IF}.")
    if not comparable:
        said.append("Published values are not drawn: at this scale AP is not comparable with the paper's.")
    return said


def lines_of(sentences: list[str], style: Style) -> list[str]:
    """A footnote's lines, which fit the figure's width."""
    # A character of DejaVu Sans is about 0.55 of its size wide, which is 0.8 of the figure's; an inch has 72 points.
    return textwrap.wrap(" ".join(sentences), max(20, int(style.width * 72 / (0.57 * 0.8 * style.font_size))))


def footnote(figure: Figure, sentences: list[str], style: Style) -> None:
    """Write sentences small below everything else."""
    text = "\n".join(lines_of(sentences, style))
    figure.supxlabel(text, fontsize=style.font_size * 0.8, color=MUTED, x=0.99, ha="right")


def entry(colour: str, marker: str, dashes: Sequence[float]) -> Line2D:
    """A curve in a legend."""
    line = Line2D([], [], color=colour, marker=marker, mec=PAPER, ms=MARK + 1, lw=1.6)
    line.set_dashes(dashes)
    return line


def handles(names: Iterable[str], style: Style, published: str, unconverged: bool) -> dict[str, Line2D]:
    """What stands in a legend, by label: initialisations, what is `published` (if it has a name), and open marks."""
    present = [name for name in INITIALISATIONS if name in set(names)]
    found = {
        INITIALISATION_LABELS[name]: entry(style.palette[name], MARKERS[name], DASHES[name])
        for name in present
    }
    if published:
        found[published] = Line2D([], [], ls="", marker="D", ms=MARK, mfc="none", mec=INK)
    if unconverged:
        found["not converged"] = Line2D([], [], ls="", marker="o", ms=MARK, mfc=PAPER, mec=INK, mew=1.3)
    return found


def legend_rows(labels: Iterable[str], style: Style) -> int:
    """How many rows a legend takes, with as many columns as fit the figure's width."""
    # A label has a line and gaps beside it; sizes are those of the font.
    widths = [len(label) * 0.6 + 4.6 for label in labels]
    for rows in range(1, len(widths) + 1):
        columns = [max(widths[first : first + rows]) for first in range(0, len(widths), rows)]
        if sum(columns) * style.font_size <= style.width * 72:
            return rows
    return len(widths)


def legend(figure: Figure, entries: Mapping[str, Artist], style: Style) -> None:
    """Above everything."""
    columns = math.ceil(len(entries) / legend_rows(entries, style))
    figure.legend(entries.values(), entries.keys(), loc="outside upper right", ncols=columns)
