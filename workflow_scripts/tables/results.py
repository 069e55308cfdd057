"""Results beside published values: the tidy rows of Tables 1 and 2."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.tables.layout import grid, latex, markdown
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.tidy import (
    INITIALISATION_LABELS,
    IOU_TYPE_LABELS,
    read_evaluations,
    schedule_order,
)

COMPARABLE = {"paper": "size", "smoke": "nothing"}
COLUMNS = [
    "model",
    "initialisation",
    "schedule",
    "iteration",
    "iou_type",
    "metric",
    "value",
    "standard_deviation",
    "seeds",
    "published",
    "comparable",
    "source",
]
NUMBERS = ["iteration", "value", "standard_deviation", "seeds", "published"]
CELL = ["model", "initialisation", "schedule", "iou_type", "metric"]

Make = Callable[[pd.DataFrame, pd.DataFrame, str], pd.DataFrame]


def over_seeds(ends: pd.DataFrame) -> pd.DataFrame:
    """One row a `CELL`: mean and standard deviation (n - 1; NaN for one seed) of values in percent.

    `source` names all seeds' files, separated by "; ". A seed without a value is not among `seeds`.
    """
    groups = ends.groupby(CELL, sort=False)
    return groups.agg(
        iteration=("iteration", "max"),
        value=("value", "mean"),
        standard_deviation=("value", "std"),
        seeds=("value", "count"),
        source=("source", join_sources),
    ).reset_index()


def join_sources(sources: pd.Series) -> str:
    """Every file that a value rests on, once."""
    return "; ".join(
        dict.fromkeys(part for source in sources.dropna() for part in source.split("; ") if part)
    )


def differences(results: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Rows "random - pre-train" of `value` and `published`; seeds are independent, so variances add.

    key: the columns that pair the two initialisations.
    """
    random, pretrained = (results[results["initialisation"] == name] for name in ("random", "pretrained"))
    both = random.merge(pretrained, on=key, suffixes=("", "_pretrained"))
    if both.empty:
        return results.iloc[:0]
    squares = both["standard_deviation"] ** 2 + both["standard_deviation_pretrained"] ** 2
    other = both["schedule_pretrained"] if "schedule" not in key else both["schedule"]
    return both.assign(
        initialisation="difference",
        schedule=both["schedule"].where(both["schedule"] == other, both["schedule"] + " − " + other),
        iteration=pd.NA,
        value=both["value"] - both["value_pretrained"],
        standard_deviation=squares**0.5,
        seeds=both[["seeds", "seeds_pretrained"]].min(axis=1),
        published=both["published"] - both["published_pretrained"],
        source=[
            join_sources(pd.Series(pair))
            for pair in zip(both["source"], both["source_pretrained"], strict=True)
        ],
    )[results.columns]


def finish(results: pd.DataFrame, paper: pd.DataFrame, scale: str) -> pd.DataFrame:
    """`COLUMNS` in reading order, the paper's models first, without models that this study did not run.

    `comparable` says in what ours compare with published values: `COMPARABLE`, else the "sign" of differences.
    """
    ran = results.loc[results["source"].fillna("") != "", "model"].unique()
    results = results[results["model"].isin(ran)]
    order = {name: index for index, name in enumerate([*INITIALISATION_LABELS, *IOU_TYPE_LABELS])}
    models = {name: index for index, name in enumerate(dict.fromkeys([*paper["model"], *results["model"]]))}
    ranked = results.assign(
        comparable=COMPARABLE.get(scale, "sign"),
        source=results["source"].fillna(""),
        _model=results["model"].map(models),
        _initialisation=results["initialisation"].map(order),
        _iou_type=results["iou_type"].map(order),
        _schedule=[schedule_order(name)[0] for name in results["schedule"]],
    ).sort_values(["_model", "_initialisation", "_schedule", "_iou_type", "metric"], kind="stable")
    numbers = {
        name: ranked[name].astype(float).round(4) for name in ("value", "standard_deviation", "published")
    }
    counts = {name: ranked[name].astype("Int64") for name in ("iteration", "seeds")}
    return ranked.assign(**numbers, **counts)[COLUMNS].reset_index(drop=True)


def read_results(path: str | Path) -> pd.DataFrame:
    """A finished table from its CSV. Raises `UserError` on a missing file or column."""
    try:
        table = pd.read_csv(
            path, dtype={"schedule": str}, keep_default_na=False, na_values={name: [""] for name in NUMBERS}
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no such table. Make it first.") from None
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise UserError(f"{path}: the column {', '.join(missing)} is missing. Make the table again.")
    return table


def make_from_arguments(description: str | None, make: Make) -> None:
    """The command line that the tables share: evaluations -> CSV, Markdown and LaTeX."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--table", required=True, help="tidy CSV of evaluations")
    parser.add_argument("--published", required=True, help="reports/published.yaml")
    parser.add_argument("--scale", required=True, help="smoke, mini or paper")
    parser.add_argument("--csv", required=True)
    parser.add_argument("--markdown", required=True)
    parser.add_argument("--latex", required=True)
    arguments = parser.parse_args()
    results = make(read_evaluations(arguments.table), read_published(arguments.published), arguments.scale)
    table = grid(results)
    outputs = (
        (arguments.csv, results.to_csv(index=False, lineterminator="\n")),
        (arguments.markdown, markdown(table)),
        (arguments.latex, latex(table)),
    )
    for path, text in outputs:
        with write_atomically(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
