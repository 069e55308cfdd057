"""Table 2: box and mask AP, AP50, AP75 of each initialisation at its best schedule, and the difference."""

import pandas as pd

from workflow_scripts.jobs.job import job
from workflow_scripts.tables.published import of_experiment
from workflow_scripts.tables.results import (
    KEY,
    baseline,
    beside,
    boxes_and_masks,
    ends,
    finish,
    make_from_arguments,
    with_differences,
)
from workflow_scripts.tables.tidy import schedule_order, series


def make(evaluations: pd.DataFrame, published: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Tidy `results.COLUMNS`: values in percent at the best schedule, with the difference random - pre-train.

    Raises `UserError` where the evaluations hold no box AP to choose by.
    """
    paper = of_experiment(published, "table2")
    every = ends(baseline(evaluations))
    best = boxes_and_masks(every).merge(best_schedules(every), on=["model", "initialisation", "schedule"])
    return finish(with_differences(beside(best, paper, KEY)), paper, scale)


def best_schedules(every: pd.DataFrame) -> pd.DataFrame:
    """The schedule of highest mean box AP by model and initialisation; the shorter of two equal ones."""
    box = series(every).sort_values("schedule", key=lambda names: names.map(schedule_order), kind="stable")
    ranked = box.sort_values("value", ascending=False, kind="stable", na_position="last")
    return ranked.drop_duplicates(["model", "initialisation"])[["model", "initialisation", "schedule"]]


def main() -> None:
    """Command line: evaluations -> CSV, Markdown and LaTeX."""
    make_from_arguments(__doc__, make, "table2")


if __name__ == "__main__":
    job(main)
