"""A training that is stopped and resumed has the draws of one that is not, and nearly its sums."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.proposal_generator import rpn
from detectron2.modeling.roi_heads import roi_heads
from torch import Tensor

from benchmarks.gpu.kit import Kit, Row, Rows
from benchmarks.gpu.steps import relative_difference
from workflow_scripts.errors import Interrupted
from workflow_scripts.study.compiled.schedules import Decay
from workflow_scripts.study.compiled.segments import Segment
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.segment import train_segment
from workflow_scripts.training.state import State

NUMBERS = TrainingNumbers(log_period=1, save_period=1000, workers=0)
STOPPED = 3
"""Iterations until the training is stopped."""

Draws = dict[str, list[str]]
"""Fingerprints by kind, in order."""


@contextmanager
def drawn() -> Iterator[Draws]:
    """Fingerprints of what models are given and sample: `images`, `anchors`, `proposals`."""
    found: Draws = defaultdict(list)

    def noting(name: str, sample: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any) -> Any:
            samples = sample(*args)
            found[name].append(_fingerprint(*samples))
            return samples

        return noted

    prepare = GeneralizedRCNN.preprocess_image

    def prepared(model: Any, batch: Any) -> Any:
        found["images"] += [_fingerprint(example["image"]) for example in batch]
        return prepare(model, batch)

    with ExitStack() as patches:
        patches.enter_context(patch.object(GeneralizedRCNN, "preprocess_image", prepared))
        for name, module in (("anchors", rpn), ("proposals", roi_heads)):
            sampler = noting(name, module.subsample_labels)
            patches.enter_context(patch.object(module, "subsample_labels", sampler))
        yield found


def _fingerprint(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def resumed(kit: Kit) -> Rows:
    """Compares a training with the same once more, which tells what a GPU's sums differ by, and with a resumed one."""
    stop = STOPPED + kit.sized(5, 2)
    straight, again, cut = (kit.folder / name for name in ("straight", "again", "cut"))
    one = _train(kit, straight, stop)
    yield from _compared("once more", one, _train(kit, again, stop))
    with drawn() as before:
        try:
            _segment(kit, cut, stop, leave_after=STOPPED)
            raise RuntimeError("the training did not stop where it was told to")
        except Interrupted:
            pass
    state, losses, after = _train(kit, cut, stop)
    draws = {name: before[name] + after[name] for name in after}
    yield from _compared("resumed", one, (state, losses, draws))


Trained = tuple[State, list[dict[str, float]], Draws]


def _train(kit: Kit, folder: Path, stop: int) -> Trained:
    with drawn() as draws:
        state = _segment(kit, folder, stop)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [{name: value for name, value in line.items() if name.startswith("loss_")} for line in lines]
    weights = {name: tensor.cpu() for name, tensor in state.weights.items()}
    return State(state.iteration, weights, {}), losses, draws


def _segment(kit: Kit, folder: Path, stop: int, leave_after: int | None = None) -> State:
    lines = 0

    def leave(_seconds: float) -> bool:
        nonlocal lines
        lines += 1
        return lines == leave_after

    segment = Segment(
        recipe=kit.recipe.name,
        stage="trunk",
        start=0,
        stop=stop,
        decay=Decay(kind="steps", drops=()),
        parent=None,
        evaluations=(),
    )
    examples, progress = kit.examples, Progress(folder)
    return train_segment(kit.recipe, segment, examples, NUMBERS, progress, kit.alone, leave=leave)


def _compared(name: str, one: Trained, other: Trained) -> Rows:
    (state, losses, draws), (other_state, other_losses, other_draws) = one, other
    if len(losses) != len(other_losses) or {kind: len(each) for kind, each in draws.items()} != {
        kind: len(each) for kind, each in other_draws.items()
    }:
        raise RuntimeError(f"{name}: other iterations, or other numbers of images or draws")
    for kind in draws:
        same = sum(map(str.__eq__, draws[kind], other_draws[kind]))
        yield Row(
            "resume", f"{name}: {kind} equal", 100 * same / len(draws[kind]), f"% of {len(draws[kind])}"
        )
    worst = max(relative_difference(*pair) for pair in zip(losses, other_losses, strict=True))
    yield Row("resume", f"{name}: losses, largest relative difference", worst)
    mine, others = (
        torch.cat([weight.double().flatten() for weight in each.weights.values()])
        for each in (state, other_state)
    )
    yield Row("resume", f"{name}: weights, relative difference", float((mine - others).norm() / mine.norm()))
    for kind in ("images", "anchors"):  # proposals are sampled among those that the weights propose
        if draws[kind] != other_draws[kind]:
            raise RuntimeError(f"{name}: other {kind}")
