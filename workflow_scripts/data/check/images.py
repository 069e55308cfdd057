"""Checks the images of a COCO file: their names, their files, their sizes, and whether two are the same."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from workflow_scripts.data import coco
from workflow_scripts.data.check import pictures
from workflow_scripts.data.check.findings import Findings, Kind
from workflow_scripts.data.check.pictures import Picture, Unfit
from workflow_scripts.data.file_names import other_name

LEADS_OUT = Kind(
    "name-leads-out",
    "error",
    "images",
    "file names that lead out of the folder of images",
    "a path below the folder of images: nothing outside of it is hashed",
    "Write file_name relative to the folder: no path from the root, and no two dots",
)
SAME_FILE = Kind(
    "name-twice",
    "error",
    "images",
    "images of one file",
    "a file for each image",
    "Make one image of them, with the annotations of both",
)
ID_OUT_OF_RANGE = Kind(
    "image-id-out-of-range",
    "error",
    "images",
    "image ids that are negative, or too large",
    "whole numbers from 0 to 2^53",
    "Number them from 1",
)
SIZE = Kind(
    "image-size",
    "error",
    "images",
    "images of another size than their file",
    "width and height of the picture in pixels",
    "Correct width and height, or scale the annotations if they were made on another size",
)
ROTATED = Kind(
    "image-rotated",
    "error",
    "images",
    "images whose EXIF turns them, annotated as they are stored",
    "width and height of the picture as it is shown: training reads it so",
    "Save the picture without EXIF's orientation, or annotate it as it is shown",
)
SAME_CONTENT = Kind(
    "content-twice",
    "note",
    "images",
    "images of the same bytes as another",
    "each image once",
    "Remove the copies",
    "trained on, or evaluated on, as they are",
)
SHARED_FILE = Kind(
    "shared-file",
    "error",
    "images",
    "files to validate on that are trained on",
    "other images than those of training",
    "Take them out of one of the two",
)
SHARED_CONTENT = Kind(
    "shared-content",
    "skipped",
    "images",
    "images to validate on of the same bytes as one to train on",
    "other images than those of training",
    "Take them out of one of the two",
    "evaluated all the same; a few are tolerated",
)
SHARED_LOOK = Kind(
    "shared-look",
    "note",
    "images",
    "images to validate on that look like one to train on",
    "other images than those of training, and no other frames of the same moment",
    "Compare them, and take them out of one of the two if they are the same",
    "evaluated all the same",
)
ALIKE = 4
"""Bits that the looks of near duplicates differ in at most.

