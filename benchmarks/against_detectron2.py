"""AP of this project's training against that of detectron2's own, end to end, over several seeds.

    python -m benchmarks.against_detectron2 [--seeds 5] [--schedule 5x] [--jobs 2] [--folder FOLDER] [--require]

Either side trains one recipe of the miniature world from random init, by its own seed: ours segment by segment with
its sampler and draws, then detects and scores as a study does; detectron2's with its `SimpleTrainer`, optimiser and
rates over its `build_detection_train_loader`, with its sampler and mapper, then its `COCOEvaluator`. What each seed
reached is kept in the folder, and a run that was cut goes on with the seeds that are missing.

Prints each seed's AP, the mean of each side with its 95% interval, the difference with Welch's interval and p, and
which difference a test at 5% would find with a probability of 80%, from this many seeds of this spread.

Needs nothing but the environment.
"""

import argparse
import contextlib
import functools
import hashlib
import json
import math
import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import optimize, stats

import workflow_scripts.models  # noqa: F401 - makes detectron2 importable

# isort: split
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, build_detection_test_loader, build_detection_train_loader
from detectron2.data.datasets import register_coco_instances
from detectron2.engine import SimpleTrainer, hooks
from detectron2.evaluation import COCOEvaluator, inference_on_dataset
from detectron2.modeling import build_model
from detectron2.solver import build_lr_scheduler, build_optimizer
from detectron2.utils.env import seed_all_rng

from workflow_scripts.data.coco import read
from workflow_scripts.data.world.__main__ import draw_world
from workflow_scripts.data.world.settings import Settings
from workflow_scripts.evaluation.coco_metrics import IouType, evaluate
from workflow_scripts.evaluation.detect import detect
from workflow_scripts.files import write_json
from workflow_scripts.models.config import detectron2_config
from workflow_scripts.models.tensors import save_tensors
from workflow_scripts.report.intervals import Estimate, Sample, estimate
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.segments import Run
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.examples import detection_examples
from workflow_scripts.training.processes import Processes
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.segment import train_segment
from workflow_scripts.training.state import write_state

METRICS: tuple[IouType, ...] = ("bbox", "segm")
LEAST_AP = 20.0
"""Below it, with `--require`, there is too little for two trainings to differ in."""
SIGNIFICANCE, PROBABILITY = 0.05, 0.8


@dataclass(frozen=True)
class World:
    """Where a drawn world lies."""

    folder: Path

    def annotations(self, split: str) -> Path:
        """COCO's annotations of `train` or `val`."""
        return self.folder / f"coco/annotations/instances_{split}.json"

    def images(self, split: str) -> Path:
        """The folder of its pictures."""
        return self.folder / f"coco/{split}"


def ours(run: Run, study: Study, world: World, folder: Path) -> dict[str, float]:
    """AP by metric, after training along a run's segments as a study's jobs do."""
    numbers = TrainingNumbers(log_period=10, save_period=10**9, workers=0)
    parent: Path | None = None
    for segment in run.segments:
        recipe = study.recipes[segment.recipe]
        examples = detection_examples(recipe, world.annotations("train"), world.images("train"))
        progress, alone = Progress(folder / segment.name), Processes(0, 1, "cpu")
        state = train_segment(recipe, segment, examples, numbers, progress, alone, parent)
        parent = folder / f"{segment.name}.safetensors"
        write_state(parent, state)
    if state.iteration != run.schedule.iterations:
        raise SystemExit(f"ours: trained to {state.iteration}, expected {run.schedule.iterations}")
    save_tensors(folder / "weights.safetensors", state.weights, {})
    files = (world.annotations("val"), world.images("val"))
    results = detect(run.recipe, folder / "weights.safetensors", *files, "cpu")
    write_json(folder / "detections.json", results)
    metrics = evaluate(files[0], folder / "detections.json", METRICS)
    return {metric: metrics[metric]["AP"] or 0.0 for metric in METRICS}


def detectron2s(run: Run, _study: Study, world: World, _folder: Path) -> dict[str, float]:
    """AP by metric, after training the run's recipe with detectron2's own loop and data."""
    config = configured(run, world)
    seed_all_rng(run.recipe.seed)
    model = build_model(config)
    optimizer = build_optimizer(config, model)
    trainer = SimpleTrainer(model, build_detection_train_loader(config), optimizer)
    trainer.register_hooks([hooks.LRScheduler(optimizer, build_lr_scheduler(config, optimizer))])
    trainer.train(0, config.SOLVER.MAX_ITER)
    (name,) = config.DATASETS.TEST
    evaluator = COCOEvaluator(name, tasks=METRICS, distributed=False, use_fast_impl=False)
    found = inference_on_dataset(model, build_detection_test_loader(config, name), evaluator)
    return {metric: float(np.nan_to_num(found[metric]["AP"])) for metric in METRICS}


