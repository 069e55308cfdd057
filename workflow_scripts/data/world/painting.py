"""Figures to pixels: a patch is painted large, averaged down, and laid over the canvas."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from workflow_scripts.data.world.vocabulary import HOLE, Figure, Points, capsules, hues, pattern, radial

# Patches are painted this many times larger, then averaged: that is the anti-aliasing.
SUPERSAMPLING = 4

Canvas = NDArray[np.float32]


@dataclass(frozen=True)
class Patch:
    """A painted figure: colours [h, w, 3] already multiplied by coverage [h, w] (0..1), and its keypoints.

    `keypoints`: [17, 3], x and y in pixels from the upper left corner of the patch, visibility; or None.
    """

    colours: NDArray[np.float32]
    coverage: NDArray[np.float32]
    keypoints: Points | None


def paint(figure: Figure, size: float, angle: float, rng: np.random.Generator) -> Patch:
    """Paint a figure `size` pixels large, turned by `angle` degrees, lit from a random side."""
    turn, radius = math.radians(angle), size / 2
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    outlines = [points @ (rotation * radius) for points, _ in figure.outlines]
    everything = np.concatenate(outlines)
    origin = everything.min(axis=0) - rng.uniform(0.5, 1.5, 2)
    width, height = np.ceil(everything.max(axis=0) - origin + 0.5).astype(int).tolist()

    fills = Image.new("L", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    draw = ImageDraw.Draw(fills)
    for points, (_, fill) in zip(outlines, figure.outlines, strict=True):
        draw.polygon(((points - origin) * SUPERSAMPLING - 0.5).ravel().tolist(), fill=2 * fill)
    grid_x = ((np.arange(width * SUPERSAMPLING) + 0.5) / SUPERSAMPLING + origin[0]) / radius
    grid_y = ((np.arange(height * SUPERSAMPLING) + 0.5) / SUPERSAMPLING + origin[1]) / radius
    index = np.asarray(fills)
    if figure.pattern is not None:
        across, down = grid_x.astype(np.float32), grid_y.astype(np.float32)[:, None]
        (cosine, sine), _ = rotation.astype(np.float32)
        second = figure.pattern(across * cosine + down * sine, down * cosine - across * sine)
        index = index + second
    # The fourth channel is coverage: nothing for the hole, all of it for every other fill.
    palette = np.full((len(figure.colours), 2, 4), 255, dtype=np.uint8)
    palette[..., :3] = figure.colours
    palette[HOLE] = 0
    large = palette.reshape(-1, 4).view(np.uint32)[index, 0]
    painted = np.asarray(Image.frombytes("RGBX", fills.size, large.tobytes()).reduce(SUPERSAMPLING))

    light_x, light_y = rng.uniform(-0.25, 0.25, 2)
    middle = slice(SUPERSAMPLING // 2, None, SUPERSAMPLING)
    shade = (1 + light_x * grid_x[middle] + light_y * grid_y[middle, None]).astype(np.float32)
    keypoints = None
    if figure.keypoints is not None:
        places = figure.keypoints[:, :2] @ (rotation * radius) - origin
        keypoints = np.column_stack([places, figure.keypoints[:, 2]])
    return Patch(painted[..., :3] * shade[..., None], painted[..., 3] * np.float32(1 / 255), keypoints)


def overlap(
    patch: Patch, corner: tuple[int, int], size: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a patch, its upper left corner at (x, y), meets a canvas [size, size]: (on canvas, on patch)."""
    on_canvas, on_patch = [], []
    for start, length in zip(reversed(corner), patch.coverage.shape, strict=True):
        first, last = min(max(start, 0), size), max(min(start + length, size), 0)
        on_canvas.append(slice(first, max(first, last)))
        on_patch.append(slice(first - start, max(first, last) - start))
    return (on_canvas[0], on_canvas[1]), (on_patch[0], on_patch[1])


def lay(canvas: Canvas, patch: Patch, corner: tuple[int, int]) -> None:
    """Lay a patch over a canvas [size, size, 3], in place."""
    on_canvas, on_patch = overlap(patch, corner, canvas.shape[0])
    canvas[on_canvas] *= 1 - patch.coverage[on_patch][..., None]
    canvas[on_canvas] += patch.colours[on_patch]


