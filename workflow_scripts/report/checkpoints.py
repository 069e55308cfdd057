"""What the report's curves are drawn from: a figure's tidy table, a record for each evaluated checkpoint.

Runs that share training up to some iteration share checkpoints. Each is told once, with the schedules that pass it, on
the line of the longest of them; a schedule's own line starts at the checkpoint where it leaves, which is told again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.report.comparisons import LABELS, Arm, metric_label
from workflow_scripts.report.intervals import Sample, estimate
from workflow_scripts.tables.convergence import converged
from workflow_scripts.tables.tidy import (
    INITIALISATION_LABELS,
    INITIALISATIONS,
    IOU_TYPE_LABELS,
    MAIN,
    schedule_order,
    with_intervals,
)

DIGITS = 4
"""Of values in percent: far below what an evaluation tells, and a third of the digits that there are."""
NOT_RESAMPLED = pd.Series(dtype=float)
"""Categories are not scored on resamples of the images: their intervals are over seeds."""


@dataclass
class Panel:
    """Curves of one model on one set of images.

    `series`: metrics by name, such as `box AP`, the main one first. `categories`: the names of those that have an AP of
    their own, by the metric that it is a part of; `box AP, person` is a series too. `methods`: where the interval of a
    series comes from, if it has one. `schedules`: shortest first. `seeds`: in the order of a record's values.

    `records`: a checkpoint each, with `line`, `schedules` (those that pass it), `mask` (the same as bits of their
    places in the panel's), `initialisation`, `iteration`, `segment`, `source` (its files), `start` (told elsewhere, and
    here so that the line starts there), `end` (the schedule that ends there, or none), `converged` (of an end), and by
    series its mean, both ends of its interval (None where there is none) and the value of each seed, in percent.
    """

    title: str
    series: list[str]
    categories: dict[str, list[str]]
    schedules: list[str]
    seeds: list[int]
    methods: dict[str, str] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)


class Categories:
    """AP by category, from the metrics of checkpoints."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """paths: the `metrics.json` that tidy tables name as sources. Raises `UserError` where one cannot be read."""
        rows = [row for path in paths for row in _categories(path)]
        self.table = pd.DataFrame(rows, columns=["source", "iteration", "iou_type", "category", "value"])

    def beside(self, rows: pd.DataFrame, metric: str) -> pd.DataFrame:
        """The categories at the checkpoints of tidy `rows`: as these, with `of`, `category` and `series`.

        metric: what categories are measured by, such as AP.
        """
        numbers = ["iou_type", "metric", "value", "low", "high", "method"]
        checkpoints = rows.drop(columns=numbers).drop_duplicates()
        found = checkpoints.merge(self.table, on=["source", "iteration"])
        of = found["iou_type"].map(IOU_TYPE_LABELS) + f" {metric}"
        return found.assign(of=of, series=of + ", " + found["category"])


def panels(table: pd.DataFrame, intervals: pd.DataFrame | None, categories: Categories) -> list[Panel]:
    """A panel for each of a figure's models and sets of images; none where nothing was evaluated along the way.

    table: as `tidy.read_evaluations` reads it. intervals: as `tidy.read_intervals`; None leaves them out.
    """
    ends = converged(table)
    found = []
    for labels, rows in table.groupby(LABELS, sort=False):
        measured = with_intervals(rows.dropna(subset="value"), intervals)
        if measured.groupby("run")["iteration"].nunique().max() > 1:
            arm = Arm(*labels)
            own = ends[(ends[LABELS] == list(labels)).all(axis=1)]
            found.append(_panel(arm, measured, categories, own))
    return found


def braced(paths: list[str]) -> str:
    """Several paths as one, as a shell would expand it: `seed{0,1}/metrics.json`."""
    if len(set(paths)) == 1:
        return paths[0]
    start = _shared(paths)
    rest = [path[start:] for path in paths]
    end = _shared([text[::-1] for text in rest])
    middles = [text[: len(text) - end] for text in rest]
    return f"{paths[0][:start]}{{{','.join(middles)}}}{rest[0][len(rest[0]) - end :]}"


def _shared(texts: list[str]) -> int:
    """How many characters texts have in common at their start."""
    return sum(1 for _ in takewhile(lambda found: len(set(found)) == 1, zip(*texts, strict=False)))


def _panel(arm: Arm, rows: pd.DataFrame, categories: Categories, ends: pd.DataFrame) -> Panel:
    main = MAIN[arm.train_set]
    named = rows.assign(
        series=[metric_label(metric) for metric in zip(rows["iou_type"], rows["metric"], strict=True)],
        category=None,
    )
    parts = categories.beside(rows, main[1]).dropna(subset="value")
    measured = pd.concat([named, parts])
    panel = Panel(
        title=arm.label,
        series=sorted(named["series"].unique(), key=lambda name: name != metric_label(main)),
        categories={str(of): list(own["category"].unique()) for of, own in parts.groupby("of", sort=False)},
        schedules=sorted(rows["schedule"].unique(), key=schedule_order),
        seeds=sorted({int(seed) for seed in rows["seed"]}),
    )
    flags = {
        (INITIALISATION_LABELS[row["initialisation"]], row["schedule"]): bool(row["converged"])
        for row in ends.dropna(subset="converged").to_dict("records")
    }
    for initialisation in INITIALISATIONS:
        _draw(panel, measured[measured["initialisation"] == initialisation])
    for record in panel.records:
        record["mask"] = sum(1 << panel.schedules.index(name) for name in record["schedules"])
        record["converged"] = flags.get((record["initialisation"], record["end"]), True)
    return panel


def _draw(panel: Panel, rows: pd.DataFrame) -> None:
    """Add the records of one initialisation: each schedule, longest first, from where it leaves what is told."""
    told: dict[tuple[int, str], dict[str, Any]] = {}
    for schedule in reversed(panel.schedules):
        before: dict[str, Any] | None = None
        for iteration, point in rows[rows["schedule"] == schedule].groupby("iteration"):
            point = point.sort_values("seed", key=lambda seeds: seeds.astype(int), kind="stable")
            source = braced(list(dict.fromkeys(point["source"])))
            record = told.get((iteration, source))
            if record is None:
                if before is not None and before["line"] != schedule:
                    start = {"line": schedule, "schedules": [schedule], "start": True, "end": ""}
                    panel.records.append(before | start)
                record = {
                    "line": schedule,
                    "schedules": [],
                    "initialisation": INITIALISATION_LABELS[point["initialisation"].iloc[0]],
                    "iteration": int(iteration),
                    "segment": point["segment"].iloc[0],
                    "source": source,
                    "start": False,
                    "end": "",
                    **_cells(panel, point),
                }
                told[iteration, source] = record
                panel.records.append(record)
            record["schedules"].insert(0, schedule)
            before = record
        if before is not None:
            before["end"] = schedule


def _cells(panel: Panel, point: pd.DataFrame) -> dict[str, list[float | None]]:
    """Mean, interval and the seeds' values of each series at one checkpoint; remembers the intervals' methods."""
    cells = {}
    for series, rows in point.groupby("series", sort=False):
        values = pd.Series(rows["value"].to_numpy(), index=rows["seed"].astype(int))
        low, high, method = rows[["low", "high", "method"]].iloc[0]
        if rows["category"].notna().all():
            found = estimate(Sample(values, NOT_RESAMPLED, tuple(rows["source"])))
            low, high = found.interval or (None, None)
            method = found.method
        seeds = [values.get(seed) for seed in panel.seeds]
        numbers = (values.mean(), low, high, *seeds)
        cells[str(series)] = [None if pd.isna(x) else round(float(x), DIGITS) for x in numbers]
        if not pd.isna(low):
            panel.methods.setdefault(str(series), method)
    return cells


def _categories(path: Path) -> Iterator[tuple[str, int, str, str, float | None]]:
    try:
        evaluated = msgspec.json.decode(path.read_bytes(), type=_Evaluation)
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{path}: cannot be read as metrics ({error}). Evaluate again.") from None
    for checkpoint in evaluated.checkpoints:
        for iou_type, metrics in checkpoint.metrics.items():
            for category, value in (metrics.get("per_category") or {}).items():
                yield str(path), checkpoint.iteration, iou_type, category, value


class _Checkpoint(msgspec.Struct):
    iteration: int
    metrics: dict[str, dict[str, Any]]


class _Evaluation(msgspec.Struct):
    checkpoints: list[_Checkpoint]
