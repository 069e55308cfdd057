"""A training step of this project against detectron2's own loop, on the same model, images and threads.

    python -m benchmarks.training_step [--steps 60] [--threads 1] [--require]

detectron2's side is its `SimpleTrainer` over its `build_detection_train_loader` with its `build_optimizer`, on the
mini scale's recipe and a drawn world; the two take turns and the medians of their seconds a step are compared. Both
start from the same weights, and must end with finite ones that have changed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

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
from torch import nn

from workflow_scripts.data.world.__main__ import draw_world
from workflow_scripts.data.world.settings import Settings
from workflow_scripts.models.build import build, build_optimizer
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.draws import DrawsPerImage
from workflow_scripts.training.examples import detection_examples
from workflow_scripts.training.loop import Loop
from workflow_scripts.training.processes import Processes, SampleCounts
from workflow_scripts.training.segment import training_batches

CHUNK = 5
RATE = 0.001


def ours(recipe: Recipe, model: nn.Module, annotations: Path, images: Path, steps: int) -> Iterator[float]:
    """Seconds of each chunk of our steps."""
    examples = detection_examples(recipe, annotations, images)
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
    recipe: Recipe, model: nn.Module, annotations: Path, images: Path, steps: int
) -> Iterator[float]:
    """Seconds of each chunk of `SimpleTrainer`'s steps."""
    records = [record for record in load_coco_json(annotations, images, "theirs") if record["annotations"]]
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


def flattened(model: nn.Module) -> torch.Tensor:
    """A copy of all weights in one row."""
    return torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])


def check_trained(before: list[torch.Tensor], after: list[torch.Tensor]) -> None:
    """Refuse to compare anything but two trainings of one model."""
    if not torch.equal(*before):
        raise SystemExit("the two do not start from the same weights")
    for name, start, end in zip(("ours", "detectron2's"), before, after, strict=True):
        if torch.equal(start, end) or not torch.isfinite(end).all():
            raise SystemExit(f"{name}: expected finite weights that training has changed")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=200, help="images to draw")
    parser.add_argument("--require", action="store_true", help="exit with 1 where ours is slower")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    study = compile_study({"scale": "mini", "experiments": ["fig1"]})
    recipe = next(recipe for recipe in study.recipes.values() if recipe.initialisation == "random")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(train_images=arguments.images, val_images=1, classification_images_per_class=1)
        draw_world(settings, Path(folder))
        paths = Path(folder, "coco/annotations/instances_train.json"), Path(folder, "coco/train")
        classes = len(detection_examples(recipe, *paths).classes)
        models = [build(recipe, classes, "cpu") for _ in range(2)]
        begun = [flattened(model) for model in models]
        pairs = zip(
            ours(recipe, models[0], *paths, arguments.steps),
            detectron2s(recipe, models[1], *paths, arguments.steps),
            strict=True,
        )
        times = list(pairs)[1:]  # the first chunk of each warms up
    check_trained(begun, [flattened(model) for model in models])
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
