"""Train one segment of a recipe: from a parent's state, or a first initialisation, to a new state."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from workflow_scripts.errors import Interrupted, UserError
from workflow_scripts.jobs.notes import note
from workflow_scripts.models.build import build, build_optimizer, load_backbone
from workflow_scripts.models.devices import fix_arithmetic
from workflow_scripts.models.fork import forked
from workflow_scripts.models.tensors import load_tensors
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.schedules import learning_rate
from workflow_scripts.study.compiled.segments import Segment
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.study.trainings import INTERRUPTED, TRAINING, status
from workflow_scripts.training.draws import DrawsPerImage
from workflow_scripts.training.examples import Example, Examples
from workflow_scripts.training.loop import Loop, NonFiniteLoss
from workflow_scripts.training.processes import (
    Processes,
    SampleCounts,
    diverge_together,
    same_everywhere,
    synchronised,
    wait_for_all,
)
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.sampler import GlobalBatches, ProcessShare
from workflow_scripts.training.state import State, capture, load_state, restore


def train_segment(
    recipe: Recipe,
    segment: Segment,
    examples: Examples,
    numbers: TrainingNumbers,
    progress: Progress,
    processes: Processes,
    parent: Path | None = None,
    backbone: Path | None = None,
    leave: Callable[[float], bool] = lambda seconds: False,
) -> State:
    """Train a segment, continuing from what an earlier job saved of it; returns its final state.

    After each line of metrics, `leave` gets the seconds that it took and says whether this job must stop.

    Raises:
        Interrupted: `leave` said so; all is saved.
        UserError: a parent's state of another training, of another iteration than the segment's start or of another
            model, or unfit pre-trained weights; saved states that not all processes see.
        NonFiniteLoss: training diverged.
        Superseded: another job trains the segment by now; nothing more was written.
    """
    fix_arithmetic()
    model = build(recipe, len(examples.classes), processes.device)
    optimizer = build_optimizer(recipe, model)
    start = _initialise(recipe, segment, model, optimizer, progress, parent, backbone)
    if not same_everywhere(start, processes):
        raise UserError(
            f"{progress.folder}: process {processes.rank + 1} of {processes.count} found a saved state of iteration "
            f"{start}, others another, expected one: their machines do not see the same files yet; start again"
        )
    if processes.first:
        progress.go_on_from(start)
        note(start_iteration=start, processes=processes.count, device=processes.device)
    lines: list[dict[str, Any]] = []

    def report(line: dict[str, Any], seconds: float) -> None:
        if processes.first:
            lines.append(line)
            print(_sentence(line, segment, seconds), flush=True)
            progress.tell(status(line["iteration"], segment.stop, line["loss"], seconds, TRAINING))

    def pause(iteration: int, leaving: bool) -> None:
        state = capture(model, optimizer, iteration, _name(segment.recipe, segment.name))
        _check_finite(state)
        if not processes.first:
            return
        if iteration in segment.evaluations:
            progress.save_checkpoint(iteration, state.weights)
        if leaving:
            progress.tell(status(iteration, segment.stop, lines[-1]["loss"], 0.0, INTERRUPTED))
        if leaving or iteration % numbers.save_period == 0 or iteration == segment.stop:
            progress.save(state, lines)
            lines.clear()

    saves = range(0, segment.stop, numbers.save_period)
    pauses = frozenset([*saves, *segment.evaluations, segment.stop])
    loop = _loop(recipe, segment, model, optimizer, examples, numbers, processes, start)
    reached = loop.train(start, segment.stop, pauses, report, pause, leave)
    if reached < segment.stop:
        wait_for_all(processes)
        raise Interrupted(
            f"{recipe.name} {segment.name}: saved at iteration {reached} of {segment.stop} and stopped, before its job "
            "ends or for a newer job; started again, it goes on from there"
        )
    return capture(model, optimizer, segment.stop, _name(segment.recipe, segment.name))


def _loop(
    recipe: Recipe,
    segment: Segment,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    examples: Examples,
    numbers: TrainingNumbers,
    processes: Processes,
    start: int,
) -> Loop:
    diverge_together(model, processes)
    return Loop(
        model=synchronised(model, processes),
        optimizer=optimizer,
        batches=training_batches(recipe, examples, numbers, processes, start, segment.stop),
        rate=lambda t: learning_rate(recipe.base_lr, recipe.warmup, segment.decay, recipe.decay_factor, t),
        draws=DrawsPerImage(model, recipe.seed),
        counts=SampleCounts(model),
        batch=recipe.batch,
        processes=processes,
        log_period=numbers.log_period,
    )


def _initialise(
    recipe: Recipe,
    segment: Segment,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    parent: Path | None,
    backbone: Path | None,
) -> int:
    """Fill the model and the optimizer; returns the iteration to start from."""
    state = progress.latest()
    if state is None and parent is not None:
        state = load_state(parent)
        if state.iteration != segment.start:
            raise UserError(
                f"{parent}: found a state of iteration {state.iteration}, expected {segment.start}, where segment "
                f"{segment.name} of {recipe.name} starts; remove it to train it again"
            )
        expected = _name(*segment.parent) if segment.parent else ""
        if state.of and state.of != expected:  # older states do not tell
            raise UserError(
                f"{parent}: found a state of {state.of}, expected one of {expected or 'none'}, from which segment "
                f"{segment.name} of {recipe.name} goes on; give that one as --parent"
            )
        weights, momentum = forked(state.weights, state.momentum, model, str(parent))
        state = State(state.iteration, weights, momentum)
    if state is not None:
        restore(state, model, optimizer)
        return state.iteration
    if backbone is not None:
        load_backbone(recipe, model, load_tensors(backbone)[0], str(backbone))
    return 0


def _name(recipe: str, segment: str) -> str:
    return f"{recipe}/{segment}"


def training_batches(
    recipe: Recipe, examples: Examples, numbers: TrainingNumbers, processes: Processes, start: int, stop: int
) -> Iterator[list[Example]]:
    """This process's share of the global batches of iterations `start` to `stop`."""
    batches = GlobalBatches(examples.wide, recipe.batch, recipe.seed)
    share = ProcessShare(batches, recipe.batch, start, stop, processes.rank, processes.count)
    loader: DataLoader = DataLoader(
        examples,
        batch_sampler=share,
        num_workers=numbers.workers,
        collate_fn=list,
        worker_init_fn=_one_thread,
        pin_memory=processes.device != "cpu",  # what `sent` copies to a GPU without waiting
    )
    return iter(loader)


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _sentence(line: dict[str, Any], segment: Segment, seconds: float) -> str:
    left = (segment.stop - line["iteration"]) * seconds
    return (
        f"{segment.recipe} {segment.name}: iteration {line['iteration']}/{segment.stop}  loss {line['loss']:.4f}  "
        f"learning rate {line['learning_rate']:.5f}  {seconds:.3f} s/iteration  {left / 60:.1f} min left"
    )


def _check_finite(state: State) -> None:
    """A state that is saved must be one to go on from: a loss can be the last finite one."""
    broken = [name for name, tensor in state.weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise NonFiniteLoss(
            f"iteration {state.iteration}: weights {', '.join(broken[:3])} are not finite; the last good state is "
            "kept; lower base_lr or lengthen the warm-up"
        )
