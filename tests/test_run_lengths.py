"""Masks as run lengths, COCO's second form: learned as detectron2 learns bitmaps, scored as by pycocotools."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectron2.data import DatasetMapper, get_detection_dataset_dicts
from detectron2.structures import BitMasks, PolygonMasks
from pycocotools import mask as masks
from scipy.ndimage import binary_dilation, binary_erosion

from tests import detectron2_witness as witness
from tests.checked import Dataset
from tests.checked import run as checked
from tests.test_coco_metrics import (
    HEIGHT,
    WIDTH,
    draw_detections,
    draw_truths,
    evaluate,
    evaluate_with_pycocotools,
)
from tests.training import TinyWorld, metrics, mixed_sizes, run_here, segment, tiny_recipe, tiny_world
from tests.training import training_command as command
from workflow_scripts.data import coco, manifest, subsets
from workflow_scripts.data.check.repair import repaired
from workflow_scripts.data.mask_format import mask_format
from workflow_scripts.data.world.coco_layout import run_lengths
from workflow_scripts.evaluation import pictures
from workflow_scripts.models.build import build
from workflow_scripts.models.seeds import key, seed_everything
from workflow_scripts.training.examples import Examples, detection_examples
from workflow_scripts.training.sampler import GlobalBatches

Json = dict[str, Any]
DRAWS = [(iteration, position, index) for index in range(12) for iteration in (0, 1) for position in (0, 3)]
"""Of each image, some mirrored and some not, at both sizes."""


def compressed(polygons: list[list[float]], height: int, width: int) -> Json:
    """The mask within polygons by pycocotools, in COCO's compressed form."""
    code = masks.merge(masks.frPyObjects(polygons, height, width))
    return {"size": [height, width], "counts": code["counts"].decode()}


def uncompressed(polygons: list[list[float]], height: int, width: int) -> Json:
    """The same as a list of counts."""
    return run_lengths(masks.decode(compressed(polygons, height, width)).astype(bool))


def in_run_lengths(content: Json, *forms: Any) -> Json:
    """An annotation file with its polygons in these forms, in turn; None leaves polygons."""
    content = copy.deepcopy(content)
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    for number, each in enumerate(content["annotations"]):
        form = forms[number % len(forms)]
        if form is not None and not each["iscrowd"]:
            each["segmentation"] = form(each["segmentation"], *sizes[each["image_id"]])
    return content


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyWorld, TinyWorld]:
    """Pictures of several shapes: with polygons, and in another file with all three forms, mixed."""
    world = tiny_world(tmp_path_factory.mktemp("world"))
    mixed_sizes(world)
    content = in_run_lengths(json.loads(world.annotations.read_text()), compressed, uncompressed, None)
    other = TinyWorld(world.folder, "mixed")
    other.annotations.write_text(json.dumps(content))
    return world, other


def examples_of(world: TinyWorld, **changes: object) -> Examples:
    return detection_examples(tiny_recipe(**changes), world.annotations, world.images)


def test_unresized_masks_are_the_very_ones_that_polygons_draw(worlds: tuple[TinyWorld, TinyWorld]) -> None:
    """The world's polygons hold exactly the centres of the pixels that are seen, mirrored ones too."""
    one_size = {"image_sides": (48,), "longest_side": 98}
    polygons, bitmaps = (examples_of(world, **one_size) for world in worlds)
    seen = 0
    for draw in DRAWS:
        ours, theirs = (examples[draw]["instances"] for examples in (bitmaps, polygons))
        assert isinstance(ours.gt_masks, BitMasks) and isinstance(theirs.gt_masks, PolygonMasks)
        drawn = BitMasks.from_polygon_masks(theirs.gt_masks, *theirs.image_size)
        assert torch.equal(ours.gt_masks.tensor, drawn.tensor)
        assert torch.equal(ours.gt_boxes.tensor, theirs.gt_boxes.tensor)
        seen += int(drawn.tensor.sum())
    assert seen > 1000


