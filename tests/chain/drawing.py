"""What a drawn figure holds, and which of it must be where."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from tests.chain import arms
from tests.chain.oracle import Oracle
from tests.figures import end_marks, lines
from workflow_scripts.figures.style import Style
from workflow_scripts.tables.tidy import read_evaluations


def drawn(oracle: Oracle, name: str, module: Any) -> Figure:
    """The figure that the study's own table gives."""
    table = read_evaluations(oracle.study.results / f"tables/{name}-evaluations.csv")
    return module.draw(table, Style(), None)


def initialisation_of(line: Any) -> str:
    """By its colour."""
    (name,) = (each for each in arms.BOTH if same_color(line.get_color(), getattr(Style().colours, each)))
    return name


def check_curves(axes: Axes, oracle: Oracle, every: arms.Runs, kind: tuple[str, str]) -> None:
    """Each schedule's line, in the colour of its initialisation, is the last part of its curve; all have all points."""
    curves = {
        (row.initialisation, row.schedule): sorted((p.iteration, oracle.metrics(p)[kind]) for p in points)
        for row, points in every.items()
    }
    found: dict[str, set] = {name: set() for name, _ in curves}
    for line in lines(axes):
        name, schedule = initialisation_of(line), str(line.get_label())
        points, curve = np.array(line.get_xydata()), curves[name, schedule]
        assert np.allclose(points, curve[-len(points) :], atol=1e-6), (name, schedule)
        found[name] |= {tuple(np.round(point, 4)) for point in points}
    for name, points in found.items():
        own = [curve for (each, _), curve in curves.items() if each == name]
        assert points == {tuple(np.round(point, 4)) for curve in own for point in curve}, name


def dots(axes: Axes, settings: tuple[str, ...]) -> dict[tuple[str, str], float]:
    """Fig. 5's values by setting, from top to bottom, and initialisation."""
    return {
        (settings[round(y)], initialisation_of(mark)): x
        for mark in end_marks(axes)
        for x, y in mark.get_xydata()
    }
