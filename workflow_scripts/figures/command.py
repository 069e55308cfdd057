"""The command line that all figures share."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.figures.style import Style, parse_style, save
from workflow_scripts.tables.published import COMPARABLE_SCALE

Reader = Callable[[str | Path], pd.DataFrame]
Draw = Callable[[pd.DataFrame, Style, pd.DataFrame | None], Figure]


def draw_from_arguments(
    description: str | None, draw: Draw, read_table: Reader, read_published: Reader, any_scale: bool = False
) -> None:
    """Parse the command line, read, draw and write a figure.

    Published values reach `draw` only at the paper's own scale, where they are comparable, or at `any_scale`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--table", required=True, help="tidy CSV to draw")
    parser.add_argument("--published", required=True, help="reports/published.yaml")
    parser.add_argument("--style", default="{}", help="JSON: colours, width, font_size, dpi")
    parser.add_argument("--scale", required=True, help="smoke, mini or paper")
    parser.add_argument("--png", required=True)
    parser.add_argument("--pdf", required=True)
    arguments = parser.parse_args()

    style = parse_style(arguments.style)
    published = read_published(arguments.published)
    comparable = any_scale or arguments.scale == COMPARABLE_SCALE
    figure = draw(read_table(arguments.table), style, published if comparable else None)
    save(figure, style, arguments.png, arguments.pdf)
