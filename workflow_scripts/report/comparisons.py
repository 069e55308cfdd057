"""A study's evaluations by what was trained: random init and pre-training, schedule by schedule."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.report.intervals import Sample
from workflow_scripts.tables.convergence import LEAST_AP, Gain, gains
from workflow_scripts.tables.tidy import (
    EVALUATION_COLUMNS,
    INITIALISATION_LABELS,
    INITIALISATIONS,
    IOU_TYPE_LABELS,
    Metric,
    number,
)

SAME = ["run", "setting", "iteration", "iou_type", "metric"]
"""Rows that agree in these are one number, read by several figures and tables."""
REPLICATE_COLUMNS = ["iteration", "replicate", "iou_type", "metric", "value"]
NAMED = {"keypoints": "person keypoints", "voc": "PASCAL VOC"}


@dataclass(frozen=True, order=True)
class Arm:
    """What both initialisations of a comparison share, in the words of the tidy tables."""

    train_set: str
    subset: str
    setting: str
    model: str

    @property
    def label(self) -> str:
        """For people: `R50 GN, 10k subset, re-searched hyper-parameters`."""
        words = [self.model, NAMED.get(self.train_set, "")]
        words += [f"{self.subset} subset"] if self.subset != "all" else []
        words += [self.setting] if self.setting != "baseline" else []
        return ", ".join(filter(None, words))


LABELS = list(Arm.__dataclass_fields__)


def metric_label(metric: Metric) -> str:
    """For people: `box AP75`."""
    return f"{IOU_TYPE_LABELS[metric[0]]} {metric[1]}"


class Results:
    """Evaluations and their replicates."""

    def __init__(self, tables: Iterable[pd.DataFrame], replicates: Iterable[Path]) -> None:
        """tables: as `tidy.read_evaluations` reads them. replicates: files beside the metrics that they resample.

        Raises `UserError` where two runs of one seed say that they are the same.
        """
        found = list(tables) or [pd.DataFrame(columns=EVALUATION_COLUMNS)]
        rows = pd.concat(found, ignore_index=True).dropna(subset="value").drop_duplicates(SAME)
        names = [*LABELS, "initialisation", "schedule", "seed", "iteration", "iou_type", "metric"]
        twice = rows[rows.duplicated(names, keep=False)]
        if not twice.empty:
            raise UserError(
                f"The runs {' and '.join(twice['run'].unique()[:2])} have the same labels: nobody can say which "
                "is meant. Give tables of one study."
            )
        self._nothing = rows.iloc[:0]
        self._runs = {
            (Arm(*labels), str(initialisation)): group
            for (*labels, initialisation), group in rows.groupby([*LABELS, "initialisation"])
        }
        self._gains = gains(rows)
        self._replicate_files = {path.parent: path for path in replicates}
        self._replicates: dict[Path, dict[tuple[int, str, str], pd.Series]] = {}

    def arms(self, **labels: str) -> list[Arm]:
        """The arms with these labels that both initialisations trained, in alphabetical order."""
        return [
            arm
            for arm in sorted({arm for arm, _ in self._runs})
            if all(getattr(arm, name) == value for name, value in labels.items())
            and all((arm, initialisation) in self._runs for initialisation in INITIALISATIONS)
        ]

    def schedules(self, arm: Arm, initialisation: str) -> list[str]:
        """The names of the schedules that were trained, shortest first."""
        ends = self._of(arm, initialisation).groupby("schedule")["iteration"].max()
        return list(ends.sort_values(kind="stable").index)

    def common_schedules(self, arm: Arm) -> list[str]:
        """The schedules that both initialisations trained, shortest first."""
        random, pretrained = (self.schedules(arm, initialisation) for initialisation in INITIALISATIONS)
        return [schedule for schedule in random if schedule in pretrained]

    def iterations(self, arm: Arm, schedule: str) -> list[int]:
        """Where both initialisations were evaluated along a schedule."""
        found = [
            set(self._run(arm, initialisation, schedule)["iteration"]) for initialisation in INITIALISATIONS
        ]
        return sorted(set.intersection(*found))

    def longest(self, arm: Arm, initialisation: str) -> str:
        """The name of the longest schedule that was trained; empty where none was."""
        return next(reversed(self.schedules(arm, initialisation)), "")

    def length(self, arm: Arm, initialisation: str, schedule: str) -> int:
        """Iterations of a schedule, of detector training alone; 0 where it was not trained."""
        run = self._run(arm, initialisation, schedule)
        return 0 if run.empty else int(run["iteration"].max())

    def gain(self, arm: Arm, initialisation: str, schedule: str) -> Gain | None:
        """What twice the length would add to the main metric; None where too little was evaluated to tell."""
        return self._gains.get((*astuple(arm), initialisation, schedule))

    def not_converged(self, arm: Arm, initialisation: str, schedule: str) -> str:
        """Why nobody may say that a training would not get further; empty where it has converged."""
        gain = self.gain(arm, initialisation, schedule)
        name = INITIALISATION_LABELS[initialisation]
        if gain is None:
            return f"{name} was evaluated too rarely to say whether it has converged"
        if gain.converged:
            return ""
        if gain.end < LEAST_AP:
            return f"{name} has not learned: it ends at {number(gain.end, 2)}"
        return f"{name} has not converged: {gain.text}"

    def at(
        self, arm: Arm, initialisation: str, metric: Metric, schedule: str, iteration: int
    ) -> Sample | None:
        """A metric at one iteration; None where it was not measured."""
        rows = self._run(arm, initialisation, schedule, metric)
        return self._sample(rows[rows["iteration"] == iteration])

    def end(
        self, arm: Arm, initialisation: str, metric: Metric, schedule: str | None = None
    ) -> Sample | None:
        """A metric at the end of a schedule, the longest one if none is named; None where it was not measured."""
        schedule = schedule or self.longest(arm, initialisation)
        return self.at(arm, initialisation, metric, schedule, self.length(arm, initialisation, schedule))

    def peak(self, arm: Arm, initialisation: str, metric: Metric) -> Sample | None:
        """A metric's highest value along the longest schedule, seed by seed; None where it was not measured."""
        rows = self._run(arm, initialisation, self.longest(arm, initialisation), metric)
        return self._sample(rows.loc[rows.groupby("seed")["value"].idxmax()])

    def _of(self, arm: Arm, initialisation: str) -> pd.DataFrame:
        return self._runs.get((arm, initialisation), self._nothing)

    def _run(
        self, arm: Arm, initialisation: str, schedule: str, metric: Metric | None = None
    ) -> pd.DataFrame:
        rows = self._of(arm, initialisation)
        rows = rows[rows["schedule"] == schedule]
        return rows if metric is None else self._metric(rows, metric)

    @staticmethod
    def _metric(rows: pd.DataFrame, metric: Metric) -> pd.DataFrame:
        return rows[(rows["iou_type"] == metric[0]) & (rows["metric"] == metric[1])]

    def _sample(self, rows: pd.DataFrame) -> Sample | None:
        if rows.empty:
            return None
        resampled = [
            self._resampled(Path(row["source"]).parent, row["iteration"], row["iou_type"], row["metric"])
            for row in rows.to_dict("records")
        ]
        replicates = pd.concat(resampled, axis=1).mean(axis=1, skipna=False).dropna()
        return Sample(rows.set_index("seed")["value"], replicates, tuple(rows["source"]))

    def _resampled(self, folder: Path, iteration: int, iou_type: str, metric: str) -> pd.Series:
        """The replicates of a checkpoint's metric in `folder`, by number; empty where there are none."""
        if folder not in self._replicate_files:
            return pd.Series(dtype=float)
        if folder not in self._replicates:
            self._replicates[folder] = _read_replicates(self._replicate_files[folder])
        return self._replicates[folder].get((iteration, iou_type, metric), pd.Series(dtype=float))


def _read_replicates(path: Path) -> dict[tuple[int, str, str], pd.Series]:
    """By iteration, IoU type and metric."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as replicates ({error}). Evaluate again.") from None
    if list(table.columns) != REPLICATE_COLUMNS:
        raise UserError(
            f"{path}: the columns are {', '.join(table.columns)}; expected {', '.join(REPLICATE_COLUMNS)}."
        )
    by_number = table.set_index("replicate")
    return {
        (int(iteration), str(iou_type), str(metric)): values
        for (iteration, iou_type, metric), values in by_number.groupby(["iteration", "iou_type", "metric"])[
            "value"
        ]
    }
