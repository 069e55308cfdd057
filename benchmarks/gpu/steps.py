"""A training step against that of detectron2's plain loop, and where its time goes."""

import gc
import itertools
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from detectron2.engine import SimpleTrainer
from detectron2.solver import build_lr_scheduler
from detectron2.solver import build_optimizer as their_optimizer
from detectron2.utils.events import EventStorage
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.kit import CLASSES, Kit, Row, Rows, go, new_model, our_loop, wait
from workflow_scripts.models.config import detectron2_config
from workflow_scripts.models.devices import fix_arithmetic
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.draws import DrawsPerImage
from workflow_scripts.training.segment import training_batches

AS_TRAINED = "as trained"
PRECISIONS = ("fp32", AS_TRAINED, "bf16 autocast")
"""Full fp32 everywhere; TF32 in convolutions, where the GPU has it; and what no recipe uses."""
SAME = 0.01
"""Relative difference of two first losses that are taken for the same work's."""
GROUPS = {
    "convolution": "conv",
    "normalisation": "group_norm|batch_norm",
    "RoIAlign": "roi_align",
    "NMS": "nms",
    "matrix products": "addmm|aten::mm$|linear|bmm",
    "optimiser": "sgd",
    "copies": "copy_",
}
"""Operators, by what is found in their names; the first that fits counts."""


@contextmanager
def arithmetic(precision: str, device: str) -> Iterator[Callable[[nn.Module], None]]:
    """Compute in a precision; gives what prepares a model for it."""
    fix_arithmetic()
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    try:
        yield partial(_autocast, device) if precision == "bf16 autocast" else _as_it_is
    finally:
        fix_arithmetic()


def _as_it_is(model: nn.Module) -> None:
    """Nothing to prepare."""


def _autocast(device: str, model: nn.Module) -> None:
    model.forward = torch.autocast(device.partition(":")[0], torch.bfloat16)(model.forward)  # type: ignore[method-assign]


def step_times(precision: str, kit: Kit) -> Rows:
    """Seconds a step and peak memory, ours and detectron2's, on the same batches in memory, from the same weights."""
    warm, steps = kit.sized(5, 1), kit.sized(20, 2)
    batches = kit.batches(kit.sized(8, 2))
    with arithmetic(precision, kit.device) as prepare:
        found = {}
        for name, side in (("ours", ours), ("detectron2's", detectron2s)):
            if kit.device != "cpu":
                gc.collect()  # a model whose draws are seeded refers to itself
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            train = side(kit, prepare, batches)
            first = train(1)
            train(warm)
            wait(kit.device)
            began = time.perf_counter()
            train(steps)
            wait(kit.device)
            found[name] = (time.perf_counter() - began) / steps, first
            yield Row("step", f"{precision}: {name}", found[name][0], "s")
            if kit.device != "cpu":
                peak = torch.cuda.max_memory_allocated() / 2**30
                yield Row("step", f"{precision}: {name}, peak memory", peak, "GiB")
            del train
    (mine, first), (theirs, other) = found["ours"], found["detectron2's"]
    yield Row("step", f"{precision}: detectron2's time by ours", theirs / mine)
    difference = relative_difference(first, other)
    yield Row("step", f"{precision}: first losses, largest relative difference", difference)
    if difference > SAME:
        raise RuntimeError(f"the first losses differ: ours are {first}, detectron2's {other}")


def relative_difference(losses: dict[str, float], others: dict[str, float]) -> float:
    """The largest, of losses of the same names.

    Raises:
        RuntimeError: the names differ.
    """
    if losses.keys() != others.keys() or not losses:
        raise RuntimeError(f"the losses differ: ours are {sorted(losses)}, the others' {sorted(others)}")
    return max(abs(losses[name] - others[name]) / max(abs(others[name]), 1e-9) for name in losses)


Train = Callable[[int], dict[str, float]]
"""Trains a number of steps; the losses of the last, or their mean."""


