"""Train one segment: from a parent's state, or a first initialisation, to a new state.

python -m workflow_scripts.detection.train --recipe recipe.json --segment '{...}' ...
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun
from torch.utils.data import DataLoader

from workflow_scripts.detection.draws import DrawsPerImage
from workflow_scripts.detection.examples import Example, Examples, classification_examples, detection_examples
from workflow_scripts.detection.fork import forked
from workflow_scripts.detection.loop import Loop, NonFiniteLoss
from workflow_scripts.detection.models import build, build_optimizer, load_backbone
from workflow_scripts.detection.processes import (
    Processes,
    SampleCounts,
    diverge_together,
    synchronised,
    threads_each,
    training_processes,
    wait_for_all,
)
from workflow_scripts.detection.progress import Progress
from workflow_scripts.detection.sampler import GlobalBatches, ProcessShare
from workflow_scripts.detection.state import (
    State,
    capture,
    load_state,
    load_tensors,
    read_digest,
    restore,
    save_tensors,
)
from workflow_scripts.errors import UserError, command
from workflow_scripts.files import sha256
from workflow_scripts.study.reading import read_recipe, validated
from workflow_scripts.study.recipes import Recipe
from workflow_scripts.study.scales import TrainingNumbers
from workflow_scripts.study.schedules import learning_rate
from workflow_scripts.study.segments import Segment
from workflow_scripts.study.status import status


def train_segment(
    recipe: Recipe,
    segment: Segment,
    examples: Examples,
    numbers: TrainingNumbers,
    progress: Progress,
    processes: Processes,
    parent: Path | None = None,
    backbone: Path | None = None,
) -> State:
    """Train a segment, continuing from what an earlier job saved of it; returns its final state.

    Raises:
        UserError: a parent's state of another iteration than the segment's start or of another model, or unfit
            pre-trained weights.
        NonFiniteLoss: training diverged.
    """
    torch.set_flush_denormal(True)
    model = build(recipe, len(examples.classes), processes.device)
    optimizer = build_optimizer(recipe, model)
    start = _initialise(recipe, segment, model, optimizer, progress, parent, backbone)
    if processes.first:
        progress.cut_metrics(start)
    lines: list[dict[str, Any]] = []

    def report(line: dict[str, Any], seconds: float) -> None:
        if processes.first:
            lines.append(line)
            print(_sentence(line, segment, seconds), flush=True)
            progress.tell(status(line["iteration"], segment.stop, line["loss"], seconds))

    def pause(iteration: int) -> None:
        if not processes.first:
            return
        state = capture(model, optimizer, iteration)
        if iteration in segment.evaluations:
            save_tensors(progress.checkpoint(iteration), state.weights, {"iteration": str(iteration)})
        if iteration % numbers.save_period == 0 or iteration == segment.stop:
            progress.save(state, lines)
            lines.clear()

    saves = range(0, segment.stop, numbers.save_period)
    _loop(recipe, segment, model, optimizer, examples, numbers, processes, start).train(
        start, segment.stop, frozenset([*saves, *segment.evaluations, segment.stop]), report, pause
    )
    return capture(model, optimizer, segment.stop)


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
        state = forked(state, model, str(parent))
    if state is not None:
        restore(state, model, optimizer)
        return state.iteration
    if backbone is not None:
        load_backbone(recipe, model, load_tensors(backbone)[0], str(backbone))
    return 0


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


def _identity(recipe: Recipe, segment: Segment, arguments: argparse.Namespace) -> str:
    """A hash of all that the segment's result depends on, but for the images themselves and the code."""
    parts = [recipe.model_dump_json(), segment.model_dump_json(), str(arguments.log_period)]
    files = (arguments.annotations, arguments.parent, arguments.backbone)
    parts += [sha256(path) for path in files if path is not None and path.exists()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, required=True, help="recipe.json")
    parser.add_argument("--segment", required=True, help="the segment, as JSON")
    parser.add_argument(
        "--log-period", type=int, default=20, help="iterations that one line of metrics covers"
    )
    parser.add_argument("--save-period", type=int, default=2000, help="iterations between saved states")
    parser.add_argument(
        "--workers", type=int, default=0, help="data loading processes of each training process"
    )
    parser.add_argument("--processes", type=int, default=1, help="training processes on this machine")
    parser.add_argument("--annotations", type=Path, help="COCO annotations to train on")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--parent", type=Path, help="state that the segment starts from")
    parser.add_argument("--backbone", type=Path, help="pre-trained weights to start from")
    parser.add_argument("--progress", type=Path, required=True, help="folder to save into while training")
    parser.add_argument("--state", type=Path, required=True, help="output: the final state")
    parser.add_argument("--metrics", type=Path, required=True, help="output: lines of metrics")
    parser.add_argument(
        "--checkpoints", type=Path, required=True, help="output: folder of weights to evaluate"
    )
    return parser.parse_args()


def _start_processes(count: int) -> None:
    """One process a GPU: torchrun starts this command again in each."""
    os.environ["OMP_NUM_THREADS"] = str(threads_each(count))
    try:
        torchrun(["--standalone", f"--nproc-per-node={count}", "-m", __spec__.name, *sys.argv[1:]])
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        if failure.exitcode != 2:
            raise
        raise SystemExit(2) from None  # the process has said what a person must correct


def _train(recipe: Recipe, segment: Segment, arguments: argparse.Namespace, processes: Processes) -> None:
    if recipe.task == "classification":
        examples = classification_examples(recipe, arguments.images)
    else:
        examples = detection_examples(recipe, arguments.annotations, arguments.images)
    numbers = TrainingNumbers(
        log_period=arguments.log_period,
        save_period=arguments.save_period,
        workers=arguments.workers,
        processes=arguments.processes,
    )
    identity = _identity(recipe, segment, arguments)
    if processes.first:
        Progress(arguments.progress, identity)
    wait_for_all(processes)
    progress = Progress(arguments.progress, identity)
    try:
        train_segment(
            recipe, segment, examples, numbers, progress, processes, arguments.parent, arguments.backbone
        )
    except NonFiniteLoss as error:
        if processes.first:  # all processes stop here, with one message
            raise UserError(f"{recipe.name} {segment.name}: training diverged at {error}") from None
        return
    if processes.first:
        progress.finish(segment.stop, arguments.state, arguments.metrics, arguments.checkpoints)
        digest = read_digest(arguments.state)
        print(f"{recipe.name} {segment.name}: done at iteration {segment.stop}, state {digest}")


def main() -> None:
    """Run the command line."""
    arguments = _arguments()
    recipe = read_recipe(arguments.recipe)
    segment = validated(Segment, arguments.segment, "--segment")
    annotations = arguments.annotations
    if recipe.task == "detection" and (annotations is None or not annotations.is_file()):
        raise UserError(
            f"--annotations: found {annotations or 'nothing'}, expected the COCO annotation file that recipe "
            f"{recipe.name} trains on"
        )
    if arguments.processes > 1 and "RANK" not in os.environ:
        _start_processes(arguments.processes)
        return
    with training_processes() as processes:
        _train(recipe, segment, arguments, processes)


if __name__ == "__main__":
    command(main)
