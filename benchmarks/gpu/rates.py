"""Images a second: of the loader against what a step needs, and of detection."""

import json
import time
from pathlib import Path

from benchmarks.gpu.kit import Kit, Row, Rows, new_model
from benchmarks.gpu.steps import AS_TRAINED
from workflow_scripts.evaluation.detect import Augmentation, detect
from workflow_scripts.models.tensors import save_tensors
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.segment import training_batches

LIKELY = 3
"""Classes that the untrained detector finds everywhere, above the usual threshold: 100 detections an image."""


def loading(kit: Kit) -> Rows:
    """Images a second that one training process loads from JPEGs on a disk that keeps them in memory."""
    examples, recipe = kit.examples, kit.recipe
    for workers in (1,) if kit.small else (1, 4, 8):
        batches = kit.sized(60, 2) * workers
        numbers = TrainingNumbers(log_period=1, save_period=1, workers=workers)
        given = training_batches(recipe, examples, numbers, kit.alone, 0, 3 * workers + batches)
        for _ in range(3 * workers):  # the first come from the start of all workers, and what they have ready
            next(given)
        began = time.perf_counter()
        count = sum(len(batch) for batch in given)
        yield Row("loader", f"{workers} workers", count / (time.perf_counter() - began), "images/s")
    seconds = kit.value(f"{AS_TRAINED}: ours")
    if seconds is not None:
        yield Row("loader", "needed by a step as trained", recipe.batch / seconds, "images/s")


def detecting(kit: Kit) -> Rows:
    """Images a second of `detect`: reading, network, masks and their codes, without building and loading a model."""
    yield from _rate(kit, "single scale", kit.sized(8, 1), kit.sized(56, 3), None)


def augmented(kit: Kit) -> Rows:
    """The same at the paper's sides and mirrored."""
    numbers = kit.scale.test_aug
    augmentation = Augmentation(numbers.image_sides, numbers.longest_side)
    yield from _rate(kit, f"test aug, {numbers.versions} versions", 1, kit.sized(5, 2), augmentation)


def _rate(kit: Kit, what: str, few: int, many: int, augmentation: Augmentation | None) -> Rows:
    weights = kit.folder / "detector.safetensors"
    if not weights.exists():
        _untrained(kit, weights)
    _detect(kit.recipe, kit, weights, few, augmentation)  # warms up
    (small, _), (large, found) = (
        _detect(kit.recipe, kit, weights, count, augmentation) for count in (few, many)
    )
    yield Row("detection", what, (many - few) / (large - small), "images/s")
    yield Row("detection", f"{what}: detections", found / many, "an image")


def _untrained(kit: Kit, path: Path) -> None:
    weights = new_model(kit).state_dict()
    weights["roi_heads.box_predictor.cls_score.bias"][:LIKELY] = 3.0
    save_tensors(path, weights, {})


def _detect(
    recipe: Recipe, kit: Kit, weights: Path, count: int, augmentation: Augmentation | None
) -> tuple[float, int]:
    """Seconds for the first `count` images, and how many detections there were."""
    told = json.loads(kit.annotations.read_text())
    part = kit.folder / f"first-{count}.json"
    part.write_text(json.dumps({**told, "images": told["images"][:count], "annotations": []}))
    began = time.perf_counter()
    results = detect(recipe, weights, part, kit.folder, kit.device, augmentation)
    return time.perf_counter() - began, len(results)
