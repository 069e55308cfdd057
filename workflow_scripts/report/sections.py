"""The report's sections as plain data: verdicts, searches, recipes side by side, sources by run, versions."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.report.inputs import Evidence, Search, Verdict
from workflow_scripts.report.links import file_link, relative_link
from workflow_scripts.report.wording import sentence, subject
from workflow_scripts.tables.tidy import (
    INITIALISATION_LABELS,
    IOU_TYPE_LABELS,
    read_counts,
    read_evaluations,
    read_training,
)

PACKAGES = ("numpy", "pandas", "matplotlib", "jinja2", "msgspec", "torch", "detectron2", "snakemake")
REPETITION = ("name", "seed")
LONG_LIST = 12
TOLD = 3
"""So many comparisons of a claim are told beside it, those that do not hold first; the rest where it is judged."""


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested keys joined by dots, values as text; None and empty lists are left out, long ones counted."""
    flat: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= flatten(item, f"{prefix}{key}.")
        elif item is not None and item != []:
            flat[prefix + key] = _text(item)
    return flat


def definitions(value: dict[str, Any]) -> list[tuple[str, str]]:
    """A JSON object as (key, text) pairs in the file's order."""
    return list(flatten(value).items())


def recipe_groups(recipes: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Recipes of one model on one set of images, by a title: only those compare setting by setting."""
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for name, recipe in recipes.items():
        subset = recipe.get("subset", "all")
        images = "" if subset == "all" else f"{subset} subset"
        parts = filter(None, (recipe.get("label"), recipe.get("train_set"), images))
        groups.setdefault(", ".join(parts) or "recipes", {})[name] = recipe
    return groups


def compare_recipes(recipes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Recipes side by side: `common` settings once, `differing` ones by column ("" where a recipe has none).

    Recipes that differ in nothing but `REPETITION` share a column; `columns` holds the names in each.
    """
    columns: dict[tuple[tuple[str, str], ...], list[str]] = {}
    flat = {name: flatten(recipe) for name, recipe in recipes.items()}
    for name, settings in flat.items():
        key = tuple(item for item in settings.items() if item[0] not in REPETITION)
        columns.setdefault(key, []).append(name)
    keys = dict.fromkeys(key for settings in flat.values() for key in settings if key != "name")
    values = {
        key: [
            ", ".join(dict.fromkeys(flat[name].get(key, "") for name in names)) for names in columns.values()
        ]
        for key in keys
    }
    return {
        "columns": list(columns.values()),
        "common": [(key, texts[0]) for key, texts in values.items() if len(set(texts)) == 1],
        "differing": [(key, texts) for key, texts in values.items() if len(set(texts)) > 1],
    }


def read_sources(path: Path) -> pd.DataFrame:
    """A tidy table of evaluations, of training or of counts. Raises `UserError` where it is none of them."""
    try:
        header = pd.read_csv(path, nrows=0).columns
    except (FileNotFoundError, pd.errors.EmptyDataError):
        raise UserError(f"{path}: no such table, or an empty one. Gather it first.") from None
    if "run" not in header:
        return read_counts(path)
    return read_training(path) if "loss" in header else read_evaluations(path)


def source_groups(table: pd.DataFrame, output: str | Path) -> dict[str, Any]:
    """The rows behind a figure or table, grouped by run (by initialisation for counts).

    Each row is cells of text and a file: `text`, and `link` relative to the folder of `output`
    ("" where what is named is no file).
    """
    if "loss" in table.columns:
        header = ["lines", "iterations", "last loss"]
        groups = {
            run: [_trained(rows, source, output) for source, rows in of_run.groupby("source", sort=False)]
            for run, of_run in table.groupby("run", sort=False)
        }
        return {"header": header, "groups": groups}
    if "run" not in table.columns:
        header = ["quantity", "part", "value", "how"]
        groups = {
            name: [_count(row, output) for row in rows.to_dict("records")]
            for name, rows in table.groupby("initialisation", sort=False)
        }
        return {"header": header, "groups": groups}
    checkpoint = ["segment", "iteration", "source"]
    groups = {
        run: [
            ([key[0], f"{key[1]:,}", _values(rows)], file_link(key[2], output))
            for key, rows in of_run.groupby(checkpoint, sort=False)
        ]
        for run, of_run in table.groupby("run", sort=False)
    }
    return {"header": ["segment", "checkpoint", "values"], "groups": groups}


def verdict_rows(
    verdicts: list[Verdict], numbers: dict[int, str], output: str | Path
) -> list[dict[str, Any]]:
    """Verdicts in words, with the paper's `numbers` by conclusion; links are relative to the folder of `output`."""
    rows = []
    for verdict in verdicts:
        evidence = [_evidence(each, output) for each in verdict.evidence]
        claims = [each for each in evidence if each["outcome"]]
        if len(claims) > TOLD:
            claims.sort(key=lambda claim: claim["outcome"] == "holds")
        told = {"told": claims[:TOLD], "untold": len(claims[TOLD:])}
        rows.append(
            {"verdict": verdict, "numbers": numbers.get(verdict.number, ""), "evidence": evidence, **told}
        )
    return rows


def _evidence(number: Evidence, output: str | Path) -> dict[str, Any]:
    return {
        "subject": subject(number) if number.below else number.what,
        "found": sentence(number),
        "means": number.means,
        "outcome": number.outcome,
        "reason": number.reason,
        "in_short": number.reason.partition(":")[0],
        "convergence": number.convergence,
        "method": number.method,
        "files": [file_link(source, output) for source in number.sources],
    }


def search_tables(searches: list[Search], output: str | Path) -> list[dict[str, Any]]:
    """Searches with their points as text, each linked to the file that its value was read from."""
    return [
        {
            "search": search,
            "metric": " ".join(IOU_TYPE_LABELS.get(word, word) for word in search.metric.split()),
            "title": ", ".join(
                [f"{search.subset} subset", search.model, INITIALISATION_LABELS[search.initialisation]]
            ),
            "points": [
                {
                    "chosen": point.point == search.chosen,
                    "settings": [f"{point.base_lr:g}", f"{point.decay_factor:g}", _range(point.image_sides)],
                    "value": _number(point.value),
                    "link": relative_link(point.source, output),
                }
                for point in search.points
            ],
        }
        for search in searches
    ]


def versions() -> list[tuple[str, str]]:
    """Python and the packages that are installed where the report is built."""
    found = [("python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def _count(row: dict[str, Any], output: str | Path) -> tuple[list[str], dict[str, str]]:
    return [row["quantity"], row["part"], f"{row['value']:,.0f}", row["source"]], file_link(
        row["from"], output
    )


def _trained(rows: pd.DataFrame, source: str, output: str | Path) -> tuple[list[str], dict[str, str]]:
    first, last = (f"{rows['iteration'].iloc[index]:,}" for index in (0, -1))
    return [f"{len(rows):,}", f"{first} to {last}", f"{rows['value'].iloc[-1]:.3f}"], file_link(
        source, output
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _range(sides: list[int]) -> str:
    low, high = min(sides), max(sides)
    return f"{low} to {high}" if low < high else str(low)


def _values(rows: pd.DataFrame) -> str:
    texts = []
    for iou_type, metrics in rows.groupby("iou_type", sort=False):
        numbers = ", ".join(
            f"{metric} {'–' if pd.isna(value) else format(value, '.2f')}"
            for metric, value in zip(metrics["metric"], metrics["value"], strict=True)
        )
        texts.append(f"{iou_type}: {numbers}")
    return "; ".join(texts)


def _text(value: Any) -> str:
    if isinstance(value, list) and not any(isinstance(item, dict) for item in value):
        return ", ".join(map(_text, value)) if len(value) <= LONG_LIST else f"{len(value):,} entries"
    if isinstance(value, list):
        return f"{len(value):,} entries"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
