"""Table 1: box AP by schedule, from random init and from pre-training, beside the published values."""

import pandas as pd

from workflow_scripts.errors import command
from workflow_scripts.tables.published import of_experiment
from workflow_scripts.tables.results import CELL, differences, finish, make_from_arguments, over_seeds
from workflow_scripts.tables.tidy import end_points, series


def make(evaluations: pd.DataFrame, published: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Tidy `results.COLUMNS`: AP in percent of each run's end, with the difference random - pre-train.

    A model or schedule that the paper has and this study has not stays with `value` empty.
    Raises `UserError` where the evaluations hold no box AP.
    """
    ours = over_seeds(end_points(series(evaluations)))
    paper = of_experiment(published, "table1").rename(columns={"value": "published"})
    results = ours.merge(paper[[*CELL, "published"]], on=CELL, how="outer", sort=False)
    both = pd.concat([results, differences(results, ["model", "schedule", "iou_type", "metric"])])
    return finish(both, paper, scale)


def main() -> None:
    """Command line: evaluations -> CSV, Markdown and LaTeX."""
    make_from_arguments(__doc__, make)


if __name__ == "__main__":
    command(main)
