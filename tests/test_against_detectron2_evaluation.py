"""Detections and AP equal detectron2's: its `DefaultPredictor`, test augmentation and `COCOEvaluator`, on its own
configuration files.

Pictures are square, wide and high, larger than what the detector sees, and category ids are not class numbers.
"""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from detectron2.config import CfgNode
from detectron2.data import build_detection_test_loader, get_detection_dataset_dicts
from detectron2.engine import DefaultPredictor
from detectron2.evaluation import COCOEvaluator, inference_on_dataset
from detectron2.modeling import GeneralizedRCNNWithTTA, build_model
from detectron2.structures import BoxMode, Instances
from pycocotools import mask as masks

from tests import detectron2_witness as witness
from tests.test_against_detectron2_training import NARROW
from tests.training import (
    TinyWorld,
    mixed_sizes,
    run_here,
    segment,
    tiny_recipe,
    tiny_world,
    training_command,
)
from workflow_scripts.evaluation import detect as detecting
from workflow_scripts.evaluation import evaluate as evaluating
from workflow_scripts.evaluation.detect import Augmentation, detect
from workflow_scripts.models.build import build
from workflow_scripts.models.tensors import load_tensors, save_tensors
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.configuration.scales import Warmup

TIMES = 6
SIDE, LONGEST = 48, 64
"""The longest side is less than that of half of the pictures would be."""
SMALL = {
    **NARROW,
    "MODEL.RESNETS.DEPTH": 18,
    "MODEL.RESNETS.RES2_OUT_CHANNELS": 64,
    "MODEL.ROI_BOX_HEAD.NUM_CONV": 1,
    "MODEL.ROI_BOX_HEAD.FC_DIM": 128,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    mixed_sizes(tiny_world(folder), TIMES)
    return folder


def recipe_of(detector: str, **changes: object) -> Recipe:
    sides = {"image_sides": (40, SIDE), "longest_side": LONGEST}
    return tiny_recipe(detector=detector, detectron2=SMALL, **{**sides, **changes})


def config_of(detector: str, annotations: Path, images: Path, weights: Path | None = None) -> CfgNode:
    name = witness.registered(annotations, images, detector == "keypoint_rcnn")
    settings = {
        **SMALL,
        "MODEL.ROI_HEADS.NUM_CLASSES": len(categories(annotations)),
        "INPUT.MIN_SIZE_TEST": SIDE,
        "INPUT.MAX_SIZE_TEST": LONGEST,
        "DATASETS.TEST": (name,),
        "DATALOADER.NUM_WORKERS": 0,
        "MODEL.WEIGHTS": str(weights or ""),
    }
    return witness.detectron2s_config(detector, *(part for pair in settings.items() for part in pair))


def categories(annotations: Path) -> list[int]:
    """Category ids by class number: COCO's, ascending."""
    return sorted(category["id"] for category in json.loads(annotations.read_text())["categories"])


def decided(recipe: Recipe, classes: int) -> dict[str, torch.Tensor]:
    """Random weights whose detector is sure of what it sees: scores, boxes and masks far from those of others."""
    weights = build(recipe, classes, "cpu").state_dict()
    for name in weights:
        if "predictor" in name and name.endswith("weight"):
            weights[name] = weights[name] * (300 if "bbox_pred" in name or "mask" in name else 30)
    return weights


def check_same(found: list[dict[str, Any]], expected: Instances, ids: list[int]) -> None:
    """Results in COCO's format are the instances, whatever their order."""
    assert len(found) == len(expected) > 10
    boxes = BoxMode.convert(expected.pred_boxes.tensor, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
    left = set(range(len(expected)))
    for result in found:
        same = [number for number in left if ids[expected.pred_classes[number]] == result["category_id"]]
        nearest = min(same, key=lambda number: (boxes[number] - torch.tensor(result["bbox"])).abs().max())
        left.remove(nearest)
        assert result["bbox"] == pytest.approx(boxes[nearest].tolist(), abs=0.02)
        assert result["score"] == pytest.approx(expected.scores[nearest].item(), abs=1e-4)
        if expected.has("pred_masks"):
            mask = masks.decode(result["segmentation"]).astype(bool)
            different = (mask != expected.pred_masks[nearest].numpy()).sum()
            assert different <= 4, f"{different} pixels of {mask.sum()}"


@pytest.mark.parametrize("detector", ["mask_rcnn", "cascade_mask_rcnn", "faster_rcnn"])
def test_detections_are_those_of_detectron2s_predictor(folder: Path, tmp_path: Path, detector: str) -> None:
    world, recipe = TinyWorld(folder), recipe_of(detector)
    ids = categories(world.val_annotations)
    weights = decided(recipe, len(ids))
    save_tensors(tmp_path / "ours.safetensors", weights, {})
    torch.save({"model": weights}, tmp_path / "theirs.pth")
    found = detect(recipe, tmp_path / "ours.safetensors", world.val_annotations, world.val_images, "cpu")

    config = config_of(detector, world.val_annotations, world.val_images, tmp_path / "theirs.pth")
    predictor = DefaultPredictor(config)
    images = json.loads(world.val_annotations.read_text())["images"]
    assert len({(image["height"], image["width"]) for image in images}) > 2
    for image in images:
        expected = predictor(cv2.imread(str(world.val_images / image["file_name"])))["instances"]
        check_same([result for result in found if result["image_id"] == image["id"]], expected, ids)
    assert len({result["category_id"] for result in found}) > 5


def test_augmented_detections_are_those_of_detectron2s_test_augmentation(
    folder: Path, tmp_path: Path
) -> None:
    """On the records of its data sets, two versions at a time as ours: what shares a batch is padded to one size."""
    world, recipe = TinyWorld(folder), recipe_of("mask_rcnn")
    ids = categories(world.val_annotations)
    weights = decided(recipe, len(ids))
    save_tensors(tmp_path / "ours.safetensors", weights, {})
    augmentation = Augmentation((40, 56), 72)
    files = (world.val_annotations, world.val_images)
    found = detect(recipe, tmp_path / "ours.safetensors", *files, "cpu", augmentation)

    config = config_of("mask_rcnn", *files)
    config.merge_from_list(["TEST.AUG.MIN_SIZES", (40, 56), "TEST.AUG.MAX_SIZE", 72])
    model = build_model(config).eval()
    model.load_state_dict(weights)
    augmented = GeneralizedRCNNWithTTA(config, model, batch_size=2)
    for record in get_detection_dataset_dicts(config.DATASETS.TEST, filter_empty=False):
        with torch.no_grad():
            (output,) = augmented([record])
        results = [result for result in found if result["image_id"] == record["image_id"]]
        check_same(results, output["instances"], ids)


def few(world: TinyWorld, images: int) -> Path:
    """Annotations of the first images with something to learn, and no more."""
    content = json.loads(world.annotations.read_text())
    shown = [a["image_id"] for a in content["annotations"] if a.get("num_keypoints", 1) and not a["iscrowd"]]
    chosen = list(dict.fromkeys(shown))[:images]
    content["images"] = [image for image in content["images"] if image["id"] in chosen]
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] in chosen]
    path = world.annotations.with_name(f"{world.name}_few.json")
    path.write_text(json.dumps(content))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("detector", "annotations", "images", "types"),
    [
        ("mask_rcnn", "instances", 5, ("bbox", "segm")),
        ("keypoint_rcnn", "person_keypoints", 3, ("bbox", "keypoints")),
    ],
)
def test_ap_of_a_trained_detector_is_that_of_detectron2s_evaluator(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    detector: str,
    annotations: str,
    images: int,
    types: tuple[str, ...],
) -> None:
    """On the pictures that it was trained on, which it has learned in part."""
    world, steps = TinyWorld(folder, annotations), 160
    truths = few(world, images)
    warmup = Warmup(iterations=20, factor=0.1)
    recipe = recipe_of(detector, batch=2, base_lr=0.02, warmup=warmup, image_sides=(SIDE,))
    part = segment(0, steps, (130, 150), evaluations=(steps,))
    run_here(training_command(tmp_path, recipe, part, world, "--annotations", str(truths)))
    weights = tmp_path / f"checkpoints/{steps}.safetensors"
    ours = evaluated(recipe, weights, truths, world.images, tmp_path, monkeypatch)

    config = config_of(detector, truths, world.images)
    model = build_model(config)
    model.load_state_dict(load_tensors(weights)[0])
    (name,) = config.DATASETS.TEST
    evaluator = COCOEvaluator(name, distributed=False, use_fast_impl=False)
    theirs = inference_on_dataset(model, build_detection_test_loader(config, name), evaluator)
    assert ours.keys() == theirs.keys() == set(types)
    for iou_type in types:
        found = {metric: value for metric, value in ours[iou_type].items() if metric != "per_category"}
        expected = {name: value for name, value in theirs[iou_type].items() if not name.startswith("AP-")}
        by_category = ours[iou_type]["per_category"]
        if len(by_category) > 1:
            found |= {f"AP-{category}": value for category, value in by_category.items()}
            expected = theirs[iou_type]
            assert len({value for value in by_category.values() if value}) > 3, by_category
            assert sum(found[size] is not None for size in ("APs", "APm", "APl")) > 1
        assert found.keys() == expected.keys()
        for metric, value in found.items():
            assert value == (
                None if np.isnan(expected[metric]) else pytest.approx(expected[metric], abs=0.01)
            ), metric
        assert found["AP"] > 5


def evaluated(
    recipe: Recipe,
    weights: Path,
    annotations: Path,
    images: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """Our metrics, by the two commands that jobs run."""
    files = {
        name: str(folder / name) for name in ("recipe.json", "detections", "metrics.json", "samples.csv")
    }
    about = ["--recipe", files["recipe.json"], "--annotations", str(annotations)]
    at = ["--iterations", weights.stem]
    given = ["--checkpoints", str(weights.parent), "--images", str(images), "--output", files["detections"]]
    monkeypatch.setattr(sys, "argv", ["detect", *about, *at, *given])
    detecting.main()
    place = ["--segment", "trunk-0-1", "--stage", "trunk", "--replicate-count", "0"]
    given = [*at, "--detections", files["detections"], "--metrics", files["metrics.json"]]
    monkeypatch.setattr(
        sys, "argv", ["evaluate", *about, *place, *given, "--replicates", files["samples.csv"]]
    )
    evaluating.main()
    (checkpoint,) = json.loads(Path(files["metrics.json"]).read_text())["checkpoints"]
    return checkpoint["metrics"]
