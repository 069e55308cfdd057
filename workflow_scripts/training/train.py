"""The command of a training job: one segment, trained as far as the job's time goes.

python -m workflow_scripts.training.train --recipe recipe.json --segment '{...}' ...
"""

import argparse
import hashlib
import os
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

from workflow_scripts.errors import INTERRUPTED, Interrupted, UserError, exit_code
from workflow_scripts.files import sha256
from workflow_scripts.jobs.decision import made_since_decided
from workflow_scripts.jobs.job import job
from workflow_scripts.jobs.notes import MADE_BY_ANOTHER, note
from workflow_scripts.models.tensors import read_metadata
from workflow_scripts.study.compiled.reading import read_recipe, validated
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.segments import Segment
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.deadline import add_options, job_deadline
from workflow_scripts.training.examples import Examples, classification_examples, detection_examples
from workflow_scripts.training.launch import start_processes
from workflow_scripts.training.lock import Lock, held
from workflow_scripts.training.loop import NonFiniteLoss
from workflow_scripts.training.processes import Processes, agreed, training_processes, wait_for_all
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.segment import train_segment


def _identity(recipe: Recipe, segment: Segment, arguments: argparse.Namespace) -> str:
    """A hash of all that the segment's result depends on, but for the images themselves and the code."""
    told = (each.model_dump_json(exclude_defaults=True) for each in (recipe, segment))
    parts = [*told, str(arguments.log_period)]
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
    parser.add_argument("--processes", type=int, default=1, help="training processes, on all nodes together")
    parser.add_argument(
        "--nodes", type=int, default=1, help="machines of this SLURM job that the processes run on"
    )
    add_options(parser)
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


def _train(recipe: Recipe, segment: Segment, arguments: argparse.Namespace, processes: Processes) -> None:
    identity = _identity(recipe, segment, arguments)
    lock_file = arguments.progress.with_suffix(".lock")
    with held(lock_file) if processes.first else nullcontext() as lock:
        if agreed(processes.first and _trained_meanwhile(arguments, identity), processes):
            if processes.first:
                # Of a job that ended between its outputs and its spare.
                shutil.rmtree(arguments.progress, ignore_errors=True)
                _say_trained_meanwhile(recipe, segment)
            return
        _train_held(recipe, segment, arguments, processes, identity, lock)


def _train_held(
    recipe: Recipe,
    segment: Segment,
    arguments: argparse.Namespace,
    processes: Processes,
    identity: str,
    lock: Lock | None,
) -> None:
    """Train with the segment's lock in the hands of the first process."""
    if lock is not None:  # whoever holds it prepares the folder
        progress = Progress(arguments.progress, identity, lock.check)
        progress.forget_divergence()
    wait_for_all(processes)
    if lock is None:
        progress = Progress(arguments.progress, identity, prepare=False)
    deadline = job_deadline(arguments.runtime, arguments.margin) if processes.first else None

    def leave(seconds: float) -> bool:
        wanted = lock is not None and lock.wanted
        late = deadline is not None and deadline.near(2 * (seconds + progress.save_seconds))
        return agreed(wanted or late, processes)

    try:
        train_segment(
            recipe,
            segment,
            _examples(recipe, arguments),
            _numbers(arguments),
            progress,
            processes,
            arguments.parent,
            arguments.backbone,
            leave,
        )
    except NonFiniteLoss as error:
        if processes.first:  # all processes stop here, with one message
            message = f"{recipe.name} {segment.name}: training diverged at {error}"
            progress.note_divergence(message)
            raise UserError(message) from None
        return
    if processes.first:
        if progress.taken_back:
            note(**MADE_BY_ANOTHER)
        progress.finish(segment.stop, arguments.state, arguments.metrics, arguments.checkpoints)
        digest = read_metadata(arguments.state)["digest"]
        print(f"{recipe.name} {segment.name}: done at iteration {segment.stop}, state {digest}")


def _examples(recipe: Recipe, arguments: argparse.Namespace) -> Examples:
    if recipe.task == "classification":
        return classification_examples(recipe, arguments.images)
    return detection_examples(recipe, arguments.annotations, arguments.images)


def _numbers(arguments: argparse.Namespace) -> TrainingNumbers:
    return TrainingNumbers(
        log_period=arguments.log_period,
        save_period=arguments.save_period,
        workers=arguments.workers,
        processes=arguments.processes,
    )


def _check_start(recipe: Recipe, segment: Segment, arguments: argparse.Namespace) -> None:
    """Training from anything but what recipe and segment say would go unnoticed in its results."""
    if (segment.start > 0) != (segment.parent is not None):
        raise UserError(
            f"--segment: found start {segment.start} and parent {segment.parent or 'none'}, expected the names of the "
            "recipe and the segment that it goes on from, or start 0 and none"
        )
    if segment.parent is None and arguments.parent is not None:
        raise UserError(
            f"--parent: found {arguments.parent}, expected none: segment {segment.name} of {recipe.name} starts anew"
        )
    if segment.parent is not None and arguments.parent is None:
        raise UserError(
            f"--parent: found nothing, expected the state of {' '.join(segment.parent)}, from which segment "
            f"{segment.name} of {recipe.name} goes on"
        )
    pretrained = segment.parent is None and recipe.initialisation == "pretrained"
    if pretrained != (arguments.backbone is not None):
        expected = (
            "pre-trained weights, from which it starts" if pretrained else "none, for it starts without"
        )
        raise UserError(
            f"--backbone: found {arguments.backbone or 'nothing'} for segment {segment.name} of {recipe.name}, "
            f"expected {expected}"
        )


def _trained_meanwhile(arguments: argparse.Namespace, identity: str) -> bool:
    """Whether another job, or an earlier attempt, finished the segment after it was decided to train it here."""
    done = made_since_decided(arguments.metrics) and arguments.state.exists()
    return done and read_metadata(arguments.state).get("training") == identity


def _say_trained_meanwhile(recipe: Recipe, segment: Segment) -> None:
    note(**MADE_BY_ANOTHER)
    print(f"{recipe.name} {segment.name}: trained by another job in the meantime")


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
    _check_start(recipe, segment, arguments)
    try:
        _start(recipe, segment, arguments)
    except (Interrupted, SystemExit) as end:
        # One of several processes leaves it to the process that started them.
        stopped = exit_code(end) == INTERRUPTED and "RANK" not in os.environ
        if not stopped or not _trained_meanwhile(arguments, _identity(recipe, segment, arguments)):
            raise
        _say_trained_meanwhile(recipe, segment)


def _start(recipe: Recipe, segment: Segment, arguments: argparse.Namespace) -> None:
    if arguments.processes > 1 and "RANK" not in os.environ:
        start_processes(__spec__.name, sys.argv[1:], arguments.processes, arguments.nodes)
        return
    with training_processes() as processes:
        _train(recipe, segment, arguments, processes)


if __name__ == "__main__":
    job(main)
