"""Image folders to pre-train on, a folder a class: which files of a class are its pictures."""

import os
from collections.abc import Iterator
from pathlib import Path

ENDINGS = (".jpg", ".jpeg", ".png")
"""Of pictures, in upper or lower case."""


def files_below(folder: Path) -> list[Path]:
    """The files below a folder and below the folders that it links to, in order of their paths; a folder within itself
    is gone through once."""
    return sorted(_walk(folder, frozenset()))


def class_pictures(folder: Path) -> list[Path]:
    """The pictures of a class, in its folder and in folders below that are not hidden, in order of their paths."""
    return list(filter(is_picture, class_files(folder)))


def is_picture(path: Path) -> bool:
    """By its ending. Hidden files are none: macOS writes ._IMG_1.jpg beside IMG_1.jpg."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def class_files(folder: Path) -> list[Path]:
    """All files of a class, but those in hidden folders, such as .ipynb_checkpoints."""
    return [
        path
        for path in files_below(folder)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts[:-1])
    ]


def _walk(folder: Path, within: frozenset[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in within:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(folder / entry.name, within | {real})
            else:
                yield folder / entry.name
