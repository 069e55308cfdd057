"""Fig. 6: keypoint AP of R50-FPN with GN against iterations, from random init and pre-training."""

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.figures.command import draw_from_arguments
from workflow_scripts.figures.curves import draw_models
from workflow_scripts.figures.style import Style
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.tidy import read_evaluations


def draw(table: pd.DataFrame, style: Style, published: pd.DataFrame | None) -> Figure:
    """Keypoint AP in percent against iterations; `published`, if not None, marks the paper's end points.

    Raises `UserError` where the table holds no keypoint AP.
    """
    return draw_models(table, style, published, "fig6", "keypoints")


def main() -> None:
    """Command line: table -> PNG and PDF."""
    draw_from_arguments(__doc__, draw, read_evaluations, read_published)


if __name__ == "__main__":
    job(main)
