"""Trainings as detectron2's users know them: a folder a run, with `config.yaml` and TensorBoard's events.

    python -m workflow_scripts.training.for_detectron2 --runs '{"runs": [...]}' --output results/mini/detectron2
    tensorboard --logdir results/mini/detectron2

It reads what trainings and evaluations left, so it costs no training anything. A run's events are one file, from its
first iteration to its last, whatever segments and jobs it was trained in. Iterations are counted from 0, and scalars
named, as detectron2 does both.
"""

import argparse
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from detectron2.config import CfgNode
from detectron2.modeling import BACKBONE_REGISTRY, ROI_BOX_HEAD_REGISTRY, ROI_HEADS_REGISTRY
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter

from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.models import build  # noqa: F401 - registers this project's backbones and heads
from workflow_scripts.models.config import detectron2_config
from workflow_scripts.study.compiled.reading import read_recipe
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.schedules import Schedule

EVENTS = "events.out.tfevents.0"
"""TensorBoard reads what has `tfevents` in its name; that detectron2 adds the time and the machine is left out."""
VERSION = "brain.Event:2"
NAMES = {"loss": "total_loss", "learning_rate": "lr"}
"""detectron2's names of what a line of metrics calls otherwise; those of single losses are the same."""
REGISTERED = {
    "BACKBONE": BACKBONE_REGISTRY,
    "ROI_HEADS": ROI_HEADS_REGISTRY,
    "ROI_BOX_HEAD": ROI_BOX_HEAD_REGISTRY,
}
OURS = "workflow_scripts."

Scalars = dict[str, float]


class Exported(msgspec.Struct, frozen=True):
    """A run: files of its recipe, of its training set's manifest, and of its segments, first to last.

    A classifier has neither a schedule nor a manifest.
    """

    recipe: str
    schedule: dict[str, Any] | None
    manifest: str | None
    metrics: list[str]
    evaluations: list[str]


def run_config(recipe: Recipe, schedule: Schedule, num_classes: int, mask_format: str = "polygon") -> CfgNode:
    """The configuration that detectron2 builds the run's model and optimiser from, for any device.

    `mask_format`: how the training set's masks are learned, as `data/mask_format.py` says.
    It lacks data sets and weights, which detectron2 knows by names of its own.
    """
    config = detectron2_config(recipe, num_classes).clone()
    config.defrost()
    config.INPUT.MASK_FORMAT = mask_format
    solver = config.SOLVER
    solver.IMS_PER_BATCH, solver.MAX_ITER = recipe.batch, schedule.iterations
    solver.STEPS, solver.GAMMA = (schedule.first_drop, schedule.second_drop), recipe.decay_factor
    solver.BASE_LR, solver.MOMENTUM = recipe.base_lr, recipe.momentum
    solver.WEIGHT_DECAY, solver.WEIGHT_DECAY_NORM = recipe.weight_decay, 0.0
    solver.WARMUP_ITERS, solver.WARMUP_FACTOR = recipe.warmup.iterations, recipe.warmup.factor
    if recipe.backbone != "VGG-16":
        del config.MODEL["VGG"]  # a key that detectron2 does not have
    config.freeze()
    return config


def as_yaml(config: CfgNode) -> str:
    """The configuration as `detectron2.config.get_cfg().merge_from_file` reads it, headed by what that needs."""
    ours = [
        f"MODEL.{part}.NAME"
        for part, registry in REGISTERED.items()
        if registry.get(config.MODEL[part].NAME).__module__.startswith(OURS)
    ]
    head = ["# Read by detectron2.config.get_cfg().merge_from_file. Data sets and weights are to be named."]
    if ours:
        head += [
            f"# First `import workflow_scripts.models.build`: it registers what is named by {' and '.join(ours)}."
        ]
    if "VGG" in config.MODEL:
        head += ["# And on what get_cfg() gives: `workflow_scripts.models.vgg.add_vgg_config`."]
    return "\n".join([*head, config.dump()])


def scalars(metrics: Iterable[Path], evaluations: Iterable[Path]) -> list[tuple[int, Scalars]]:
    """Each iteration, from 0, at which something was measured, with its scalars by detectron2's names, in order.

    metrics: lines of metrics of a run's segments. evaluations: their metrics on the validation images, in percent.
    """
    found: dict[int, Scalars] = {}
    for path in metrics:
        for line in path.read_text().splitlines():
            values = json.loads(line)
            found.setdefault(values["iteration"] - 1, {}).update(_trained(values))
    for path in evaluations:
        for checkpoint in json.loads(path.read_bytes())["checkpoints"]:
            found.setdefault(checkpoint["iteration"] - 1, {}).update(_evaluated(checkpoint["metrics"]))
    return [
        (iteration, {name: value for name, value in values.items() if math.isfinite(value)})
        for iteration, values in sorted(found.items())
    ]


def _trained(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in line.items():
        if name.startswith("loss") or name in NAMES:
            yield NAMES.get(name, name), float(value)


def _evaluated(metrics: dict[str, dict[str, Any]]) -> Iterator[tuple[str, float]]:
    for iou_type, values in metrics.items():
        for name, value in values.items():
            # Of each category detectron2 tells AP alone.
            parts = (
                {f"AP-{category}": ap for category, ap in value.items()}
                if isinstance(value, dict)
                else {name: value}
            )
            yield from (
                (f"{iou_type}/{part}", number) for part, number in parts.items() if number is not None
            )


def write_events(path: Path, found: Sequence[tuple[int, Scalars]]) -> None:
    """Write scalars as a file of TensorBoard's events, the same bytes for the same scalars."""
    with write_atomically(path) as temporary:
        writer = RecordWriter(str(temporary))
        writer.write(Event(file_version=VERSION).SerializeToString())
        for iteration, values in found:
            told = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
            writer.write(Event(step=iteration, summary=Summary(value=told)).SerializeToString())
        writer.close()


def export(run: Exported, output: Path) -> None:
    """Write a run's folder `<recipe>/<schedule>` below `output`; a classifier's, `<recipe>`, has events alone."""
    recipe = read_recipe(Path(run.recipe))
    folder = output / recipe.name
    if run.schedule is not None and run.manifest is not None:
        schedule = Schedule(**run.schedule)
        folder /= schedule.name
        manifest = json.loads(Path(run.manifest).read_bytes())
        config = run_config(
            recipe, schedule, len(manifest["categories"]), manifest.get("mask_format", "polygon")
        )
        with write_atomically(folder / "config.yaml") as temporary:
            temporary.write_text(as_yaml(config))
    write_events(folder / EVENTS, scalars(map(Path, run.metrics), map(Path, run.evaluations)))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", required=True, help="the runs and their files, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="output: a folder, with one a run in it")
    arguments = parser.parse_args()
    runs = msgspec.convert(json.loads(arguments.runs)["runs"], list[Exported])
    for run in runs:
        export(run, arguments.output)
    print(f"{arguments.output}: {len(runs)} runs; tensorboard --logdir {arguments.output}")


if __name__ == "__main__":
    job(main)
