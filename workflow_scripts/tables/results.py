"""Results beside published values: the tidy rows of Tables 1 to 3 and of the results in the text."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.tables.convergence import converged
from workflow_scripts.tables.latex import latex
from workflow_scripts.tables.layout import LAYOUTS, grid, markdown
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.tidy import (
    INITIALISATION_LABELS,
    IOU_TYPE_LABELS,
    end_points,
    read_evaluations,
    schedule_order,
)

COMPARABLE = {"paper": "size", "smoke": "nothing"}
CONVERGED = {True: "true", False: "false"}
ROW = ["train_set", "subset", "model", "setting"]
PAIR = [*ROW, "iou_type", "metric", "point"]
"""What pairs the two initialisations, each at a schedule of its own; `point` is the run's "end" or its "peak"."""
KEY = [*PAIR, "initialisation"]
CELL = [*KEY, "schedule"]
"""What one number is of: settings of one model are told apart, seeds are not."""
COLUMNS = [
    *ROW,
    "initialisation",
    "schedule",
    "point",
    "iteration",
    "iou_type",
    "metric",
    "value",
    "standard_deviation",
    "seeds",
    "low",
    "high",
    "converged",
    "published",
    "comparable",
    "source",
]
INTERVAL = ["low", "high"]
"""Both ends of the 95% interval of `value`, where it has one."""
NUMBERS = ["iteration", "value", "standard_deviation", "seeds", *INTERVAL, "published"]
MINUS = " − "
"""Between the schedules of a difference, where they are two."""

Make = Callable[[pd.DataFrame, pd.DataFrame, str], pd.DataFrame]


def baseline(evaluations: pd.DataFrame) -> pd.DataFrame:
    """The rows of Tables 1 and 2: all of COCO, no setting but the common ones."""
    common = {"train_set": "coco", "subset": "all", "setting": "baseline"}
    return evaluations[(evaluations[list(common)] == pd.Series(common)).all(axis=1)]


def ends(evaluations: pd.DataFrame) -> pd.DataFrame:
    """`over_seeds` of each run's last evaluated checkpoint."""
    return over_seeds(end_points(evaluations).assign(point="end"), evaluations)


def boxes_and_masks(results: pd.DataFrame) -> pd.DataFrame:
    """AP, AP50 and AP75 of boxes and masks, the columns of Tables 2 and 3."""
    return results[
        results["iou_type"].isin(["bbox", "segm"]) & results["metric"].isin(["AP", "AP50", "AP75"])
    ]


def over_seeds(points: pd.DataFrame, evaluations: pd.DataFrame) -> pd.DataFrame:
    """One row a `CELL`: mean and standard deviation (n - 1; NaN for one seed) of values in percent.

    points: those of the evaluations that count. `source` names all seeds' files, separated by "; ". A seed without a
    value is not among `seeds`. `converged` is a nullable boolean, empty where the evaluations do not tell.
    """
    groups = points.groupby(CELL, sort=False)
    cells = groups.agg(
        iteration=("iteration", "max"),
        value=("value", "mean"),
        standard_deviation=("value", "std"),
        seeds=("value", "count"),
        source=("source", join_sources),
    )
    return cells.reset_index().merge(converged(evaluations), how="left")


def join_sources(sources: pd.Series) -> str:
    """Every file that a value rests on, once."""
    return "; ".join(
        dict.fromkeys(part for source in sources.dropna() for part in source.split("; ") if part)
    )