def configured(run: Run, world: World) -> CfgNode:
    """The recipe's architecture and input, and all that detectron2's own loop reads besides."""
    recipe, schedule = run.recipe, run.schedule
    config = detectron2_config(recipe, len(read(world.annotations("train")).categories)).clone()
    config.defrost()
    solver = config.SOLVER
    solver.IMS_PER_BATCH, solver.BASE_LR = recipe.batch, recipe.base_lr
    solver.MOMENTUM, solver.WEIGHT_DECAY, solver.WEIGHT_DECAY_NORM = recipe.momentum, recipe.weight_decay, 0.0
    solver.MAX_ITER, solver.STEPS = schedule.iterations, (schedule.first_drop, schedule.second_drop)
    solver.GAMMA = recipe.decay_factor
    solver.WARMUP_ITERS, solver.WARMUP_FACTOR = recipe.warmup.iterations, recipe.warmup.factor
    config.DATALOADER.NUM_WORKERS = 0
    config.DATASETS.TRAIN, config.DATASETS.TEST = ((registered(world, split),) for split in ("train", "val"))
    return config


def registered(world: World, split: str) -> str:
    """detectron2's name of a split."""
    name = f"{world.folder} {split}"
    if name not in DatasetCatalog.list():
        register_coco_instances(name, {}, str(world.annotations(split)), str(world.images(split)))
    return name


SIDES: dict[str, Callable[[Run, Study, World, Path], dict[str, float]]] = {
    "ours": ours,
    "detectron2's": detectron2s,
}


def study_of(scale: str, schedule: str, seeds: int) -> Study:
    """The study whose random init of R50 GN both sides train."""
    return compile_study(
        {"scale": scale, "experiments": ["fig1"], "schedules": [schedule], "seeds": list(range(seeds))}
    )


def runs_of(study: Study, schedule: str) -> list[Run]:
    """Its runs, by seed."""
    runs = [run for run in study.needed_runs(["fig1"]) if run.recipe.initialisation == "random"]
    return sorted((run for run in runs if run.schedule.name == schedule), key=lambda run: run.recipe.seed)


def train(folder: Path, scale: str, schedule: str, seeds: int, task: tuple[str, int]) -> None:
    """Train and score one side with one seed, on one thread, and keep what it reached."""
    side, seed = task
    torch.set_num_threads(1)
    study = study_of(scale, schedule, seeds)
    aside = folder / f"{side}-{seed}"
    aside.mkdir(exist_ok=True)
    with (aside / "log.txt").open("w") as log, contextlib.redirect_stdout(log):
        found = SIDES[side](runs_of(study, schedule)[seed], study, World(folder / "world"), aside)
    write_json(kept(folder, side, seed), found)
    shutil.rmtree(aside)


def kept(folder: Path, side: str, seed: int) -> Path:
    """Where the AP of a training is kept."""
    return folder / f"{side}-{seed}.json"


def train_missing(folder: Path, scale: str, schedule: str, seeds: int, jobs: int) -> None:
    """Train what the folder lacks, so many at a time; the sides take turns."""
    tasks = [(side, seed) for seed in range(seeds) for side in SIDES if not kept(folder, side, seed).exists()]
    one = functools.partial(train, folder, scale, schedule, seeds)
    for number, (side, seed) in enumerate(each_done(one, tasks, jobs), 1):
        print(f"{number} of {len(tasks)}: {side}, seed {seed}: {read_ap(folder, side, seed)}", flush=True)


def each_done(one: Callable[[Any], None], tasks: Sequence[Any], jobs: int) -> Iterator[Any]:
    """The tasks in order, each once it is done; several in processes of their own."""
    if jobs == 1:
        for task in tasks:
            one(task)
            yield task
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, max_tasks_per_child=1) as pool:
        for task, _ in zip(tasks, pool.map(one, tasks), strict=True):
            yield task


def read_ap(folder: Path, side: str, seed: int) -> dict[str, float]:
    """What a side reached."""
    found = json.loads(kept(folder, side, seed).read_text())
    if found.keys() != set(METRICS) or not all(math.isfinite(value) for value in found.values()):
        raise SystemExit(f"{kept(folder, side, seed)}: found {found}, expected AP of {', '.join(METRICS)}")
    return found


def draw_once(settings: Settings, folder: Path) -> None:
    """Draw the world, unless it was drawn whole before."""
    manifest = folder / "world.json"
    if not manifest.exists():
        write_json(manifest, draw_world(settings, folder / "world"))


