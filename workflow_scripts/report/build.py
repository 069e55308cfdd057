"""The report: one HTML page that holds a study's figures, tables and where each number comes from.

It is made of whatever the study asked for, down to a single figure, and loads nothing from elsewhere.
"""

import argparse
import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from workflow_scripts.errors import UserError, command
from workflow_scripts.files import write_atomically
from workflow_scripts.report.inputs import Captions, Study, read_all, read_captions, read_study
from workflow_scripts.report.sections import (
    by_task,
    compare_recipes,
    definitions,
    read_sources,
    relative_link,
    source_groups,
    versions,
)
from workflow_scripts.tables.layout import Grid, grid
from workflow_scripts.tables.published import COMPARABLE_SCALE
from workflow_scripts.tables.results import read_results
from workflow_scripts.tables.tidy import schedule_order


def build(arguments: argparse.Namespace) -> str:
    """The page as HTML. Raises `UserError` on an input that is missing or malformed."""
    study = read_study(arguments.study)
    captions = read_captions(arguments.captions)
    sources = {experiment_of(path): read_sources(path) for path in map(Path, arguments.sources)}
    recipes = {str(recipe.get("name", path)): recipe for path, recipe in read_all(arguments.recipes)}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["zip"] = zip

    def captioned(path: str | Path) -> dict[str, Any]:
        name = Path(path).stem
        return {"name": name, **caption(environment, captions, caption_facts(study, sources.get(name)), name)}

    page = {
        "study": study,
        "banner": captions.scales.get(study.scale, f"Scale: {study.scale}."),
        "figures": [{**captioned(path), "image": embed(path)} for path in arguments.figures],
        "tables": [{**captioned(path), "grid": linked(path, arguments.output)} for path in arguments.tables],
        "recipes": {task: compare_recipes(group) for task, group in by_task(recipes).items()},
        "recipe_files": {name: definitions(recipe) for name, recipe in recipes.items()},
        "schedules": sorted(study.schedules.items(), key=lambda item: schedule_order(item[0])),
        "sources": {name: source_groups(table, arguments.output) for name, table in sources.items()},
        "manifests": [
            (path, relative_link(path, arguments.output), definitions(manifest))
            for path, manifest in read_all(arguments.manifests)
        ],
        "versions": versions(),
    }
    try:
        template = environment.from_string(Path(arguments.template).read_text(encoding="utf-8"))
        return template.render(page)
    except FileNotFoundError:
        raise UserError(f"{arguments.template}: no such template. It is `reports/report.html.j2`.") from None
    except jinja2.TemplateError as error:
        raise UserError(f"{arguments.template}: {error}. Mend the template.") from None


def experiment_of(path: Path) -> str:
    """The figure or table that a tidy CSV belongs to: `fig1.csv` and `fig1-evaluations.csv` are fig1's."""
    return path.stem.partition("-")[0]


def caption_facts(study: Study, source: pd.DataFrame | None) -> dict[str, Any]:
    """What a caption may speak of, with `source` its tidy table; `reports/captions.yaml` lists it."""
    evaluations = source if source is not None and "seed" in source.columns else None
    schedules = dict(sorted(study.schedules.items(), key=lambda item: schedule_order(item[0])))
    return {
        "scale": study.scale,
        "schedules": schedules,
        "longest": next(reversed(schedules), ""),
        "models": [] if evaluations is None else list(dict.fromkeys(evaluations["model"])),
        "seeds": 0 if evaluations is None else evaluations["seed"].nunique(),
        "published": study.scale == COMPARABLE_SCALE,
        "experiments": {experiment.name: experiment.title for experiment in study.experiments},
        "iterations": study.iterations,
    }


def caption(
    environment: jinja2.Environment, captions: Captions, facts: dict[str, Any], name: str
) -> dict[str, str]:
    """Title and text of a figure or table. Raises `UserError` on a template that does not render."""
    if name not in captions.captions:
        return {"title": facts["experiments"].get(name, name), "text": ""}
    written = captions.captions[name]
    try:
        return {
            "title": Markup(environment.from_string(written.title).render(facts)),
            "text": Markup(environment.from_string(written.text).render(facts)),
        }
    except jinja2.TemplateError as error:
        raise UserError(f"The caption of {name} does not render: {error}. Mend the captions file.") from None


def linked(path: str | Path, output: str | Path) -> Grid:
    """A table's grid with its source files as links relative to the folder of `output`."""
    table = grid(read_results(path))
    rows = [
        replace(row, sources=[[relative_link(path, output) for path in cell] for cell in row.sources])
        for row in table.rows
    ]
    return replace(table, rows=rows)


def embed(path: str | Path) -> str:
    """A PNG as a data URL. Raises `UserError` where it is missing or no PNG."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such figure. Draw it first.") from None
    if not data.startswith(b"\x89PNG"):
        raise UserError(f"{path}: not a PNG. Give the figure's PNG file.")
    return "data:image/png;base64," + base64.b64encode(data).decode()


def main() -> None:
    """Command line: the study's outputs -> one HTML page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="study.json: scale, notes, experiments, schedules")
    for name, what in (
        ("figures", "PNG files"),
        ("tables", "CSV files of tables/table1 and the like"),
        ("sources", "tidy CSV files that the figures and tables were made from"),
        ("recipes", "recipe JSON files"),
        ("manifests", "data manifests"),
    ):
        parser.add_argument(f"--{name}", nargs="*", default=[], help=what)
    parser.add_argument("--template", required=True, help="reports/report.html.j2")
    parser.add_argument("--captions", required=True, help="reports/captions.yaml")
    parser.add_argument("--output", required=True, help="HTML file; links are relative to its folder")
    arguments = parser.parse_args()
    page = build(arguments)
    with write_atomically(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    command(main)
