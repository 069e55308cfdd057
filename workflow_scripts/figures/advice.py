"""Advice: AP and what pre-training adds to it by number of images, and AP by length of training."""

import argparse
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from workflow_scripts.figures.command import save
from workflow_scripts.figures.style import (
    DASHES,
    INK,
    INTERVAL,
    MARKERS,
    MUTED,
    PAGE,
    Style,
    context,
    draw_ends,
    footnote,
    handles,
    legend,
    legend_rows,
    lines_of,
    parse_style,
    with_bounds,
)
from workflow_scripts.files import sha256
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.advice import Advice, Interval, read_advice
from workflow_scripts.tables.convergence import CONFIDENCE, UNCONVERGED_IF
from workflow_scripts.tables.tidy import INITIALISATIONS

TITLE = "What pre-training is worth"


def draw(advice: Advice, style: Style) -> Figure:
    """Three panels: AP by number of images, pre-training minus random init by the same, AP by iterations on all images.

    Bars and the band are intervals. A training that has not converged is an open mark.
    """
    by_images, by_length = _by_images(advice), _by_length(advice)
    unconverged = not by_images["converged"].all()
    entries = handles(INITIALISATIONS, style, "", unconverged)
    notes = [
        f"Means of {advice.seeds} seeds. Bars, band: {100 * CONFIDENCE:g}% intervals over seeds and images."
    ]
    notes += [f"Open marks have not converged: {UNCONVERGED_IF}."] * unconverged
    with context(style):
        columns = 3 if style.width >= PAGE else 1
        rows = 3 // columns
        around = (len(lines_of(notes, style)) + legend_rows(entries, style) + 1) * style.line
        height = rows * (0.8 * style.width / columns + 3 * style.line) + around
        figure = Figure(figsize=(style.width, height), layout="constrained")
        first, second, third = figure.subplots(rows, columns, squeeze=False).flat
        _curves(first, by_images, "images", style)
        _differences(second, advice)
        _curves(third, by_length, "iterations", style)
        first.set_title("By images")
        second.set_title("Pre-training adds")
        third.set_title(f"On {advice.sizes[-1].images:,} images")
        for axes in (first, third):
            axes.set_ylabel(f"{advice.metric} (%)")
            axes.set_ylim(bottom=0)
        second.set_ylabel(f"difference in {advice.metric}")
        for axes in (first, second):
            _doublings(axes, [size.images for size in advice.sizes], "images")
        _doublings(third, sorted(set(by_length["iterations"])), "iterations")
        legend(figure, entries, style)
        footnote(figure, notes, style)
        return figure


def _by_images(advice: Advice) -> pd.DataFrame:
    """AP at the end of the longer training, by images and initialisation."""
    return pd.DataFrame(
        {"images": size.images, "initialisation": name, "converged": trained.converged}
        | _bounds(trained.ends[-1])
        for size in advice.sizes
        for name, trained in (("random", size.random), ("pretrained", size.pretrained))
    )


def _by_length(advice: Advice) -> pd.DataFrame:
    """AP at the end of both trainings on all images, by iterations and initialisation."""
    size = advice.sizes[-1]
    return pd.DataFrame(
        {"iterations": length, "initialisation": name, "converged": trained.converged} | _bounds(end)
        for name, trained in (("random", size.random), ("pretrained", size.pretrained))
        for length, end in zip(trained.lengths, trained.ends, strict=True)
    )


def _bounds(interval: Interval) -> dict[str, Any]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _curves(axes: Axes, points: pd.DataFrame, x: str, style: Style) -> None:
    axes.grid(axis="y")
    sns.lineplot(
        with_bounds(points),
        x=x,
        y="value_or_bound",
        hue="initialisation",
        style="initialisation",
        hue_order=INITIALISATIONS,
        style_order=INITIALISATIONS,
        palette=style.palette,
        markers=MARKERS,
        dashes=DASHES,
        err_style="bars",
        err_kws={"elinewidth": 1.2},
        markersize=0,
        lw=1.3,
        legend=False,
        ax=axes,
        **INTERVAL,
    )
    draw_ends(axes, points, x, "value", style)


def _differences(axes: Axes, advice: Advice) -> None:
    """The differences with bars, the line through them with its band, and where it meets 0."""
    axes.grid(axis="y")
    axes.axhline(0, color=INK, lw=0.8)
    places = pd.DataFrame({"images": place.images} | _bounds(place.difference) for place in advice.line)
    if len(places):
        axes.plot(places["images"], places["value"], color=MUTED, lw=1.3)
        axes.fill_between(places["images"], places["low"], places["high"], color=MUTED, alpha=0.16, lw=0)
    points = pd.DataFrame({"images": size.images} | _bounds(size.long) for size in advice.sizes)
    reach = [points["value"] - points["low"], points["high"] - points["value"]]
    axes.errorbar(points["images"], points["value"], reach, fmt="D", ms=4, color=INK, elinewidth=1.2)


def _doublings(axes: Axes, ticks: list[int], label: str) -> None:
    """A logarithmic axis that names what was trained."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.margins(x=0.1)
    axes.set_xlabel(label)


def main() -> None:
    """Command line: advice.json -> PNG, PDF and SVG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--advice", required=True, help="JSON of report/advice")
    parser.add_argument("--style", default="{}", help="JSON: colours, width, font_size, dpi")
    for ending in ("png", "pdf", "svg"):
        parser.add_argument(f"--{ending}", required=True)
    arguments = parser.parse_args()
    style = parse_style(arguments.style)
    source = f"{arguments.advice} (SHA-256 {sha256(arguments.advice)})"
    figure = draw(read_advice(arguments.advice), style)
    save(figure, style, (arguments.png, arguments.pdf, arguments.svg), TITLE, source)


if __name__ == "__main__":
    job(main)
