"""Canned tidy tables of figures, and what a drawn figure holds."""

import itertools
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from workflow_scripts.figures import fig5
from workflow_scripts.tables.tidy import COUNT_COLUMNS, EVALUATION_COLUMNS, LABEL_COLUMNS

PUBLISHED = Path(__file__).parent.parent / "reports" / "published.yaml"
TRUNK = {10: 5.0, 20: 10.0, 30: 14.0}
BOTH = ("random", "pretrained")
RUNS = {"2x": (20, {30: 18.0, 40: 20.0}), "3x": (30, {40: 22.0, 50: 25.0})}


def point(value: float, **known: Any) -> dict[str, Any]:
    """One evaluation; what is not `known` is that of a baseline."""
    usual = {
        "train_set": "coco",
        "subset": "all",
        "setting": "baseline",
        "model": "R50 GN",
        "initialisation": "random",
        "schedule": "6x",
        "seed": "0",
        "segment": "tail-30",
        "stage": "tail",
        "iteration": 60,
        "iou_type": "bbox",
        "metric": "AP",
    }
    row = usual | known | {"value": value}
    recipe = "-".join(row[name] for name in ("subset", "setting", "model", "initialisation", "seed"))
    run = f"{recipe}/{row['schedule']}"
    return row | {"run": run, "recipe": recipe, "source": f"results/{run}/{row['iteration']}.json"}


def evaluations(
    seeds: tuple[int, ...] = (0,),
    models: tuple[str, ...] = ("R50 GN",),
    above: float = 4.0,
    iou_type: str = "bbox",
) -> pd.DataFrame:
    """Two schedules that share a trunk; pre-training is `above` random init, seed s is s AP above seed 0."""
    rows = []
    arms = itertools.product(models, (("random", 0.0), ("pretrained", above)), seeds, RUNS.items())
    for model, (initialisation, gain), seed, (schedule, (drop, tail)) in arms:
        known = {
            "model": model,
            "initialisation": initialisation,
            "schedule": schedule,
            "seed": str(seed),
            "iou_type": iou_type,
        }
        chain = {i: v for i, v in TRUNK.items() if i <= drop} | tail
        rows += [
            point(value + gain + seed, iteration=i, stage="trunk" if i <= drop else "tail", **known)
            for i, value in chain.items()
        ]
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


def counts() -> pd.DataFrame:
    rows = [
        (quantity, initialisation, part, value, "counted", "results/run/metrics.jsonl")
        for quantity in ("images", "instances", "pixels")
        for initialisation, part, value in (
            ("pretrained", "pre-training", 6_000),
            ("pretrained", "fine-tuning", 2_000),
            ("random", "training", 4_000),
        )
    ]
    return pd.DataFrame(rows, columns=COUNT_COLUMNS)


def enhanced(
    models: tuple[str, ...] = ("R50 GN", "R101 GN"),
    seeds: tuple[int, ...] = (0,),
    settings: tuple[str, ...] = fig5.SETTINGS,
) -> pd.DataFrame:
    """Fig. 5's ends: each setting is 2 AP above the one before, masks 5 below boxes, seed s is s AP above seed 0."""
    rows = []
    arms = itertools.product(models, BOTH, settings, seeds, (("bbox", 41.0), ("segm", 36.0)))
    for model, initialisation, setting, seed, (iou_type, value) in arms:
        known = {"model": model, "initialisation": initialisation, "setting": setting, "iou_type": iou_type}
        known |= {"seed": str(seed), "schedule": "9x" if initialisation == "random" else "6x"}
        rows.append(point(value + 2 * fig5.SETTINGS.index(setting) + seed, **known))
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


def less_data() -> pd.DataFrame:
    """Fig. 7's three panels at the paper's length: (subset, setting, initialisation, schedule, end, AP)."""
    usual, found = "default hyper-parameters", "re-searched hyper-parameters"
    arms = (
        ("10k", found, "random", "10k-random", 220_000, 25.0),
        ("10k", found, "pretrained", "10k-pretrained", 60_000, 25.5),
        ("35k", usual, "pretrained", "2x", 180_000, 33.0),
        ("35k", usual, "pretrained", "6x", 540_000, 30.0),
        ("35k", found, "random", "6x", 540_000, 36.1),
        ("35k", found, "pretrained", "6x", 540_000, 36.2),
    )
    rows = []
    for subset, setting, initialisation, schedule, end, value in arms:
        known = {"subset": subset, "setting": setting, "initialisation": initialisation, "schedule": schedule}
        rows += [point(value * part, iteration=round(end * part), **known) for part in (0.5, 1.0)]
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


def losses(
    seeds: tuple[int, ...] = (0,), settings: tuple[str, ...] = ("re-searched hyper-parameters",)
) -> pd.DataFrame:
    """Ten lines of the log, one in 20 iterations; seed s is s above seed 0."""
    rows = []
    for setting, initialisation, seed in itertools.product(settings, BOTH, seeds):
        known = {"subset": "1k", "setting": setting, "initialisation": initialisation, "seed": str(seed)}
        for line in range(1, 11):
            row = point(0.0, iteration=20 * line, schedule=f"1k-{initialisation}", **known)
            rows.append(row | {"loss": 11.0 - line + seed, "value": 11.0 - line + seed})
    return pd.DataFrame(rows)[[*LABEL_COLUMNS, "iteration", "loss", "value"]]


def texts(figure: Figure) -> str:
    """All that is written in a figure."""
    found = [figure.get_supxlabel()]
    found += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
        found += [label.get_text() for label in axes.get_yticklabels()]
    return "\n".join(found)


def curves(axes: Axes) -> list[tuple[list[float], list[float]]]:
    """The lines that hold evaluated points, without end markers and guides."""
    lines = [line for line in axes.lines if line.get_marker() == "." and line.get_linestyle() == "-"]
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in lines]


def marked(axes: Axes) -> list[tuple[float, float]]:
    """Where the published values' diamonds, which are hollow, stand."""
    hollow = [marks for marks in axes.collections if isinstance(marks, PathCollection)]
    return sorted(
        tuple(map(float, xy)) for m in hollow if not len(m.get_facecolor()) for xy in m.get_offsets()
    )


def dots(axes: Axes) -> dict[str, list[tuple[float, int]]]:
    """Fig. 5's means by initialisation, as (AP, row), from top to bottom."""
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in BOTH}
    for line in axes.lines:
        if line.get_marker() == "o":
            lane = line.get_ydata()[0] - round(line.get_ydata()[0])
            name = "random" if lane < 0 else "pretrained"
            found[name].append((line.get_xdata()[0], round(line.get_ydata()[0])))
    return {name: sorted(points, key=lambda xy: xy[1]) for name, points in found.items()}


def open_marks(axes: Axes) -> list[tuple[float, float]]:
    """Where the ends stand that are drawn as not converged: white, with an edge in the colour of their line."""
    white = [
        line for line in axes.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "white"
    ]
    assert all(line.get_markeredgecolor() == line.get_color() for line in white)
    return sorted(tuple(map(float, xy)) for line in white for xy in line.get_xydata())


def ends(axes: Axes) -> list[str]:
    """What stands above a panel of curves, where its schedules end."""
    (top,) = axes.child_axes
    return [label.get_text() for label in top.get_xticklabels()]