def background(size: int, scraps: int, rng: np.random.Generator) -> Canvas:
    """A ground [size, size, 3]: soft clouds, at times a faint pattern, and `scraps` pieces of clutter."""
    tone = (rng.uniform(60, 215) + rng.uniform(-30, 30, 3)).astype(np.float32)
    canvas = np.empty((size, size, 3), dtype=np.float32)
    canvas[:] = tone
    # Light and dark vary strongly, hues softly and slowly.
    for cells, channels, strength in ((3, 3, 28), (5, 1, 40), (13, 1, 24), (size // 2, 1, 16)):
        clouds = rng.integers(0, 256, (cells, cells, channels), dtype=np.uint8).squeeze()
        large = np.asarray(Image.fromarray(clouds).resize((size, size), Image.Resampling.BICUBIC))
        canvas += (large.reshape(size, size, channels) - np.float32(128)) * np.float32(strength / 128)
    if rng.random() < 0.5:
        canvas += _faint_pattern(size, rng)
    ground = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    ground = ground.resize((size * SUPERSAMPLING,) * 2, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(ground)
    for red, green, blue in hues(rng, [[0.2, 0.95, 0.0, 0.6]] * scraps).astype(int).tolist():
        for outline in _scrap(rng):
            draw.polygon((outline * size * SUPERSAMPLING).ravel().tolist(), fill=(red, green, blue))
    return np.array(ground.reduce(SUPERSAMPLING), dtype=np.float32)


def _scrap(rng: np.random.Generator) -> list[Points]:
    """Clutter that belongs to no category, within a picture of side 1: a bent stroke or an irregular blob."""
    extent, x, y, angle, bend = rng.uniform([0.03, 0, 0, 0, -0.7], [0.15, 1, 1, 2 * np.pi, 0.7])
    turned = extent * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.6:
        joints = np.array([[-1, 0], [0, bend], [1, 0]])
        outlines = list(capsules(joints[:-1], joints[1:], np.full((2, 2), rng.uniform(0.06, 0.16))))
    else:
        outlines = [radial(rng.uniform(0.3, 0.9, size=int(rng.integers(4, 9))))]
    return [outline @ turned + [x, y] for outline in outlines]


def _faint_pattern(size: int, rng: np.random.Generator) -> Canvas:
    angle, scale, strength = rng.uniform([0, 3.0, 10], [np.pi, 9.0, 30])
    chosen = pattern(("striped", "dotted", "checked")[rng.integers(3)], rng)
    assert chosen is not None
    grid = np.linspace(-scale, scale, size, dtype=np.float32)[:, None]
    x = grid.T * np.float32(np.cos(angle)) + grid * np.float32(np.sin(angle))
    y = grid * np.float32(np.cos(angle)) - grid.T * np.float32(np.sin(angle))
    tint = (strength * rng.uniform(-1, 1, 3)).astype(np.float32)
    return (chosen(x, y).astype(np.float32) - np.float32(0.5))[..., None] * tint


def random_corner(patch: Patch, size: int, rng: np.random.Generator, margin: float = 0.0) -> tuple[int, int]:
    """A corner (x, y) for a patch so that its centre lies at least `margin` of its extent inside."""
    height, width = patch.coverage.shape
    free = rng.random(2)
    x, y = (
        extent * (margin - 0.5) + share * (size - 2 * margin * extent)
        for extent, share in zip((width, height), free, strict=True)
    )
    return int(x), int(y)


def develop(canvas: Canvas, rng: np.random.Generator, grey: bool = False) -> Image.Image:
    """The photograph: light from one side, exposure and contrast, sensor noise; an 8-bit image."""
    size = canvas.shape[0]
    slope_x, slope_y, exposure, contrast, noise = rng.uniform(
        [-0.2, -0.2, 0.8, 0.85, 1], [0.2, 0.2, 1.15, 1.1, 6]
    )
    grid = np.linspace(-1, 1, size, dtype=np.float32)[:, None]
    light = np.float32(exposure) * (1 + np.float32(slope_x) * grid.T + np.float32(slope_y) * grid)
    grain = rng.standard_normal((size, size), dtype=np.float32) * np.float32(noise)
    photograph = (canvas * light[..., None] - 128) * np.float32(contrast) + 128 + grain[..., None]
    image = Image.fromarray(np.clip(photograph, 0, 255).astype(np.uint8))
    return image.convert("L") if grey else image
