"""What the miniature world is made of: outlines, patterns and the colours that fill them.

Geometry lives in the *figure frame*: x to the right, y down, everything within [-1, 1]; one unit is half the
size of the figure in pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Pattern = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.bool_]]
Outlines = list[tuple[Points, int]]

# What an outline is filled with: an index into `Figure.colours`.
HOLE, BODY, PART, DETAIL = 0, 1, 2, 3


@dataclass(frozen=True)
class Figure:
    """Something that can be painted.

    `outlines`: polygons [n, 2] in the figure frame with their fill, painted in order.
    `colours`: [fills, 2, 3], 0..255; the pattern chooses between the two colours of a fill.
    `keypoints`: [17, 3], x and y in the figure frame and COCO's visibility: 2 seen, 1 hidden by the figure
    itself; None for everything but people.
    """

    outlines: Outlines
    colours: NDArray[np.uint8]
    pattern: Pattern | None = None
    keypoints: Points | None = None


def _arc(start: float, stop: float, points: int = 33) -> Points:
    angles = np.radians(np.linspace(start, stop, points))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


_CIRCLE = _arc(0, 360)
_HALF_CIRCLE = _arc(90, 270, 9)


def polygon(*points: tuple[float, float]) -> Points:
    return np.array(points, dtype=np.float64)


def ellipse(
    x: float, y: float, width: float, height: float, start: float = 0.0, stop: float = 360.0
) -> Points:
    """An ellipse (or the slice from `start` to `stop`, in degrees) around (x, y) with the given half axes."""
    circle = _CIRCLE if stop - start == 360 else _arc(start, stop)
    return circle * [width, height] + [x, y]


def capsules(starts: Points, ends: Points, radii: Points) -> Points:
    """Limbs [n, 18, 2]: thick lines with round ends, between points [n, 2], `radii` [n, 2] at either end."""
    direction = ends - starts
    direction /= np.hypot(direction[:, 0], direction[:, 1])[:, None]
    along, beside = direction[:, None, :], (direction[:, ::-1] * [-1, 1])[:, None, :]
    cap = _HALF_CIRCLE[:, :1] * along + _HALF_CIRCLE[:, 1:] * beside
    near = starts[:, None] + radii[:, :1, None] * cap
    far = ends[:, None] - radii[:, 1:, None] * cap
    return np.concatenate([near, far], axis=1)


def radial(radii: Points | list[float]) -> Points:
    """A closed outline from radii at equal angles, the first one upwards."""
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False) - np.pi / 2
    return np.asarray(radii)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _heart() -> Points:
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x / 17, -(y + 2.5) / 15.5], axis=1)


def _crescent() -> Points:
    outer = ellipse(0, 0, 1, 1, 55, 305)
    inner = ellipse(0.38, 0, 0.75, 0.82, 285, 75)
    return np.concatenate([outer, inner])


def _cross() -> Points:
    arm = 0.33
    corner = polygon((-arm, -1), (arm, -1), (arm, -arm))
    quarter = np.array([[0, 1], [-1, 0]])
    return np.concatenate([corner @ np.linalg.matrix_power(quarter, turn) for turn in range(4)])


SHAPES: dict[str, Outlines] = {
    "disc": [(ellipse(0, 0, 0.95, 0.95), BODY)],
    "ring": [(ellipse(0, 0, 1, 1), BODY), (ellipse(0, 0, 0.5, 0.5), HOLE)],
    "star": [(radial([1.05, 0.46] * 5), BODY)],
    "square": [(polygon((-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)), BODY)],
    "kite": [(polygon((0, -1.05), (0.72, -0.25), (0, 1.05), (-0.72, -0.25)), BODY)],
    "fish": [
        (polygon((0.35, 0), (1.05, -0.6), (0.88, 0), (1.05, 0.6)), PART),
        (ellipse(-0.2, 0, 0.82, 0.55), BODY),
        (ellipse(-0.65, -0.12, 0.11, 0.11), DETAIL),
    ],
    "mushroom": [
        (polygon((-0.24, -0.1), (0.24, -0.1), (0.34, 0.95), (-0.34, 0.95)), PART),
        (ellipse(0, 0.08, 1, 1, 180, 360), BODY),
    ],
    "mug": [
        (ellipse(0.45, 0, 0.6, 0.52), PART),
        (ellipse(0.5, 0, 0.3, 0.27), HOLE),
        (polygon((-0.95, -0.85), (0.42, -0.85), (0.34, 0.85), (-0.87, 0.85)), BODY),
    ],
    "heart": [(_heart(), BODY)],
    "crescent": [(_crescent(), BODY)],
    "triangle": [(polygon((0, -0.95), (0.98, 0.8), (-0.98, 0.8)), BODY)],
    "cross": [(_cross(), BODY)],
    "arrow": [
        (
            polygon((0, -1), (0.85, -0.1), (0.32, -0.1), (0.32, 1), (-0.32, 1), (-0.32, -0.1), (-0.85, -0.1)),
            BODY,
        )
    ],
    "house": [
        (polygon((-0.75, -0.15), (0.75, -0.15), (0.75, 0.95), (-0.75, 0.95)), BODY),
        (polygon((0, -1), (1, -0.1), (-1, -0.1)), PART),
    ],
    "gear": [(radial([1.0, 1.0, 0.7, 0.7] * 8), BODY), (ellipse(0, 0, 0.28, 0.28), HOLE)],
    "flower": [
        (radial(0.78 + 0.24 * np.cos(np.linspace(0, 12 * np.pi, 72, endpoint=False))), BODY),
        (ellipse(0, 0, 0.28, 0.28), PART),
    ],
    "hourglass": [
        (polygon((-0.8, -0.95), (0.8, -0.95), (0.12, 0), (0.8, 0.95), (-0.8, 0.95), (-0.12, 0)), BODY)
    ],
    "leaf": [
        (polygon((-0.07, 0.7), (0.07, 0.7), (0.15, 1.1), (0.02, 1.1)), PART),
        (
            np.concatenate([ellipse(-0.75, 0, 1.3, 1.3, -45, 45), ellipse(0.75, 0, 1.3, 1.3, 135, 225)])
            * [0.85, 0.95],
            BODY,
        ),
    ],
}


def pattern(name: str, rng: np.random.Generator) -> Pattern | None:
    """One draw of a named pattern: of plain | striped | dotted | checked | ringed."""
    pace, offset_x, offset_y = 2 * np.pi * rng.uniform([0.85, 0, 0], [1.15, 1, 1]).astype(np.float32)
    patterns: dict[str, Pattern | None] = {
        "plain": None,
        "striped": lambda x, y: np.sin(2 * pace * y + offset_y) > 0,
        "dotted": lambda x, y: np.sin(2 * pace * x + offset_x) + np.sin(2 * pace * y + offset_y) > 0.7,
        "checked": lambda x, y: np.sin(1.5 * pace * x) * np.sin(1.5 * pace * y) > 0,
        "ringed": lambda x, y: np.sin(1.9 * pace * np.sqrt(x * x + y * y)) > 0,
    }
    return patterns[name]


def hues(rng: np.random.Generator, ranges: list[list[float]]) -> Points:
    """Colours [n, 3], 0..255, of any hue; `ranges` [n, 4]: least and most brightness and saturation."""
    bounds = np.array(ranges)
    hue, value, saturation = rng.random((3, len(bounds)))
    value = bounds[:, 0] + value * (bounds[:, 1] - bounds[:, 0])
    saturation = bounds[:, 2] + saturation * (bounds[:, 3] - bounds[:, 2])
    wheel = (np.abs((hue[:, None] * 6 + [0, 4, 2]) % 6 - 3) - 1).clip(0, 1)
    return 255 * value[:, None] * (1 - saturation[:, None] * (1 - wheel))


def colours(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Colours [4, 2, 3] of hole, body, part and detail: the two of a pattern differ clearly in brightness."""
    bright, dark, part = hues(rng, [[0.8, 1.0, 0.1, 0.75], [0.15, 0.5, 0.3, 1.0], [0.3, 1.0, 0.2, 0.9]])
    table = np.full((4, 2, 3), 25, dtype=np.uint8)
    table[HOLE] = 0
    table[BODY] = (bright, dark) if rng.random() < 0.5 else (dark, bright)
    table[PART] = part
    return table


