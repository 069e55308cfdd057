"""Canned tidy tables of figures, and what a drawn figure holds."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from workflow_scripts.figures import fig5
from workflow_scripts.figures.style import MARKERS
from workflow_scripts.tables.tidy import (
    COUNT_COLUMNS,
    EVALUATION_COLUMNS,
    INTERVAL_COLUMNS,
    LABEL_COLUMNS,
    NUMBER,
)

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


def intervals(table: pd.DataFrame, half: float = 1.0) -> pd.DataFrame:
    """Of each mean over seeds: from `half` below it to twice as much above."""
    means = table.groupby(NUMBER, sort=False)["value"].agg(["mean", "size"]).reset_index()
    known = {"value": means["mean"], "low": means["mean"] - half, "high": means["mean"] + 2 * half}
    return means.assign(**known, seeds=means["size"], method="as canned")[INTERVAL_COLUMNS]


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


def lines(axes: Axes) -> list[Line2D]:
    """Those that connect evaluated points, without marks of ends and guides."""
    return [
        line
        for line in axes.lines
        if line.get_marker() in MARKERS.values() and line.get_linestyle() != "None"
    ]


def curves(axes: Axes) -> list[tuple[list[float], list[float]]]:
    """The points of each of the `lines`."""
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in lines(axes)]


def bands(axes: Axes) -> list[tuple[float, float, float]]:
    """Where bands begin: iteration, low and high."""
    drawn = [each for each in axes.collections if isinstance(each, PolyCollection)]
    corners = [path.vertices for band in drawn for path in band.get_paths()]
    firsts = [points[points[:, 0] == points[:, 0].min()] for points in corners]
    return [(float(p[0, 0]), float(p[:, 1].min()), float(p[:, 1].max())) for p in firsts]


def marked(axes: Axes) -> list[tuple[float, float]]:
    """Where the published values' diamonds, which are hollow, stand."""
    hollow = [marks for marks in axes.collections if isinstance(marks, PathCollection)]
    return sorted(
        tuple(map(float, xy))
        for marks in hollow
        if not len(marks.get_facecolor())
        for xy in marks.get_offsets()
        if xy[0] == xy[0]
    )


def end_marks(axes: Axes) -> list[Line2D]:
    """Marks of ends: a line for each look that an end may have."""
    return [
        line
        for line in axes.lines
        if line.get_marker() in MARKERS.values() and line.get_linestyle() == "None" and len(line.get_xdata())
    ]


def dots(axes: Axes) -> dict[str, list[tuple[float, int]]]:
    """Fig. 5's means by initialisation, as (AP, row), from top to bottom."""
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in BOTH}
    names = {marker: name for name, marker in MARKERS.items()}
    for line in end_marks(axes):
        found[names[line.get_marker()]] += [(float(x), round(y)) for x, y in line.get_xydata()]
    return {name: sorted(points, key=lambda xy: xy[1]) for name, points in found.items()}


def open_marks(axes: Axes) -> list[tuple[float, float]]:
    """Where the ends stand that are drawn as not converged: white, with an edge in the colour of their line."""
    white = [line for line in end_marks(axes) if line.get_markerfacecolor() == "#ffffff"]
    assert all(line.get_markeredgecolor() == line.get_color() for line in white)
    return sorted(tuple(map(float, xy)) for line in white for xy in line.get_xydata())


def above(axes: Axes) -> list[list[str]]:
    """What stands above a panel of curves, line by line: the names of schedules, then each one's values."""
    rows: dict[float, list[str]] = {}
    for text in axes.texts:
        rows.setdefault(text.xyann[1], []).append(text.get_text())
    return [rows[height] for height in sorted(rows, reverse=True)]


def written(figure: Figure) -> Iterator[tuple[str, Bbox]]:
    """Each text that is seen, and where."""
    FigureCanvasAgg(figure).draw()
    axis = [each for axes in figure.axes for each in (axes.xaxis, axes.yaxis)]
    beyond = [
        label
        for each in axis
        for place, label in zip(each.get_majorticklocs(), each.get_majorticklabels(), strict=False)
        if not min(each.get_view_interval()) <= place <= max(each.get_view_interval())
    ]
    for text in figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible()):
        if text.get_text().strip() and text not in beyond:
            yield text.get_text(), text.get_window_extent()


def misplaced(figure: Figure) -> list[str]:
    """Texts that overlap another, or that reach beyond the figure."""
    found = list(written(figure))
    inside = figure.bbox.padded(1)
    out = [text for text, box in found if not (inside.contains(*box.min) and inside.contains(*box.max))]
    pairs = itertools.combinations([(text, box.padded(-0.5)) for text, box in found], 2)
    return out + [f"{one} | {other}" for (one, here), (other, there) in pairs if here.overlaps(there)]
