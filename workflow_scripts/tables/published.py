"""Published values (`reports/published.yaml`) as data frames to set beside ours."""

from pathlib import Path
from typing import Any, Literal

import msgspec
import pandas as pd

from workflow_scripts.errors import UserError

COMPARABLE_SCALE = "paper"
COLUMNS = [
    "publisher",
    "experiment",
    "where",
    "train_set",
    "subset",
    "setting",
    "model",
    "initialisation",
    "schedule",
    "iterations",
    "point",
    "iou_type",
    "metric",
    "value",
    "tolerance",
]
KEY = [name for name in COLUMNS if name not in ("value", "tolerance", "where")]


Metrics = dict[Literal["AP", "AP50", "AP75", "APs", "APm", "APl"], float]
Initialisation = Literal["random", "pretrained"]


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One published model and its values in percent (or seconds an iteration), in this project's own terms."""

    model: str
    initialisation: Initialisation
    train_set: Literal["coco", "keypoints", "voc"] = "coco"
    subset: Literal["all", "35k", "10k", "3.5k", "1k"] = "all"
    setting: str = "baseline"
    schedule: str = ""
    iterations: int | None = None
    point: Literal["end", "peak"] = "end"
    bbox: Metrics = {}
    segm: Metrics = {}
    keypoints: Metrics = {}
    seconds_an_iteration: float | None = None

    def values(self) -> list[tuple[str, str, float]]:
        """(iou_type, metric, value) of each number."""
        numbers: list[tuple[str, str, float]] = []
        for iou_type, metrics in (("bbox", self.bbox), ("segm", self.segm), ("keypoints", self.keypoints)):
            numbers.extend((iou_type, metric, value) for metric, value in metrics.items())
        if self.seconds_an_iteration is not None:
            numbers.append(("", "seconds_an_iteration", self.seconds_an_iteration))
        return numbers


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows that one place publishes; `common` holds the fields that they share."""

    source: str
    experiment: str
    where: str
    rows: list[dict[str, Any]]
    common: dict[str, Any] = {}
    tolerance: float | msgspec.UnsetType | None = msgspec.UNSET


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A training whose images, instances and pixels Fig. 2 counts; `height` and `width` in pixels."""

    initialisation: Initialisation
    part: Literal["pre-training", "fine-tuning", "training"]
    epochs: float
    images: int
    instances_an_image: float
    height: int
    width: int


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fig. 2's stages and where the paper describes them."""

    where: str
    stages: list[Stage]


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    tolerance: float
    groups: list[Group]
    counts: Counts
    without_numbers: list[dict[Literal["where", "what"], str]] = []


def read_published(path: str | Path) -> pd.DataFrame:
    """All published values, one a row, with `COLUMNS`.

    `publisher` is "paper" or another project; `value` is in percent (seconds for `seconds_an_iteration`);
    `tolerance` is in the value's unit, NaN where none applies. Raises `UserError` on a bad file.
    """
    file = _load(path)
    records = []
    for index, group in enumerate(file.groups):
        tolerance = file.tolerance if group.tolerance is msgspec.UNSET else group.tolerance
        place = (group.source, group.experiment, group.where)
        for row in _rows(path, index, group):
            model = (row.train_set, row.subset, row.setting, row.model, row.initialisation)
            length = (row.schedule, row.iterations, row.point)
            records += [(*place, *model, *length, *value, tolerance) for value in row.values()]
    table = pd.DataFrame.from_records(records, columns=COLUMNS)
    twice = table[table.duplicated(KEY)]
    if not twice.empty:
        raise UserError(
            f"{path}: the same value is there twice: {', '.join(map(str, twice.iloc[0][KEY]))}. Keep one."
        )
    return table.astype({"iterations": "Int64", "value": float, "tolerance": float})


def read_published_counts(path: str | Path) -> pd.DataFrame:
    """Fig. 2's counts as `tidy.COUNT_COLUMNS`, source "published". Raises `UserError` on a bad file."""
    counts = _load(path).counts
    records = []
    for stage in counts.stages:
        seen = stage.epochs * stage.images
        quantities = {
            "images": seen,
            "instances": seen * stage.instances_an_image,
            "pixels": seen * stage.height * stage.width,
        }
        for quantity, value in quantities.items():
            records.append((quantity, stage.initialisation, stage.part, value, "published", counts.where))
    return pd.DataFrame.from_records(
        records, columns=["quantity", "initialisation", "part", "value", "source", "from"]
    )


def of_paper(published: pd.DataFrame) -> pd.DataFrame:
    """The paper's own values, other projects' left out."""
    return published[published["publisher"] == "paper"]


def of_experiment(published: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The paper's own values for one figure or table."""
    paper = of_paper(published)
    return paper[paper["experiment"] == experiment]


def _load(path: str | Path) -> Published:
    try:
        return msgspec.yaml.decode(Path(path).read_bytes(), type=Published)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. It is `reports/published.yaml` of this project.") from None
    except msgspec.DecodeError as error:
        raise UserError(f"{path}: {error}. Mend the file; its head says what a row holds.") from None


def _rows(path: str | Path, index: int, group: Group) -> list[Row]:
    rows = []
    for number, fields in enumerate(group.rows):
        place = f"{path}: groups[{index}] ({group.where}), rows[{number}]"
        try:
            row = msgspec.convert({**group.common, **fields}, Row)
        except msgspec.ValidationError as error:
            raise UserError(
                f"{place}: {error}. Correct the row; the head of the file says what it holds."
            ) from None
        if not row.values():
            raise UserError(f"{place}: no value. Expected bbox, segm, keypoints or seconds_an_iteration.")
        rows.append(row)
    return rows
