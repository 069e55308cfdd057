"""Fig. 7: learning curves on fewer images, with default and with re-searched hyper-parameters."""

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.errors import UserError
from workflow_scripts.figures.command import draw_from_arguments
from workflow_scripts.figures.curves import Panel, draw_panels
from workflow_scripts.figures.style import Style
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.published import of_experiment, read_published
from workflow_scripts.tables.tidy import read_evaluations, series, with_intervals

PANELS = (
    ("35k", "default hyper-parameters"),
    ("35k", "re-searched hyper-parameters"),
    ("10k", "re-searched hyper-parameters"),
)
"""(subset, setting) from left to right. At small scales a subset keeps its name and holds fewer images."""


def draw(
    table: pd.DataFrame,
    style: Style,
    published: pd.DataFrame | None,
    intervals: pd.DataFrame | None = None,
) -> Figure:
    """Box AP in percent against iterations, one model; a panel without rows is left out.

    published: if not None, the paper's end points are marked. intervals: if not None, bands, as `tidy.read_intervals`
    reads them. Raises `UserError` where no panel has rows.
    """
    rows = with_intervals(series(table), intervals)
    paper = None if published is None else series(of_experiment(published, "fig7"))
    panels = []
    for subset, setting in PANELS:
        own = _part(rows, subset, setting)
        if len(own):
            theirs = None if paper is None else _part(paper, subset, setting)
            panels.append(Panel(f"{subset} subset,\n{setting}", own, theirs))
    if not panels:
        found = ", ".join(sorted(set(rows["subset"] + " with " + rows["setting"])))
        expected = ", ".join(" with ".join(panel) for panel in PANELS)
        raise UserError(f"The table holds {found}; expected {expected}. Evaluate these and gather it again.")
    return draw_panels(panels, style, "box AP")


def _part(rows: pd.DataFrame, subset: str, setting: str) -> pd.DataFrame:
    return rows[(rows["subset"] == subset) & (rows["setting"] == setting)]


def main() -> None:
    """Command line: table -> PNG, PDF and SVG."""
    draw_from_arguments(__doc__, draw, read_evaluations, read_published)


if __name__ == "__main__":
    job(main)
