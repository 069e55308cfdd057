"""A finished table's grid for people, and its Markdown."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workflow_scripts.tables.convergence import UNCONVERGED_IF
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
UNCONVERGED = "‡"
UNCONVERGED_NOTE = f"{UNCONVERGED} Not converged, of a difference at least one side: {UNCONVERGED_IF}."
SPREAD_NOTES = {
    "interval": "± Half of the 95% interval over seeds and the choice of validation images.",
    "interval, one seed": "± Half of the 95% interval over the choice of validation images; there is one seed, so how "
    "trainings vary is left out.",
    "deviation": "± One standard deviation over seeds.",
}
ROUNDED_NOTE = (
    "Differences are of values before rounding, so a last digit may differ from that of rounded ones."
)
WITHOUT_MASKS_NOTE = "There is no mask AP of ours: these detectors learn boxes alone."
TRAIN_SET_LABELS = {"coco": "", "keypoints": "person keypoints", "voc": "PASCAL VOC"}


@dataclass(frozen=True)
class Layout:
    """What of a result names a table's row (a group, and within it), and what its column; its caption in LaTeX."""

    row: tuple[str, str]
    column: str
    caption: str


LAYOUTS = {
    "table1": Layout(
        ("model", "initialisation"),
        "schedule",
        "Box AP in percent at the end of each schedule, from random initialisation and with pre-training.",
    ),
    "table2": Layout(
        ("model", "initialisation"),
        "metric",
        "AP, AP50 and AP75 of boxes and masks in percent, of each initialisation at the schedule where its box AP is "
        "highest.",
    ),
    "table3": Layout(
        ("model", "setting"),
        "metric",
        "Larger models and stronger settings, all from random initialisation: AP, AP50 and AP75 of boxes and masks in "
        "percent at the end of training.",
    ),
    "text": Layout(
        ("result", "metric"),
        "initialisation",
        "Results that the paper quotes in its text, in percent at the end of training; a peak is the highest value "
        "along the training.",
    ),
}


@dataclass(frozen=True)
class Row:
    """Ours, or published values: a cell's text and the files it rests on (none for published values)."""

    labels: tuple[str, str]
    whose: str
    cells: list[str]
    sources: list[list[str]]

    @property
    def texts(self) -> list[str]:
        """The row as it is printed."""
        return [*self.labels, self.whose, *self.cells]


@dataclass(frozen=True)
class Grid:
    """A table for people; `stub` names the columns of labels, `header` those of cells."""

    stub: list[str]
    header: list[str]
    rows: list[Row]
    note: str


def grid(results: pd.DataFrame, layout: Layout) -> Grid:
    """Two rows a label: one of ours and one of published values, empty where there is no such run.

    results: `results.COLUMNS`, in reading order.
    """
    named = results.assign(
        metric=_metric(results),
        initialisation=results["initialisation"].map(INITIALISATION_LABELS),
        result=[", ".join(filter(None, parts)) for parts in zip(*_parts(results), strict=True)],
        signed=results["initialisation"] == "difference",
    )
    header = list(dict.fromkeys(named[layout.column]))
    if layout.column == "schedule":
        header.sort(key=schedule_order)
    published, note = PUBLISHED[results["comparable"].iloc[0] if len(results) else "size"]
    rows = []
    for labels, group in named.groupby(list(layout.row), sort=False):
        found = {cell[layout.column]: cell for cell in group.to_dict("records")}
        ours, theirs, sources = zip(*(_cell(found.get(name)) for name in header), strict=True)
        first, second = labels
        chosen = _schedule(group) if layout == LAYOUTS["table2"] else ""
        rows.append(Row((first, second + chosen), "ours", list(ours), list(sources)))
        rows.append(Row((first, second), published, list(theirs), [[] for _ in header]))
    notes = [note, *_spread_note(results), *_masks_note(results)]
    if any(UNCONVERGED in cell for row in rows for cell in row.cells):
        notes.append(UNCONVERGED_NOTE)
    if not _adds_up(named, layout):
        notes.append(ROUNDED_NOTE)
    return Grid(list(layout.row), header, rows, " ".join(notes))


def markdown(table: Grid) -> str:
    """The grid as a Markdown table with its note below."""
    lines = [
        [*table.stub, "", *table.header],
        ["---", "---", "---", *["---:"] * len(table.header)],
    ]
    lines += [row.texts for row in table.rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + f"\n{table.note}\n"


def _metric(results: pd.DataFrame) -> pd.Series:
    peak = results["point"].map({"end": "", "peak": ", peak"})
    return results["iou_type"].map(IOU_TYPE_LABELS) + " " + results["metric"] + peak


def _parts(results: pd.DataFrame) -> list[pd.Series]:
    """What a result was measured on, the usual left out."""
    subset = results["subset"].map(lambda name: "" if name == "all" else f"{name} subset")
    setting = results["setting"].replace("baseline", "")
    return [results["model"], results["train_set"].map(TRAIN_SET_LABELS), subset, setting]


def _spread_note(results: pd.DataFrame) -> list[str]:
    """What ± means; nothing where there is none."""
    known = results[results["low"].notna()]
    if len(known):
        return [SPREAD_NOTES["interval" if known["seeds"].max() > 1 else "interval, one seed"]]
    return [SPREAD_NOTES["deviation"]] if results["standard_deviation"].notna().any() else []


def _masks_note(results: pd.DataFrame) -> list[str]:
    """Says so where boxes were scored, and there is room for masks that were not."""
    scored = set(results.loc[results["value"].notna(), "iou_type"])
    return [WITHOUT_MASKS_NOTE] if "segm" in set(results["iou_type"]) - scored and "bbox" in scored else []


def _adds_up(named: pd.DataFrame, layout: Layout) -> bool:
    """Whether each difference, as it is printed, is that of the two values as they are printed."""
    pair = [name for name in (*layout.row, layout.column) if name != "initialisation"]
    for value in ("value", "published"):
        printed = named.dropna(subset=value).drop_duplicates([*pair, "initialisation"], keep="last")
        tenths = printed.assign(printed=[round(10 * float(f"{each:.1f}")) for each in printed[value]])
        sides = tenths.pivot(index=pair, columns="initialisation", values="printed")
        sides = sides.reindex(columns=list(INITIALISATION_LABELS.values())).dropna()
        random, pretrained, difference = (sides[name] for name in INITIALISATION_LABELS.values())
        if (random - pretrained != difference).any():
            return False
    return True


def _schedule(group: pd.DataFrame) -> str:
    """The schedule that ours were chosen at, in brackets."""
    trained = group.loc[group["seeds"].notna(), "schedule"]
    return f" ({trained.iloc[0]})" if len(trained) else ""


def _cell(cell: dict[Hashable, Any] | None) -> tuple[str, str, list[str]]:
    """Ours, published, and the files that ours rest on."""
    if cell is None:
        return "", "", []
    known = not pd.isna(cell["low"])
    spread = _number((cell["high"] - cell["low"]) / 2 if known else cell["standard_deviation"])
    ours = _number(cell["value"], cell["signed"]) + (f" ± {spread}" if spread else "")
    mark = UNCONVERGED if ours and cell["converged"] == "false" else ""
    return (
        ours + mark,
        _number(cell["published"], cell["signed"]),
        [path for path in cell["source"].split("; ") if path],
    )


def _number(value: float | None, signed: bool = False) -> str:
    if value is None or pd.isna(value):
        return ""
    text = f"{abs(value):.1f}"
    sign = "" if text == "0.0" else "−" if value < 0 else "+" if signed else ""
    return sign + text
