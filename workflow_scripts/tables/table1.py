"""Table 1: box AP by schedule, from random init and from pre-training, beside the published values."""

import pandas as pd

from workflow_scripts.jobs.job import job
from workflow_scripts.tables.published import of_experiment
from workflow_scripts.tables.results import (
    CELL,
    PAIR,
    baseline,
    beside,
    ends,
    finish,
    make_from_arguments,
    with_differences,
)
from workflow_scripts.tables.tidy import series


def make(evaluations: pd.DataFrame, published: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Tidy `results.COLUMNS`: AP in percent of each run's end, with the difference random - pre-train.

    A model or schedule that the paper has and this study has not stays with `value` empty.
    Raises `UserError` where the evaluations hold no box AP.
    """
    paper = of_experiment(published, "table1")
    ours = ends(series(baseline(evaluations)))
    return finish(with_differences(beside(ours, paper, CELL), [*PAIR, "schedule"]), paper, scale)


def main() -> None:
    """Command line: evaluations -> CSV, Markdown and LaTeX."""
    make_from_arguments(__doc__, make, "table1")


if __name__ == "__main__":
    job(main)
