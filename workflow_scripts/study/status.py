"""How far each training of a study is: one line a segment, from the files that jobs write as they go.

    python -m workflow_scripts.study.status results/mini [--all]

In a terminal the table is drawn anew every few seconds until interrupted; into a pipe it is printed once. It reads the
results folder alone, so it works from any machine that sees it, and whether Snakemake runs or not.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.errors import UserError, command
from workflow_scripts.study.slurm import waiting

STATUS = "status.json"
"""What a training job writes into its segment's progress folder with each line of metrics."""
TRAINING = "training"
INTERRUPTED = "saved, waits for its next job"
PERIOD = 5.0
"""Seconds between two drawings in a terminal."""
SILENT = 300.0
"""Seconds without a word after which a job is said to be silent, unless its lines take longer."""
REMEDY = (
    "Of a silent job, read the log. If Snakemake waits for it though it is gone, cancelled or preempted, end Snakemake "
    "with Ctrl-C and start it again: training goes on from what it saved."
)
HEADER = ("recipe", "segment", "state", "iteration", "loss", "s/iteration", "left", "AP", "job")


@dataclass(frozen=True)
class Row:
    """One segment: texts in the order of `HEADER`, and its log."""

    texts: tuple[str, ...]
    running: bool
    log: Path


def status(iteration: int, stop: int, loss: float, seconds: float, state: str) -> dict[str, Any]:
    """What a training job says of itself; `seconds` are those of an iteration."""
    return {
        "state": state,
        "iteration": iteration,
        "stop": stop,
        "loss": loss,
        "seconds_an_iteration": seconds,
        "time": time.time(),
        "job": job_name(),
    }


def job_name() -> str:
    """What a person calls this job: its number in SLURM, or machine and process."""
    slurm = os.environ.get("SLURM_JOB_ID")
    return f"slurm {slurm}" if slurm else f"{socket.gethostname()} {os.getpid()}"


def rows(results: Path, now: float) -> list[Row]:
    """A row for each segment that is being trained, and each that is done, in order of name.

    Raises:
        UserError: the folder holds no trainings.
    """
    training = results / "training"
    if not training.is_dir():
        raise UserError(
            f"{results}: found no folder `training` in it; expected the results of a scale: results/mini"
        )
    found = []
    for folder in sorted(path for path in training.glob("*/*") if path.is_dir()):
        name = folder.name.removesuffix(".progress")
        log = results / "logs" / "training" / folder.parent.name / f"{name}.log"
        if folder.name != name:
            found.append(Row(_running(folder, name, results, now), True, log))
        elif (folder / "state.safetensors").exists():
            found.append(Row(_done(folder, results), False, log))
    return found


def _running(folder: Path, segment: str, results: Path, now: float) -> tuple[str, ...]:
    said = _read(folder / STATUS)
    recipe = folder.parent.name
    if said is None:
        return (recipe, segment, "starting", "", "", "", "", _last_ap(results, recipe), "")
    pace = said["seconds_an_iteration"]
    quiet = now - said["time"]
    state = said["state"]
    if state == TRAINING and quiet > max(SILENT, 100 * pace):
        state = f"silent for {_duration(quiet)}{_known(said['job'])}"
    return (
        recipe,
        segment,
        state,
        f"{said['iteration']:,}/{said['stop']:,}",
        f"{said['loss']:.3f}",
        f"{pace:.3f}" if pace else "",
        _duration(pace * (said["stop"] - said["iteration"])) if pace else "",
        _last_ap(results, recipe),
        said["job"],
    )


def _known(job: str) -> str:
    """What SLURM says of a silent job, where it is one of SLURM's and SLURM answers."""
    system, number = job.split(maxsplit=1)
    if system != "slurm":
        return ""
    command = ["squeue", "--noheader", "--states=all", "--jobs", number, "--format=%T"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    return f", in SLURM {answer or 'no longer'}"


def _done(folder: Path, results: Path) -> tuple[str, ...]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    ap = _last_ap(results, folder.parent.name, folder.name)
    return (
        folder.parent.name,
        folder.name,
        "done",
        f"{last['iteration']:,}",
        f"{last['loss']:.3f}",
        "",
        "",
        ap,
        "",
    )


def _last_ap(results: Path, recipe: str, segment: str = "*") -> str:
    """The AP of the last evaluated checkpoint: of boxes, or of keypoints where they are the point."""
    files = (results / "evaluation" / recipe).glob(f"{segment}/single_scale/metrics.json")
    evaluated = [checkpoint for file in files for checkpoint in (_read(file) or {}).get("checkpoints", [])]
    if not evaluated:
        return ""
    last = max(evaluated, key=lambda checkpoint: checkpoint["iteration"])
    metrics = last["metrics"].get("keypoints") or last["metrics"]["bbox"]
    return "–" if metrics["AP"] is None else f"{metrics['AP']:.1f} at {last['iteration']:,}"


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON file; None where it is gone by now, for a job that finishes removes its own."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def table(found: Iterable[Row], everything: bool) -> str:
    """The rows as text, the log of each running segment below it; done ones are counted unless all are asked for."""
    found = list(found)
    shown = [row for row in found if row.running or everything]
    done = sum(not row.running for row in found)
    lines = [HEADER, *(row.texts for row in shown)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    printed = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    for position, row in reversed(list(enumerate(shown, 1))):
        if row.running:
            printed.insert(position + 1, f"  log: {row.log}")
    if any("silent" in row.texts[HEADER.index("state")] for row in shown):
        printed.append(REMEDY)
    return "\n".join([*printed, f"{len(found) - done} segments in training, {done} done"])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="results of a scale, such as results/mini")
    parser.add_argument("--all", action="store_true", help="show segments that are done, too")
    arguments = parser.parse_args()

    def text() -> str:
        shown = table(rows(arguments.results, time.time()), arguments.all)
        return "\n".join([shown, *waiting(arguments.results)])

    if not sys.stdout.isatty():
        print(text())
        return
    try:
        while True:
            print(f"\x1b[2J\x1b[H{text()}\n(every {PERIOD:g} s; Ctrl-C ends)", flush=True)
            time.sleep(PERIOD)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    command(main)
