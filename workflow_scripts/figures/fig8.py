"""Fig. 8: training loss against iterations on 1k images, from random init and pre-training."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.errors import UserError
from workflow_scripts.figures.command import draw_from_arguments
from workflow_scripts.figures.curves import iteration_axis
from workflow_scripts.figures.style import Style, context, footnote
from workflow_scripts.jobs.job import job
from workflow_scripts.tables.published import read_published
from workflow_scripts.tables.tidy import INITIALISATION_LABELS, read_training

SUBSET = "1k"
LINE_STYLES = ("-", "--", ":", "-.")
WINDOW_SHARE = 0.02
KEY = ["setting", "initialisation", "schedule"]


def draw(table: pd.DataFrame, style: Style, published: pd.DataFrame | None) -> Figure:
    """The total loss, a mean over seeds: its running mean, and faint behind it each line of the log.

    A colour an initialisation, a line style a setting. The paper publishes no loss, so `published` marks nothing.
    Raises `UserError` where the table holds no training on this subset.
    """
    rows = table[table["subset"] == SUBSET].dropna(subset="value")
    if rows.empty:
        found = ", ".join(sorted(set(table["subset"]))) or "nothing"
        raise UserError(
            f"The table holds no loss on the subset {SUBSET}; its subsets: {found}. Gather it again."
        )
    means = rows.groupby([*KEY, "iteration"], sort=False)["value"].mean().reset_index()
    losses = means.sort_values("iteration", kind="stable")
    window = running_window(losses)
    with context(style):
        figure = Figure(figsize=(style.width, style.width * 0.5), layout="constrained")
        axes = figure.subplots()
        _curves(axes, losses, window, style)
        iteration_axis(axes, losses["iteration"].max())
        axes.set_title(f"{SUBSET} subset", loc="left")
        axes.set_ylabel("training loss")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2)
        footnote(figure, _remarks(losses, window, rows["seed"].nunique()), style)
        return figure


def running_window(losses: pd.DataFrame) -> int:
    """How many lines of the log a running mean spans: an odd share of the longest curve, at least 3."""
    lines = losses.groupby(KEY).size().max()
    return max(3, round(lines * WINDOW_SHARE) // 2 * 2 + 1)


def smooth(values: pd.Series, window: int) -> pd.Series:
    """The running mean of the `window` values around each; nearer to an end, of those that there are."""
    return values.rolling(window, center=True, min_periods=1).mean()


def _curves(axes: Axes, losses: pd.DataFrame, window: int, style: Style) -> None:
    """From 0 to all that is drawn, except for spikes far above the running means."""
    settings = list(dict.fromkeys(losses["setting"]))
    axes.grid(axis="y")
    top = 0.0
    for (setting, initialisation, _), curve in losses.groupby(KEY, sort=False):
        colour = getattr(style.colours, initialisation)
        line = LINE_STYLES[settings.index(setting) % len(LINE_STYLES)]
        label = INITIALISATION_LABELS[initialisation] + (f", {setting}" if len(settings) > 1 else "")
        mean = smooth(curve["value"], window)
        axes.plot(curve["iteration"], curve["value"], color=colour, lw=0.6, alpha=0.3, zorder=1)
        axes.plot(curve["iteration"], mean, line, color=colour, lw=1.6, label=label)
        top = max(top, min(curve["value"].max(), 1.5 * mean.max()))
    axes.set_ylim(0, 1.05 * top)


def _remarks(losses: pd.DataFrame, window: int, seeds: int) -> list[str]:
    period = losses.groupby(KEY)["iteration"].diff().median()
    over = f"{window} lines of the log" + (f", {window * period:,.0f} iterations" if period > 0 else "")
    remarks = [f"Lines: running mean over {over}; faint: every line of the log."]
    return remarks + ([f"Mean of {seeds} seeds."] if seeds > 1 else [])


def main() -> None:
    """Command line: table -> PNG and PDF."""
    draw_from_arguments(__doc__, draw, read_training, read_published)


if __name__ == "__main__":
    job(main)
