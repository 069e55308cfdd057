"""The miniature world: what is drawn is valid COCO and VOC, and depends on nothing but its settings."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from workflow_scripts.data import voc
from workflow_scripts.data.world import coco_layout, voc_layout
from workflow_scripts.data.world.__main__ import MARKER, draw_world
from workflow_scripts.data.world.people import KEYPOINTS, SKELETON
from workflow_scripts.data.world.scene import draw_scene, generator
from workflow_scripts.data.world.settings import Settings, read_settings
from workflow_scripts.data.world.vocabulary import CATEGORIES, CLASS_NAMES
from workflow_scripts.errors import UserError

SIZE = 80
TINY = Settings(
    train_images=12,
    val_images=4,
    voc_train_images=7,
    voc_val_images=3,
    classification_images_per_class=2,
    classification_val_images_per_class=1,
)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    output = tmp_path_factory.mktemp("world")
    return output, draw_world(TINY, output)


@pytest.fixture(scope="module")
def scenes() -> list:
    """Enough scenes for crowds, empty, grey and occluded ones to be among them."""
    return [draw_scene(generator(0, "train", number), SIZE) for number in range(150)]


def test_loads_in_pycocotools(world: tuple[Path, dict]) -> None:
    folder = world[0] / "coco"
    for split, count in (("train", 12), ("val", 4)):
        coco = COCO(str(folder / "annotations" / f"instances_{split}.json"))
        assert len(coco.imgs) == count
        assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == [
            c.name for c in CATEGORIES
        ]
        for image in coco.imgs.values():
            with Image.open(folder / split / image["file_name"]) as picture:
                assert picture.size == (image["width"], image["height"]) == (SIZE, SIZE)
        for annotation in coco.anns.values():
            mask = coco.annToMask(annotation)
            assert annotation["area"] == mask.sum() > 0
            assert annotation["bbox"] == coco_layout.tight_box(mask.astype(bool))
        people = COCO(str(folder / "annotations" / f"person_keypoints_{split}.json"))
        assert set(people.imgs) == set(coco.imgs)
        assert {a["id"] for a in people.anns.values()} == set(coco.getAnnIds(catIds=[1]))
        assert people.cats[1]["keypoints"] == list(KEYPOINTS)
        assert len(people.cats[1]["skeleton"]) == len(SKELETON) == 19


def test_polygons_and_run_lengths_are_exactly_the_visible_pixels(scenes: list) -> None:
    coco = COCO()
    coco.imgs = {1: {"height": SIZE, "width": SIZE}}
    kinds = set()
    for scene in scenes:
        for instance, annotation in zip(
            scene.instances, coco_layout.annotations(scene.instances, 1), strict=True
        ):
            kinds.add(annotation["iscrowd"])
            assert (coco.annToMask(annotation).astype(bool) == instance.mask).all()
            if not annotation["iscrowd"]:
                numbers = np.concatenate(annotation["segmentation"])
                assert ((numbers >= 0) & (numbers <= SIZE)).all()
    assert kinds == {0, 1}


def test_visible_parts_never_overlap_and_some_things_are_hidden(scenes: list) -> None:
    hidden = 0
    for scene in scenes:
        if scene.instances:
            assert np.sum([instance.mask for instance in scene.instances], axis=0).max() <= 1
        hidden += sum(instance.mask.sum() < 0.8 * instance.whole for instance in scene.instances)
    assert hidden > 50


def test_there_are_crowds_empty_pictures_and_grey_ones(scenes: list) -> None:
    assert any(instance.crowd for scene in scenes for instance in scene.instances)
    assert any(not scene.instances for scene in scenes)
    assert {scene.image.mode for scene in scenes} == {"RGB", "L"}
    drawn = {instance.category.name for scene in scenes for instance in scene.instances}
    assert drawn == {category.name for category in CATEGORIES}


def test_keypoints_follow_coco(scenes: list) -> None:
    flags = set()
    for scene in scenes:
        for annotation in coco_layout.annotations(scene.instances, 1):
            assert ("keypoints" in annotation) == (annotation["category_id"] == 1)
            x, y, flag = np.reshape(annotation.get("keypoints", []), (-1, 3)).astype(int).T
            assert len(flag) in (0, 17)
            assert annotation.get("num_keypoints", 0) == (flag > 0).sum()
            assert ((x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE)).all()
            assert not (x + y)[flag == 0].any()
            flags |= set(flag.tolist())
    assert flags == {0, 1, 2}


def test_a_seen_keypoint_lies_on_its_person(scenes: list) -> None:
    for instance in (i for scene in scenes for i in scene.instances if i.keypoints is not None):
        x, y, flag = instance.keypoints.T
        assert instance.mask[y[flag == 2], x[flag == 2]].all()


def test_a_small_world_is_the_beginning_of_a_larger_one(world: tuple[Path, dict], tmp_path: Path) -> None:
    counts = {"train_images": 5, "val_images": 2, "voc_train_images": 4, "voc_val_images": 1}
    fewer = TINY.model_copy(update={**counts, "classification_images_per_class": 1})
    draw_world(fewer, tmp_path)
    large = _files(world[0])
    files = _files(tmp_path)
    assert sum(name.endswith(".jpg") for name in files) == sum(counts.values()) + 2 * len(CLASS_NAMES)
    assert sum(name.endswith(".xml") for name in files) == 4 + 1
    assert all(large[name] == files[name] for name in files if name.endswith((".jpg", ".xml")))
    for name in ("instances_train", "person_keypoints_train", "instances_val", "person_keypoints_val"):
        small_file, large_file = (
            json.loads((folder / "coco" / "annotations" / f"{name}.json").read_text())
            for folder in (tmp_path, world[0])
        )
        for part in ("images", "annotations"):
            assert small_file[part] == large_file[part][: len(small_file[part])]


def test_two_processes_draw_the_same_bytes(world: tuple[Path, dict], tmp_path: Path) -> None:
    manifest = draw_world(TINY, tmp_path, processes=2)
    assert manifest == world[1]
    assert _files(tmp_path) == _files(world[0])


def test_another_seed_draws_another_world_and_splits_differ(world: tuple[Path, dict], tmp_path: Path) -> None:
    manifest = draw_world(TINY.model_copy(update={"seed": 1}), tmp_path)
    assert manifest["images_sha256"] != world[1]["images_sha256"]
    pictures = [content for name, content in _files(world[0]).items() if name.endswith(".jpg")]
    assert len(set(pictures)) == len(pictures) == world[1]["images"]


def test_classification_folders(world: tuple[Path, dict]) -> None:
    for split, count in (("train", 2), ("val", 1)):
        folder = world[0] / "classification" / split
        assert sorted(path.name for path in folder.iterdir()) == sorted(CLASS_NAMES)
        assert all(len(list(path.glob("*.jpg"))) == count for path in folder.iterdir())
    assert len(CLASS_NAMES) >= 24


def test_voc_folders(world: tuple[Path, dict]) -> None:
    listed = []
    for folder, split, count in (("VOC2007", "trainval", 4), ("VOC2012", "train", 3), ("VOC2012", "val", 3)):
        images = voc.read(world[0] / "voc" / folder, split)
        assert len(images) == count
        listed += [image.path for image in images]
        for image in images:
            with Image.open(image.path) as picture:
                assert picture.size == (image.width, image.height) == (SIZE, SIZE)
    assert sorted(listed) == sorted(map(str, (world[0] / "voc").rglob("*.jpg")))


def test_voc_scenes_hold_fewer_things_and_some_are_difficult() -> None:
    drawn = [
        draw_scene(
            generator(0, "voc_2012_val", number), SIZE, voc_layout.THINGS, voc_layout.VOC_CATEGORIES, 0
        )
        for number in range(150)
    ]
    objects = [voc_layout.objects(scene.instances) for scene in drawn]
    assert max(map(len, objects)) == 3
    assert not any(instance.crowd for scene in drawn for instance in scene.instances)
    assert {found.name for several in objects for found in several} == {
        c.name for c in voc_layout.VOC_CATEGORIES
    }
    difficult = [found.difficult for several in objects for found in several]
    assert 0.05 < sum(difficult) / len(difficult) < 0.3
    for found in (found for several in objects for found in several):
        assert found.truncated == (1 in found.box[:2] or SIZE in found.box[2:])


def test_the_manifest_covers_the_voc_annotations(world: tuple[Path, dict], tmp_path: Path) -> None:
    manifest = draw_world(TINY.model_copy(update={"voc_val_images": 2}), tmp_path)
    assert manifest["annotations"] == world[1]["annotations"]
    assert manifest["voc_annotations_sha256"] != world[1]["voc_annotations_sha256"]
    assert manifest["images_sha256"] != world[1]["images_sha256"]


def test_an_earlier_world_is_replaced_but_nothing_else_is(world: tuple[Path, dict], tmp_path: Path) -> None:
    smallest = TINY.model_copy(
        update={"train_images": 1, "val_images": 1, "classification_images_per_class": 1}
    )
    draw_world(TINY, tmp_path)
    draw_world(smallest, tmp_path)
    assert len(list((tmp_path / "coco" / "train").iterdir())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classification", "coco", "voc"]
    (tmp_path / "coco" / MARKER).unlink()
    with pytest.raises(UserError, match="was not drawn by this command"):
        draw_world(smallest, tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"images": 3}', "images"),
        ('{"train_images": "many"}', "train_images"),
        ('{"train_images": 2.0}', "train_images"),
        ('{"val_images": 0}', "val_images"),
        ('{"voc_train_images": 1}', "voc_train_images"),
        ('{"image_size": -80}', "image_size"),
        ('{"seed": -1}', "seed"),
        ('{"seed": 0, "val_images": 0, "train_images": true}', "val_images.*|train_images"),
        ("[1]", "all: "),
        ("{seed: 0}", "not JSON"),
    ],
)
def test_wrong_settings_name_the_field(text: str, named: str) -> None:
    with pytest.raises(UserError, match=named):
        read_settings(text)
