"""The report's section on what was detected: pictures to look at, and where random init and pre-training differ."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.jobs.record import record_path
from workflow_scripts.report.intervals import Estimate, Sample, estimate
from workflow_scripts.report.links import relative_link
from workflow_scripts.tables.tidy import INITIALISATION_LABELS, INITIALISATIONS

COLUMNS = ["initialisation", "point", "part", "name", "seed", "replicate", "value"]
SETS = {"coco": "Boxes and masks", "keypoints": "Keypoints of people", "voc": "PASCAL VOC"}
POINTS = ("short", "long")
SIZES = {
    "small": "small, up to 32² pixels",
    "medium": "medium, up to 96² pixels",
    "large": "large",
}
KINDS = {
    "classification": ("wrong class", "on an object, but named as something else"),
    "localisation": (
        "bad box",
        "the right class, but the box overlaps the object too little (IoU 0.1 to 0.5)",
    ),
    "both": ("both wrong", "another class and a box that overlaps too little"),
    "duplicate": ("duplicate", "an object that a surer detection has found already"),
    "background": ("background", "no object there (IoU below 0.1)"),
    "missed": ("missed", "an object that nothing found, nor nearly"),
}
"""Kinds of error: what they are called, and what they mean."""
RIGHT, IGNORED = "right", "ignored"
WORDS = {RIGHT: "right", IGNORED: "not counted", **{kind: words for kind, (words, _) in KINDS.items()}}
TABLES = {
    "AP": ("AP, by size of object and by category", ("all", "size", "category")),
    "kind": ("What each kind of error costs", ("kind",)),
}
"""Tables of differences: their titles, and the parts that they hold."""
FULL_LABEL = 0.057
"""Height of a label as a share of a picture's longer side."""


class Side(msgspec.Struct, frozen=True):
    """One run's detections: `items` by image id of the pictures' seed, empty of others."""

    initialisation: str
    point: str
    schedule: str
    iteration: int
    seed: int
    detections: str
    counts: dict[str, int]
    items: dict[str, list[dict[str, Any]]] = {}


class Picture(msgspec.Struct, frozen=True):
    """An image and what is in it."""

    id: int
    file: str
    width: int
    height: int
    jpeg: str
    items: list[dict[str, Any]]


class Pictures(msgspec.Struct, frozen=True):
    """What `evaluation/compare.py` writes of one training set."""

    train_set: str
    model: str
    subset: str
    setting: str
    detector: str
    seed: int
    images: int
    truths: int
    least_score: float
    categories: dict[str, str]
    limbs: dict[str, list[tuple[int, int]]]
    pictures: list[Picture]
    sides: list[Side]


def detection_sections(
    pictures: Iterable[str], differences: Iterable[str], output: str | Path
) -> list[dict[str, Any]]:
    """What the template draws, by training set; links are relative to the folder of `output`.

    Raises `UserError` where a file is missing or malformed.
    """
    return [
        _section(read_pictures(shown), read_differences(table), table, output)
        for shown, table in zip(pictures, differences, strict=True)
    ]


