"""Scenes of several things that hide one another, and pictures of a single thing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workflow_scripts.data.world.painting import (
    Canvas,
    Patch,
    background,
    develop,
    lay,
    overlap,
    paint,
    random_corner,
)
from workflow_scripts.data.world.people import person
from workflow_scripts.data.world.vocabulary import CATEGORIES, CLASSES, Category, thing

# The first part of every image's random seed after the world's own: never reorder.
SPLITS = (
    "train",
    "val",
    "classification_train",
    "classification_val",
    "voc_2007_trainval",
    "voc_2012_train",
    "voc_2012_val",
)

EMPTY_SHARE = 0.03
GREY_SHARE = 0.02
CROWD_SHARE = 0.05
THINGS = (3, 7)
# Sizes as fractions of the picture's side, drawn log-uniformly: more small things than large ones.
THING_SIZES = (0.14, 0.55)
PERSON_SIZES = (0.26, 0.8)
CROWD_SIZES = (0.08, 0.13)
PERSON_CROWD_SIZES = (0.14, 0.2)
# A thing stays in the scene only if so much of it can be seen.
LEAST_VISIBLE_SHARE = 0.5
LEAST_VISIBLE_AREA = 0.0025
# People smaller than this share of the picture carry no keypoints, as in COCO.
LEAST_KEYPOINT_AREA = 0.008


@dataclass
class Instance:
    """One thing, or one crowd, in a scene of [size, size] pixels.

    `visible`: how much of each pixel it covers after occlusion, [size, size] in 0..1; over all instances of a
    scene these sum to at most 1. `whole`: its covered area before anything hid it, in pixels.
    `keypoints`: [17, 3] of x, y (whole pixels) and COCO's visibility 0 | 1 | 2; None unless a person.
    """

    category: Category
    visible: NDArray[np.float32]
    whole: float
    crowd: bool = False
    keypoints: NDArray[np.int64] | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The pixels that count as this instance: those it covers by more than half."""
        return self.visible > 0.5


@dataclass(frozen=True)
class Scene:
    image: Image.Image
    instances: list[Instance]


def generator(seed: int, split: str, *number: int) -> np.random.Generator:
    """The random stream of one picture: a function of seed, split and the picture's number alone."""
    return np.random.default_rng([seed, SPLITS.index(split), *number])


def draw_scene(
    rng: np.random.Generator,
    size: int,
    things: tuple[int, int] = THINGS,
    categories: Sequence[Category] = CATEGORIES,
    crowd_share: float = CROWD_SHARE,
) -> Scene:
    """Draw a scene of [size, size] pixels; at times an empty or a grey picture.

    `things`: least and most of them, of `categories` by their weights; `crowd_share`: of pictures with a crowd.
    """
    empty, grey, crowded = rng.random(3) < [EMPTY_SHARE, GREY_SHARE, crowd_share]
    canvas = background(size, int(rng.integers(5, 11)), rng)
    instances: list[Instance] = []
    if not empty:
        if crowded:
            _add_crowd(canvas, instances, categories, rng)
        for _ in range(int(rng.integers(things[0], things[1] + 1))):
            _add_thing(canvas, instances, categories, rng)
    for instance in instances:
        _settle_keypoints(instance)
    return Scene(develop(canvas, rng, bool(grey)), instances)


def draw_classification_picture(rng: np.random.Generator, class_index: int, size: int) -> Image.Image:
    """Draw a picture [size, size] of one thing, of class `CLASSES[class_index]`, on a cluttered ground."""
    pattern_name, shape = CLASSES[class_index]
    canvas = background(size, int(rng.integers(2, 6)), rng)
    figure_size = size * rng.uniform(0.35, 0.85)
    patch = paint(thing(shape, pattern_name, rng), figure_size, rng.uniform(-40, 40), rng)
    lay(canvas, patch, random_corner(patch, size, rng, margin=0.4))
    return develop(canvas, rng)


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(bounds))))


