"""Table 3: larger models and stronger settings from random init alone: AP, AP50, AP75 of boxes and masks."""

import pandas as pd

from workflow_scripts.jobs.job import job
from workflow_scripts.tables.published import of_experiment
from workflow_scripts.tables.results import (
    KEY,
    beside,
    boxes_and_masks,
    ends,
    finish,
    make_from_arguments,
)


def make(evaluations: pd.DataFrame, published: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Tidy `results.COLUMNS`: values in percent of each random run's end, by model and setting.

    A setting that the paper has and this study has not stays with `value` empty.
    Raises `UserError` where the evaluations hold several schedules of one setting.
    """
    paper, ours = (
        rows[rows["initialisation"] == "random"]
        for rows in (of_experiment(published, "table3"), boxes_and_masks(ends(evaluations)))
    )
    return finish(beside(ours, paper, KEY), paper, scale)


def main() -> None:
    """Command line: evaluations -> CSV, Markdown and LaTeX."""
    make_from_arguments(__doc__, make, "table3")


if __name__ == "__main__":
    job(main)
