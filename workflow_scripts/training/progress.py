"""What a segment writes as it goes, so that a killed job continues and ends in the same bits.

The folder is not declared to the workflow, which would delete it with a failed job's outputs. It holds the last two
saved states, the lines of metrics up to the last one, and the checkpoints taken so far.
"""

import json
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.study.trainings import DIVERGED, STATUS
from workflow_scripts.training.state import State, load_state, save_state

METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
IDENTITY = "training.sha256"


class Progress:
    """The progress folder of one segment, trained in one way: what was saved of another training is dropped."""

    def __init__(self, folder: Path, training: str = "") -> None:
        """`training` identifies all that the segment's result depends on."""
        self.folder = folder
        self.training = training
        self.save_seconds = 0.0
        self._diverged = folder / DIVERGED
        identity = folder / IDENTITY
        if folder.exists() and (not identity.exists() or identity.read_text() != training):
            print(
                f"{folder}: saved by another training (recipe, data or parent changed); starting anew",
                flush=True,
            )
            shutil.rmtree(folder)
        for leftover in folder.rglob(".*"):  # of a writer that was killed
            leftover.unlink()
        self.checkpoints = folder / CHECKPOINTS
        self.metrics = folder / METRICS
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        if not identity.exists():
            with write_atomically(identity) as temporary:
                temporary.write_text(training)

    def save(self, state: State, lines: Iterable[dict]) -> None:
        """Append the lines of metrics since the last save, then save the state; keep the save before, too.

        `save_seconds` is what the slowest save has taken.
        """
        began = time.perf_counter()
        with self.metrics.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        save_state(self._state(state.iteration), state, self.training)
        for old in self._saves()[2:]:
            old.unlink()
        self.save_seconds = max(self.save_seconds, time.perf_counter() - began)

    def note_divergence(self, message: str) -> None:
        """Keep the message for the next attempt of the same job, which would diverge as well."""
        self._diverged.write_text(message)

    def divergence(self) -> str | None:
        """How an attempt before this one diverged, if so."""
        return self._diverged.read_text() if self._diverged.exists() else None

    def forget_divergence(self) -> None:
        """A person tries again."""
        self._diverged.unlink(missing_ok=True)

    def tell(self, status: dict[str, Any]) -> None:
        """Say how far the training is, for `study/status.py`; what a killed job said last stays until it goes on."""
        temporary = self.folder / f".{STATUS}"
        temporary.write_text(json.dumps(status))
        temporary.replace(self.folder / STATUS)

    def latest(self) -> State | None:
        """The newest saved state that is whole; None where nothing was saved."""
        for path in self._saves():
            try:
                return load_state(path)
            except UserError as error:
                print(f"{error}; trying the state before it", flush=True)
        return None

    def checkpoint(self, iteration: int) -> Path:
        """Where the weights after `iteration` iterations are kept for evaluation."""
        return self.checkpoints / f"{iteration}.safetensors"

    def finish(self, stop: int, state_path: Path, metrics_path: Path, checkpoints_path: Path) -> None:
        """Put everything in the segment's outputs, last the state saved at `stop`, and remove the folder."""
        if checkpoints_path.exists():
            shutil.rmtree(checkpoints_path)
        shutil.copytree(self.checkpoints, checkpoints_path, copy_function=_link_or_copy)
        shutil.copyfile(self.metrics, metrics_path)
        _link_or_copy(self._state(stop), state_path)
        shutil.rmtree(self.folder, ignore_errors=True)  # network file systems keep files that others look at

    def _state(self, iteration: int) -> Path:
        return self.folder / f"state-{iteration:09d}.safetensors"

    def _saves(self) -> list[Path]:
        return sorted(self.folder.glob("state-*.safetensors"), reverse=True)

    def cut_metrics(self, iteration: int) -> None:
        """Drop the lines of metrics after `iteration`: the job that goes on from there writes them again."""
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_text().splitlines(keepends=True):
            # A line cut off by a kill has no newline, and stands after the last save.
            if line.endswith("\n") and json.loads(line)["iteration"] <= iteration:
                kept.append(line)
        temporary = self.metrics.with_suffix(".new")
        temporary.write_text("".join(kept))
        temporary.replace(self.metrics)


def _link_or_copy(source: str | Path, target: str | Path) -> None:
    """Give a file a second name; where that cannot be had, on some file systems, copy it."""
    try:
        os.link(source, target)
    except OSError:
        with write_atomically(target) as temporary:
            shutil.copyfile(source, temporary)
    os.utime(target)  # no older than what the job read
