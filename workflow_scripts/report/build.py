"""The report: one HTML page that holds a study's verdicts, figures, tables and where each number comes from.

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

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.report.inputs import (
    Captions,
    Study,
    read_all,
    read_captions,
    read_search,
    read_study,
    read_verdicts,
)
from workflow_scripts.report.sections import (
    compare_recipes,
    definitions,
    read_sources,
    recipe_groups,
    relative_link,
    search_tables,
    source_groups,
    verdict_rows,
    versions,
)
from workflow_scripts.report.words import MEANINGS
from workflow_scripts.tables.layout import LAYOUTS, Grid, grid
from workflow_scripts.tables.published import COMPARABLE_SCALE
from workflow_scripts.tables.results import read_results
from workflow_scripts.tables.tidy import schedule_order


def build(arguments: argparse.Namespace) -> str:
    """The page as HTML. Raises `UserError` on an input that is missing or malformed."""
    study = read_study(arguments.study)
    captions = read_captions(arguments.captions)
    sources = {experiment_of(path): read_sources(path) for path in map(Path, arguments.sources)}
    files = read_all(arguments.recipes)
    recipes = {str(recipe.get("name", path)): recipe for path, recipe in files}
    verdicts = read_verdicts(arguments.verdicts) if arguments.verdicts else []
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
        "verdicts": verdict_rows(verdicts, arguments.output),
        "words": MEANINGS,
        "figures": [{**captioned(path), "image": embed(path)} for path in in_order(arguments.figures)],
        "tables": [
            {**captioned(path), "grid": linked(path, arguments.output)} for path in in_order(arguments.tables)
        ],
        "searches": search_tables([read_search(path) for path in arguments.searches], arguments.output),
        "recipes": {title: compare_recipes(group) for title, group in recipe_groups(recipes).items()},
        "recipe_links": {
            str(recipe.get("name", path)): relative_link(path, arguments.output) for path, recipe in files
        },
        "schedules": sorted(study.schedules.items(), key=lambda item: schedule_order(item[0])),
        "sources": {name: source_groups(table, arguments.output) for name, table in sources.items()},
        "manifests": [
            (path, relative_link(path, arguments.output), definitions(manifest))
            for path, manifest in read_all([*arguments.manifests, *arguments.pretrainings])
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


def in_order(paths: list[str]) -> list[str]:
    """Figures or tables as the paper numbers them, the table of its text last."""
    return sorted(paths, key=lambda path: Path(path).stem)


def experiment_of(path: Path) -> str:
    """The figure or table that a tidy CSV belongs to: `fig1.csv` and `fig1-evaluations.csv` are fig1's."""
    return path.stem.partition("-")[0]


def caption_facts(study: Study, source: pd.DataFrame | None) -> dict[str, Any]:
    """What a caption may speak of, with `source` its tidy table; `reports/captions.yaml` lists it."""
    runs = source if source is not None and "run" in source.columns else None
    names = study.schedules if runs is None else study.schedules.keys() & set(runs["schedule"])
    return {
        "scale": study.scale,
        "schedules": {name: study.schedules[name] for name in sorted(names, key=schedule_order)},
        "models": [] if runs is None else list(dict.fromkeys(runs["model"])),
        "seeds": 0 if runs is None else runs["seed"].nunique(),
        "published": study.scale == COMPARABLE_SCALE,
        "experiments": {experiment.name: experiment.title for experiment in study.experiments},
        "iterations": study.iterations,
    }


def caption(
    environment: jinja2.Environment, captions: Captions, facts: dict[str, Any], name: str
) -> dict[str, str]:
    """Title and text of a figure or table. Raises `UserError` on a template that does not render."""
    written = captions.captions.get(name, captions.captions.get(name.partition("_")[0]))
    if written is None:
        return {"title": facts["experiments"].get(name, name), "text": ""}
    try:
        return {
            "title": Markup(environment.from_string(written.title).render(facts)),
            "text": Markup(environment.from_string(written.text).render(facts)),
        }
    except jinja2.TemplateError as error:
        raise UserError(f"The caption of {name} does not render: {error}. Mend the captions file.") from None


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
        ("searches", "results of searches for hyper-parameters (tables/search)"),
        ("sources", "tidy CSV files that the figures and tables were made from"),
        ("recipes", "recipe JSON files"),
        ("manifests", "data manifests"),
        ("pretrainings", "summaries of pre-trainings"),
    ):
        parser.add_argument(f"--{name}", nargs="*", default=[], help=what)
    parser.add_argument("--verdicts", help="verdicts on the paper's conclusions, if there are any")
    parser.add_argument("--template", required=True, help="reports/report.html.j2")
    parser.add_argument("--captions", required=True, help="reports/captions.yaml")
    parser.add_argument("--output", required=True, help="HTML file; links are relative to its folder")
    arguments = parser.parse_args()
    page = build(arguments)
    with write_atomically(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    job(main)
