"""Reads a COCO annotation file without building its objects, and checks it.

The file is mapped into memory and each image and annotation stays a view of its own bytes (`msgspec.Raw`);
only the few fields that the study reads are decoded. So instances_train2017.json takes a fraction of the
memory of a full parse, and a subset can be written with the very bytes of the original.

Format: https://cocodataset.org/#format-data
"""

import codecs
import mmap
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from workflow_scripts.errors import UserError

FORMAT = "https://cocodataset.org/#format-data"
CORRECT = f"Expected COCO's format, {FORMAT}; correct the export."
T = TypeVar("T")
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises: not JSON or other types, text that is not UTF-8, nesting without end."""
NOT_UTF8 = "its text is not UTF-8: {}. Save it as UTF-8."
NO_NUMBERS = (b"NaN", b"Infinity")
"""Python writes them, and JSON lacks them."""


class Image(msgspec.Struct, frozen=True, gc=False):
    """An entry of `images`: height and width in pixels, file name relative to the image folder."""

    id: int
    height: Annotated[int, Meta(gt=0)]
    width: Annotated[int, Meta(gt=0)]
    file_name: Annotated[str, Meta(min_length=1)]


class Category(msgspec.Struct, frozen=True, gc=False):
    """An entry of `categories`; `keypoints` are their names, in person_keypoints files."""

    id: int
    name: str
    keypoints: tuple[str, ...] = ()


class _Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int


class _ImageId(msgspec.Struct, gc=False):
    id: int


class _ImageIds(msgspec.Struct):
    images: list[_ImageId]


class Sections(msgspec.Struct):
    """The top level of an annotation file, each entry as the bytes that stand in the file."""

    images: list[Raw]
    annotations: list[Raw]
    categories: Raw
    info: Raw | UnsetType = UNSET
    licenses: Raw | UnsetType = UNSET
    split_of: Raw | UnsetType = UNSET  # data/split.py


@dataclass(frozen=True)
class AnnotationFile:
    """A checked annotation file.

    `images[k]` describes `sections.images[k]`; `annotation_image_ids[k]` is the image of
    `sections.annotations[k]`; `categories` are in ascending order of id, the order of detectron2's class
    indices.
    """

    path: Path
    images: list[Image]
    categories: list[Category]
    annotation_image_ids: list[int]
    sections: Sections


def read(path: str | Path) -> AnnotationFile:
    """Read and check the annotation file at `path`.

    Raises `UserError` when the file is missing or is not JSON, lacks `images`, `annotations` or `categories`
    or one of their fields, repeats an id, or has an annotation of an unknown image or category.
    """
    path = Path(path)
    sections = _decode(_map(path), Sections, path)
    images = decode_each(sections.images, Image, f"{path}: images")
    categories = _decode(sections.categories, list[Category], f"{path}: categories")
    categories.sort(key=lambda category: category.id)
    annotations = decode_each(sections.annotations, _Annotation, f"{path}: annotations")
    image_ids = [image.id for image in images]
    _require_unique(image_ids, f"{path}: `images`", "id")
    _require_unique([category.id for category in categories], f"{path}: `categories`", "id")
    _require_unique_names(categories, {annotation.category_id for annotation in annotations}, path)
    _require_unique([annotation.id for annotation in annotations], f"{path}: `annotations`", "id")
    _require_known(annotations, "image_id", image_ids, path)
    _require_known(annotations, "category_id", [category.id for category in categories], path)
    annotation_image_ids = [annotation.image_id for annotation in annotations]
    return AnnotationFile(path, images, categories, annotation_image_ids, sections)


def read_image_ids(path: str | Path) -> set[int]:
    """The ids of a file's `images`; nothing else of it is read.

    Raises `UserError` when the file is missing, is not JSON or lacks `images`.
    """
    return {image.id for image in _decode(_map(Path(path)), _ImageIds, Path(path)).images}


def require_image_files(file: AnnotationFile, folder: str | Path) -> None:
    """Raise `UserError` unless every image of `file` exists below `folder`.

    Lists each folder once in place of a look-up per image, which on a network file system takes minutes.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder of images. Expected the folder that holds {_some_names(file)}."
        )
    names_below = {
        parent: _names(folder / parent) for parent in {os.path.dirname(i.file_name) for i in file.images}
    }
    missing = [
        image.file_name
        for image in file.images
        if os.path.basename(image.file_name) not in names_below[os.path.dirname(image.file_name)]
    ]
    if missing:
        raise UserError(
            f"{folder}: {len(missing):,} of the {len(file.images):,} images of {file.path} are missing, "
            f"first {missing[0]}. Unpack the images there, or give the folder that holds them."
        )


