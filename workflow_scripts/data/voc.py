"""Reads PASCAL VOC folders and writes them as one annotation file in COCO's format, boxes alone.

    python -m workflow_scripts.data.voc --folders VOC2007 VOC2012 --splits trainval train --output voc_train.json
    python -m workflow_scripts.data.voc --folders VOC2012 --splits val --classes voc_train.json --output voc_val.json

A folder holds Annotations/NAME.xml, JPEGImages/NAME.jpg and ImageSets/Main/SPLIT.txt, one NAME a line. Beside VOC's own
.jpg, pictures may end in .jpeg or .png, in upper case, too, and NAME may be in a subfolder. In the file:

    images         ids from 1, in the order of the folders and of their splits; `file_name` is relative to
                   `common_folder`, the folder of images for every later step
    categories     class names in alphabetical order, VOC's own, with ids from 1; or those of --classes
    annotations    boxes as detectron2's data/datasets/pascal_voc.py reads them: VOC counts pixels from 1 and
                   includes the far ones, so x is xmin - 1 and the width is xmax - xmin + 1. `difficult` is kept,
                   0 or 1: training keeps difficult objects, as detectron2 does; VOC's metric leaves them out.
                   VOC's own boxes lie within their images; those of other sets are cut at the edges: `cut` is 1

Format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/
"""

import argparse
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from workflow_scripts.data.class_folders import ENDINGS
from workflow_scripts.data.file_names import other_name
from workflow_scripts.errors import UserError
from workflow_scripts.files import write_json
from workflow_scripts.jobs.job import job

# The workflow asks for `common_folder` whenever it is parsed: this module imports nothing slow.

CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Object:
    """An object of an image: its class, and (xmin, ymin, xmax, ymax) in pixels from 1 on, the far ones included.

    `cut`: whether the box reached beyond the image in the file.
    """

    name: str
    box: tuple[float, float, float, float]
    difficult: bool = False
    truncated: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Image:
    """An image of a split, its size in pixels and its objects; `path` and `annotation` are its files."""

    path: str
    annotation: str
    width: int
    height: int
    objects: list[Object]


def common_folder(folders: Sequence[str | Path]) -> str:
    """The folder that file names are relative to: the given one, or the closest that holds all of several.

    Relative to the working directory if all of `folders` are.
    """
    common = os.path.commonpath([os.path.abspath(folder) for folder in folders])
    return common if any(os.path.isabs(folder) for folder in folders) else os.path.relpath(common)


def pictures_folder(folder: str | Path) -> str:
    """Where the pictures of a folder in VOC's layout are."""
    return os.path.join(folder, "JPEGImages")


def year_of(folder: str | Path) -> int:
    """2007 for a folder of that year, whose metric is another, by its name; 2012 for any other."""
    return 2007 if "2007" in os.path.basename(os.path.abspath(folder)) else 2012


def read_split(folder: str | Path, split: str) -> list[str]:
    """The image names of a split, as listed.

    Raises `UserError` when there is no such folder or split, and when the list is empty, repeats a name or
    says which images show a class.
    """
    path = os.path.join(folder, "ImageSets", "Main", f"{split}.txt")
    lines = _text(
        path, f"a list of the images of split {split!r}: write one, a name a line, without its ending"
    )
    names = {number: line.strip() for number, line in enumerate(lines.splitlines(), 1) if line.strip()}
    seen: set[str] = set()
    for number, name in names.items():
        of_a_class = re.search(r"\s-?[01]$", name) and not os.path.isfile(_annotation(folder, name))
        if name in seen or of_a_class:
            raise UserError(
                f"{path}: line {number} is {name!r}. Expected one image name a line, each once, as in VOC's "
                "trainval.txt (its CLASS_trainval.txt say which images show a class and do not serve)."
            )
        seen.add(name)
    if not names:
        raise UserError(f"{path}: the list of images is empty. Expected one image name a line.")
    return list(names.values())


