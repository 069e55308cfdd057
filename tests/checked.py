"""A small data set in COCO's format that tests spoil, and the command that checks it."""

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.data.check import __main__ as check
from workflow_scripts.data.world.people import KEYPOINTS
from workflow_scripts.errors import command

Json = dict[str, Any]
WIDTH, HEIGHT = 60, 40
Meant = Literal["corners", "centres", "fractions"]
Spoil = Callable[["Dataset"], object]
RUNS = {"size": [HEIGHT, WIDTH], "counts": [100, 50, WIDTH * HEIGHT - 150]}
FIRST = "annotation id 2 of image id 1 (train1.png)"


class Dataset:
    """Two annotation files and their images, 60 x 40 pixels; `train` and `val` are their contents, to be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.train = contents("train", images=4, first=1)
        self.val = contents("val", images=3, first=101)
        for split in ("train", "val"):
            (folder / split).mkdir(parents=True)
            for image in getattr(self, split)["images"]:
                noise(image["id"]).save(folder / split / image["file_name"])

    def image(self, split: str = "train", number: int = 0) -> Path:
        """The file of an image."""
        return self.folder / split / getattr(self, split)["images"][number]["file_name"]

    def write(self) -> None:
        for split in ("train", "val"):
            content = getattr(self, split)
            if not isinstance(content, bytes):
                content = json.dumps(content).encode()
            (self.folder / f"{split}.json").write_bytes(content)

    def arguments(self, needs: Sequence[str] = ("masks",)) -> list[str]:
        """The words of the check's command."""
        words = ["--name", "mine", "--needs", *needs]
        for split in ("train", "val"):
            words += [f"--{split}-annotations", str(self.folder / f"{split}.json")]
            words += [f"--{split}-images", str(self.folder / split)]
        return [*words, "--report", str(self.folder / "check.json"), "--text", str(self.folder / "check.txt")]


def box_as(meant: Meant, box: Sequence[float]) -> list[float]:
    """A box (x, y, width, height) of an image of 60 x 40 pixels as other formats have it."""
    x, y, width, height = box
    if meant == "corners":
        return [x, y, x + width, y + height]
    if meant == "centres":
        return [x + width / 2, y + height / 2, width, height]
    return [x / WIDTH, y / HEIGHT, width / WIDTH, height / HEIGHT]


def noise(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A picture of coarse noise, unlike that of any other seed."""
    cells = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((width, height), Image.Resampling.NEAREST)


def contents(split: str, images: int, first: int) -> Json:
    """An annotation file with two objects an image, of two categories, one of them with keypoints."""
    numbers = range(first, first + images)
    return {
        "images": [
            {"id": number, "file_name": f"{split}{number}.png", "width": WIDTH, "height": HEIGHT}
            for number in numbers
        ],
        "annotations": [
            annotation(2 * number + k, number, 3 + k, (30.0 * k + 5, 4.0, 20.0, 10.0 + number % 20))
            for number in numbers
            for k in (0, 1)
        ],
        "categories": [
            {"id": 3, "name": "person", "keypoints": list(KEYPOINTS)},
            {"id": 4, "name": "cat", "keypoints": list(KEYPOINTS)},
        ],
    }


def annotation(number: int, image: int, category: int, box: tuple[float, float, float, float]) -> Json:
    """A rectangle with all that COCO tells of an object."""
    x, y, width, height = box
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": list(box),
        "area": width * height,
        "iscrowd": 0,
        "segmentation": [[x, y, x + width, y, x + width, y + height, x, y + height]],
        "keypoints": [x + 1, y + 1, 2, x + 2, y + 2, 1] + [0, 0, 0] * 15,
        "num_keypoints": 2,
    }


def many(content: Json, count: int) -> None:
    """Repeat a file's annotations, each time a little smaller, until there are so many."""
    given = content["annotations"]
    content["annotations"] = []
    for number in range(count):
        entry = copy.deepcopy(given[number % len(given)])
        x, y, width, height = entry["bbox"]
        height -= 0.01 * (number // len(given))
        content["annotations"].append(
            entry | {"id": number + 1, "bbox": [x, y, width, height], "area": width * height}
        )


def run(words: Sequence[str], monkeypatch: pytest.MonkeyPatch, main: Callable[[], None] = check.main) -> int:
    """The exit code of a command with these words, in this process."""
    monkeypatch.setattr("sys.argv", ["check", *words])
    with pytest.raises(SystemExit) as ended:
        command(main)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def first(split: str = "train", **fields: Any) -> Spoil:
    """Change fields of a file's first annotation; None removes one."""

    def spoil(dataset: Dataset) -> None:
        entry = getattr(dataset, split)["annotations"][0]
        entry.update(fields)
        for name in [name for name, value in fields.items() if value is None]:
            del entry[name]

    return spoil


def each(split: str = "train", **fields: Any) -> Spoil:
    """Change fields of all annotations of a file."""

    def spoil(dataset: Dataset) -> None:
        for entry in getattr(dataset, split)["annotations"]:
            entry.update(copy.deepcopy(fields))

    return spoil


def image(**fields: Any) -> Spoil:
    """Change fields of the first image to train on."""
    return lambda dataset: dataset.train["images"][0].update(fields)


def image_of(number: int, name: str) -> Json:
    """An entry of `images`."""
    return {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}


def categories(split: str, *named: tuple[int, str]) -> Spoil:
    """Put categories in a file's place of its own; its annotations are all of the first."""

    def spoil(dataset: Dataset) -> None:
        content = getattr(dataset, split)
        content["categories"] = [{"id": number, "name": name} for number, name in named]
        for entry in content["annotations"]:
            entry["category_id"] = named[0][0]

    return spoil


def raw(old: str, new: str) -> Spoil:
    """Change the text of the file to train on."""

    def spoil(dataset: Dataset) -> None:
        text = json.dumps(dataset.train)
        assert old in text
        dataset.train = text.replace(old, new, 1).encode()  # type: ignore[assignment]

    return spoil


def report_of(dataset: Dataset, monkeypatch: pytest.MonkeyPatch, *needs: str) -> dict[str, Json]:
    """What was found in data that passes, by kind."""
    dataset.write()
    assert run(dataset.arguments(needs), monkeypatch) == 0
    report = json.loads((dataset.folder / "check.json").read_text())
    assert report["errors"] == 0
    return {entry["kind"]: entry for entry in report["found"]}
