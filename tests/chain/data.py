"""Data of real shape, written without the project's code: orientations, crowds, empty images, gaps in ids, weights."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.data.datasets.builtin_meta import COCO_PERSON_KEYPOINT_NAMES
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from torch import Tensor

SIZES = ((64, 48), (48, 64), (56, 56), (64, 40), (40, 64))
"""Width and height in pixels."""
CATEGORIES = {1: "person", 3: "kite", 18: "dog", 44: "bottle"}
COLOURS = {1: (220, 60, 60), 3: (60, 200, 80), 18: (70, 90, 230), 44: (230, 210, 60)}
VOC_CLASSES = {"bottle": 44, "dog": 18, "person": 1}
TRAIN_IMAGES, VAL_IMAGES = 24, 10
FIRST_ID, STEP = {"train": 300, "val": 7000}, 37
EMPTY, ONLY_CROWD = 4, 7
"""Numbers of the images without an annotation, and with nothing but a crowd."""
KEYPOINTS = 17
STD = (58.395, 57.12, 57.375)
"""Of ImageNet's R, G and B, as torchvision gives them times 255."""


def write_data(folder: Path) -> dict[str, Any]:
    """Draw all data below `folder`; returns the `datasets` of a configuration that name it."""
    coco, voc, pictures = folder / "coco", folder / "voc", folder / "classification"
    instances = {split: _coco(coco, split, count) for split, count in _counts().items()}
    # As in COCO, val2014 holds part of train2017 and all of val2017.
    halved = [image for image in instances["train"] if image["id"] % 2] + instances["val"]
    listed = halved + [{**halved[0], "id": number} for number in (1, 2)]
    _write(coco / "val2014.json", {"images": listed, "annotations": [], "categories": _categories(False)})
    for year, split, count in (("2007", "trainval", 5), ("2012", "train", 6), ("2012", "val", 6)):
        _voc(voc / f"VOC{year}", split, count)
    for split, count in (("train", 4), ("val", 2)):
        _pictures(pictures / split, count)
    return {
        "coco": {
            **{
                split: {"annotations": str(coco / f"instances_{split}.json"), "images": str(coco / split)}
                for split in instances
            },
            "keypoints": {split: str(coco / f"person_keypoints_{split}.json") for split in instances},
            "val2014_annotations": str(coco / "val2014.json"),
        },
        "voc": {
            "train": [
                {"folder": str(voc / "VOC2007"), "split": "trainval"},
                {"folder": str(voc / "VOC2012"), "split": "train"},
            ],
            "val": {"folder": str(voc / "VOC2012"), "split": "val"},
        },
        "classification": {split: str(pictures / split) for split in ("train", "val")},
    }


def _counts() -> dict[str, int]:
    return {"train": TRAIN_IMAGES, "val": VAL_IMAGES}


def _coco(folder: Path, split: str, count: int) -> list[dict[str, Any]]:
    """The images of a split with both its annotation files; returns the records of its images."""
    (folder / split).mkdir(parents=True)
    rng = np.random.default_rng(FIRST_ID[split])
    images, annotations = [], []
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        record = {"id": FIRST_ID[split] + STEP * number, "width": width, "height": height}
        record["file_name"] = f"{record['id']:012d}.jpg"
        picture, objects = _scene(rng, width, height, 0 if number in (EMPTY, ONLY_CROWD) else 3)
        picture.save(folder / split / str(record["file_name"]), quality=95)
        if number % 3 == 1:
            objects.append(_crowd(rng, width, height))
        images.append(record)
        annotations += [{"image_id": record["id"], **each} for each in objects]
    for each, number in zip(annotations, itertools.count(1000, 3), strict=False):
        each["id"] = number
    people = [each for each in annotations if each["category_id"] == 1]
    for name, some in (("instances", annotations), ("person_keypoints", people)):
        kept = [
            {k: v for k, v in each.items() if name != "instances" or "keypoints" not in k} for each in some
        ]
        contents = {"images": images, "annotations": kept, "categories": _categories(name != "instances")}
        _write(folder / f"{name}_{split}.json", contents)
    return images


def _categories(people: bool) -> list[dict[str, Any]]:
    if people:
        points = list(COCO_PERSON_KEYPOINT_NAMES)
        return [{"id": 1, "name": "person", "keypoints": points, "skeleton": []}]
    return [{"id": number, "name": name} for number, name in CATEGORIES.items()]


