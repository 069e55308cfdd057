"""The report: one HTML page that holds a study's verdicts, figures, tables and where each number comes from.

It is made of whatever the study asked for, down to a single figure, and loads nothing from elsewhere.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.figures.style import parse_style
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.report.answer import headline
from workflow_scripts.report.captions import caption, caption_facts
from workflow_scripts.report.cost import cost, planned
from workflow_scripts.report.curves import curves
from workflow_scripts.report.detections import detection_sections
from workflow_scripts.report.downloads import by_stem, download, embed, shown
from workflow_scripts.report.inputs import (
    Search,
    read_all,
    read_captions,
    read_search,
    read_study,
    read_verdicts,
)
from workflow_scripts.report.links import home, relative_link
from workflow_scripts.report.sections import (
    compare_recipes,
    definitions,
    read_sources,
    recipe_groups,
    search_tables,
    source_groups,
    verdict_rows,
    versions,
)
from workflow_scripts.report.templates import environment_of, render
from workflow_scripts.report.words import MARKS, MEANINGLESS_SCALE, MEANINGS
from workflow_scripts.tables.layout import LAYOUTS, Grid, grid
from workflow_scripts.tables.results import read_results
from workflow_scripts.tables.tidy import read_intervals, schedule_order

FIRST = "fig1"
"""The figure that stands beside the answer, where the study has it."""


def build(arguments: argparse.Namespace) -> str:
    """The page as HTML. Raises `UserError` on an input that is missing or malformed."""
    template = Path(arguments.template)
    environment = environment_of(template, "reports/report.html.j2")
    environment.globals["zip"] = zip
    return render(environment, template, content(arguments, environment))


def content(arguments: argparse.Namespace, environment: jinja2.Environment) -> dict[str, Any]:
    """All that the templates show, by name. Raises `UserError` as `build` does."""
    output = arguments.output
    study = read_study(arguments.study)
    captions = read_captions(arguments.captions)
    tidy = {experiment_of(path): path for path in map(Path, arguments.sources)}
    sources = {name: read_sources(path) for name, path in tidy.items()}
    searches = [read_search(path) for path in arguments.searches]
    verdicts = read_verdicts(arguments.verdicts) if arguments.verdicts else []

    def item(name: str, paths: list[Path]) -> dict[str, Any]:
        behind = [tidy[name]] if name in tidy else []
        facts = caption_facts(study, sources.get(name))
        saved = [download(path, output) for path in paths]
        saved += [download(path, output, label="data (CSV)") for path in behind]
        return {"name": name, "downloads": saved, **caption(environment, captions, facts, name)}

    figures = [
        {**item(name, paths), "image": embed(shown(paths)), "shown": shown(paths).name}
        for name, paths in sorted(by_stem(arguments.figures, "figure").items())
    ]
    first = next((figure for figure in figures if figure["name"] == FIRST), next(iter(figures), None))
    return {
        "study": study,
        "home": home(output),
        "beside": relative_link(arguments.study, output),
        "banner": captions.scales.get(study.scale, f"Scale: {study.scale}."),
        "headline": headline([msgspec.to_builtins(each) for each in verdicts], study.scale)
        if verdicts
        else "",
        "verdicts": verdict_rows(verdicts, captions.claims, output),
        "meaningful": study.scale != MEANINGLESS_SCALE,
        "words": MEANINGS,
        "marks": MARKS,
        "first": first,
        "figures": [figure for figure in figures if figure is not first],
        "tables": [
            {**item(name, paths), "grid": linked(paths[0], output)}
            for name, paths in sorted(by_stem(arguments.tables, "table").items())
        ],
        "curves": curves(
            {figure["name"]: sources[figure["name"]] for figure in figures if figure["name"] in sources},
            {experiment_of(path): read_intervals(path) for path in map(Path, arguments.intervals)},
            map(Path, arguments.metrics),
            parse_style(arguments.style),
        ),
        "detections": detection_sections(arguments.pictures, arguments.differences, output),
        "cost": cost(arguments.trainings, evaluated_in(sources, searches), arguments.planned)
        if arguments.planned
        else None,
        "searches": search_tables(searches, output),
        **recipe_section(arguments.recipes, output),
        "schedules": sorted(study.schedules.items(), key=lambda item: schedule_order(item[0])),
        "sources": {name: source_groups(table, output) for name, table in sources.items()},
        "manifests": [
            (path, relative_link(path, output), definitions(manifest))
            for path, manifest in read_all([*arguments.manifests, *arguments.pretrainings])
        ],
        "versions": versions(),
    }


def recipe_section(paths: list[str], output: str | Path) -> dict[str, Any]:
    """Recipes side by side, and links to their files by name."""
    files = [(path, str(recipe.get("name", path)), recipe) for path, recipe in read_all(paths)]
    groups = recipe_groups({name: recipe for _, name, recipe in files})
    return {
        "recipes": {title: compare_recipes(group) for title, group in groups.items()},
        "recipe_links": {name: relative_link(path, output) for path, name, _ in files},
    }


def evaluated_in(sources: dict[str, pd.DataFrame], searches: list[Search]) -> list[str]:
    """The files of metrics behind tables and searches, each once."""
    tables = [table for table in sources.values() if "segment" in table.columns]
    read = [path for table in tables for path in table["source"]]
    return list(dict.fromkeys([*read, *(point.source for search in searches for point in search.points)]))


def experiment_of(path: Path) -> str:
    """The figure or table that a tidy CSV belongs to: `fig1.csv` and `fig1-evaluations.csv` are fig1's."""
    return path.stem.partition("-")[0]


