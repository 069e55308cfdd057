"""The command line that all figures share, and how they are written: the same table gives the same bytes."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.figures.style import Style, context, parse_style
from workflow_scripts.files import sha256, write_atomically
from workflow_scripts.tables.published import COMPARABLE_SCALE
from workflow_scripts.tables.tidy import read_intervals

Reader = Callable[[str | Path], pd.DataFrame]
Draw = Callable[..., Figure]
"""Of a table, a style, published values or None, and, of what has intervals, these or None."""


def draw_from_arguments(
    description: str,
    draw: Draw,
    read_table: Reader,
    read_published: Reader,
    any_scale: bool = False,
    intervals: bool = True,
) -> None:
    """Parse the command line, read, draw and write a figure.

    Published values reach `draw` only at the paper's own scale, where they are comparable, or at `any_scale`.
    intervals: whether its values have some.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--table", required=True, help="tidy CSV to draw")
    parser.add_argument("--published", required=True, help="reports/published.yaml")
    parser.add_argument("--style", default="{}", help="JSON: colours, width, font_size, dpi")
    parser.add_argument("--scale", required=True, help="smoke, mini or paper")
    if intervals:
        parser.add_argument("--intervals", help="CSV of report/figure_intervals; without it, none are drawn")
    for ending in ("png", "pdf", "svg"):
        parser.add_argument(f"--{ending}", required=True)
    arguments = parser.parse_args()

    style = parse_style(arguments.style)
    published = read_published(arguments.published)
    comparable = any_scale or arguments.scale == COMPARABLE_SCALE
    further = [read_intervals(arguments.intervals)] if intervals and arguments.intervals else []
    figure = draw(read_table(arguments.table), style, published if comparable else None, *further)
    title = description.splitlines()[0].rstrip(".")
    source = f"{arguments.table} (SHA-256 {sha256(arguments.table)})"
    save(figure, style, (arguments.png, arguments.pdf, arguments.svg), title, source)


def save(
    figure: Figure, style: Style, paths: Iterable[str | Path], title: str = "", source: str = ""
) -> None:
    """Write the figure as PNG, PDF and SVG, by the endings of `paths`; the background of an SVG is left out.

    Title and source are in their metadata. Dates and versions of programs are not, nor is the commit: the same table
    gives the same bytes with other code that draws the same. The job's record, beside the PNG, tells of them.
    """
    no_program = {"Creator": None}
    metadata = {
        ".png": {"Title": title, "Source": source, "Software": None},
        ".pdf": {"Title": title, "Subject": source, "Producer": None, "CreationDate": None, **no_program},
        ".svg": {"Title": title, "Source": source, "Date": None, **no_program},
    }
    with context(style):
        for path in map(Path, paths):
            known, clear = metadata[path.suffix], path.suffix == ".svg"
            with write_atomically(path) as temporary:
                figure.savefig(temporary, dpi=style.dpi, metadata=known, transparent=clear)
            figure.set_layout_engine("none")  # laid out once, which takes as long as all else
