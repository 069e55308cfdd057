"""A training step of this project against detectron2's own loop, on the same model, images and threads.

    python -m benchmarks.training_step [--steps 60] [--threads 1] [--require]

detectron2's side is its `SimpleTrainer` over its `build_detection_train_loader` with its `build_optimizer`, on the
mini scale's recipe and a drawn world; the two take turns and the medians of their seconds a step are compared. Each
model tells what it was given and gave: both must start from the same weights, see as many batches of as many images,
give the same kinds of losses, finite ones, and end with finite weights that have changed.

Needs nothing but the environment.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import workflow_scripts.models  # noqa: F401 - makes detectron2 importable

# isort: split
from detectron2.data import DatasetMapper, build_detection_train_loader
from detectron2.data import transforms as T
from detectron2.data.datasets import load_coco_json
from detectron2.data.samplers import TrainingSampler
from detectron2.engine import SimpleTrainer
from detectron2.solver.build import get_default_optimizer_params
from detectron2.utils.events import EventStorage
from torch import Tensor, nn

from workflow_scripts.data.world.__main__ import draw_world
from workflow_scripts.data.world.settings import Settings
from workflow_scripts.models.build import build, build_optimizer
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.draws import DrawsPerImage
from workflow_scripts.training.examples import Example, Examples, detection_examples
from workflow_scripts.training.loop import Loop
from workflow_scripts.training.processes import Processes, SampleCounts
from workflow_scripts.training.segment import training_batches

CHUNK = 5
RATE = 0.001


class Witness:
    """What a model is given and gives while a loop trains it, whoever's loop that is."""

    def __init__(self, name: str, model: nn.Module) -> None:
        self.name, self.model, self.begun = name, model, flattened(model)
        self.images: list[int] = []
        self.losses: list[dict[str, Tensor]] = []
        model.register_forward_hook(self._note)

    def _note(self, _model: nn.Module, given: tuple[Sequence[Example]], losses: Mapping[str, Tensor]) -> None:
        self.images.append(len(given[0]))
        self.losses.append({name: value.detach() for name, value in losses.items()})


def flattened(model: nn.Module) -> Tensor:
    """A copy of all weights in one row."""
    return torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])


def check_same_start(mine: Witness, theirs: Witness) -> None:
    """Refuse to compare trainings of two different models."""
    if mine.begun.shape != theirs.begun.shape or not torch.equal(mine.begun, theirs.begun):
        raise SystemExit("the two do not start from the same weights")


def check_trained(witness: Witness, steps: int, batch: int) -> None:
    """Refuse to compare with anything but a training of so many steps, on batches of so many images."""
    if witness.images != [batch] * steps:
        raise SystemExit(
            f"{witness.name}: found {len(witness.images)} steps of {sorted(set(witness.images))} images, expected "
            f"{steps} of {batch}"
        )
    for step, losses in enumerate(witness.losses):
        if not all(torch.isfinite(value) for value in losses.values()):
            raise SystemExit(f"{witness.name}: step {step}: expected finite losses, found {losses}")
    ended = flattened(witness.model)
    if torch.equal(witness.begun, ended) or not torch.isfinite(ended).all():
        raise SystemExit(f"{witness.name}: expected finite weights that training has changed")


def check_same_losses(mine: Witness, theirs: Witness) -> None:
    """Refuse to compare detectors that learn different things."""
    names, others = (sorted({name for losses in side.losses for name in losses}) for side in (mine, theirs))
    if names != others or not names:
        raise SystemExit(f"the losses differ: ours are {names}, detectron2's {others}")


def ours(recipe: Recipe, model: nn.Module, examples: Examples, steps: int) -> Iterator[float]:
    """Seconds of each chunk of our steps."""
    processes = Processes(0, 1, "cpu")
    numbers = TrainingNumbers(log_period=CHUNK, save_period=CHUNK, workers=0)
    draws, counts = DrawsPerImage(model, recipe.seed), SampleCounts(model)
    optimizer = build_optimizer(recipe, model)
    for start in range(0, steps, CHUNK):
        stop = start + CHUNK
        batches = training_batches(recipe, examples, numbers, processes, start, stop)
        loop = Loop(model, optimizer, batches, lambda _: RATE, draws, counts, recipe.batch, processes, CHUNK)
        began = time.perf_counter()
        loop.train(start, stop, frozenset(), ignore, ignore, leave=lambda seconds: False)
        yield time.perf_counter() - began


