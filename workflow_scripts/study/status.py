"""How far a study's trainings are, and what to do next.

    python -m workflow_scripts.study.status results/mini [--all]

In a terminal it is drawn anew every few seconds until interrupted; into a pipe it is printed once, 80 columns wide and
without colours. It reads the results folder alone, so it works from any machine that sees it, and whether Snakemake
runs or not.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from workflow_scripts.errors import command
from workflow_scripts.study.slurm import waiting
from workflow_scripts.study.trainings import Point, State, Training, points, trainings
from workflow_scripts.study.words import duration

PERIOD = 5.0
"""Seconds between two drawings in a terminal."""
STATES: dict[State, tuple[str, str]] = {
    "diverged": ("diverged", "red"),
    "failed": ("failed", "red"),
    "silent": ("silent", "yellow"),
    "saved": ("saved, waiting for the next job", "yellow"),
    "training": ("in training", "cyan"),
    "starting": ("starting", "cyan"),
    "done": ("done", "green"),
    "not begun": ("not begun", ""),
}
"""What is said of how many are in a state, and its colour; what needs a person first."""
NEEDS_SOMEONE: tuple[State, ...] = ("diverged", "failed", "silent")
WORKED_ON: tuple[State, ...] = (*NEEDS_SOMEONE, "saved", "training", "starting")
REMEDIES: dict[State, str] = {
    "diverged": "Diverged: its loss is not a number any more. Lower detection.base_lr under `numbers` of config.yaml "
    "or, in a search, take the point out of the grid; then run Snakemake again.",
    "failed": "Failed: the end of its log says what the job lacked. Mend that, then run Snakemake again.",
    "silent": "Silent: read its log. If Snakemake waits for a job that is gone, cancelled or preempted, end Snakemake "
    "with Ctrl-C and start it again: training goes on from what it saved.",
}
GO_ON = "run it again: what is done stays done, and a training goes on from what it last saved."
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 12
"""Of a bar and of a curve, in characters."""
LINES_AROUND = 14
"""Of the screen, beside two for each training."""


def screen(results: Path, now: float, everything: bool = False, height: int | None = None) -> RenderableType:
    """What is shown of a study's trainings.

    Args:
        results: the results of a scale.
        now: the time, in seconds since 1970.
        everything: show those that are done or not begun, too.
        height: lines that there are; without it, as many as it takes.

    Raises:
        UserError: the folder holds no trainings.
    """
    found = trainings(results, now)
    shown = sorted(
        (each for each in found if everything or each.state in WORKED_ON),
        key=lambda each: each.state not in NEEDS_SOMEONE,
    )
    room = len(shown) if height is None else max(1, (height - LINES_AROUND) // 2)
    parts: list[RenderableType] = [_headline(results, found), _all_iterations(found), Text()]
    parts += [Text(step) for step in next_steps(found, results / "report.html")]
    if shown:
        parts += [Text(), _table(results, shown[:room])]
    if len(shown) > room:
        parts.append(Text(f"and {len(shown) - room} more; into a pipe, all are printed"))
    for each in shown[:room]:
        if each.state in NEEDS_SOMEONE:
            parts += [
                Text(f"\n{each.words}; its log:"),
                Text(str(each.log), overflow="ignore", no_wrap=True),
            ]
    return Group(*parts)


def next_steps(found: Sequence[Training], report: Path) -> list[str]:
    """What a person does next, most urgent first."""
    states = Counter(each.state for each in found)
    steps = [remedy for state, remedy in REMEDIES.items() if states[state]]
    if states["training"] or states["starting"]:
        return steps or ["Next: nothing to do. Snakemake's own lines tell the time left until the report."]
    if states["saved"] or states["not begun"]:
        return [*steps, f"Next: nothing trains at present. If Snakemake does not run, {GO_ON}"]
    if steps:
        return steps
    newest = max((each.log.stat().st_mtime for each in found if each.log.exists()), default=0.0)
    if report.exists() and report.stat().st_mtime >= newest:
        return [f"Next: open {report}"]
    return [f"Next: all is trained. Snakemake evaluates it and writes {report}; if it does not run, {GO_ON}"]


def _headline(results: Path, found: Sequence[Training]) -> Text:
    states = Counter(each.state for each in found)
    line = Text.assemble((f"{results}: ", "bold"), f"{states['done']} of {len(found)} trainings done")
    for state, (words, colour) in STATES.items():
        if states[state] and state != "done":
            line.append(", ").append(f"{states[state]} {words}", colour)
    return line


def _all_iterations(found: Sequence[Training]) -> Text:
    planned = sum(each.stop - each.start for each in found)
    trained = sum(each.iteration - each.start for each in found)
    share = trained / planned if planned else 0.0
    return _bar(share, 2 * WIDTH).append(f" {share:.0%} of {planned:,} iterations")


def _bar(share: float, width: int = WIDTH) -> Text:
    """Seen without colours, too."""
    full = round(share * width)
    return Text.assemble(("━" * full, "green"), ("─" * (width - full), "dim"))


def _table(results: Path, shown: Sequence[Training]) -> Table:
    evaluated = {recipe: points(results, recipe) for recipe in {each.recipe for each in shown}}
    best = max((point.ap or 0.0 for found in evaluated.values() for point in found), default=0.0)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("training", overflow="fold")
    for name in ("", "iteration", "loss\ns each", "AP"):
        table.add_column(name, no_wrap=True)
    for each in shown:
        table.add_row(*_cells(each, evaluated[each.recipe], best))
    return table


def _cells(training: Training, evaluated: list[Point], best: float) -> tuple[RenderableType, ...]:
    """A training in two lines."""
    worked_on = training.state in WORKED_ON
    own = [point for point in evaluated if worked_on or point.segment == training.segment]
    share = (training.iteration - training.start) / (training.stop - training.start)
    left = training.seconds_left if training.state == "training" else None
    doing, colour = STATES[training.state]
    return (
        f"{training.recipe}\n{', '.join(filter(None, (training.segment, training.job)))}",
        Group(_bar(share), Text(doing.split(",")[0] if left is None else f"{duration(left)} left", colour)),
        f"{training.iteration:,}\nof {training.stop:,}",
        "" if training.loss is None else f"{training.loss:.3f}\n{_pace(training)}",
        f"{last_ap(own)}\n{curve(own, best)}" if own else "",
    )


def _pace(training: Training) -> str:
    return f"{training.pace:.3f}" if training.pace else ""


def last_ap(evaluated: Sequence[Point]) -> str:
    """The AP of the last evaluated checkpoint."""
    last = max(evaluated, key=lambda point: point.iteration)
    return f"{'–' if last.ap is None else f'{last.ap:.1f}'} at {last.iteration:,}"


def curve(evaluated: Sequence[Point], best: float) -> str:
    """AP along the trunk as a row of bars, of which the highest stands for `best`; the last ones if there are many."""
    trunk = [point.ap or 0.0 for point in evaluated if point.stage == "trunk"]
    top = len(BARS) - 1
    return "".join(BARS[round(top * ap / best) if best else 0] for ap in trunk[-WIDTH:])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="results of a scale, such as results/mini")
    parser.add_argument("--all", action="store_true", help="show what is done and what is not begun, too")
    arguments = parser.parse_args()
    console = Console(highlight=False)

    def view(height: int | None = None) -> RenderableType:
        shown = screen(arguments.results, time.time(), arguments.all, height)
        return Group(shown, *map(Text, waiting(arguments.results)))

    if not sys.stdout.isatty():
        # What is longer than a line, such as a log's path, is not cut.
        console.print(view(), crop=False)
        return
    last = view(console.height)
    try:
        with Live(last, console=console, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(PERIOD)
                now = Text(f"\n{time.strftime('%H:%M:%S')}, every {PERIOD:g} s; Ctrl-C ends", "dim")
                last = view(console.height)
                live.update(Group(last, now), refresh=True)
    except KeyboardInterrupt:
        console.print(last, crop=False)  # stays where the command was given


if __name__ == "__main__":
    command(main)