def _any_of(categories: Sequence[Category], rng: np.random.Generator) -> Category:
    weights = np.array([category.weight for category in categories])
    return categories[rng.choice(len(categories), p=weights / weights.sum())]


def _add_thing(
    canvas: Canvas, instances: list[Instance], categories: Sequence[Category], rng: np.random.Generator
) -> None:
    """Add one thing in front of the others, if a place is found that leaves each of them visible enough."""
    size = canvas.shape[0]
    category = _any_of(categories, rng)
    patch = _figure(category, size, (THING_SIZES, PERSON_SIZES), rng)
    whole = float(patch.coverage.sum())
    for _ in range(10):
        corner = random_corner(patch, size, rng, margin=0.3)
        visible = np.zeros((size, size), dtype=np.float32)
        on_canvas, on_patch = overlap(patch, corner, size)
        visible[on_canvas] = patch.coverage[on_patch]
        newcomer = Instance(category, visible, whole)
        if not _enough(newcomer.visible, whole):
            continue
        remaining = [instance.visible * (1 - visible) for instance in instances]
        if all(_enough(left, other.whole) for left, other in zip(remaining, instances, strict=True)):
            break
    else:
        return
    for other, left in zip(instances, remaining, strict=True):
        other.visible = left
    if patch.keypoints is not None:
        newcomer.keypoints = np.floor(patch.keypoints + np.array([*corner, 0])).astype(int)
    lay(canvas, patch, corner)
    instances.append(newcomer)


def _figure(
    category: Category,
    size: int,
    bounds: tuple[tuple[float, float], tuple[float, float]],
    rng: np.random.Generator,
) -> Patch:
    """Paint one of a category, its size within the bounds for (things, people)."""
    is_person = category.name == "person"
    figure = person(rng) if is_person else thing(category.shape, category.pattern, rng)
    angle = rng.uniform(-25, 25) if is_person else rng.uniform(-40, 40)
    return paint(figure, size * _log_uniform(rng, bounds[is_person]), angle, rng)


def _add_crowd(
    canvas: Canvas, instances: list[Instance], categories: Sequence[Category], rng: np.random.Generator
) -> None:
    """Add a dense group of small things of one category, annotated as one."""
    size = canvas.shape[0]
    category = _any_of(categories, rng)
    visible = np.zeros((size, size), dtype=np.float32)
    centre, spread = rng.uniform(0.25 * size, 0.75 * size, 2), 0.11 * size
    for offset in rng.normal(0, spread, (int(rng.integers(9, 16)), 2)):
        patch = _figure(category, size, (CROWD_SIZES, PERSON_CROWD_SIZES), rng)
        x, y = centre + np.clip(offset, -2 * spread, 2 * spread) - np.array(patch.coverage.shape[::-1]) / 2
        corner = (int(x), int(y))
        on_canvas, on_patch = overlap(patch, corner, size)
        visible[on_canvas] += (1 - visible[on_canvas]) * patch.coverage[on_patch]
        lay(canvas, patch, corner)
    keypoints = np.zeros((17, 3), dtype=int) if category.name == "person" else None
    instances.append(Instance(category, visible, float(visible.sum()), crowd=True, keypoints=keypoints))


def _enough(visible: NDArray[np.float32], whole: float) -> bool:
    area = int((visible > 0.5).sum())
    return area >= max(LEAST_VISIBLE_SHARE * whole, LEAST_VISIBLE_AREA * visible.size)


def _settle_keypoints(instance: Instance) -> None:
    """Final visibility once everything is placed: 0 outside the picture, 1 hidden by something, 2 seen."""
    if instance.keypoints is None:
        return
    mask, keypoints = instance.mask, instance.keypoints
    size = mask.shape[0]
    inside = ((keypoints[:, :2] >= 0) & (keypoints[:, :2] < size)).all(axis=1)
    if mask.sum() < LEAST_KEYPOINT_AREA * mask.size or instance.crowd:
        inside[:] = False
    keypoints[~inside] = 0
    hidden = inside & ~mask[keypoints[:, 1], keypoints[:, 0]]
    keypoints[hidden, 2] = 1
