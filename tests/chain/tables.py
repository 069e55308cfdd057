"""What finished tables and intervals must hold, and the CSVs of a study, read by the standard library."""

import csv
from pathlib import Path

import numpy as np

from tests.chain import arms
from tests.chain.arms import BOTH
from tests.chain.oracle import Oracle, Point
from tests.chain.study import read

BOX, MASK, KEYPOINT, VOC = ("bbox", "AP"), ("segm", "AP"), ("keypoints", "AP"), ("bbox", "AP50")
SIX = [(kind, metric) for kind in ("bbox", "segm") for metric in ("AP", "AP50", "AP75")]
KINDS = {"table1": [BOX], "table2": SIX, "table3": SIX}
QUOTED = {"keypoints R50 GN": [KEYPOINT], "voc R101 GN": [VOC], "coco X152 GN": [BOX, MASK]}
"""What the text quotes of a model on a data set; of others, box AP."""
LABELS = ("model", "setting", "train_set", "subset", "initialisation", "schedule", "iou_type", "metric")
Cells = dict[tuple[str, ...], float]
"""Values in percent by `LABELS`."""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def found(oracle: Oracle, name: str) -> Cells:
    """Ours of a finished table."""
    table = rows(oracle.study.results / f"tables/{name}.csv")
    return {tuple(row[label] for label in LABELS): float(row["value"]) for row in table if row["value"]}


def expected(oracle: Oracle, name: str) -> Cells:
    """Of each run its end, of 3.5k images its peak; in Table 2 only the best schedule; and differences."""
    every = arms.runs(oracle, name)
    if name == "table2":
        every = {row: every[row] for row in _best(oracle, every)}
    cells: Cells = {}
    for row, points in every.items():
        if (
            name == "text" and row.setting == arms.CASCADE
        ):  # only tells whether what test aug tests has converged
            continue
        recipe = {"subset": "all"} | read(oracle.study.results / f"recipes/{points[-1].recipe}.json")
        point = max(points, key=oracle.box_ap) if recipe["subset"] == "3.5k" else points[-1]
        labels = (
            row.model,
            row.setting,
            recipe["train_set"],
            recipe["subset"],
            row.initialisation,
            row.schedule,
        )
        for kind in KINDS.get(name) or QUOTED.get(f"{recipe['train_set']} {row.model}", [BOX]):
            cells[(*labels, *kind)] = oracle.metrics(point)[kind]
    return cells | _differences(cells, by_schedule=name == "table1")


def _best(oracle: Oracle, every: arms.Runs) -> list[arms.Row]:
    """Each initialisation's run of the highest box AP."""
    own = ([row for row in every if row.initialisation == name] for name in BOTH)
    return [max(some, key=lambda row: oracle.box_ap(every[row][-1])) for some in own]


def _differences(cells: Cells, by_schedule: bool) -> Cells:
    """Random - pre-train of each pair."""
    pairs = {}
    for random, value in cells.items():
        for pretrained, less in cells.items():
            same = random[:4] + random[6:] == pretrained[:4] + pretrained[6:]
            if (
                same
                and (random[4], pretrained[4]) == BOTH
                and (random[5] == pretrained[5] or not by_schedule)
            ):
                named = random[5] if random[5] == pretrained[5] else f"{random[5]} − {pretrained[5]}"
                pairs[(*random[:4], "difference", named, *random[6:])] = value - less
    return pairs


def replicates(oracle: Oracle, point: Point, kind: tuple[str, str]) -> np.ndarray:
    """A checkpoint's AP on each resample of the images."""
    resampled = rows(oracle.folder(point) / "replicates.csv")
    wanted = (str(point.iteration), *kind)
    return np.array(
        [
            float(row["value"])
            for row in resampled
            if (row["iteration"], row["iou_type"], row["metric"]) == wanted
        ]
    )
