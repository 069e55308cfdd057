"""The page that answers whether to pre-train on someone's own data: one HTML file that needs nothing beside it."""

import argparse
from pathlib import Path
from typing import Any

from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.report.cost import cost, planned
from workflow_scripts.report.downloads import by_stem, download, embed, shown
from workflow_scripts.report.links import relative_link
from workflow_scripts.report.templates import environment_of, render
from workflow_scripts.tables.advice import read_advice
from workflow_scripts.tables.tidy import read_evaluations


def build(arguments: argparse.Namespace) -> str:
    """The page as HTML. Raises `UserError` on an input that is missing or malformed."""
    template = Path(arguments.template)
    return render(environment_of(template, "reports/advice.html.j2"), template, _content(arguments))


def _content(arguments: argparse.Namespace) -> dict[str, Any]:
    ((_, figures),) = by_stem(arguments.figures, "figure").items()
    table, output = Path(arguments.table), arguments.output
    saved = [download(path, output) for path in figures]
    return {
        "advice": read_advice(arguments.advice),
        "image": embed(shown(figures)),
        "downloads": [*saved, download(table, output, label="data (CSV)")],
        "facts": arguments.facts,
        "cost": cost(
            arguments.trainings,
            list(dict.fromkeys(read_evaluations(table)["source"])),
            arguments.planned,
        ),
        "files": [(path, relative_link(path, output)) for path in (arguments.advice, arguments.table)],
    }


def main() -> None:
    """Command line: advice and its figure -> one HTML page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--advice", required=True, help="JSON of report/advice")
    parser.add_argument("--table", required=True, help="the tidy CSV that it was made from")
    parser.add_argument("--figures", nargs="+", required=True, help="PNG, PDF and SVG of figures/advice")
    parser.add_argument("--trainings", nargs="*", default=[], help="metrics.jsonl of each training")
    parser.add_argument("--facts", nargs="*", default=[], help="sentences on what was done")
    parser.add_argument(
        "--planned", type=planned, required=True, help="JSON: hours, device, training, evaluation"
    )
    parser.add_argument("--template", required=True, help="reports/advice.html.j2")
    parser.add_argument("--output", required=True, help="HTML file; links are relative to its folder")
    arguments = parser.parse_args()
    page = build(arguments)
    with write_atomically(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    job(main)