def beside(ours: pd.DataFrame, paper: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Ours with the paper's values as `published`, joined on `key`: `CELL`, or `KEY` where schedules are not compared.

    What only one of the two has stays, with the other's numbers empty.
    Raises `UserError` where ours has several numbers for one key: nobody can say which to set beside the paper's.
    """
    several = ours[ours.duplicated(key, keep=False)]
    if not several.empty:
        what = ", ".join(several.iloc[0][[*ROW, "initialisation"]])
        schedules = ", ".join(several["schedule"].unique())
        raise UserError(
            f"The evaluations hold several schedules of {what}: {schedules}. Expected one; gather the table again."
        )
    theirs = paper.rename(columns={"value": "published", "schedule": "published_schedule"})
    if "schedule" in key:
        theirs = theirs.rename(columns={"published_schedule": "schedule"}).assign(published_schedule="")
    results = ours.merge(theirs[[*key, "published_schedule", "published"]], on=key, how="outer", sort=False)
    return results.assign(schedule=results["schedule"].fillna(results.pop("published_schedule")))


def with_differences(results: pd.DataFrame, key: list[str] = PAIR) -> pd.DataFrame:
    """Adds rows "random - pre-train" of `value` and `published`; seeds are independent, so variances add.

    key: the columns that pair the two initialisations. A difference has `converged` where both have.
    """
    random, pretrained = (results[results["initialisation"] == name] for name in ("random", "pretrained"))
    both = random.merge(pretrained, on=key, suffixes=("", "_pretrained"))
    if both.empty:
        return results
    squares = both["standard_deviation"] ** 2 + both["standard_deviation_pretrained"] ** 2
    other = both["schedule_pretrained"] if "schedule" not in key else both["schedule"]
    rows = both.assign(
        initialisation="difference",
        schedule=both["schedule"].where(both["schedule"] == other, both["schedule"] + MINUS + other),
        iteration=pd.NA,
        value=both["value"] - both["value_pretrained"],
        standard_deviation=squares**0.5,
        seeds=both[["seeds", "seeds_pretrained"]].min(axis=1),
        converged=both["converged"] & both["converged_pretrained"],
        published=both["published"] - both["published_pretrained"],
        source=[
            join_sources(pd.Series(pair))
            for pair in zip(both["source"], both["source_pretrained"], strict=True)
        ],
    )
    return pd.concat([results, rows[results.columns]])


def finish(results: pd.DataFrame, paper: pd.DataFrame, scale: str) -> pd.DataFrame:
    """`COLUMNS` in reading order, the paper's rows first and in its order, without models that this study did not run.

    `comparable` says in what ours compare with published values: `COMPARABLE`, else the "sign" of differences.
    `converged` is "true", "false", or empty where that cannot be told.
    """
    ran = results.loc[results["source"].fillna("") != "", "model"].unique()
    results = results[results["model"].isin(ran)]
    order = {name: index for index, name in enumerate([*INITIALISATION_LABELS, *IOU_TYPE_LABELS])}
    named = pd.concat([paper[ROW], results[ROW]]).drop_duplicates()
    rows = {row: index for index, row in enumerate(named.itertuples(index=False, name=None))}
    ranked = results.assign(
        comparable=COMPARABLE.get(scale, "sign"),
        source=results["source"].fillna(""),
        _row=[rows[row] for row in results[ROW].itertuples(index=False, name=None)],
        _initialisation=results["initialisation"].map(order),
        _iou_type=results["iou_type"].map(order),
        _schedule=[schedule_order(name)[0] for name in results["schedule"]],
    ).sort_values(["_row", "_initialisation", "_schedule", "_iou_type", "metric"], kind="stable")
    numbers = {
        name: ranked[name].astype(float).round(4) for name in ("value", "standard_deviation", "published")
    }
    counts = {name: ranked[name].astype("Int64") for name in ("iteration", "seeds")}
    told = ranked["converged"].map(CONVERGED).fillna("")
    unknown = dict.fromkeys(INTERVAL, float("nan"))
    return ranked.assign(**numbers, **counts, **unknown, converged=told)[COLUMNS].reset_index(drop=True)


def with_intervals(results: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """A finished table with the intervals that `report/table_intervals.py` wrote.

    Raises `UserError` on another file.
    """
    try:
        found = pd.read_csv(path, dtype=dict.fromkeys(CELL, str), keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as intervals ({error}). Make them again.") from None
    if list(found.columns) != [*CELL, *INTERVAL]:
        raise UserError(
            f"{path}: the columns are {', '.join(found.columns)}; expected {', '.join([*CELL, *INTERVAL])}."
        )
    known = found.astype(dict.fromkeys(INTERVAL, float)).round(4)
    return results.drop(columns=INTERVAL).merge(known, how="left", on=CELL)[COLUMNS]


def read_results(path: str | Path) -> pd.DataFrame:
    """A finished table from its CSV. Raises `UserError` on a missing file or column."""
    try:
        table = pd.read_csv(
            path,
            dtype={"schedule": str, "converged": str},
            keep_default_na=False,
            na_values={name: [""] for name in NUMBERS},
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no such table. Make it first.") from None
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise UserError(f"{path}: the column {', '.join(missing)} is missing. Make the table again.")
    return table


def make_from_arguments(description: str | None, make: Make, name: str) -> None:
    """The command line that the tables share: evaluations -> CSV, Markdown and LaTeX, as `LAYOUTS` has `name`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--table", required=True, help="tidy CSV of evaluations")
    parser.add_argument(
        "--intervals", help="CSV of report/table_intervals; without it, ± is a standard deviation"
    )
    parser.add_argument("--published", required=True, help="reports/published.yaml")
    parser.add_argument("--scale", required=True, help="smoke, mini or paper")
    parser.add_argument("--csv", required=True)
    parser.add_argument("--markdown", required=True)
    parser.add_argument("--latex", required=True)
    arguments = parser.parse_args()
    results = make(read_evaluations(arguments.table), read_published(arguments.published), arguments.scale)
    if arguments.intervals:
        results = with_intervals(results, arguments.intervals)
    table = grid(results, LAYOUTS[name])
    outputs = (
        (arguments.csv, results.to_csv(index=False, lineterminator="\n")),
        (arguments.markdown, markdown(table)),
        (arguments.latex, latex(table, Path(arguments.latex).stem, LAYOUTS[name].caption)),
    )
    for path, text in outputs:
        with write_atomically(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