def read(folder: str | Path, split: str) -> list[Image]:
    """The images of a split, in its order.

    Raises `UserError` when a list, annotation or picture is missing, an annotation is not XML or lacks what it
    needs, an image has no size, or a box is empty or not within its image: the first of all, which are printed.
    """
    names = read_split(folder, split)
    pictures = pictures_folder(folder)
    found = _pictures(pictures, {os.path.dirname(name) for name in names})
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(
            f"{pictures}: {len(missing):,} of the {len(names):,} images of split {split!r} are missing, first "
            f"{missing[0]}.jpg{_hint(pictures, missing[0])}. Unpack the images there, or correct the split."
        )
    images, refused = [], []
    for name in names:
        try:
            images.append(_read_image(os.path.join(pictures, found[name]), _annotation(folder, name)))
        except UserError as error:
            refused.append(str(error))
    if refused:
        print("\n".join(refused))
        also = f" So are {len(refused) - 1:,} more of its {len(names):,} annotations." if refused[1:] else ""
        raise UserError(f"{refused[0]}{also}")
    return images


def _annotation(folder: str | Path, name: str) -> str:
    return os.path.join(folder, "Annotations", f"{name}.xml")


def _hint(folder: str, name: str) -> str:
    """What a picture that is missing may be called."""
    if not os.path.isdir(folder):
        return ": there is no such folder"
    if os.path.splitext(name)[1].lower() in ENDINGS:
        return ": the list names files with their endings, which it must not"
    other = other_name(*os.path.split(os.path.join(folder, name)))
    return f": {other}, expected {', '.join(ENDINGS)}" if other else ""


def _pictures(folder: str, parts: Iterable[str]) -> dict[str, str]:
    """File names of the pictures in parts of a folder, by their name in the lists of images; none outside of it.

    Where a name has several, it is the first of `ENDINGS`, in lower case first.
    """
    files = [
        os.path.join(part, file)
        for part in parts
        if not os.path.isabs(part)
        and ".." not in part.split("/")
        and os.path.isdir(os.path.join(folder, part))
        for file in os.listdir(os.path.join(folder, part))
    ]
    ranked = sorted(files, key=lambda file: (not file.endswith(ENDINGS), file))
    found: dict[str, str] = {}
    for ending in ENDINGS:
        for file in ranked:
            if file.lower().endswith(ending):
                found.setdefault(file[: -len(ending)], file)
    return found


def coco_file(
    images: Iterable[Image], folder: str, classes: Sequence[tuple[int, str]] | None = None
) -> dict[str, Any]:
    """Images as the contents of an annotation file in COCO's format; see the module's docstring.

    `folder`: what file names are relative to. `classes`: id and name of each category; None: those of the objects.

    Raises `UserError` when an object is of another class, or there is none at all, an image stands twice, or all
    objects of given `classes` are `difficult`, since VOC's metric leaves those out.
    """
    images = list(images)
    difficult = [found.difficult for image in images for found in image.objects]
    if classes is not None and difficult and all(difficult):
        raise UserError(
            f"{images[0].annotation} and the others of its split: all {len(difficult):,} objects are difficult, which "
            "VOC's metric leaves out. Expected objects to evaluate on: write 0 for difficult."
        )
    if classes is None:
        classes = list(enumerate(sorted({o.name for image in images for o in image.objects}), 1))
        if not classes:
            raise UserError(f"{images[0].annotation} and the others of its split hold no object to learn.")
    ids = {name: number for number, name in classes}
    records: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    paths: set[str] = set()
    for image_id, image in enumerate(images, 1):
        if image.path in paths:
            raise UserError(f"{image.path} is in two of the given splits. Give splits that share no image.")
        paths.add(image.path)
        name = Path(os.path.relpath(image.path, folder)).as_posix()
        records.append({"id": image_id, "file_name": name, "width": image.width, "height": image.height})
        for found in image.objects:
            if found.name not in ids:
                raise UserError(
                    f"{image.annotation}: an object is of class {found.name!r}. Expected one of those to train on: "
                    f"{', '.join(ids)}. Correct the class, or train on a split that has it."
                )
            annotation = {"id": len(annotations) + 1, "image_id": image_id, "category_id": ids[found.name]}
            annotations.append(annotation | _box_fields(found))
    categories = [{"id": number, "name": name} for number, name in classes]
    return {"images": records, "annotations": annotations, "categories": categories}


def xml(file_name: str, width: int, height: int, objects: Iterable[Object]) -> str:
    """An image's annotation as VOC writes it."""
    root = Element("annotation")
    SubElement(root, "filename").text = file_name
    size = SubElement(root, "size")
    for field, number in (("width", width), ("height", height), ("depth", 3)):
        SubElement(size, field).text = str(number)
    for found in objects:
        element = SubElement(root, "object")
        SubElement(element, "name").text = found.name
        SubElement(element, "pose").text = "Unspecified"
        SubElement(element, "truncated").text = str(int(found.truncated))
        SubElement(element, "difficult").text = str(int(found.difficult))
        box = SubElement(element, "bndbox")
        for corner, place in zip(CORNERS, found.box, strict=True):
            SubElement(box, corner).text = str(place)
    ElementTree.indent(root, "\t")
    return ElementTree.tostring(root).decode() + "\n"  # ASCII, the rest as character references