def test_resized_masks_are_those_of_polygons_within_a_pixel(worlds: tuple[TinyWorld, TinyWorld]) -> None:
    """But for parts of a single pixel, which outlines round off where they are enlarged."""
    polygons, bitmaps = (examples_of(world, image_sides=(31, 67), longest_side=140) for world in worlds)
    square, pixels, beyond, kept = np.ones((3, 3)), 0, 0, 0
    for draw in DRAWS:
        ours, theirs = (examples[draw]["instances"] for examples in (bitmaps, polygons))
        kept += len(ours) == len(theirs)  # else a bitmap of a few pixels has none at the smaller size
        drawn = BitMasks.from_polygon_masks(theirs.gt_masks, *theirs.image_size).tensor.numpy()
        for mask, expected in zip(ours.gt_masks.tensor.numpy(), drawn, strict=len(ours) == len(theirs)):
            pixels += expected.sum()
            beyond += (mask & ~binary_dilation(expected, square)).sum()
            beyond += (binary_erosion(expected, square) & ~mask).sum()
    assert kept == len(DRAWS)
    assert beyond < 0.001 * pixels


def test_examples_are_those_of_detectron2s_mapper_for_bitmaps(worlds: tuple[TinyWorld, TinyWorld]) -> None:
    world = worlds[1]
    recipe = tiny_recipe()
    name = witness.registered(world.annotations, world.images)
    sides = ("INPUT.MIN_SIZE_TRAIN", recipe.image_sides, "INPUT.MAX_SIZE_TRAIN", recipe.longest_side)
    config = witness.detectron2s_config("mask_rcnn", *sides, "INPUT.MASK_FORMAT", "bitmask")
    mapper = DatasetMapper(config, is_train=True)
    records = get_detection_dataset_dicts([name], filter_empty=True)
    examples = examples_of(world)
    assert len(examples) == len(records)
    for iteration, position, index in DRAWS:
        ours = examples[iteration, position, index]
        seed_everything(key(recipe.seed, "augmentation", iteration, position))
        theirs = mapper(records[index])
        assert torch.equal(ours["image"], theirs["image"])
        for name in ("gt_boxes", "gt_masks"):
            found, expected = (getattr(each["instances"], name).tensor for each in (ours, theirs))
            assert found.dtype == expected.dtype and torch.equal(found, expected)
        assert torch.equal(ours["instances"].gt_classes, theirs["instances"].gt_classes)


def test_the_first_losses_are_those_of_detectron2s_trainer(
    worlds: tuple[TinyWorld, TinyWorld], tmp_path: Path
) -> None:
    """A mask is cut out of its bitmap by detectron2's RoIAlign, and polygons are drawn into each box: other losses."""
    from tests.test_against_detectron2_training import RATE, config_of, recipe_of

    losses = {}
    for world in worlds:
        recipe, folder = recipe_of("mask_rcnn"), tmp_path / world.name
        run_here(command(folder, recipe, segment(0, 2), world, "--log-period", "1"))
        losses[world.name] = [line["loss_mask"] for line in metrics(folder)]
    examples = examples_of(worlds[1], batch=recipe.batch)
    config = config_of("mask_rcnn", worlds[1], len(examples.classes), recipe)
    config.merge_from_list(["INPUT.MASK_FORMAT", "bitmask", "SOLVER.BASE_LR", RATE])
    model = build(recipe, len(examples.classes), "cpu")
    batches = GlobalBatches(examples.wide, recipe.batch, recipe.seed)
    told = witness.train(
        config, model, [batches.indices(t).tolist() for t in range(2)], recipe.seed, witness.Told(())
    )
    expected = [each["loss_mask"] for each in told.losses]
    assert losses["mixed"] == pytest.approx(expected, rel=1e-6)
    assert losses["instances"] == pytest.approx(expected, rel=0.1)
    assert losses["instances"] != pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("forms", "crowd", "expected"),
    [
        ((None,), 1, "polygon"),
        ((None,), 0, "bitmask"),
        ((None,), None, "bitmask"),
        ((compressed, None, None), 1, "bitmask"),
        ((None, uncompressed), 1, "bitmask"),
    ],
)
def test_one_object_in_run_lengths_decides_and_a_crowd_does_not(
    tmp_path: Path, forms: tuple, crowd: int | None, expected: str
) -> None:
    """The third annotation is a crowd's run lengths, or those of what is said to be none, or of what says nothing."""
    file = tmp_path / "train.json"
    content = Dataset(tmp_path / "data").train
    for each in content["annotations"]:
        each["segmentation"] = each["segmentation"][:1]
    content = in_run_lengths(content, *forms)
    content["annotations"][2] |= {"iscrowd": crowd, "segmentation": {"size": [40, 60], "counts": [0, 2400]}}
    if crowd is None:
        del content["annotations"][2]["iscrowd"]
    file.write_text(json.dumps(content, indent=1))
    assert mask_format(file) == expected
    read = coco.read(file)
    described = manifest.describe(file, read.images, 8, read.categories)
    assert described.get("mask_format", "polygon") == expected
    assert ("mask_format" in described) == (expected == "bitmask"), (
        "of polygons, manifests are what they were"
    )