def read_pictures(path: str | Path) -> Pictures:
    """Pictures of a training set. Raises `UserError` on a missing or malformed file."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Pictures)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Make it first.") from None
    except msgspec.DecodeError as error:
        raise UserError(f"{path}: {error}. Remove it to compare the detections again.") from None


def read_differences(path: str | Path) -> pd.DataFrame:
    """Values by seed and replicates, as `COLUMNS`, in percent. Raises `UserError` on a missing or malformed file."""
    try:
        table = pd.read_csv(path)
    except (FileNotFoundError, pd.errors.EmptyDataError):
        raise UserError(f"{path}: no such table, or an empty one. Make it first.") from None
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise UserError(
            f"{path}: lacks {', '.join(missing)}; found {', '.join(table.columns)}. Remove it to compare the "
            "detections again."
        )
    return table


def _section(shown: Pictures, table: pd.DataFrame, path: str, output: str | Path) -> dict[str, Any]:
    sides = [side for point in POINTS for side in _of_point(shown, point)]
    boxes_alone = shown.train_set == "coco" and shown.detector == "faster_rcnn"
    return {
        "name": shown.train_set,
        "title": "Boxes" if boxes_alone else SETS.get(shown.train_set, shown.train_set),
        "shown": shown,
        "what": ", ".join([shown.model, *([] if shown.setting == "baseline" else [shown.setting])]),
        "pictures": [_picture(shown, picture, sides) for picture in shown.pictures],
        "categories": _present(shown, "category"),
        "sizes": {name: SIZES[name] for name in SIZES if name in _present(shown, "size")},
        "kinds": KINDS,
        "errors": {kind: words for kind, (words, _) in KINDS.items()},
        "words": WORDS,
        "columns": [
            {"point": point, "title": _schedules(shown, point)}
            for point in POINTS
            if any(side.point == point for side in shown.sides)
        ],
        "initialisations": _initialisations(shown),
        "differences": differences(table),
        "method": _method(table),
        "counts": counts(shown),
        "label": FULL_LABEL,
        "table": {"text": path, "link": relative_link(path, output)},
        "sources": [
            {
                "text": side.detections,
                "link": relative_link(side.detections, output),
                "record": relative_link(str(record_path(Path(side.detections).parent)), output),
            }
            for side in sides
        ],
    }


def _of_point(shown: Pictures, point: str) -> list[Side]:
    """The sides that have pictures, random init first."""
    sides = [side for side in shown.sides if side.point == point and side.seed == shown.seed]
    return sorted(sides, key=lambda side: INITIALISATIONS.index(side.initialisation))


def _initialisations(shown: Pictures) -> dict[str, str]:
    there = {side.initialisation for side in shown.sides}
    return {name: INITIALISATION_LABELS[name] for name in INITIALISATIONS if name in there}


def _schedules(shown: Pictures, point: str) -> str:
    """`6x`, or `voc-random and voc-pretrained` where each has its own."""
    return " and ".join(dict.fromkeys(side.schedule for side in _of_point(shown, point)))


def _present(shown: Pictures, field: str) -> dict[str, str]:
    """Categories (by id) or sizes of what stands in the pictures, with their names, in the order of ids or of sizes."""
    items = [item for picture in shown.pictures for item in picture.items]
    items += [item for side in shown.sides for of_image in side.items.values() for item in of_image]
    there = {str(item[field]) for item in items}
    names = shown.categories if field == "category" else {name: name for name in SIZES}
    return {name: text for name, text in names.items() if name in there}


def _picture(shown: Pictures, picture: Picture, sides: list[Side]) -> dict[str, Any]:
    panels = [{"title": "what is there", "items": picture.items, "summary": _objects(len(picture.items))}]
    for side in sides:
        items = side.items.get(str(picture.id), [])
        title = f"{INITIALISATION_LABELS[side.initialisation]}, {side.schedule}"
        panels.append({"title": title, "items": items, "summary": summary(items)})
    return {"picture": picture, "panels": panels}


def _objects(number: int) -> str:
    return "1 object" if number == 1 else f"{number or 'no'} objects"


def summary(items: list[dict[str, Any]]) -> str:
    """`3 right, 1 bad box, 2 missed`; `nothing` where nothing was detected or missed."""
    kinds = [item["kind"] for item in items]
    told = [f"{kinds.count(kind)} {words}" for kind, words in WORDS.items() if kind in kinds]
    return ", ".join(told) or "nothing"


def counts(shown: Pictures) -> dict[str, dict[str, dict[str, float]]]:
    """How many detections are right, and errors of each kind, by point and initialisation: means over seeds."""
    rows = [
        {"point": side.point, "initialisation": side.initialisation, "kind": kind, "count": count}
        for side in shown.sides
        for kind, count in side.counts.items()
    ]
    found: dict[str, dict[str, dict[str, float]]] = {}
    means = pd.DataFrame(rows).groupby(["point", "initialisation", "kind"])["count"].mean()
    for (point, initialisation, kind), mean in means.items():
        found.setdefault(point, {}).setdefault(initialisation, {})[kind] = float(mean)
    return found


def differences(table: pd.DataFrame) -> list[dict[str, Any]]:
    """By table: `rows` of a part, a name, a label and, by point, the estimates of each initialisation and of random
    init minus pre-training; and the `highest` value of an axis from 0 that holds all intervals of initialisations."""
    found = []
    for name, (title, parts) in TABLES.items():
        rows = [row for part in parts for row in _rows(part, table[table["part"] == part])]
        ends = [
            estimated.interval[1] if estimated.interval else estimated.value
            for row in rows
            for point in row["points"].values()
            for side, estimated in point.items()
            if side != "difference"
        ]
        if rows:
            found.append({"name": name, "title": title, "rows": rows, "highest": _round_up(max(ends))})
    return found


def _rows(part: str, of_part: pd.DataFrame) -> Iterator[dict[str, Any]]:
    labels = {"all": {"AP": "all"}, "kind": WORDS}.get(part, {})
    for name, rows in of_part.groupby("name", sort=False):
        points = {point: _estimates(each) for point, each in rows.groupby("point")}
        yield {"part": part, "name": name, "label": labels.get(str(name), name), "points": points}


def _round_up(value: float) -> int:
    """To the next ten, or five below ten."""
    return 5 if value <= 5 else 10 * math.ceil(value / 10)


def _estimates(rows: pd.DataFrame) -> dict[str, Estimate]:
    samples = {
        str(name): Sample(
            each[each["replicate"].isna()].set_index("seed")["value"],
            each[each["replicate"].notna()].set_index("replicate")["value"],
            (),
        )
        for name, each in rows.groupby("initialisation")
    }
    found = {name: estimate(sample) for name, sample in samples.items()}
    if len(samples) == len(INITIALISATIONS):
        found["difference"] = estimate(samples["random"], samples["pretrained"] * -1)
    return found


def _method(table: pd.DataFrame) -> str:
    """How sure the differences are, in words: the same for each."""
    found = {
        estimated.method
        for part in differences(table)
        for row in part["rows"]
        for point in row["points"].values()
        for estimated in point.values()
    }
    return "; ".join(sorted(found))
