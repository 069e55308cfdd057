"""The tidy tables of an experiment's runs as one, each run under the name that the experiment gives its setting.

python -m workflow_scripts.tables.concatenate --tables a.csv b.csv --settings baseline "train aug" --output fig5.csv
"""

import argparse
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.tidy import LABEL_COLUMNS


def gather(tables: list[Path], settings: list[str]) -> pd.DataFrame:
    """The tables below one another, with a column `setting` in its place.

    Raises:
        UserError: not one setting a table.
    """
    if len(tables) != len(settings):
        raise UserError(f"--settings: found {len(settings)}, expected one for each of {len(tables)} tables")
    place = LABEL_COLUMNS.index("setting")
    parts = []
    for path, setting in zip(tables, settings, strict=True):
        # As text: numbers keep the digits that they were measured with.
        part = pd.read_csv(path, dtype=str, keep_default_na=False)
        part.insert(place, "setting", setting)
        parts.append(part)
    return pd.concat(parts)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="tidy CSVs of runs")
    parser.add_argument("--settings", nargs="+", required=True, help="what each is called here")
    parser.add_argument("--output", type=Path, required=True, help="output: tidy CSV")
    arguments = parser.parse_args()
    table = gather(arguments.tables, arguments.settings)
    with write_atomically(arguments.output) as temporary:
        table.to_csv(temporary, index=False)


if __name__ == "__main__":
    job(main)
