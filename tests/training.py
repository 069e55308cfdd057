"""A tiny world and recipe to train on in seconds, and the training command as a job runs it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.data.world import coco_layout
from workflow_scripts.data.world.__main__ import draw_world
from workflow_scripts.data.world.settings import Settings
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.schedules import Decay
from workflow_scripts.study.compiled.segments import Segment

REPOSITORY = Path(__file__).parents[1]
MARGINS = ((0, 0), (30, 0), (0, 24), (44, 0), (0, 50))
"""By which `mixed_sizes` enlarges pictures in turn: right and below, in pixels."""


@dataclass(frozen=True)
class TinyWorld:
    """Where a drawn world lies, and which of its annotation files are used."""

    folder: Path
    name: str = "instances"

    @property
    def annotations(self) -> Path:
        return self.folder / f"coco/annotations/{self.name}_train.json"

    @property
    def images(self) -> Path:
        return self.folder / "coco/train"

    @property
    def val_annotations(self) -> Path:
        return self.folder / f"coco/annotations/{self.name}_val.json"

    @property
    def val_images(self) -> Path:
        return self.folder / "coco/val"


def tiny_world(folder: Path, annotations: str = "instances") -> TinyWorld:
    """Fourteen scenes of 48 pixels to train on, four to evaluate, and a few pictures to classify."""
    settings = Settings(
        image_size=48,
        train_images=14,
        val_images=4,
        voc_train_images=2,
        voc_val_images=1,
        classification_image_size=32,
        classification_images_per_class=1,
        classification_val_images_per_class=1,
    )
    draw_world(settings, folder)
    return TinyWorld(folder, annotations)


def mixed_sizes(world: TinyWorld, times: int = 1) -> None:
    """Make a world's pictures square, wide and high in turn, by grey ground beside or below what they show, and then so
    many times as large. Category ids become others, in the opposite order.
    """
    for path in (world.folder / "coco/annotations").glob("*.json"):
        content = json.loads(path.read_text())
        for number, image in enumerate(content["images"]):
            right, below = MARGINS[number % len(MARGINS)]
            image["width"], image["height"] = (
                times * (image["width"] + right),
                times * (image["height"] + below),
            )
            if path.name.startswith("instances"):  # the other files name the same pictures
                _enlarge(world.folder / "coco" / path.stem.split("_")[-1] / image["file_name"], image, times)
        for category in content["categories"]:
            category["id"] = 90 - 5 * category["id"]
        sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
        for annotation in content["annotations"]:
            _enlarge_annotation(annotation, sizes[annotation["image_id"]], times)
        path.write_text(json.dumps(content))


def _enlarge(path: Path, record: dict, times: int) -> None:
    with Image.open(path) as picture:
        wider = Image.new("RGB", (record["width"], record["height"]), (90, 110, 70))
        wider.paste(picture.resize((times * picture.width, times * picture.height)), (0, 0))
    wider.save(path, quality=95)


def _enlarge_annotation(annotation: dict, size: tuple[int, int], times: int) -> None:
    annotation["category_id"] = 90 - 5 * annotation["category_id"]
    annotation["area"] *= times**2
    annotation["bbox"] = [times * value for value in annotation["bbox"]]
    if "keypoints" in annotation:
        points = np.array(annotation["keypoints"]).reshape(-1, 3) * [times, times, 1]
        annotation["keypoints"] = points.ravel().tolist()
    if annotation["iscrowd"]:
        rows, columns = annotation["segmentation"]["size"]
        counts = annotation["segmentation"]["counts"]
        shown = np.repeat(np.arange(len(counts)) % 2, counts).reshape(columns, rows).T
        mask = np.zeros(size, dtype=bool)
        mask[: times * rows, : times * columns] = np.kron(shown, np.ones((times, times)))
        annotation["segmentation"] = coco_layout.run_lengths(mask)
    else:
        polygons = annotation["segmentation"]
        annotation["segmentation"] = [[times * value for value in polygon] for polygon in polygons]


def tiny_recipe(task: str = "detection", experiment: str = "fig1", **changes: object) -> Recipe:
    """The smoke scale's recipe on pictures of two sizes, so that augmentation draws something to draw."""
    study = compile_study({"scale": "smoke", "experiments": [experiment]})
    recipe = study.needed_runs([experiment])[0].recipe
    if task == "classification":
        recipe = study.recipes["classification-R50_GN"]
    sides = {"image_sides": (40, 48), "longest_side": 64} if task == "detection" else {}
    return recipe.model_copy(update={**sides, "batch": 4, **changes})


def segment(
    start: int, stop: int, drops: tuple[int, ...] = (), evaluations: tuple[int, ...] = (), after: int = 0
) -> Segment:
    """A segment with the given drops, whatever a schedule would make of it; its parent starts at `after`."""
    return Segment(
        recipe="tiny",
        stage="tail" if drops else "trunk",
        start=start,
        stop=stop,
        decay=Decay(kind="steps", drops=drops),
        parent=("tiny", f"trunk-{after}-{start}") if start else None,
        evaluations=evaluations,
    )


def training_command(
    folder: Path, recipe: Recipe, part: Segment, world: TinyWorld, *options: str
) -> list[str]:
    """The command of one training job that writes into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe_file = folder / "recipe.json"
    recipe_file.write_text(recipe.model_dump_json())
    paths = {
        "--recipe": recipe_file,
        "--segment": part.model_dump_json(),
        "--annotations": world.annotations,
        "--images": world.images,
        "--progress": folder / "progress",
        "--state": folder / "state.safetensors",
        "--metrics": folder / "metrics.jsonl",
        "--checkpoints": folder / "checkpoints",
    }
    words = [str(word) for pair in paths.items() for word in pair]
    return [sys.executable, "-m", "workflow_scripts.training.train", *words, *options]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the project to its end."""
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)


def run_here(command: list[str]) -> None:
    """The training command in this process, which has torch: what it raises is the caller's."""
    from workflow_scripts.training import train  # torch, which other users of this module can do without

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command[2:])
        train.main()


def metrics(folder: Path) -> list[dict]:
    """The lines of metrics that a job wrote."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