def linked(path: str | Path, output: str | Path) -> Grid:
    """A table's grid with its source files as links relative to the folder of `output`.

    Raises `UserError` where the file's name is no table's.
    """
    name = Path(path).stem.partition("_")[0]  # a part of a table looks as the table
    if name not in LAYOUTS:
        raise UserError(f"{path}: no table of the report. Expected a file named {', '.join(LAYOUTS)} (.csv).")
    table = grid(read_results(path), LAYOUTS[name])
    rows = [
        replace(row, sources=[[relative_link(path, output) for path in cell] for cell in row.sources])
        for row in table.rows
    ]
    return replace(table, rows=rows)


def main() -> None:
    """Command line: the study's outputs -> one HTML page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="study.json: scale, notes, experiments, schedules")
    for name, what in (
        ("figures", "figures, each as PNG, and as SVG and PDF where they are to be had from the page"),
        (
            "tables",
            "tables, each as the CSV of tables/table1 and the like, and as LaTeX and Markdown likewise",
        ),
        ("searches", "results of searches for hyper-parameters (tables/search)"),
        ("pictures", "detections side by side, by training set (JSON files of detections/)"),
        ("differences", "where they differ (CSV files of detections/), in the same order"),
        ("sources", "tidy CSV files that the figures and tables were made from"),
        ("recipes", "recipe JSON files"),
        ("manifests", "data manifests"),
        ("pretrainings", "summaries of pre-trainings"),
        ("intervals", "CSV files of report/figure_intervals: intervals of the figures' curves"),
        ("metrics", "metrics.json of the evaluations behind the figures: categories of their curves"),
        ("trainings", "metrics.jsonl of each training, whose records tell what it cost"),
    ):
        parser.add_argument(f"--{name}", nargs="*", default=[], help=what)
    parser.add_argument("--verdicts", help="verdicts on the paper's conclusions, if there are any")
    parser.add_argument("--style", default="{}", help="JSON: the figures' style, of which colours count")
    parser.add_argument("--planned", type=planned, help="JSON: hours, device, training, evaluation")
    parser.add_argument("--template", required=True, help="reports/report.html.j2")
    parser.add_argument("--captions", required=True, help="reports/captions.yaml")
    parser.add_argument("--output", required=True, help="HTML file; links are relative to its folder")
    arguments = parser.parse_args()
    page = build(arguments)
    with write_atomically(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    job(main)