def world_settings(study: Study, train_images: int | None, val_images: int | None) -> Settings:
    """The scale's world, with as little as may be of what is not trained on here."""
    drawn: dict[str, Any] = {**(study.scale.world or {}), "voc_train_images": 2, "voc_val_images": 1}
    drawn |= {"classification_images_per_class": 1, "classification_val_images_per_class": 1}
    drawn |= {
        name: count
        for name, count in (("train_images", train_images), ("val_images", val_images))
        if count is not None
    }
    return Settings.model_validate(drawn)


@dataclass(frozen=True)
class Comparison:
    """Means of both sides in one metric, their difference with Welch's interval and p, and what would be found."""

    sides: dict[str, Estimate]
    difference: Estimate
    p: float
    found_difference: float


def compare(ours_: Sequence[float], theirs: Sequence[float]) -> Comparison:
    """Two samples of AP, each of two values or more.

    Where neither spreads, p is 1 or 0.
    """
    samples = [
        Sample(pd.Series(values, dtype=float), pd.Series(dtype=float), ()) for values in (ours_, theirs)
    ]
    difference = estimate(samples[0], samples[1] * -1)
    sides = dict(zip(SIDES, map(estimate, samples), strict=True))
    error, freedom = difference.standard_error, difference.freedom
    if not error:
        return Comparison(sides, difference, float(difference.value == 0), 0.0)
    p = 2 * difference.p_value("above" if difference.value > 0 else "below", 0.0)
    return Comparison(sides, difference, p, error * noncentrality(freedom))


def noncentrality(freedom: float) -> float:
    """By how many standard errors two means must differ, for a two-sided test at 5% to find it with `PROBABILITY`."""
    critical = stats.t.ppf(0.975, freedom)

    def lack(n: float) -> float:
        other_side = np.nan_to_num(stats.nct.cdf(-critical, freedom, n))  # too small to be computed
        return stats.nct.sf(critical, freedom, n) + other_side - PROBABILITY

    return float(optimize.brentq(lack, 0.0, 10.0))


def told(comparison: Comparison, metric: str) -> str:
    """The comparison in words."""
    difference = comparison.difference
    lines = [
        f"{metric} AP, {side}: mean {each.value:.2f} (95% {_ends(each, '.2f')})"
        for side, each in comparison.sides.items()
    ]
    lines.append(
        f"{metric} AP, difference: {difference.value:+.2f} (95% {_ends(difference, '+.2f')}, "
        f"Welch), p = {comparison.p:.2f}; a test at 5% would find {comparison.found_difference:.2f} with a "
        "probability of 80%"
    )
    return "\n".join(lines)


def _ends(found: Estimate, form: str) -> str:
    return " to ".join(format(end, form) for end in found.interval or (math.nan, math.nan))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", choices=("smoke", "mini"), default="mini", help="the recipe and the world")
    parser.add_argument("--schedule", default="5x", help="such as 4x")
    parser.add_argument("--seeds", type=int, default=5, help="of each side, 2 or more")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, of one thread each")
    parser.add_argument(
        "--folder", type=Path, default=Path("results/against_detectron2"), help="kept results"
    )
    parser.add_argument("--train-images", type=int, help="instead of the scale's")
    parser.add_argument("--val-images", type=int, help="instead of the scale's")
    parser.add_argument(
        "--require",
        action="store_true",
        help=f"exit with 1 where the two differ, at 5%%, or either mean AP is below {LEAST_AP:g}",
    )
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error(f"--seeds {arguments.seeds}: expected 2 or more, whose spread is the measure")
    study = study_of(arguments.scale, arguments.schedule, arguments.seeds)
    run = runs_of(study, arguments.schedule)[0]
    settings = world_settings(study, arguments.train_images, arguments.val_images)
    compared = [run.recipe.model_dump_json(), run.schedule.model_dump_json(), settings.model_dump_json()]
    # What was kept of another recipe, schedule or world is not taken for this one's.
    folder = arguments.folder / hashlib.sha256("\n".join(compared).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    draw_once(settings, folder)
    train_missing(folder, arguments.scale, arguments.schedule, arguments.seeds, arguments.jobs)
    print(
        f"{run.recipe.label} from random init, {arguments.schedule} of {arguments.scale}: "
        f"{run.schedule.iterations} iterations of {run.recipe.batch} images, {arguments.seeds} seeds a side"
    )
    different = False
    for metric in METRICS:
        values = {
            side: [read_ap(folder, side, seed)[metric] for seed in range(arguments.seeds)] for side in SIDES
        }
        for side, each in values.items():
            print(f"{metric} AP, {side}, by seed:", *(f"{value:.2f}" for value in each))
        comparison = compare(*values.values())
        print(told(comparison, metric))
        different |= comparison.p < SIGNIFICANCE
        least = min(side.value for side in comparison.sides.values())
        different |= metric == "bbox" and least < LEAST_AP
    raise SystemExit(bool(arguments.require and different))


if __name__ == "__main__":
    main()
