"""The interval of each value of a table, of differences too: what its ± shows.

    python -m workflow_scripts.report.table_intervals --name table1 --table e.csv --replicates a.csv b.csv ...

They are those of verdicts (`intervals.py`): over seeds, where there are several, and over the choice of images, from
the replicates beside the metrics that the table names.
"""

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.report.comparisons import LABELS, Arm, Results
from workflow_scripts.report.intervals import Estimate, Sample, estimate
from workflow_scripts.tables.layout import LAYOUTS
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.results import CELL, INTERVAL, MINUS, Make
from workflow_scripts.tables.tidy import read_evaluations


def intervals(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """`CELL` and both ends of the interval of each row of a finished table that has one, in percent."""
    rows = []
    for row in table[table["value"].notna()].to_dict("records"):
        found = _estimate(results, {str(name): value for name, value in row.items()})
        if found is not None and found.interval is not None:
            low, high = found.interval
            rows.append({name: row[name] for name in CELL} | {"low": low, "high": high})
    return pd.DataFrame(rows, columns=[*CELL, *INTERVAL])


def _estimate(results: Results, row: dict[str, Any]) -> Estimate | None:
    """Of a value, or of the difference of two, each at a schedule of its own."""
    if row["initialisation"] != "difference":
        sample = _sample(results, row, row["initialisation"], row["schedule"])
        return None if sample is None else estimate(sample)
    first, _, second = row["schedule"].partition(MINUS)
    random = _sample(results, row, "random", first)
    pretrained = _sample(results, row, "pretrained", second or first)
    return None if random is None or pretrained is None else estimate(random, pretrained * -1)


def _sample(results: Results, row: dict[str, Any], initialisation: str, schedule: str) -> Sample | None:
    arm = Arm(*(row[name] for name in LABELS))
    metric = row["iou_type"], row["metric"]
    if row["point"] == "peak":
        return results.peak(arm, initialisation, metric)
    return results.end(arm, initialisation, metric, schedule)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", choices=sorted(LAYOUTS), required=True, help="the table")
    parser.add_argument("--table", type=Path, required=True, help="tidy CSV of its evaluations")
    parser.add_argument("--replicates", type=Path, nargs="*", default=[], help="those of its evaluations")
    parser.add_argument("--published", required=True, help="reports/published.yaml")
    parser.add_argument("--scale", required=True, help="smoke, mini or paper")
    parser.add_argument("--output", type=Path, required=True, help="output: CSV")
    arguments = parser.parse_args()
    evaluations = read_evaluations(arguments.table)
    # Of the table's own module alone, so that an edit of another makes nothing anew.
    make: Make = import_module(f"workflow_scripts.tables.{arguments.name}").make
    table = make(evaluations, read_published(arguments.published), arguments.scale)
    found = intervals(Results([evaluations], arguments.replicates), table)
    with write_atomically(arguments.output) as temporary:
        found.to_csv(temporary, index=False, lineterminator="\n")


if __name__ == "__main__":
    job(main)