def ignore(*told: object) -> None:
    """Neither lines of metrics nor pauses are part of a step."""


def detectron2s(
    recipe: Recipe, model: nn.Module, records: list[dict[str, Any]], steps: int
) -> Iterator[float]:
    """Seconds of each chunk of `SimpleTrainer`'s steps."""
    model.train()
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[
            T.ResizeShortestEdge(recipe.image_sides, recipe.longest_side, sample_style="choice"),
            T.RandomFlip(),
        ],
        image_format="RGB",
        use_instance_mask=True,
    )
    loader = build_detection_train_loader(
        records,
        mapper=mapper,
        sampler=TrainingSampler(len(records), seed=0),
        total_batch_size=recipe.batch,
        num_workers=0,
    )
    optimizer = torch.optim.SGD(
        get_default_optimizer_params(
            model, base_lr=RATE, weight_decay=recipe.weight_decay, weight_decay_norm=0.0
        ),
        lr=RATE,
        momentum=recipe.momentum,
    )
    trainer = SimpleTrainer(model, loader, optimizer)
    with EventStorage(0) as trainer.storage:
        for _ in range(steps // CHUNK):
            began = time.perf_counter()
            for _ in range(CHUNK):
                trainer.run_step()
                trainer.storage.step()
            yield time.perf_counter() - began


def take_turns(recipe: Recipe, annotations: Path, images: Path, steps: int) -> list[tuple[float, float]]:
    """Seconds of each chunk of steps, ours and detectron2's, but for the first of each, which warms up."""
    examples = detection_examples(recipe, annotations, images)
    records = [record for record in load_coco_json(annotations, images, "theirs") if record["annotations"]]
    if len(records) != len(examples):
        raise SystemExit(f"ours trains on {len(examples)} images, detectron2's on {len(records)}")
    classes = len(examples.classes)
    mine, theirs = (Witness(name, build(recipe, classes, "cpu")) for name in ("ours", "detectron2's"))
    check_same_start(mine, theirs)
    turns = zip(
        ours(recipe, mine.model, examples, steps),
        detectron2s(recipe, theirs.model, records, steps),
        strict=True,
    )
    times = list(turns)[1:]
    for witness in (mine, theirs):
        check_trained(witness, steps, recipe.batch)
    check_same_losses(mine, theirs)
    return times


def settings(images: int) -> Settings:
    """A world of so many images to train on, and as few as may be of what is not trained on."""
    return Settings(
        train_images=images,
        val_images=1,
        voc_train_images=2,
        voc_val_images=1,
        classification_images_per_class=1,
        classification_val_images_per_class=1,
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=60, help=f"a multiple of {CHUNK}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=200, help="images to draw")
    parser.add_argument("--require", action="store_true", help="exit with 1 where ours is slower")
    arguments = parser.parse_args()
    if arguments.steps % CHUNK or arguments.steps < 2 * CHUNK:
        parser.error(f"--steps {arguments.steps}: expected a multiple of {CHUNK}, {2 * CHUNK} or more")
    torch.set_num_threads(arguments.threads)
    study = compile_study({"scale": "mini", "experiments": ["fig1"]})
    recipe = next(recipe for recipe in study.recipes.values() if recipe.initialisation == "random")
    with tempfile.TemporaryDirectory() as folder:
        draw_world(settings(arguments.images), Path(folder))
        paths = Path(folder, "coco/annotations/instances_train.json"), Path(folder, "coco/train")
        times = take_turns(recipe, *paths, arguments.steps)
    mine, theirs = (statistics.median(side) / CHUNK for side in zip(*times, strict=True))
    ratio = statistics.median(theirs_ / mine_ for mine_, theirs_ in times)
    print(f"ours          {mine:.3f} s a step")
    print(f"detectron2's  {theirs:.3f} s a step")
    print(
        f"ours is {ratio:.2f} times as fast ({len(times)} pairs of {CHUNK} steps, {arguments.threads} threads)"
    )
    raise SystemExit(arguments.require and ratio < 1)


if __name__ == "__main__":
    main()
