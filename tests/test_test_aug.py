"""Test-time augmentation is detectron2's, on the images as they lie on disk."""

import json
import sys

import pytest
import torch
from detectron2.config import get_cfg
from detectron2.evaluation.coco_evaluation import instances_to_coco_json
from detectron2.modeling import GeneralizedRCNNWithTTA

from tests.training import TinyWorld, tiny_recipe, tiny_world
from workflow_scripts.errors import UserError
from workflow_scripts.evaluation.detect import Augmentation, detect, main
from workflow_scripts.models.build import build
from workflow_scripts.models.tensors import save_tensors
from workflow_scripts.training.examples import category_ids, coco_records

AUGMENTATION = Augmentation((32, 40, 48), 64)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"))


def untrained(detector: str, world: TinyWorld, folder):
    """A recipe, its model with random weights, and a file of them."""
    recipe = tiny_recipe(detector=detector)
    recipe = recipe.model_copy(
        update={"detectron2": {**recipe.detectron2, "MODEL.ROI_HEADS.SCORE_THRESH_TEST": 0.0}}
    )
    _, classes = coco_records(world.val_annotations, world.val_images)
    model = build(recipe, len(classes), "cpu").eval()
    weights = folder / "weights.safetensors"
    save_tensors(weights, model.state_dict(), {})
    return recipe, model, weights


@pytest.mark.parametrize("detector", ["mask_rcnn", "cascade_mask_rcnn", "faster_rcnn"])
def test_detections_are_those_of_detectron2(world, tmp_path, detector):
    recipe, model, weights = untrained(detector, world, tmp_path)
    found = detect(recipe, weights, world.val_annotations, world.val_images, "cpu", AUGMENTATION)

    config = get_cfg()
    config.MODEL.ROI_HEADS.NUM_CLASSES = model.roi_heads.num_classes
    config.MODEL.MASK_ON = detector != "faster_rcnn"
    config.TEST.AUG.MIN_SIZES = (32, 40, 48)
    config.TEST.AUG.MAX_SIZE = 64
    config.TEST.AUG.FLIP = True
    augmented = GeneralizedRCNNWithTTA(config, model, batch_size=2)
    record = coco_records(world.val_annotations, world.val_images)[0][0]
    image = {name: record[name] for name in ("file_name", "height", "width")}
    with torch.no_grad():
        expected = instances_to_coco_json(augmented([image])[0]["instances"], record["image_id"])
    categories = category_ids(world.val_annotations)
    for result in expected:
        result["category_id"] = categories[result["category_id"]]
    assert expected
    assert ("segmentation" in expected[0]) == config.MODEL.MASK_ON
    assert [result for result in found if result["image_id"] == record["image_id"]] == expected


def test_only_the_options_augment(world, tmp_path, monkeypatch):
    recipe, _, weights = untrained("mask_rcnn", world, tmp_path)
    recipe_file, output = tmp_path / "recipe.json", tmp_path / "detections"
    weights = weights.rename(tmp_path / "90.safetensors")
    recipe_file.write_text(recipe.model_dump_json())
    paths = {
        "--recipe": recipe_file,
        "--checkpoints": tmp_path,
        "--iterations": 90,
        "--annotations": world.val_annotations,
        "--images": world.val_images,
        "--output": output,
    }
    words = [str(word) for pair in paths.items() for word in pair]

    def dump(*options: str):
        monkeypatch.setattr(sys, "argv", ["detect", *words, *options])
        main()
        return json.loads((output / "90.json").read_text())

    arguments = (recipe, weights, world.val_annotations, world.val_images, "cpu")
    assert dump() == detect(*arguments)
    with pytest.raises(SystemExit):
        dump("--test-aug-sides", "32")
    options = ("--test-aug-sides", "32", "40", "48", "--test-aug-longest", "64")
    assert dump(*options) == detect(*arguments, AUGMENTATION)
    assert detect(*arguments) != detect(*arguments, AUGMENTATION)


def test_keypoints_are_refused(tmp_path):
    world = tiny_world(tmp_path / "world", annotations="person_keypoints")
    recipe, _, weights = untrained("keypoint_rcnn", world, tmp_path)
    with pytest.raises(UserError, match="keypoint_rcnn, which detectron2 cannot test with augmentation"):
        detect(recipe, weights, world.val_annotations, world.val_images, "cpu", AUGMENTATION)
