"""Objects cut out to pre-train on: the right pixels, of the right classes, the same each time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.data import coco
from workflow_scripts.data.crops import around, read_part, write_crops
from workflow_scripts.errors import UserError

RED, BLUE, GREY = (200, 0, 0), (0, 0, 200), (90, 90, 90)


def part(folder: Path, objects: list[dict[str, Any]], images: int = 1) -> Any:
    """Grey pictures of 100 x 60 pixels; each object is painted in its colour."""
    folder.mkdir(parents=True)
    for number in range(1, images + 1):
        picture = np.full((60, 100, 3), GREY, np.uint8)
        for each in objects:
            if each["image_id"] == number:
                x, y, w, h = map(int, (*each["bbox"], 0)[:4])
                picture[y : y + h, x : x + w] = RED if each["category_id"] == 3 else BLUE
        Image.fromarray(picture).save(folder / f"{number}.png")
    content = {
        "images": [
            {"id": n, "file_name": f"{n}.png", "width": 100, "height": 60} for n in range(1, images + 1)
        ],
        "annotations": [{"id": n, "area": 1, "iscrowd": 0} | each for n, each in enumerate(objects, 1)],
        "categories": [{"id": 3, "name": "a/b"}, {"id": 8, "name": "$(c)"}, {"id": 9, "name": "rare"}],
    }
    path = folder.with_suffix(".json")
    path.write_text(json.dumps(content))
    return read_part(path, folder)


def thing(category: int, box: list[float], image: int = 1, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": box} | more


def colours(folder: Path) -> list[tuple[int, ...]]:
    """The middle pixel of each picture."""
    pictures = [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]
    return [tuple(int(value) for value in each[each.shape[0] // 2, each.shape[1] // 2]) for each in pictures]


def test_each_object_is_the_middle_of_a_picture_of_its_class(tmp_path: Path) -> None:
    objects = [thing(3, [10, 10, 20, 12]), thing(8, [60, 20, 10, 30]), thing(3, [75, 5, 20, 20])]
    parts = {name: part(tmp_path / name, objects) for name in ("train", "val")}
    counts = write_crops(parts, tmp_path / "crops", side=40, most=20, seed=0)

    assert counts["train"] == {"category-3": 2, "category-8": 1, "background": 1}
    assert colours(tmp_path / "crops/train/category-3") == [RED, RED]
    assert colours(tmp_path / "crops/train/category-8") == [BLUE]
    assert Image.open(next((tmp_path / "crops/train/category-8").glob("*"))).size == (40, 40)


def test_a_square_goes_a_tenth_beyond_its_box_and_stays_within_the_image() -> None:
    image = coco.Image(1, 60, 100, "1.png")
    assert around([40, 20, 20, 10], image) == (39, 14, 22)
    assert around([0, 0, 20, 10], image) == (0, 0, 22)
    assert around([90, 50, 10, 10], image) == (89, 49, 11)
    assert around([0, 0, 100, 60], image) == (20, 0, 60), "no larger than the image's shorter side"


def test_background_holds_little_of_any_object(tmp_path: Path) -> None:
    objects = [thing(3, [0, 0, 50, 60], image) for image in range(1, 31)]
    parts = {name: part(tmp_path / name, objects, images=30) for name in ("train", "val")}
    write_crops(parts, tmp_path / "crops", side=20, most=30, seed=0)
    pictures = [np.asarray(Image.open(path)) for path in (tmp_path / "crops/train/background").glob("*.png")]
    assert len(pictures) >= 3
    red = [(picture[..., 0] > 150).mean() for picture in pictures]
    assert max(red) <= 0.15


def test_what_shows_nothing_is_left_out(tmp_path: Path) -> None:
    kept = thing(3, [10, 10, 20, 12])
    left = [
        thing(8, [50, 10, 7, 7]),
        thing(8, [50, 10, 20, 20], iscrowd=1),
        thing(8, [50, 10, -20, 20]),
        thing(8, [50, 10, 20]),
    ]
    parts = {"train": part(tmp_path / "train", [kept, *left]), "val": part(tmp_path / "val", [kept])}
    assert "category-8" not in write_crops(parts, tmp_path / "crops", 20, 20, 0)["train"]


def test_a_category_that_one_part_lacks_is_no_class(tmp_path: Path) -> None:
    parts = {
        "train": part(tmp_path / "train", [thing(3, [10, 10, 20, 12]), thing(9, [50, 10, 20, 20])]),
        "val": part(tmp_path / "val", [thing(3, [10, 10, 20, 12])]),
    }
    write_crops(parts, tmp_path / "crops", 20, 20, 0)
    for name in ("train", "val"):
        assert sorted(path.name for path in (tmp_path / "crops" / name).iterdir()) == [
            "background",
            "category-3",
        ]


@pytest.mark.parametrize("small", ["train", "val"])
def test_data_of_objects_too_small_to_cut_out_is_refused(tmp_path: Path, small: str) -> None:
    parts = {
        name: part(tmp_path / name, [thing(3, [10, 10, 7, 7] if name == small else [10, 10, 20, 12])])
        for name in ("train", "val")
    }
    with pytest.raises(
        UserError, match=r"found nothing to cut out .* objects of 8 pixels or more; name pictures"
    ):
        write_crops(parts, tmp_path / "crops", side=32, most=10, seed=0)
    assert not (tmp_path / "crops").exists()


def test_data_without_objects_in_common_is_refused(tmp_path: Path) -> None:
    parts = {
        "train": part(tmp_path / "train", [thing(3, [10, 10, 20, 12])]),
        "val": part(tmp_path / "val", [thing(8, [10, 10, 20, 12])]),
    }
    with pytest.raises(UserError, match=r"found background to cut out in both parts .* expected two classes"):
        write_crops(parts, tmp_path / "crops", 20, 20, 0)
    assert not (tmp_path / "crops").exists()


def test_no_class_has_more_than_asked_for_and_the_seed_says_which(tmp_path: Path) -> None:
    objects = [thing(3, [number, 10, 9 + number, 9]) for number in range(40)]
    parts = {name: part(tmp_path / name, objects) for name in ("train", "val")}

    def written(folder: str, seed: int) -> list[bytes]:
        write_crops(parts, tmp_path / folder, 20, 20, seed)
        return [path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.png"))]

    first = written("a", 0)
    assert len(list((tmp_path / "a/train/category-3").iterdir())) == 20
    assert len(list((tmp_path / "a/val/category-3").iterdir())) == 2
    assert written("b", 0) == first
    assert written("c", 1) != first