def _box_fields(found: Object) -> dict[str, Any]:
    # Whole numbers stay whole in the file; two annotations of VOC2012 hold fractions.
    box: list[float] = [int(corner) if corner == int(corner) else corner for corner in found.box]
    xmin, ymin, xmax, ymax = box
    width, height = xmax - xmin + 1, ymax - ymin + 1
    return {
        "bbox": [xmin - 1, ymin - 1, width, height],
        "area": width * height,
        "iscrowd": 0,
        "difficult": int(found.difficult),
    } | ({"cut": 1} if found.cut else {})


def _read_image(picture: str, annotation: str) -> Image:
    text = _text(
        annotation, "the image's annotation as in PASCAL VOC: write it, or take the image off the list"
    )
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UserError(f"{annotation}: has a DOCTYPE or ENTITY. VOC's annotations have none; remove it.")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise UserError(f"{annotation}: not XML: {error}. It may be cut short; fetch it anew.") from None
    width, height = (_number(root, f"size/{side}", annotation) for side in ("width", "height"))
    if not (width > 0 and height > 0 and width == int(width) and height == int(height)):
        raise UserError(
            f"{annotation}: size is {width:g} x {height:g}. Expected those of the picture in pixels: correct it."
        )
    objects = [
        _read_object(element, f"{annotation}: object {number}", width, height)
        for number, element in enumerate(root.findall("object"), 1)
    ]
    return Image(picture, annotation, int(width), int(height), objects)


def _read_object(element: Element, where: str, width: float, height: float) -> Object:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise UserError(f"{where}: has no `name`. Expected the object's class.")
    given = [_number(element, f"bndbox/{corner}", where) for corner in CORNERS]
    xmin, ymin, xmax, ymax = given
    box = (max(xmin, 1), max(ymin, 1), min(xmax, width), min(ymax, height))
    if box[0] > box[2] or box[1] > box[3]:
        raise UserError(
            f"{where} ({name}): box {xmin:g}, {ymin:g}, {xmax:g}, {ymax:g} is empty or outside the image of "
            f"{width:g} x {height:g}. Expected 1 <= xmin <= xmax <= width, and likewise down: VOC counts from 1."
        )
    difficult = (element.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise UserError(f"{where} ({name}): difficult is {difficult!r}. Expected 0 or 1.")
    truncated = (element.findtext("truncated") or "").strip() == "1"
    return Object(name, box, difficult == "1", truncated, cut=box != tuple(given))


def _number(element: Element, path: str, where: str) -> float:
    text = element.findtext(path)
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{where}: {path} is {text!r}. Expected a number of pixels.")
    return number


def _text(path: str, expected: str) -> str:
    try:
        return Path(path).read_text("utf-8-sig")
    except OSError as error:
        other = other_name(*os.path.split(path))
        hint = f"; {other}" if other else ""
        raise UserError(f"{path}: cannot be read: {error.strerror}{hint}. Expected {expected}.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error}. Expected {expected}; save it as UTF-8.") from None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folders", nargs="+", required=True, help="PASCAL VOC folders")
    parser.add_argument("--splits", nargs="+", required=True, help="split of each folder, such as trainval")
    parser.add_argument("--classes", type=Path, help="annotation file that gives the categories")
    parser.add_argument("--output", type=Path, required=True, help="annotation file to write")
    arguments = parser.parse_args()
    folders, splits = arguments.folders, arguments.splits
    if len(folders) != len(splits):
        raise UserError(f"--splits: found {len(splits)} for {len(folders)} folders, expected one a folder.")
    classes = None
    if arguments.classes is not None:
        from workflow_scripts.data import coco

        classes = [(category.id, category.name) for category in coco.read(arguments.classes).categories]
    images = [image for pair in zip(folders, splits, strict=True) for image in read(*pair)]
    write_json(arguments.output, coco_file(images, common_folder(folders), classes))
    cut = sum(found.cut for image in images for found in image.objects)
    print(f"{arguments.output}: {len(images):,} images, {cut:,} boxes cut at an edge of their image")


if __name__ == "__main__":
    job(main)