def test_a_subsets_manifest_tells_of_its_own_masks(tmp_path: Path) -> None:
    content = in_run_lengths(Dataset(tmp_path / "data").train, compressed)
    (tmp_path / "train.json").write_text(json.dumps(content))
    subsets.write_subsets(tmp_path / "train.json", {"small": 2}, 0, tmp_path)
    assert json.loads((tmp_path / "manifest_small.json").read_text())["mask_format"] == "bitmask"


def test_the_check_notes_run_lengths_and_repairs_what_lacks_their_area(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset(tmp_path)
    dataset.train = in_run_lengths(dataset.train, compressed, uncompressed, None)
    dataset.val = in_run_lengths(dataset.val, uncompressed)
    areas = [each.pop("area") for each in dataset.train["annotations"]]
    given = [each["segmentation"] for each in dataset.train["annotations"]]
    dataset.train, counts = repaired(dataset.train)
    assert counts["area"] == len(areas)
    assert [each["area"] for each in dataset.train["annotations"]] == areas
    assert [each["segmentation"] for each in dataset.train["annotations"]] == given
    dataset.write()
    assert checked(dataset.arguments(), monkeypatch) == 0
    (found,) = json.loads((tmp_path / "check.json").read_text())["found"]
    assert (found["kind"], found["outcome"], found["count"]) == ("mask-run-lengths", "note", 6)


@pytest.mark.parametrize("forms", [(compressed,), (uncompressed,), (compressed, None, uncompressed)])
def test_scores_are_pycocotools_own(tmp_path: Path, forms: tuple) -> None:
    rng = np.random.default_rng(3)
    polygons = draw_truths(rng)
    detections = draw_detections(rng, polygons)
    truths = in_run_lengths(polygons, *forms)
    found = evaluate(tmp_path, truths, detections, "segm")["segm"]
    assert found == evaluate_with_pycocotools(tmp_path / "annotations.json", detections, "segm")
    assert found == evaluate(tmp_path, polygons, detections, "segm")["segm"]
    assert found["AP"] > 0


@pytest.mark.parametrize("form", [compressed, uncompressed])
def test_a_truth_is_drawn_from_either_form(form: Any) -> None:
    image = pictures.coco.Image(id=1, height=HEIGHT, width=WIDTH, file_name="")
    square = [[50.0, 60.0, 150.0, 60.0, 150.0, 140.0, 50.0, 140.0]]
    (outline,) = pictures._outlines(form(square, HEIGHT, WIDTH))
    assert outline.min(axis=0).tolist() == [50.5, 60.5] and outline.max(axis=0).tolist() == [149.5, 139.5]
    assert pictures._path([outline], image).startswith("M")
