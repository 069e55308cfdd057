"""What a study saw in all of training (Fig. 2): images, instances and pixels, counted by the training jobs.

    python -m workflow_scripts.tables.counts --training a.csv b.csv --pretraining metrics.jsonl \\
        --published reports/published.yaml --output fig2.csv

Where the pre-trained weights were fetched, nobody counted here: the published count is taken and marked as declared.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.published import read_published_counts
from workflow_scripts.tables.tidy import COUNT_COLUMNS

QUANTITIES = ["images", "instances", "pixels"]
PART = {"random": "training", "pretrained": "fine-tuning"}


def counted_training(path: Path) -> pd.DataFrame:
    """Counts of one run, from its training table."""
    table = pd.read_csv(path)
    initialisation = table["initialisation"].iloc[0]
    totals = table[QUANTITIES].sum()
    return _rows(totals, initialisation, PART[initialisation], "counted", str(path))


def counted_pretraining(path: Path) -> pd.DataFrame:
    """Counts of a pre-training that was trained here, from its lines of metrics."""
    lines = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    return _rows(lines[QUANTITIES].sum(), "pretrained", "pre-training", "counted", str(path))


def declared_pretraining(published: Path) -> pd.DataFrame:
    """The published count of the pre-training behind fetched weights."""
    counts = read_published_counts(published)
    return counts[counts["part"] == "pre-training"].assign(source="declared")


def _rows(totals: pd.Series, initialisation: str, part: str, source: str, origin: str) -> pd.DataFrame:
    rows = [(name, initialisation, part, int(totals[name]), source, origin) for name in QUANTITIES]
    return pd.DataFrame(rows, columns=COUNT_COLUMNS)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--training", type=Path, nargs="+", required=True, help="training tables of one run an arm"
    )
    parser.add_argument(
        "--pretraining", type=Path, help="lines of metrics of the pre-training, if trained here"
    )
    parser.add_argument("--published", type=Path, required=True, help="reports/published.yaml")
    parser.add_argument("--output", type=Path, required=True, help="output: tidy CSV")
    arguments = parser.parse_args()
    trained = arguments.pretraining is not None
    before = (
        counted_pretraining(arguments.pretraining) if trained else declared_pretraining(arguments.published)
    )
    tables = [before, *map(counted_training, arguments.training)]
    with write_atomically(arguments.output) as temporary:
        pd.concat(tables).to_csv(temporary, index=False)


if __name__ == "__main__":
    job(main)
