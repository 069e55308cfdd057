"""A finished table's grid for people, and its Markdown and LaTeX."""

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workflow_scripts.tables.tidy import INITIALISATION_LABELS, IOU_TYPE_LABELS, schedule_order

PUBLISHED = {
    "size": ("published", "Published values are the paper's."),
    "sign": (
        "published †",
        "† The paper's values: at this scale ours compare in the sign of a difference only, not in size.",
    ),
    "nothing": (
        "published †",
        "† The paper's values: at this scale ours mean nothing and compare with nothing.",
    ),
}
"""By what ours compare in: how published values are named, and the note below the table."""
EMPTY = {"value": None, "standard_deviation": None, "published": None, "source": ""}
LATEX = {"−": "$-$", "±": "$\\pm$", "†": "$\\dagger$", "\\": "\\textbackslash{}", "~": "\\textasciitilde{}"}


@dataclass(frozen=True)
class Row:
    """Ours, or published values: a cell's text and the files it rests on (none for published values)."""

    model: str
    initialisation: str
    whose: str
    cells: list[str]
    sources: list[list[str]]

    @property
    def texts(self) -> list[str]:
        """The row as it is printed."""
        return [self.model, self.initialisation, self.whose, *self.cells]


@dataclass(frozen=True)
class Grid:
    """A table for people; `header` names the cells' columns."""

    header: list[str]
    rows: list[Row]
    note: str


def grid(results: pd.DataFrame) -> Grid:
    """Columns are the schedules where the table has one metric (Table 1), else the metrics (Table 2).

    Each initialisation has a row of ours and one of published values, empty where there is no such run.
    """
    by_schedule = len(results[["iou_type", "metric"]].drop_duplicates()) == 1
    metrics = results["iou_type"].map(IOU_TYPE_LABELS) + " " + results["metric"]
    columns = results["schedule"] if by_schedule else metrics
    header = list(dict.fromkeys(columns))
    if by_schedule:
        header.sort(key=schedule_order)
    published, note = PUBLISHED[results["comparable"].iloc[0] if len(results) else "size"]
    rows = []
    for (model, initialisation), group in results.groupby(["model", "initialisation"], sort=False):
        found = dict(zip(columns[group.index], group.to_dict("records"), strict=True))
        cells = [found.get(name, EMPTY) for name in header]
        signed = initialisation == "difference"
        label = INITIALISATION_LABELS[initialisation]
        chosen = "" if by_schedule else _schedule(group)
        sources = [[path for path in cell["source"].split("; ") if path] for cell in cells]
        rows.append(Row(model, label + chosen, "ours", [_ours(cell, signed) for cell in cells], sources))
        theirs = [_number(cell["published"], signed) for cell in cells]
        rows.append(Row(model, label, published, theirs, [[] for _ in cells]))
    return Grid(header, rows, note)


def markdown(table: Grid) -> str:
    """The grid as a Markdown table with its note below."""
    lines = [
        ["model", "initialisation", "", *table.header],
        ["---", "---", "---", *["---:"] * len(table.header)],
    ]
    lines += [row.texts for row in table.rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + f"\n{table.note}\n"


def latex(table: Grid) -> str:
    """The grid as a LaTeX tabular (package booktabs) with its note below."""
    lines = [_latex_row(["model", "initialisation", "", *table.header])]
    above = ""
    for row in table.rows:
        lines += ["\\midrule"] if row.model != above else []
        lines.append(_latex_row(row.texts))
        above = row.model
    columns = "lll" + "r" * len(table.header)
    return "\n".join(
        [
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            *lines,
            "\\bottomrule",
            "\\end{tabular}",
            f"\\par\\small {_latex_text(table.note)}",
            "",
        ]
    )


def _schedule(group: pd.DataFrame) -> str:
    trained = group.loc[group["seeds"].notna(), "schedule"]
    return f" ({trained.iloc[0]})" if len(trained) else ""


def _ours(cell: dict[str, Any], signed: bool) -> str:
    spread = _number(cell["standard_deviation"])
    return _number(cell["value"], signed) + (f" ± {spread}" if spread else "")


def _number(value: float | None, signed: bool = False) -> str:
    if value is None or pd.isna(value):
        return ""
    text = f"{abs(value):.1f}"
    sign = "" if text == "0.0" else "−" if value < 0 else "+" if signed else ""
    return sign + text


def _latex_row(texts: list[str]) -> str:
    return " & ".join(map(_latex_text, texts)) + " \\\\"


def _latex_text(text: str) -> str:
    return re.sub(r"[&%$#_{}−±†\\~]", lambda found: LATEX.get(found[0], f"\\{found[0]}"), text)
