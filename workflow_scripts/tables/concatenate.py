"""The tidy tables of an experiment's runs as one.

python -m workflow_scripts.tables.concatenate --tables a.csv b.csv --output fig1.csv
"""

import argparse
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import command
from workflow_scripts.files import write_atomically


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tables", type=Path, nargs="+", required=True, help="tidy CSVs with the same columns"
    )
    parser.add_argument("--output", type=Path, required=True, help="output: tidy CSV")
    arguments = parser.parse_args()
    # As text: numbers keep the digits that they were measured with.
    tables = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in arguments.tables]
    with write_atomically(arguments.output) as temporary:
        pd.concat(tables).to_csv(temporary, index=False)


if __name__ == "__main__":
    command(main)
