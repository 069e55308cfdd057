"""Fig. 6: keypoint AP of R50-FPN with GN against iterations, from random init and pre-training."""

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
    """Keypoint AP in percent against iterations.

    published: if not None, the paper's end points are marked. intervals: if not None, bands, as `tidy.read_intervals`
    reads them. Raises `UserError` where the table holds no keypoint AP.
    """
    return draw_models(table, style, published, intervals, "fig6", "keypoints")


def main() -> None:
    """Command line: table -> PNG, PDF and SVG."""
    draw_from_arguments(__doc__, draw, read_evaluations, read_published)


if __name__ == "__main__":
    job(main)