def decode_each(entries: Iterable[Raw], kind: type[T], where: str) -> list[T]:
    """The entries as objects of a msgspec type. Raises `UserError` with `where` and the entry's index."""
    decode = msgspec.json.Decoder(kind).decode
    decoded: list[T] = []
    for entry in entries:
        try:
            decoded.append(decode(entry))
        except UnicodeDecodeError as error:
            raise UserError(f"{where}[{len(decoded)}]: {NOT_UTF8.format(error)}") from None
        except UNDECODABLE as error:
            raise UserError(f"{where}[{len(decoded)}]: {error}. {CORRECT}") from None
    return decoded


def _map(path: Path) -> mmap.mmap:
    """The file's bytes, paged in on demand. The mapping closes itself once no `Raw` views it any more."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise UserError(f"{path}: the file is empty. Expected a COCO annotation file ({FORMAT}).")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Expected a COCO annotation file ({FORMAT}).") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from None


def _decode(data: Any, kind: type[T], where: str | Path) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: not as in a COCO annotation file: {error}. {CORRECT}") from None
    except UNDECODABLE as error:
        raise UserError(f"{where}: not JSON: {_why_not_json(data, error)}") from None


def _why_not_json(data: mmap.mmap | Raw, error: Exception) -> str:
    """What is wrong and what to do; numbers that Python writes and JSON lacks are named with their record."""
    text = bytes(data) if isinstance(data, Raw) else data
    if isinstance(error, RecursionError):
        return "it is nested too deeply to be read. Expected lists of records."
    if text[:3] == codecs.BOM_UTF8:
        return "it begins with a byte order mark. Save it as UTF-8 without one."
    if text[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in text[:2]:
        return "its text is UTF-16, as PowerShell writes it. Save it as UTF-8."
    if isinstance(error, UnicodeDecodeError) and text[:1] in (b"{", b"["):
        return NOT_UTF8.format(error)
    place = re.search(r"\(byte (\d+)\)", str(error))
    at = int(place[1]) if place else 0
    found = next((word for word in NO_NUMBERS if text[at : at + len(word)] == word), None)
    if found is None:
        begins = f"It begins with {text[:16]!r}. " if at == 0 else ""
        return (
            f"{error}. {begins}Expected a COCO annotation file ({FORMAT}). It may be cut short, packed, or the page or "
            "pointer that stands for it: compare its size, unpack it, or fetch it anew."
        )
    record = text[max(0, text.rfind(b"{", 0, at)) : max(at, text.find(b"}", at))]
    number = re.search(rb'"id"\s*:\s*(\d+)', record)
    of = f", in the record of id {int(number[1])}" if number else ""
    return (
        f"found {found.decode()} at byte {at}{of}. Expected finite numbers: correct it, or remove the record."
    )


def _require_unique(values: list[Any], where: str, field: str) -> None:
    if repeated := _repeated(values):
        value, times = repeated
        raise UserError(
            f"{where}: {field} {value!r} is there {times} times. Expected each {field} once; remove the copies."
        )


def _require_unique_names(categories: list[Category], used: set[int], path: Path) -> None:
    if repeated := _repeated([category.name for category in categories]):
        name, times = repeated
        ids = [category.id for category in categories if category.name == name]
        bare = [number for number in ids if number not in used]
        which = f"id {', '.join(map(str, bare))}, which has no annotation" if bare else "the copies"
        raise UserError(
            f"{path}: `categories`: name {name!r} is there {times} times, as ids {', '.join(map(str, ids))}. Expected "
            f"each name once; remove {which}."
        )


def _repeated(values: list[T]) -> tuple[T, int] | None:
    """The value that is there most often, and how often; None where each is there once."""
    if len(set(values)) == len(values):
        return None
    return Counter(values).most_common(1)[0]


def _require_known(annotations: list[_Annotation], field: str, known: Iterable[int], path: Path) -> None:
    section = {"image_id": "images", "category_id": "categories"}[field]
    unknown = {getattr(annotation, field) for annotation in annotations}.difference(known)
    if not unknown:
        return
    first = next(annotation for annotation in annotations if getattr(annotation, field) in unknown)
    raise UserError(
        f"{path}: `annotations`: annotation id {first.id} has {field} {getattr(first, field)}, the id of "
        f"none of the `{section}` ({len(unknown):,} such values). Expected one of theirs: remove the "
        f"annotations, or add the {section}."
    )


def _names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (OSError, ValueError):  # ValueError: a name that no folder can have
        return set()


def _some_names(file: AnnotationFile) -> str:
    return file.images[0].file_name if file.images else "the images"