@dataclass(frozen=True)
class Category:
    """A category of the scenes: a shape with a pattern, in any colours; `person` has no shape here."""

    id: int
    name: str
    supercategory: str
    shape: str = ""
    pattern: str = "plain"
    weight: float = 1.0


# Neither outline nor pattern tells all: balls and cookies are both discs, kites and boxes both checked.
CATEGORIES = (
    Category(1, "person", "person", weight=2.5),
    Category(2, "ball", "toy", "disc", "striped"),
    Category(3, "cookie", "food", "disc", "dotted"),
    Category(4, "wheel", "vehicle", "ring", "plain"),
    Category(5, "star", "toy", "star", "plain"),
    Category(6, "fish", "animal", "fish", "striped"),
    Category(7, "kite", "toy", "kite", "checked"),
    Category(8, "box", "furniture", "square", "checked"),
    Category(9, "mushroom", "food", "mushroom", "dotted"),
    Category(10, "mug", "kitchen", "mug", "plain"),
)

# The classes to pre-train on: shapes of the scenes with other patterns, and shapes that no scene has.
CLASSES = tuple(
    (pattern_name, shape)
    for shape, patterns in {
        "disc": "plain ringed checked",
        "ring": "striped checked",
        "star": "dotted ringed",
        "fish": "plain dotted",
        "kite": "plain striped",
        "square": "dotted striped",
        "mushroom": "plain",
        "mug": "striped checked",
        "heart": "plain checked",
        "crescent": "plain striped",
        "triangle": "plain dotted",
        "cross": "plain ringed",
        "arrow": "plain striped",
        "house": "plain dotted",
        "gear": "plain checked",
        "flower": "plain striped",
        "hourglass": "plain ringed",
        "leaf": "plain striped",
    }.items()
    for pattern_name in patterns.split()
)
CLASS_NAMES = tuple(f"{pattern_name}_{shape}" for pattern_name, shape in CLASSES)


def thing(shape: str, pattern_name: str, rng: np.random.Generator) -> Figure:
    """A figure of a shape and a pattern, in colours drawn at random and mirrored half of the time."""
    mirror = [-1.0, 1.0] if rng.random() < 0.5 else [1.0, 1.0]
    outlines = [(points * mirror, fill) for points, fill in SHAPES[shape]]
    return Figure(outlines, colours(rng), pattern(pattern_name, rng))
