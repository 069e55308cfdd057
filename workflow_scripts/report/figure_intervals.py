"""The interval of each number of a figure's table: what its bands and bars show.

    python -m workflow_scripts.report.figure_intervals --table t.csv --replicates a.csv b.csv --output i.csv

They are those of verdicts (`intervals.py`): over seeds, where there are several, and over the choice of images,
from the replicates beside the metrics that the table names.
"""

import argparse
from pathlib import Path

import pandas as pd

from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.report.comparisons import LABELS, Arm, Results
from workflow_scripts.report.intervals import estimate
from workflow_scripts.tables.tidy import INTERVAL_COLUMNS, NUMBER, read_evaluations


def intervals(table: pd.DataFrame, replicates: list[Path]) -> pd.DataFrame:
    """The mean over seeds of each number of `table` with its interval, as `INTERVAL_COLUMNS`.

    table: as `tidy.read_evaluations` reads it. Raises `UserError` as `comparisons.Results` does.
    """
    results = Results([table], replicates)
    rows = []
    for number in table.dropna(subset="value")[NUMBER].drop_duplicates().to_dict("records"):
        arm = Arm(*(number[name] for name in LABELS))
        metric = number["iou_type"], number["metric"]
        sample = results.at(arm, number["initialisation"], metric, number["schedule"], number["iteration"])
        if sample is not None:
            found = estimate(sample)
            low, high = found.interval or (None, None)
            known = {"value": found.value, "low": low, "high": high, "seeds": found.seeds}
            rows.append(number | known | {"method": found.method})
    return pd.DataFrame(rows, columns=INTERVAL_COLUMNS)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, required=True, help="tidy CSV of evaluations")
    parser.add_argument("--replicates", type=Path, nargs="*", default=[], help="those of its evaluations")
    parser.add_argument("--output", type=Path, required=True, help="output: CSV")
    arguments = parser.parse_args()
    found = intervals(read_evaluations(arguments.table), arguments.replicates)
    with write_atomically(arguments.output) as temporary:
        found.to_csv(temporary, index=False)


if __name__ == "__main__":
    job(main)
