"""What a segment writes as it goes, so that a killed job continues and ends in the same bits.

The folder is not declared to the workflow, which would delete it with a failed job's outputs. It holds the last two
saved states, the lines of metrics up to the last one, and the checkpoints taken so far. Once all of it is in the
segment's outputs, it stays beside them under another name, as their spare: a job that fails after all, in its last
seconds, is not trained again. The jobs that read the outputs drop it (`jobs/spare.py`).
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically, write_folder
from workflow_scripts.jobs.spare import IDENTITY, spare_of
from workflow_scripts.models.tensors import write_tensors
from workflow_scripts.study.trainings import DIVERGED, STATUS
from workflow_scripts.training.state import State, load_state, write_state

METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
DIGEST = ".metrics.sha256"
"""In the place of a saved state's suffix: the file with the SHA-256 of the lines of metrics up to that state."""


class Progress:
    """The progress folder of one segment, trained in one way: what was saved of another training is dropped."""

    def __init__(
        self,
        folder: Path,
        training: str = "",
        check: Callable[[], None] = lambda: None,
        prepare: bool = True,
    ) -> None:
        """`training` identifies all that the segment's result depends on. `check` is asked before anything is written,
        and again before it takes effect: it raises where another job writes by now. Of several processes one alone
        does `prepare` the folder, before the others read what was saved.
        """
        self.folder = folder
        self.training = training
        self.save_seconds = 0.0
        self.taken_back = False
        """Whether all was done before, and is in the folder again for its outputs."""
        self._diverged = folder / DIVERGED
        self._check = check
        self._lines = b""
        self._spare = spare_of(folder.with_name(folder.name.removesuffix(".progress")))
        self.checkpoints = folder / CHECKPOINTS
        self.metrics = folder / METRICS
        if prepare:
            self._check()
            self._prepare()

    def _prepare(self) -> None:
        if self._spare.exists() and not self.folder.exists():
            self._spare.replace(self.folder)
            self.taken_back = True
        identity = self.folder / IDENTITY
        if self.folder.exists() and (
            not identity.exists() or identity.read_bytes() != self.training.encode()
        ):
            print(
                f"{self.folder}: saved by another training (recipe, data or parent changed); starting anew",
                flush=True,
            )
            shutil.rmtree(self.folder)
            self.taken_back = False
        for leftover in self.folder.rglob(".*"):  # of a writer that was killed
            leftover.unlink()
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        if not identity.exists():
            with write_atomically(identity) as temporary:
                temporary.write_text(self.training)

    def save(self, state: State, lines: Iterable[dict]) -> None:
        """Add the lines of metrics since the last save, then save the state; keep the save before, too.

        `save_seconds` is what the slowest save has taken.
        """
        began = time.perf_counter()
        self._lines += b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        saved = self._state(state.iteration)
        self._put(self.metrics, lambda path: path.write_bytes(self._lines))
        self._put(saved.with_suffix(DIGEST), lambda path: path.write_text(_digest(self._lines)))
        self._put(saved, lambda path: write_state(path, state, self.training))
        # One beyond this state was damaged, or the training had gone on from there.
        self._keep([path for path in self._saves() if path <= saved][:2])
        self.save_seconds = max(self.save_seconds, time.perf_counter() - began)

    def save_checkpoint(self, iteration: int, weights: Mapping[str, Tensor]) -> None:
        """Keep the weights after `iteration` iterations for evaluation."""
        self._put(
            self.checkpoints / f"{iteration}.safetensors",
            lambda path: write_tensors(path, weights, {"iteration": str(iteration)}),
        )

    def tell(self, status: dict[str, Any]) -> None:
        """Say how far the training is, for `study/status.py`; what a killed job said last stays until it goes on."""
        self._check()
        temporary = self.folder / f".{STATUS}"
        temporary.write_text(json.dumps(status))
        self._check()
        temporary.replace(self.folder / STATUS)

    def note_divergence(self, message: str) -> None:
        """Keep the message until someone tries again."""
        self._put(self._diverged, lambda path: path.write_text(message))

    def forget_divergence(self) -> None:
        """Someone tries again."""
        self._diverged.unlink(missing_ok=True)

    def latest(self) -> State | None:
        """The newest saved state that is whole, with lines of metrics that are; None where nothing such was saved."""
        for path in self._saves():
            damage = f"{self.metrics}: cut or altered since {path.name}"
            if self._lines_are_whole(path):
                try:
                    return load_state(path)
                except UserError as error:
                    damage = str(error)
            print(f"{damage}; trying the state before it", flush=True)
            self.taken_back = False
        return None

    def go_on_from(self, iteration: int) -> None:
        """Drop the lines of metrics after `iteration`: the job that goes on from there writes them again."""
        self._lines = self._lines_until(iteration)

    def finish(self, stop: int, state_path: Path, metrics_path: Path, checkpoints_path: Path) -> None:
        """Put everything in the segment's outputs, last the metrics, and keep the folder as their spare."""
        self._check()
        with write_folder(checkpoints_path, self._check) as folder:
            for path in self.checkpoints.glob("[!.]*"):
                _link_or_copy(path, folder / path.name)
        _link_or_copy(self._state(stop), state_path)
        with write_atomically(metrics_path, check=self._check) as temporary:
            temporary.write_bytes(self._lines_until(stop))
        self._keep([self._state(stop)])
        shutil.rmtree(self._spare, ignore_errors=True)
        self.folder.replace(self._spare)

    def _put(self, path: Path, write: Callable[[Path], object]) -> None:
        """Write a file as long as this is the training's job; writing may take long, so it is checked twice."""
        self._check()
        # Where the folder was moved away, it does not come back.
        with write_atomically(path, parents=False, check=self._check) as temporary:
            write(temporary)

    def _state(self, iteration: int) -> Path:
        return self.folder / f"state-{iteration:09d}.safetensors"

    def _saves(self) -> list[Path]:
        return sorted(self.folder.glob("state-*.safetensors"), reverse=True)

    def _keep(self, kept: list[Path]) -> None:
        for path in set(self._saves()) - set(kept):
            path.unlink()
            path.with_suffix(DIGEST).unlink(missing_ok=True)

    def _lines_are_whole(self, saved: Path) -> bool:
        """Whether the lines of metrics up to a saved state are those that were saved with it."""
        digest = saved.with_suffix(DIGEST)
        iteration = int(saved.stem.removeprefix("state-"))
        return digest.exists() and digest.read_bytes() == _digest(self._lines_until(iteration)).encode()

    def _lines_until(self, iteration: int) -> bytes:
        """The saved lines of metrics up to an iteration; none from one on that is cut or no line of metrics."""
        kept = []
        for line in self.metrics.read_bytes().splitlines(keepends=True) if self.metrics.exists() else []:
            try:
                if json.loads(line)["iteration"] > iteration:
                    break
            except (ValueError, TypeError, LookupError):
                break
            kept.append(line)
        return b"".join(kept)


def _digest(lines: bytes) -> str:
    return hashlib.sha256(lines).hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    """Put a file in its place under a second name; where that cannot be had, on some file systems, copy it."""
    linked = target.with_name(f".{target.name}.link")
    linked.unlink(missing_ok=True)
    try:
        os.link(source, linked)
        linked.replace(target)
        linked.unlink(missing_ok=True)  # it stays where both were the same file
    except OSError:
        with write_atomically(target) as temporary:
            shutil.copyfile(source, temporary)
    os.utime(target)  # no older than what the job read