def ours(kit: Kit, prepare: Callable[[nn.Module], None], batches: list) -> Train:
    """This project's loop."""
    model = new_model(kit)
    prepare(model)
    loop = our_loop(kit, model, batches, rate=kit.recipe.base_lr * kit.recipe.warmup.factor)
    given = itertools.cycle(batches)
    done = 0

    def train(steps: int) -> dict[str, float]:
        nonlocal done
        loop.batches = itertools.islice(given, steps)
        line = go(loop, done, done + steps)
        done += steps
        return {name: value for name, value in line.items() if name.startswith("loss_")}

    return train


def detectron2s(kit: Kit, prepare: Callable[[nn.Module], None], batches: list) -> Train:
    """The loop of detectron2's `plain_train_net`: its trainer, optimizer and scheduler.

    Only the first step's draws are seeded as ours are, so that its losses can be compared.
    """
    config = their_config(kit)
    model = new_model(kit)
    prepare(model)
    optimizer = their_optimizer(config, model)
    scheduler = build_lr_scheduler(config, optimizer)
    trainer = SimpleTrainer(model, itertools.cycle(batches), optimizer)
    DrawsPerImage(model, kit.recipe.seed).begin(0, 0)

    def train(steps: int) -> dict[str, float]:
        with EventStorage(0) as trainer.storage:
            for _ in range(steps):
                trainer.run_step()
                trainer.storage.step()
                scheduler.step()
        latest = trainer.storage.latest()
        return {name: value for name, (value, _) in latest.items() if name.startswith("loss_")}

    return train


def their_config(kit: Kit) -> Any:
    """The recipe for detectron2's optimizer and scheduler, whose warm-up is the recipe's."""
    recipe = kit.recipe
    config = detectron2_config(recipe, CLASSES, kit.device).clone()
    config.defrost()
    config.SOLVER.BASE_LR, config.SOLVER.MOMENTUM = recipe.base_lr, recipe.momentum
    config.SOLVER.WEIGHT_DECAY, config.SOLVER.WEIGHT_DECAY_NORM = recipe.weight_decay, 0.0
    config.SOLVER.WARMUP_ITERS, config.SOLVER.WARMUP_FACTOR = recipe.warmup.iterations, recipe.warmup.factor
    config.SOLVER.STEPS, config.SOLVER.MAX_ITER = (), 90_000
    return config


def where_time_goes(kit: Kit) -> Rows:
    """Time of operators on the device by group, of steps with their data, and how long steps wait for data."""
    fix_arithmetic()
    warm, steps = kit.sized(5, 1), kit.sized(10, 1)
    workers = kit.sized(4, 0)
    numbers = TrainingNumbers(log_period=1, save_period=1, workers=workers)
    waited: list[float] = []
    given = training_batches(kit.recipe, kit.examples, numbers, kit.alone, 0, warm + steps)
    model = new_model(kit)
    loop = our_loop(kit, model, (), rate=kit.recipe.base_lr * kit.recipe.warmup.factor)
    loop.batches = timed(given, warm, waited)
    go(loop, 0, warm)
    on_gpu = kit.device != "cpu"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    waited.clear()
    wait(kit.device)
    loop.batches = timed(given, steps, waited)
    with profile(activities=activities) as profiler:
        began = time.perf_counter()
        go(loop, warm, warm + steps)
        wait(kit.device)
        seconds = time.perf_counter() - began
    times = Counter[str]()
    for event in profiler.key_averages():
        if event.device_type == DeviceType.CPU:  # kernels count with the operator that started them
            times[group_of(event.key)] += (
                event.self_device_time_total if on_gpu else event.self_cpu_time_total
            )
    total = times.total()
    for name, microseconds in times.most_common():
        yield Row("time", name, 100 * microseconds / total, "% of the device's time")
    yield Row("time", "the device is busy", 100 * total / 1e6 / seconds, "% of a step, profiled")
    yield Row(
        "time", f"waiting for data, {workers} workers", 100 * sum(waited) / seconds, "% of a step, profiled"
    )


def timed(batches: Iterator, count: int, seconds: list[float]) -> Iterator:
    """The next batches, with the seconds that each was waited for."""
    for _ in range(count):
        began = time.perf_counter()
        batch = next(batches)
        seconds.append(time.perf_counter() - began)
        yield batch


def group_of(operator: str) -> str:
    """The group of an operator: `convolution` of `aten::convolution_backward`."""
    return next((group for group, names in GROUPS.items() if re.search(names, operator.lower())), "the rest")
