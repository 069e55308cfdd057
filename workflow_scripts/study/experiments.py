"""Experiments: the runs that one figure or table of the paper reads. Written once, for every scale."""

from dataclasses import dataclass
from typing import Literal

from workflow_scripts.study.recipes import Detector, Initialisation

BOTH: tuple[Initialisation, ...] = ("random", "pretrained")


@dataclass(frozen=True)
class Arm:
    """Trainings of one model from one initialisation, for some schedules (None: all of the study's)."""

    model: str
    initialisation: Initialisation
    schedules: tuple[str, ...] | None = None
    detector: Detector = "mask_rcnn"


@dataclass(frozen=True)
class Experiment:
    """What a figure or table shows, and the arms it is made from.

    `points` says which checkpoints are evaluated: the whole `curve`, only the `end` of each run, or none (`counts`).
    """

    name: str
    title: str
    arms: tuple[Arm, ...]
    points: Literal["curve", "end", "counts"]


def _arms(
    models: tuple[str, ...], schedules: tuple[str, ...] | None = None, detector: Detector = "mask_rcnn"
) -> tuple[Arm, ...]:
    return tuple(
        Arm(model, initialisation, schedules, detector) for model in models for initialisation in BOTH
    )


def experiments(models: tuple[str, ...]) -> dict[str, Experiment]:
    """Every experiment by name; `models` are those that the study's tables compare."""
    found = (
        Experiment("fig1", "Learning curves of R50-FPN with GN", _arms(("R50_GN",)), "curve"),
        Experiment(
            "fig2",
            "Images, instances and pixels seen in all of training",
            (Arm("R50_GN", "pretrained", ("2x",)), Arm("R50_GN", "random", ("6x",))),
            "counts",
        ),
        Experiment("fig3", "Learning curves of R101-FPN with GN", _arms(("R101_GN",)), "curve"),
        Experiment("fig4", "Learning curves of R50-FPN with SyncBN", _arms(("R50_SyncBN",)), "curve"),
        Experiment(
            "fig6",
            "Keypoint AP of R50-FPN with GN",
            _arms(("R50_GN",), ("2x", "3x"), "keypoint_rcnn"),
            "curve",
        ),
        Experiment("table1", "Box AP by schedule", _arms(models), "end"),
        Experiment("table2", "Box and mask AP at the best schedule", _arms(models), "end"),
    )
    return {experiment.name: experiment for experiment in found}
