"""What the parts of the kit share: the recipe, the pictures, what a row of the table says."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

import workflow_scripts.models  # noqa: F401 - makes detectron2 importable
from workflow_scripts.models.build import build, build_optimizer
from workflow_scripts.study.compiled.recipes import MODELS, Recipe, Training, detection_recipe
from workflow_scripts.study.configuration.config import read_config, read_scale
from workflow_scripts.study.configuration.scales import Scale
from workflow_scripts.training.draws import DrawsPerImage
from workflow_scripts.training.examples import Example, Examples, detection_examples
from workflow_scripts.training.loop import Loop
from workflow_scripts.training.processes import Processes, SampleCounts

WIDTH, HEIGHT = 640, 480
OBJECTS = 7
"""In a picture: about COCO's mean."""
CLASSES = 80


@dataclass(frozen=True)
class Row:
    """One line of the table: a number or a word, of a part of the kit."""

    part: str
    what: str
    value: float | str
    unit: str = ""

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else f"{self.value:.4g}"
        return f"{self.part:14}  {self.what:58}  {value} {self.unit}".rstrip()


@dataclass(frozen=True)
class Kit:
    """Where and how large; `found` are the rows of the parts before."""

    device: str
    small: bool
    folder: Path
    found: list[Row] = field(default_factory=list)

    @property
    def alone(self) -> Processes:
        """One process, on the device."""
        return Processes(0, 1, self.device)

    @property
    def scale(self) -> Scale:
        """The paper's numbers; `smoke`'s where all is small."""
        return read_scale(read_config({"scale": "smoke" if self.small else "paper", "experiments": ["fig1"]}))

    @property
    def recipe(self) -> Recipe:
        """Mask R-CNN with R50 GN from random initialisation, with two images, the share of one of the paper's GPUs."""
        training = Training(MODELS["R50_GN"], initialisation="random", pretraining="skip", seed=0)
        recipe = detection_recipe(training, self.scale)
        return recipe.model_copy(update={"batch": 2, "base_lr": recipe.base_lr * 2 / recipe.batch})

    @property
    def annotations(self) -> Path:
        """COCO's annotations of the drawn pictures."""
        return self.folder / "instances.json"

    @property
    def examples(self) -> Examples:
        """The drawn pictures to train on."""
        return detection_examples(self.recipe, self.annotations, self.folder)

    def batches(self, count: int) -> list[list[Example]]:
        """So many batches in memory, to time a step without its data."""
        examples, batch = self.examples, self.recipe.batch
        return [
            [
                examples[number, position, (number * batch + position) % len(examples)]
                for position in range(batch)
            ]
            for number in range(count)
        ]

    def sized(self, usual: int, small: int) -> int:
        """A count for the GPU, or for a test."""
        return small if self.small else usual

    def value(self, what: str) -> float | None:
        """What a part before found, if it did."""
        return next((float(row.value) for row in self.found if row.what == what), None)


def draw_pictures(folder: Path, count: int) -> None:
    """JPEGs of 640 x 480 with polygons on noise, and COCO's annotation file of them, a function of `count` alone."""
    generator = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        noise = generator.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        for _ in range(OBJECTS):
            annotations.append(_draw_object(picture, generator, len(annotations) + 1, number))
        name = f"{number:06d}.jpg"
        picture.save(folder / name, quality=90)
        images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
    categories = [{"id": number, "name": str(number)} for number in range(1, CLASSES + 1)]
    told = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(told))


def _draw_object(
    picture: Image.Image, generator: np.random.Generator, number: int, image: int
) -> dict[str, Any]:
    radius = generator.uniform(20, 120)
    x, y = generator.uniform(radius, WIDTH - radius), generator.uniform(radius, HEIGHT - radius)
    angles = np.sort(generator.uniform(0, 2 * np.pi, 16))
    radii = generator.uniform(0.6, 1, 16) * radius
    corners = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)
    ImageDraw.Draw(picture).polygon(corners.flatten().tolist(), fill=tuple(generator.integers(0, 256, 3)))
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return {
        "id": number,
        "image_id": image,
        "category_id": int(generator.integers(1, CLASSES + 1)),
        "iscrowd": 0,
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top) / 2,
        "segmentation": [corners.flatten().tolist()],
    }


def our_loop(kit: Kit, model: torch.nn.Module, batches: Any, rate: float) -> Loop:
    """This project's loop, as a training job makes it for one process; lines of metrics only at the end."""
    recipe = kit.recipe
    return Loop(
        model=model,
        optimizer=build_optimizer(recipe, model),
        batches=batches,
        rate=lambda iteration: rate,
        draws=DrawsPerImage(model, recipe.seed),
        counts=SampleCounts(model),
        batch=recipe.batch,
        processes=kit.alone,
        log_period=1_000_000,
    )


def go(loop: Loop, start: int, stop: int) -> dict[str, Any]:
    """Train from `start` to `stop`; the line of metrics."""
    lines: list[dict[str, Any]] = []
    loop.train(start, stop, frozenset(), lambda line, _: lines.append(line), _nothing, lambda _: False)
    return lines[-1]


def _nothing(iteration: int, leaving: bool) -> None:
    """No state is saved."""


def new_model(kit: Kit) -> torch.nn.Module:
    """The recipe's model on the device."""
    return build(kit.recipe, CLASSES, kit.device)


def wait(device: str) -> None:
    """Until the GPU has done all that was asked of it."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def as_json(rows: list[Row]) -> str:
    """The rows, for a machine to read."""
    return json.dumps([asdict(row) for row in rows], indent=1)


Rows = Iterator[Row]
