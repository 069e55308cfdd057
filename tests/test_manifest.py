"""The reading and checking of COCO annotation files, and the manifest."""

import hashlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.data import coco, manifest
from workflow_scripts.errors import UserError


def dataset() -> dict[str, Any]:
    return {
        "images": [
            {"id": 9, "height": 4, "width": 6, "file_name": "nine.jpg"},
            {"id": 2, "height": 5, "width": 3, "file_name": "two.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 2, "category_id": 7, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 3, "bbox": [1, 1, 1, 1], "area": 1, "iscrowd": 1},
        ],
        "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
    }


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(dataset()))
    (tmp_path / "images").mkdir()
    for image in dataset()["images"]:
        (tmp_path / "images" / image["file_name"]).touch()
    return path


def run(monkeypatch: pytest.MonkeyPatch, annotations: Path) -> Path:
    output = annotations.parent / "manifest.json"
    arguments = ["--annotations", annotations, "--images", annotations.parent / "images", "--output", output]
    monkeypatch.setattr(sys, "argv", ["manifest", *map(str, arguments)])
    manifest.main()
    return output


def test_manifest_states_hashes_and_counts(monkeypatch: pytest.MonkeyPatch, annotations: Path) -> None:
    output = run(monkeypatch, annotations)
    assert json.loads(output.read_text()) == {
        "file": "instances.json",
        "bytes": annotations.stat().st_size,
        "sha256": hashlib.sha256(annotations.read_bytes()).hexdigest(),
        "image_count": 2,
        "annotation_count": 2,
        "categories": ["dog", "cat"],
        "image_list_sha256": hashlib.sha256(b"2 two.jpg\n9 nine.jpg\n").hexdigest(),
    }


def test_reading_keeps_the_bytes_and_decodes_what_the_study_needs(annotations: Path) -> None:
    file = coco.read(annotations)
    assert file.images[0] == coco.Image(id=9, height=4, width=6, file_name="nine.jpg")
    assert file.categories == [coco.Category(3, "dog"), coco.Category(7, "cat")]
    assert file.annotation_image_ids == [2, 2]
    assert [json.loads(bytes(entry)) for entry in file.sections.annotations] == dataset()["annotations"]


def test_image_list_hash_ignores_the_order_but_not_the_names(annotations: Path) -> None:
    images = coco.read(annotations).images
    renamed = [*images[1:], coco.Image(images[0].id, images[0].height, images[0].width, "other.jpg")]
    assert manifest.image_list_sha256(images[::-1]) == manifest.image_list_sha256(images)
    assert manifest.image_list_sha256(renamed) != manifest.image_list_sha256(images)


def test_images_in_folders_below_are_found(annotations: Path) -> None:
    content = dataset()
    content["images"][0]["file_name"] = "more/nine.jpg"
    annotations.write_text(json.dumps(content))
    images = annotations.parent / "images"
    with pytest.raises(UserError, match=r"1 of the 2 images .* are missing, first more/nine.jpg"):
        coco.require_image_files(coco.read(annotations), images)
    (images / "more").mkdir()
    (images / "nine.jpg").rename(images / "more" / "nine.jpg")
    coco.require_image_files(coco.read(annotations), images)


def test_missing_images_are_named_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, annotations: Path
) -> None:
    (annotations.parent / "images" / "two.jpg").unlink()
    with pytest.raises(
        UserError, match=r"images: 1 of the 2 images of .*instances.json are missing, first two.jpg"
    ):
        run(monkeypatch, annotations)
    assert sorted(path.name for path in annotations.parent.iterdir()) == ["images", "instances.json"]


def test_missing_image_folder_is_named(annotations: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: no such folder of images. .* holds nine.jpg"):
        coco.require_image_files(coco.read(annotations), annotations.parent / "nowhere")


def without(section: str, field: str | None = None) -> dict[str, Any]:
    content = dataset()
    if field is None:
        del content[section]
    else:
        del content[section][1][field]
    return content


def changed(section: str, field: str, value: Any) -> dict[str, Any]:
    content = dataset()
    content[section][1][field] = value
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without("images"), "missing required field `images`"),
        (without("annotations"), "missing required field `annotations`"),
        (without("categories"), "missing required field `categories`"),
        ([], "Expected `object`, got `array`"),
        (without("images", "file_name"), r"images\[1\]: .* missing required field `file_name`"),
        (without("categories", "name"), r"categories: .* missing required field `name` - at `\$\[1\]`"),
        (without("annotations", "image_id"), r"annotations\[1\]: .* missing required field `image_id`"),
        (changed("images", "width", 0), r"images\[1\]: Expected `int` >= 1 - at `\$.width`"),
        (changed("annotations", "image_id", "2"), r"annotations\[1\]: Expected `int`, got `str`"),
        (changed("images", "id", 9), "`images`: id 9 is there 2 times"),
        (changed("annotations", "id", 1), "`annotations`: id 1 is there 2 times"),
        (changed("categories", "id", 7), "`categories`: id 7 is there 2 times"),
        (changed("categories", "name", "cat"), "`categories`: name 'cat' is there 2 times"),
        (changed("annotations", "image_id", 5), "annotation id 2 has image_id 5, .* none of the `images`"),
        (
            changed("annotations", "category_id", 5),
            "annotation id 2 has category_id 5, .* none of the `categories`",
        ),
    ],
)
def test_what_is_no_annotation_file_is_refused(annotations: Path, content: Any, message: str) -> None:
    annotations.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"instances.json.*{message}"):
        coco.read(annotations)


def test_files_that_are_not_json_are_refused(annotations: Path) -> None:
    whole = annotations.read_text()
    cuts = random.Random(0).sample(range(1, len(whole)), 20)
    for cut in cuts:
        annotations.write_text(whole[:cut])
        with pytest.raises(UserError, match=r"instances.json: not JSON: .*cut short"):
            coco.read(annotations)
    annotations.write_text("")
    with pytest.raises(UserError, match="the file is empty"):
        coco.read(annotations)
    with pytest.raises(UserError, match=r"nothing.json: no such file"):
        coco.read(annotations.parent / "nothing.json")
    with pytest.raises(UserError, match="images: cannot be read"):
        coco.read(annotations.parent / "images")