def _scene(
    rng: np.random.Generator, width: int, height: int, count: int
) -> tuple[Image.Image, list[dict[str, Any]]]:
    """Coloured rectangles on noise, and their annotations; the first is a person."""
    picture = Image.fromarray(rng.integers(0, 90, (height, width, 3)).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    objects = []
    for category in [1, *rng.choice(list(CATEGORIES), max(count - 1, 0))][:count]:
        w, h = (int(side) for side in rng.integers(12, 26, 2))
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        pen.rectangle((x, y, x + w - 1, y + h - 1), fill=COLOURS[int(category)])
        known = {"category_id": int(category), "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0}
        outline = [float(place) for place in (x, y, x + w, y, x + w, y + h, x, y + h)]
        objects.append(known | {"segmentation": [outline], **_keypoints(rng, int(category), x, y, w, h)})
    return picture, objects


def _keypoints(rng: np.random.Generator, category: int, *box: int) -> dict[str, Any]:
    if category != 1:
        return {}
    x, y, w, h = box
    points = [(x + int(a * w), y + int(b * h), 2) for a, b in rng.uniform(0.1, 0.9, (KEYPOINTS, 2))]
    return {"keypoints": [number for point in points for number in point], "num_keypoints": KEYPOINTS}


def _crowd(rng: np.random.Generator, width: int, height: int) -> dict[str, Any]:
    """A crowd of people in the lower half, as the list of run lengths that COCO has for them."""
    mask = np.zeros((height, width), dtype=bool)
    mask[height // 2 :, 4 : 4 + int(rng.integers(20, 30))] = True
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    runs = [len(list(group)) for _, group in itertools.groupby(mask.ravel(order="F"))]  # column by column
    box = [int(n) for n in (columns[0], rows[0], len(columns), len(rows))]
    return {
        "category_id": 1,
        "bbox": box,
        "area": int(mask.sum()),
        "iscrowd": 1,
        "segmentation": {"size": [height, width], "counts": runs},
        "keypoints": [0] * 3 * KEYPOINTS,
        "num_keypoints": 0,
    }


def _voc(folder: Path, split: str, count: int) -> None:
    """Pictures with their annotations; every other image's first object is difficult."""
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([*split.encode()])
    names = [f"{folder.name}_{split}_{number:03d}" for number in range(count)]
    for number, name in enumerate(names):
        width, height = SIZES[number % len(SIZES)]
        picture, objects = _scene(rng, width, height, 4)
        picture.save(folder / "JPEGImages" / f"{name}.jpg", quality=95)
        classes = [sorted(VOC_CLASSES)[(number + place) % 3] for place in range(len(objects))]
        elements = "".join(
            _voc_object(kind, each["bbox"], place == 0 and number % 2 == 0)
            for place, (kind, each) in enumerate(zip(classes, objects, strict=True))
        )
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}.jpg</filename>{size}{elements}</annotation>\n"
        (folder / "Annotations" / f"{name}.xml").write_text(text)
    (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))


def _voc_object(kind: str, box: Sequence[int], difficult: bool) -> str:
    x, y, w, h = box
    corners = {"xmin": x + 1, "ymin": y + 1, "xmax": x + w, "ymax": y + h}
    places = "".join(f"<{name}>{place}</{name}>" for name, place in corners.items())
    flags = f"<truncated>0</truncated><difficult>{int(difficult)}</difficult>"
    return f"<object><name>{kind}</name>{flags}<bndbox>{places}</bndbox></object>"


def _pictures(folder: Path, count: int) -> None:
    rng = np.random.default_rng(count)
    for category, name in CATEGORIES.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            shade = np.array(COLOURS[category]) + rng.integers(-40, 25, (40, 40, 3))
            picture = Image.fromarray(shade.clip(0, 255).astype(np.uint8))
            picture.save(folder / name / f"{number}.jpg", quality=95)


def _write(path: Path, contents: dict[str, Any]) -> None:
    path.write_text(json.dumps(contents))


Weights = dict[str, Tensor]
WIDTHS = (64, 128, 256)
R34 = (3, 4)
"""Blocks of the first two stages of a ResNet-34, which stands for R101 in this study."""


def torchvision_weights(path: Path, blocks: Sequence[int] = R34) -> tuple[dict[str, str], Weights]:
    """Random weights of a ResNet with GN for BGR, in a file as torchvision names them.

    Returns its entry of `pretraining.fetch`, and the weights that a detector for RGB must hold, by detectron2's names.
    """
    given: Weights = {}
    held: Weights = {}
    generator = torch.Generator().manual_seed(3)

    def add(theirs: tuple[str, str], ours: str, *shape: int) -> None:
        convolution = torch.randn(*shape, generator=generator) * 0.05
        scale, shift = 1 + 0.1 * torch.randn(2, shape[0], generator=generator)
        given.update(
            {f"{theirs[0]}.weight": convolution, f"{theirs[1]}.weight": scale, f"{theirs[1]}.bias": shift}
        )
        held.update({f"{ours}.weight": convolution, f"{ours}.norm.weight": scale, f"{ours}.norm.bias": shift})

    add(("conv1", "bn1"), "stem.conv1", 32, 3, 7, 7)
    before = 32
    for stage, (count, width) in enumerate(zip(blocks, WIDTHS, strict=False), 1):
        for block in range(count):
            theirs, ours = f"layer{stage}.{block}", f"res{stage + 1}.{block}"
            add((f"{theirs}.conv1", f"{theirs}.bn1"), f"{ours}.conv1", width, before, 3, 3)
            add((f"{theirs}.conv2", f"{theirs}.bn2"), f"{ours}.conv2", width, width, 3, 3)
            if before != width:
                add(
                    (f"{theirs}.downsample.0", f"{theirs}.downsample.1"),
                    f"{ours}.shortcut",
                    width,
                    before,
                    1,
                    1,
                )
            before = width
    given |= {"fc.weight": torch.ones(10, before), "fc.bias": torch.ones(10)}
    blue_first = held["stem.conv1.weight"]
    red_first = torch.stack([blue_first[:, 2 - c] * STD[c] for c in range(3)], dim=1)
    held["stem.conv1.weight"] = red_first
    save_file(given, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = {"source": str(path), "sha256": sha256, "layout": "torchvision", "colours": "bgr"}
    return entry, held
