"""How far each training of a study is: what its job says of itself as it goes, and what the results folder shows.

It reads the results folder alone, so it works from any machine that sees it, and whether Snakemake runs or not.
"""

import json
import os
import re
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from workflow_scripts.errors import INTERRUPTED as SAVED
from workflow_scripts.errors import UserError
from workflow_scripts.jobs.record import record_path
from workflow_scripts.jobs.sheet import read_sheet
from workflow_scripts.study.words import duration

STATUS = "status.json"
"""What a training job writes into its segment's progress folder with each line of metrics."""
DIVERGED = "diverged.txt"
"""What it writes there when it stops for good, since its loss is not a number."""
PROGRESS = ".progress"
"""The ending of that folder's name."""
SEGMENT = re.compile(r"[a-z]+-(?P<start>\d+)(-\d+)*-(?P<stop>\d+)")
"""The name of a segment, such as `tail-240-320-360`."""
TRAINING = "training"
INTERRUPTED = "saved, waits for its next job"
SILENT = 300.0
"""Seconds without a word after which a job is said to be silent, unless its lines take longer."""

State = Literal["done", "training", "starting", "saved", "silent", "failed", "diverged", "not begun"]


@dataclass(frozen=True)
class Training:
    """A segment of a recipe: it trains from iteration `start` to `stop`, and is at `iteration`.

    `words` say more of its state. While it is trained, `loss` is that of its last line of metrics, `pace` the seconds
    of an iteration and `job` who trains it; None and empty where they are not known.
    """

    recipe: str
    segment: str
    state: State
    words: str
    start: int
    stop: int
    iteration: int
    log: Path
    loss: float | None = None
    pace: float | None = None
    job: str = ""

    @property
    def seconds_left(self) -> float | None:
        """At its pace; None where that is not known."""
        return self.pace * (self.stop - self.iteration) if self.pace else None


@dataclass(frozen=True)
class Point:
    """A checkpoint's AP in percent, of boxes or, where they are the point, of keypoints; None where it has none."""

    segment: str
    stage: str
    iteration: int
    ap: float | None


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


def trainings(results: Path, now: float) -> list[Training]:
    """Every segment that was begun, or that Snakemake planned, in order of recipe and iterations.

    Raises:
        UserError: the folder holds no trainings.
    """
    folder = results / "training"
    begun = [path for path in folder.glob("*/*") if path.is_dir()]
    names = {(path.parent.name, path.name.removesuffix(PROGRESS)) for path in begun}
    names |= {name for sheet in (results / "jobs").glob("train-*.json") for name in _planned(sheet)}
    if not names and not folder.is_dir():
        raise UserError(
            f"{results}: found no folder `training` in it; expected the results of a scale: results/mini"
        )
    named = [(recipe, SEGMENT.fullmatch(segment)) for recipe, segment in names]
    found = [_training(results, recipe, segment, now) for recipe, segment in named if segment]
    return sorted(found, key=lambda each: (each.recipe, each.start, each.stop, each.segment))


def points(results: Path, recipe: str) -> list[Point]:
    """The evaluated checkpoints of a recipe, first to last; at one iteration, that of the trunk first."""
    found = []
    for file in (results / "evaluation" / recipe).glob("*/single_scale/metrics.json"):
        evaluation = _json(file) or {}
        segment, stage = file.parent.parent.name, evaluation.get("stage", "")
        with suppress(AttributeError, KeyError, TypeError):  # of a damaged file, which the audit names
            for checkpoint in evaluation.get("checkpoints", []):
                metrics = checkpoint["metrics"].get("keypoints") or checkpoint["metrics"]["bbox"]
                found.append(Point(segment, stage, checkpoint["iteration"], metrics["AP"]))
    return sorted(found, key=lambda point: (point.iteration, point.stage != "trunk"))


@cache
def _planned(sheet: Path) -> list[tuple[str, str]]:
    """Recipe and segment of a training that Snakemake planned, none if that cannot be read; a sheet never changes."""
    try:
        wildcards = read_sheet(sheet).settings["wildcards"]
    except UserError:
        return []
    return [(wildcards["recipe"], wildcards["segment"])]


def _training(results: Path, recipe: str, named: re.Match[str], now: float) -> Training:
    segment, start, stop = named[0], int(named["start"]), int(named["stop"])
    folder = results / "training" / recipe / segment
    progress = folder.with_name(f"{segment}{PROGRESS}")
    known: dict[str, Any] = {"iteration": start}
    if progress.is_dir():
        known |= _running(progress, _last_exit(folder), now)
    elif (folder / "state.safetensors").exists() or (end := _last_exit(folder)) == 0:
        known |= {"state": "done", "words": "done", "iteration": stop}
    elif end:
        known |= _ended(end)
    else:
        known |= {"state": "not begun", "words": "not begun"}
    log = results / "logs" / "training" / recipe / f"{segment}.log"
    return Training(recipe=recipe, segment=segment, start=start, stop=stop, log=log, **known)


def _running(progress: Path, end: int | None, now: float) -> dict[str, Any]:
    """What is known of a segment that was begun and is not done; `end`: the exit code of its last job, if it ended."""
    said = _json(progress / STATUS)
    known: dict[str, Any] = {"state": "starting", "words": "starting"}
    if said is not None:
        known = {
            **_state(said, now),
            "iteration": said["iteration"],
            "loss": said["loss"],
            "pace": said["seconds_an_iteration"] or None,
            "job": said["job"],
        }
    if (progress / DIVERGED).exists():
        return known | {"state": "diverged", "words": "diverged", "pace": None}
    return known | _ended(end) if end else known


def _ended(code: int) -> dict[str, Any]:
    """Of a segment whose last job ended before it was done."""
    if code == SAVED:
        return {"state": "saved", "words": INTERRUPTED, "pace": None}
    return {"state": "failed", "words": f"failed, exit code {code}", "pace": None}


def _state(said: dict[str, Any], now: float) -> dict[str, str]:
    quiet = now - said["time"]
    if said["state"] != TRAINING:
        return {"state": "saved", "words": said["state"]}
    if quiet > max(SILENT, 100 * said["seconds_an_iteration"]):
        return {"state": "silent", "words": f"silent for {duration(quiet)}{_known(said['job'])}"}
    return {"state": "training", "words": TRAINING}


def _known(job: str) -> str:
    """What is known of a silent job: from SLURM, where it is one of SLURM's, or of a process of this machine."""
    system, number = job.split(maxsplit=1)
    if system == socket.gethostname():
        return "" if _lives(int(number)) else ", its process is gone"
    if system != "slurm":
        return ""
    command = ["squeue", "--noheader", "--states=all", "--jobs", number, "--format=%T"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    return f", in SLURM {answer or 'no longer'}"


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _last_exit(folder: Path) -> int | None:
    """The exit code of the segment's last job by its record; None of one that runs, was killed, or has none."""
    record = _json(record_path(folder / "metrics.jsonl"))
    attempts = record.get("attempts") if record else None
    return attempts[-1].get("exit") if attempts else None


def _json(path: Path) -> dict[str, Any] | None:
    """A JSON file; None where it is damaged, or gone by now, for a job that finishes removes its own."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
