"""Fig. 1: learning curves of R50-FPN with GN, five schedules overlaid, from random init and pre-training.

The figure is that of any model in the table, so that Figs. 3 and 4 differ by their table alone.
"""

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.figures.command import draw_from_arguments
from workflow_scripts.figures.curves import draw_models
from workflow_scripts.figures.style import Style
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.tidy import read_evaluations


def draw(
    table: pd.DataFrame,
    style: Style,
    published: pd.DataFrame | None,
    intervals: pd.DataFrame | None = None,
) -> Figure:
    """Box AP in percent against iterations.

    published: if not None, Table 1's end points are marked. intervals: if not None, bands, as `tidy.read_intervals`
    reads them. Raises `UserError` where the table holds no box AP.
    """
    return draw_models(table, style, published, intervals, "table1")


def main(description: str = __doc__) -> None:
    """Command line: table -> PNG, PDF and SVG."""
    draw_from_arguments(description, draw, read_evaluations, read_published)


if __name__ == "__main__":
    job(main)
