"""Fig. 8: training loss against iterations on 1k images, from random init and pre-training."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from workflow_scripts.errors import UserError
from workflow_scripts.figures.command import draw_from_arguments
from workflow_scripts.figures.curves import iteration_axis
from workflow_scripts.figures.style import (
    DASHES,
    MARKERS,
    Style,
    context,
    entry,
    footnote,
    legend,
    legend_rows,
    lines_of,
)
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.convergence import CONFIDENCE
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.tidy import INITIALISATION_LABELS, read_training

SUBSET = "1k"
FURTHER_DASHES = ((1, 1.2), (5, 1.5, 1, 1.5), (8, 2))
"""Of further settings, one by one."""
WINDOW_SHARE = 0.02
ARM = ["setting", "initialisation", "schedule"]
CURVE = [*ARM, "seed"]


def draw(table: pd.DataFrame, style: Style, published: pd.DataFrame | None) -> Figure:
    """The total loss: its running mean with the interval over seeds, and faint behind it each line of the log.

    A colour and marker an initialisation, a dash a setting. The paper publishes no loss, so `published` marks nothing.
    Raises `UserError` where the table holds no training on this subset.
    """
    rows = table[table["subset"] == SUBSET].dropna(subset="value").reset_index(drop=True)
    if rows.empty:
        found = ", ".join(sorted(set(table["subset"]))) or "nothing"
        raise UserError(
            f"The table holds no loss on the subset {SUBSET}; its subsets: {found}. Gather it again."
        )
    period = int(_covered(rows).max())
    losses = by_period(rows, period)
    window = running_window(losses)
    losses["mean"] = losses.groupby(CURVE)["value"].transform(smooth, window)
    looks = _looks(losses, style)
    entries = {look.label: entry(look.colour, look.marker, look.dashes) for look in looks.itertuples()}
    notes = _remarks(window, period, rows["seed"].nunique())
    with context(style):
        around = len(lines_of(notes, style)) + legend_rows(entries, style) + 4
        height = max(1.6, 0.4 * style.width) + around * style.line
        figure = Figure(figsize=(style.width, height), layout="constrained")
        axes = figure.subplots()
        _curves(axes, losses.merge(looks), looks.set_index("label"))
        iteration_axis(axes, losses["iteration"].max())
        # To all that is drawn, except for spikes far above the running means.
        top = 1.05 * min(losses["value"].max(), 1.5 * losses["mean"].max())
        axes.set(title=f"{SUBSET} subset", ylabel="training loss", ylim=(0, top))
        legend(figure, entries, style)
        footnote(figure, notes, style)
        return figure


def by_period(rows: pd.DataFrame, period: int) -> pd.DataFrame:
    """The loss of every `period` iterations of each curve, from lines of the log that cover as many or fewer.

    Where a segment ends between two lines, a short line ends there and another goes on: they are one again, each
    with the weight of its iterations. So a curve does not show where segments were cut.
    """
    lines = rows.assign(covered=_covered(rows), part=-(-rows["iteration"] // period))
    lines["value"] *= lines["covered"]
    whole = lines.groupby([*CURVE, "part"], as_index=False, sort=False)
    merged = whole.agg({"iteration": "max", "value": "sum", "covered": "sum"})
    return merged.assign(value=merged["value"] / merged["covered"])


def _covered(rows: pd.DataFrame) -> pd.Series:
    """Iterations since the line before."""
    ordered = rows.sort_values("iteration", kind="stable")
    return ordered.groupby(CURVE)["iteration"].diff().fillna(ordered["iteration"])


def running_window(losses: pd.DataFrame) -> int:
    """How many values a running mean spans: an odd share of the longest curve, at least 3."""
    longest = losses.groupby(CURVE).size().max()
    return max(3, round(longest * WINDOW_SHARE) // 2 * 2 + 1)


def smooth(values: pd.Series, window: int) -> np.ndarray:
    """The running mean of the `window` values around each; of fewer near an end, as many before as after it.

    So it begins and ends where the values do.
    """
    at = np.arange(len(values))
    reach = np.minimum(np.minimum(at, at[::-1]), window // 2)
    until = np.concatenate([[0.0], np.cumsum(values)])
    return (until[at + reach + 1] - until[at - reach]) / (2 * reach + 1)


def interval_of_mean(values: pd.Series) -> tuple[float, float]:
    """Of seeds, by Student's t at `CONFIDENCE`."""
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.sem()
    return values.mean() - half, values.mean() + half


def _looks(losses: pd.DataFrame, style: Style) -> pd.DataFrame:
    """How each training is drawn: `ARM`, `label`, `colour`, `marker` and `dashes`."""
    looks = losses[ARM].drop_duplicates().reset_index(drop=True)
    order = list(dict.fromkeys(looks["setting"]))
    # Told is what tells trainings of one initialisation apart.
    told = [
        name for name in ("setting", "schedule") if looks.groupby("initialisation")[name].nunique().max() > 1
    ]
    return looks.assign(
        label=[
            ", ".join([INITIALISATION_LABELS[look["initialisation"]], *(look[name] for name in told)])
            for look in looks.to_dict("records")
        ],
        colour=looks["initialisation"].map(style.palette),
        marker=looks["initialisation"].map(MARKERS),
        dashes=[
            (DASHES[name], *FURTHER_DASHES)[order.index(setting) % (len(FURTHER_DASHES) + 1)]
            for name, setting in zip(looks["initialisation"], looks["setting"], strict=True)
        ],
    )


def _curves(axes: Axes, losses: pd.DataFrame, looks: pd.DataFrame) -> None:
    """Faint the lines of the log, a mean over seeds, and before them their running mean."""
    axes.grid(axis="y")
    palette = looks["colour"].to_dict()
    shared = {"x": "iteration", "hue": "label", "palette": palette, "legend": False, "ax": axes}
    sns.lineplot(losses, y="value", errorbar=None, lw=0.6, alpha=0.35, zorder=1, **shared)
    sns.lineplot(
        losses,
        y="mean",
        style="label",
        markers=looks["marker"].to_dict(),
        dashes=looks["dashes"].to_dict(),
        markevery=0.12,
        lw=1.5,
        errorbar=interval_of_mean,
        err_kws={"lw": 0, "alpha": 0.16},
        **shared,
    )


def _remarks(window: int, period: int, seeds: int) -> list[str]:
    over = f"{window} lines of the log, {window * period:,} iterations"
    notes = [f"Lines: running mean over {over}; faint: every line of the log."]
    if seeds > 1:
        notes.append(
            f"Mean of {seeds} seeds; bands: {100 * CONFIDENCE:g}% intervals over seeds (Student's t)."
        )
    return notes


def main() -> None:
    """Command line: table -> PNG, PDF and SVG."""
    draw_from_arguments(__doc__, draw, read_training, read_published, intervals=False)


if __name__ == "__main__":
    job(main)
