"""The result of a search: every grid point with its AP, and the point with the highest (the first of equal ones).

python -m workflow_scripts.tables.search --search '{"points": [...], ...}' --tables a.csv b.csv --output search.json
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_json
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.tidy import end_points, read_run, series


def result(search: dict[str, Any], tables: list[Path]) -> dict[str, Any]:
    """The search's description with `value` (box AP in percent at the end) and `source` of each point, and `chosen`.

    Raises:
        UserError: no point has an AP.
    """
    measured = []
    for point, path in zip(search["points"], tables, strict=True):
        (end,) = series(end_points(read_run(path))).to_dict("records")
        value = None if math.isnan(end["value"]) else end["value"]
        measured.append({**point, "value": value, "source": end["source"]})
    ranked = [point for point in measured if point["value"] is not None]
    if not ranked:
        raise UserError(
            f"search {search['search']}: no point has an AP: the validation set holds nothing to find; correct it"
        )
    best = max(ranked, key=lambda point: point["value"])
    return {**search, "metric": "bbox AP", "chosen": best["point"], "points": measured}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--search", required=True, help="name, grid and recipes of the search, as JSON")
    parser.add_argument(
        "--tables", type=Path, nargs="+", required=True, help="evaluations of each point's end, in its order"
    )
    parser.add_argument("--output", type=Path, required=True, help="output: JSON")
    arguments = parser.parse_args()
    found = result(json.loads(arguments.search), arguments.tables)
    write_json(arguments.output, found)
    print(f"{found['search']}: chose {found['chosen']}")


if __name__ == "__main__":
    job(main)