Of 172 photographs of COCO, 151 differ in no more when saved anew at quality 60, and no two of them in fewer than 11.
"""
PLAIN = 8
"""Bits that a look must have of each kind to tell anything: plain pictures are all alike."""
PAIRS = 2_000_000_000
"""Comparisons of looks, some seconds of them; where there are more, the same looks alone are found."""


@dataclass(frozen=True)
class Seen:
    """An image of a set, where it lies and what it shows."""

    record: str
    path: Path
    picture: Picture


def check_images(file: coco.AnnotationFile, folder: Path, threads: int, findings: Findings) -> list[Seen]:
    """Check names and files of all images that a file lists; returns those that can be read."""
    findings.total(file.path, "images", len(file.images))
    named = [image for image in file.images if _name_serves(image, file, findings)]
    _find_repeated_names(named, file, findings)
    paths = [folder / image.file_name for image in named]
    found = []
    for image, path, seen in zip(named, paths, pictures.look_at_each(paths, threads), strict=True):
        record = f"image id {image.id} ({image.file_name})"
        if isinstance(seen, Unfit):
            other = other_name(path.parent, path.name) if seen.kind is pictures.MISSING else ""
            found_there = f"{seen.found}; {other}" if other else seen.found
            findings.add(seen.kind, file.path, f"{record} in {folder}", found_there)
            continue
        check_picture(seen, record, file.path, findings)
        _check_size(image, seen, record, file, findings)
        found.append(Seen(record, path, seen))
    find_same_content(found, file.path, findings)
    return found


def check_picture(picture: Picture, record: str, file: object, findings: Findings) -> None:
    """Tell of what becomes another picture when it is read."""
    if picture.mode not in ("RGB", "L", "1"):
        findings.add(pictures.CONVERTED, file, record, f"its pixels are of Pillow's mode {picture.mode}")
    if picture.orientation not in (0, 1):
        findings.add(pictures.TURNED, file, record, f"EXIF's orientation is {picture.orientation}")


def find_same_content(images: Sequence[Seen], file: object, findings: Findings) -> None:
    """Tell of images with the same bytes."""
    first: dict[bytes, Seen] = {}
    for image in images:
        other = first.setdefault(image.picture.digest, image)
        if other is not image:
            findings.add(SAME_CONTENT, file, image.record, f"the same bytes as {other.record}")


def compare_images(train: Sequence[Seen], val: Sequence[Seen], file: object, findings: Findings) -> None:
    """Find images of `val` that are trained on, too: the same files, the same bytes, or nearly the same pictures."""
    files = {os.path.realpath(image.path): image for image in train}
    contents = {image.picture.digest: image for image in train}
    rest = []
    for image in val:
        if other := files.get(os.path.realpath(image.path)):
            findings.add(SHARED_FILE, file, image.record, f"the file of {other.record} of training")
        elif other := contents.get(image.picture.digest):
            findings.add(SHARED_CONTENT, file, image.record, f"the same bytes as {other.record} of training")
        else:
            rest.append(image)
    for image, other in _alike(rest, train):
        findings.add(SHARED_LOOK, file, image.record, f"looks like {other.record} of training")


def _name_serves(image: coco.Image, file: coco.AnnotationFile, findings: Findings) -> bool:
    name = image.file_name
    record = f"image id {image.id}"
    if not 0 <= image.id <= 2**53:
        findings.add(ID_OUT_OF_RANGE, file.path, f"{record} ({name})", f"id is {image.id}")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:[\\/]", name):
        findings.add(LEADS_OUT, file.path, record, f"file_name is {name!r}")
        return False
    return True


def _find_repeated_names(images: Sequence[coco.Image], file: coco.AnnotationFile, findings: Findings) -> None:
    first: dict[str, coco.Image] = {}
    for image in images:
        other = first.setdefault(os.path.normpath(image.file_name), image)
        if other is not image:
            found = f"file_name is {image.file_name!r}, that of image id {other.id}"
            findings.add(SAME_FILE, file.path, f"image id {image.id}", found)


def _check_size(
    image: coco.Image, seen: Picture, record: str, file: coco.AnnotationFile, findings: Findings
) -> None:
    told = (image.width, image.height)
    if told == seen.size:
        return
    found = f"width and height are {told[0]} x {told[1]}, the picture is {seen.size[0]} x {seen.size[1]}"
    if told == seen.stored:
        findings.add(
            ROTATED, file.path, record, f"{found} as shown (EXIF's orientation is {seen.orientation})"
        )
    else:
        findings.add(SIZE, file.path, record, found)


def _alike(images: Sequence[Seen], others: Sequence[Seen]) -> list[tuple[Seen, Seen]]:
    """Each image with the first of the others that looks alike, if one does."""
    images, others = _telling(images), _telling(others)
    if not images or not others:
        return []
    if len(images) * len(others) > PAIRS:
        same = {other.picture.look: other for other in reversed(others)}
        return [(image, same[image.picture.look]) for image in images if image.picture.look in same]
    looks = _looks(others)
    found = []
    for image, look in zip(images, _looks(images), strict=True):
        near = np.bitwise_count(looks ^ look) <= ALIKE
        if near.any():
            found.append((image, others[int(near.argmax())]))
    return found


def _telling(images: Sequence[Seen]) -> list[Seen]:
    return [image for image in images if PLAIN <= image.picture.look.bit_count() <= 64 - PLAIN]


def _looks(images: Sequence[Seen]) -> NDArray[np.uint64]:
    return np.array([image.picture.look for image in images], dtype=np.uint64)
