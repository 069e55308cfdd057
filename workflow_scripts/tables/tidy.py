"""The tidy tables that figures and tables read: checked on entry, one number a row."""

from pathlib import Path

import pandas as pd

from workflow_scripts.errors import UserError

INITIALISATIONS = ("random", "pretrained")
INITIALISATION_LABELS = {
    "random": "random init",
    "pretrained": "w/ pre-train",
    "difference": "random − pre-train",
}
IOU_TYPE_LABELS = {"bbox": "box", "segm": "mask", "keypoints": "keypoint"}

Metric = tuple[str, str]
"""IoU type and metric: ("bbox", "AP75")."""
BOX: Metric = ("bbox", "AP")
BOX50: Metric = ("bbox", "AP50")
BOX75: Metric = ("bbox", "AP75")
MASK: Metric = ("segm", "AP")
KEYPOINT: Metric = ("keypoints", "AP")
MAIN: dict[str, Metric] = {"coco": BOX, "keypoints": KEYPOINT, "voc": BOX50}
"""What each training set is scored by, and whether a training has converged told."""

TRAINING = ["train_set", "subset", "setting", "model", "initialisation", "schedule"]
"""What tells one training's rows, of all its seeds, from another's."""
LABEL_COLUMNS = ["run", "recipe", *TRAINING, "seed"]
"""What tells one run's rows from another's."""
EVALUATION_COLUMNS = [
    *LABEL_COLUMNS,
    "segment",
    "stage",
    "iteration",
    "iou_type",
    "metric",
    "value",
    "source",
]
NUMBER = [*TRAINING, "iteration", "iou_type", "metric"]
"""What all seeds of one number share."""
INTERVAL_COLUMNS = [*NUMBER, "value", "low", "high", "seeds", "method"]
COUNT_COLUMNS = [
    "quantity",
    "initialisation",
    "part",
    "value",
    "source",
    "from",
]


def read_evaluations(path: str | Path) -> pd.DataFrame:
    """Evaluations with `EVALUATION_COLUMNS`: AP in percent (NaN where empty), `iteration` an integer.

    Raises `UserError` on a missing column, an unknown initialisation or a value that is not a number.
    """
    return _typed(_read(path, EVALUATION_COLUMNS), path, integers=("iteration",))


def read_run(path: str | Path) -> pd.DataFrame:
    """The evaluations of one run: it has no `setting` before an experiment reads it. Raises as `read_evaluations`."""
    columns = [name for name in EVALUATION_COLUMNS if name != "setting"]
    return _typed(_read(path, columns), path, integers=("iteration",))


def read_counts(path: str | Path) -> pd.DataFrame:
    """Counts with `COUNT_COLUMNS`. Raises `UserError` as `read_evaluations` does."""
    return _typed(_read(path, COUNT_COLUMNS), path)


def read_intervals(path: str | Path) -> pd.DataFrame:
    """Means over `seeds` with both ends of their interval (NaN where there is none), as `INTERVAL_COLUMNS`.

    Raises `UserError` as `read_evaluations` does.
    """
    whole, values = ("iteration", "seeds"), ("value", "low", "high")
    return _typed(_read(path, INTERVAL_COLUMNS), path, whole, values)


def read_training(path: str | Path) -> pd.DataFrame:
    """Lines of metrics with `LABEL_COLUMNS` and `iteration`; `value` is the total loss (NaN where empty).

    Raises `UserError` as `read_evaluations` does.
    """
    table = _read(path, [*LABEL_COLUMNS, "iteration", "loss"])
    return _typed(table.assign(value=table["loss"]), path, integers=("iteration",))


def series(evaluations: pd.DataFrame, iou_type: str = "bbox", metric: str = "AP") -> pd.DataFrame:
    """The rows of one metric. Raises `UserError` where there are none."""
    rows = evaluations[(evaluations["iou_type"] == iou_type) & (evaluations["metric"] == metric)]
    if rows.empty:
        found = sorted(set(evaluations["iou_type"] + " " + evaluations["metric"]))
        raise UserError(
            f"The table holds no {iou_type} {metric}, only {', '.join(found) or 'nothing'}. "
            f"Evaluate the checkpoints for {iou_type} and gather the table again."
        )
    return rows


def with_intervals(evaluations: pd.DataFrame, intervals: pd.DataFrame | None) -> pd.DataFrame:
    """Each evaluation with `low`, `high` and `method` of its mean over seeds: NaN without `intervals`."""
    if intervals is None:
        return evaluations.assign(low=float("nan"), high=float("nan"), method=None)
    known = intervals[[*NUMBER, "low", "high", "method"]]
    return evaluations.merge(known, how="left", on=NUMBER)


def end_points(evaluations: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's last evaluated checkpoint."""
    last = evaluations.groupby("run")["iteration"].transform("max")
    return evaluations[evaluations["iteration"] == last]


def schedule_order(name: str) -> tuple[float, str]:
    """Sorts `2x` before `10x`, and names that are not multiples (`best`, `90k`) after all multiples."""
    factor = name.removesuffix("x")
    return (float(factor), name) if name.endswith("x") and _is_number(factor) else (float("inf"), name)


def number(value: float, digits: int = 1) -> str:
    """For people: rounded, with a minus that is one, and without one at 0."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def _read(path: str | Path, columns: list[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such table. Gather it first.") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a CSV table ({error}). Gather it again.") from None
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise UserError(
            f"{path}: the column {', '.join(missing)} is missing; found {', '.join(table.columns)}. "
            f"Expected {', '.join(columns)}. Gather the table again."
        )
    return table


def _typed(
    table: pd.DataFrame,
    path: str | Path,
    integers: tuple[str, ...] = (),
    values: tuple[str, ...] = ("value",),
) -> pd.DataFrame:
    unknown = sorted(set(table["initialisation"]) - set(INITIALISATIONS))
    if unknown:
        raise UserError(
            f"{path}: initialisation is {', '.join(unknown)}; expected {' or '.join(INITIALISATIONS)}."
        )
    numbers = {}
    for name in (*integers, *values):
        text = table[name].str.strip()
        numbers[name] = pd.to_numeric(text.where(text != ""), errors="coerce")
        wrong = text[numbers[name].isna() & ~text.str.lower().isin([] if name in integers else ["", "nan"])]
        if not wrong.empty:
            line = wrong.index[0] + 2
            raise UserError(f"{path}, line {line}: {name} is {wrong.iloc[0]!r}; expected a number.")
    return table.assign(**numbers).astype(dict.fromkeys(integers, "int64"))


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
