"""How a training set fits what a detector sees: shares and suggestions worked out by hand, IoU by detectron2."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from detectron2.modeling.anchor_generator import DefaultAnchorGenerator
from detectron2.structures import Boxes as Detectron2Boxes
from detectron2.structures import pairwise_iou

from tests.checked import run
from tests.training import REPOSITORY
from workflow_scripts.data.check import fit
from workflow_scripts.data.check.fit import Boxes, Settings, suggested, unfit
from workflow_scripts.models.config import detectron2_config
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.layout.results import Layout

MINI = Settings(80, 80, ((10.0,), (20.0,), (40.0,)), 8)


def data(image: tuple[int, int], box: tuple[float, float], images: int = 100) -> Boxes:
    """An object of one size in each of so many images of one size."""
    numbers = np.arange(images)
    return Boxes(
        np.full((images, 2), image, float), np.full((images, 2), box, float), numbers, np.ones_like(numbers)
    )


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((5, 5), "small"),  # 25 / 100
        ((6, 6), None),  # 36 / 100
        ((14, 14), None),  # 100 / 196
        ((36, 36), None),  # 400 / 1296
        ((37, 37), "large"),  # 400 / 1369
        ((80, 3), "long"),  # of 28.3 x 14.1: 85 / 555
    ],
)
def test_what_no_anchor_overlaps_by_three_tenths(box: tuple[float, float], kind: str | None) -> None:
    found = unfit(np.array([box], float), [10, 20])
    assert {name for name in ("small", "large", "long") if getattr(found, name)} == {kind} - {None}


def test_overlaps_are_detectron2s() -> None:
    """Boxes around the centre of the anchors of one cell."""
    boxes = np.random.default_rng(0).uniform(1, 120, (500, 2))
    generator = DefaultAnchorGenerator(sizes=[[10, 20, 40]], aspect_ratios=[list(fit.RATIOS)], strides=[4])
    corners = torch.from_numpy(np.concatenate([-boxes / 2, boxes / 2], axis=1)).float()
    overlaps = pairwise_iou(Detectron2Boxes(corners), Detectron2Boxes(next(iter(generator.cell_anchors))))
    expected = (overlaps.max(dim=1).values < fit.BACKGROUND).double().mean().item()
    found = unfit(boxes, [10, 20, 40])
    assert 0.1 < expected < 0.9
    assert found.small + found.large + found.long == pytest.approx(expected)


def test_the_bounds_are_those_of_the_configuration() -> None:
    recipes = compile_study({"scale": "paper", "experiments": ["fig1"]}, planning=True).recipes
    for name in ("coco-R50_GN-random-seed0", "coco-faster_rcnn-VGG-16-random-side0.8-seed0"):
        model = detectron2_config(recipes[name], 2).MODEL
        assert recipes[name].anchors == model.ANCHOR_GENERATOR.SIZES
        assert [list(fit.RATIOS)] == model.ANCHOR_GENERATOR.ASPECT_RATIOS
        assert model.RPN.IOU_THRESHOLDS[0] == fit.BACKGROUND


def test_a_list_of_anchors_is_that_of_each_level() -> None:
    """As detectron2 takes it."""
    recipe = next(iter(compile_study({"scale": "smoke", "experiments": ["fig1"]}).recipes.values()))
    for sizes in ([10, 20], [[10, 20]]):
        flat = recipe.model_copy(update={"detectron2": {"MODEL.ANCHOR_GENERATOR.SIZES": sizes}})
        assert flat.anchors == [[10, 20]]


def test_images_grow_until_boxes_are_large_enough() -> None:
    """640 x 480 is seen as 80 x 60, boxes of 30 as 3.75. The smallest that fits is 5.48: a side of 88 or more."""
    found = suggested(data((640, 480), (30, 30)), MINI)
    assert (found.image_side, found.longest_side) == (96, 128)
    assert (found.anchors, found.batch) == (MINI.anchors, MINI.batch)
    assert suggested(data((640, 480), (30, 30)), found) == found


def test_images_do_not_grow_beyond_themselves() -> None:
    """Boxes of 2 pixels stay smaller than any anchor."""
    assert suggested(data((64, 64), (2, 2)), MINI) == MINI
    small = suggested(data((160, 120), (2, 2)), MINI)
    assert (small.image_side, small.longest_side) == (128, 176)  # 120 and 170.7, in steps of 16


def test_anchors_follow_boxes_that_are_too_large() -> None:
    """Of 90 pixels, the middle of three sizes; of 76 on smaller images."""
    assert suggested(data((100, 100), (90, 90)), Settings(100, 100, MINI.anchors, 8)).anchors == (
        (45,),
        (90,),
        (180,),
    )
    assert suggested(data((100, 100), (95, 95)), MINI).anchors == ((38,), (76,), (152,))
    one = Settings(100, 100, ((10.0, 20.0, 40.0),), 8)
    assert suggested(data((100, 100), (90, 90)), one) == one, "of one level, another design"


def test_a_few_boxes_change_nothing() -> None:
    given = data((160, 160), (40, 40))
    given.boxes[:5] = 4
    assert suggested(given, MINI) == MINI
    given.boxes[5] = 4
    assert suggested(given, MINI).image_side == 160


def test_a_batch_holds_no_image_twice() -> None:
    assert suggested(data((80, 80), (20, 20), images=7), MINI).batch == 4
    assert suggested(data((80, 80), (20, 20), images=8), MINI).batch == 8


def written(folder: Path, images: list[tuple[int, int]], box: tuple[float, float]) -> Path:
    content: dict[str, Any] = {
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": width, "height": height}
            for number, (width, height) in enumerate(images, 1)
        ],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 3, "bbox": [1, 1, *box]}
            for number in range(1, len(images) + 1)
        ],
        "categories": [{"id": 3, "name": "ant"}, {"id": 7, "name": "bee"}],
    }
    content["annotations"] += [
        {"id": 99, "image_id": 1, "category_id": 7, "bbox": [0, 0, 400, 400], "iscrowd": 1},
        {"id": 98, "image_id": 1, "category_id": 3, "bbox": [0, 0, 400, 0]},
    ]
    path = folder / "train.json"
    path.write_text(json.dumps(content))
    return path


def test_the_command_says_what_it_found_and_what_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crowds and boxes without height are left out. What is suggested is a configuration."""
    path = written(tmp_path, [(640, 480)] * 5, (30, 30))
    words = ["--annotations", str(path), "--image-side", "80", "--longest-side", "80", "--batch", "8"]
    words += ["--anchor-sizes", '{"levels": [[10], [20], [40]]}', "--text", str(tmp_path / "fit.txt")]
    assert run(words, monkeypatch, fit.main) == 0
    text = (tmp_path / "fit.txt").read_text()
    for part in (
        "images: shorter side 480 to 480 (median 480) pixels",
        "boxes: side (the root of the area) 4 to 4 (median 4) pixels as seen; anchors are 10, 20, 40",
        "100.0% too small, 0.0% too large, 0.0% too long",
        "fewer than 10: bee (0), ant (5)",
        "batch: 8 of 5 images with objects; an epoch is 0.625 iterations",
        "Suggested, for 0.0% of the boxes to be too small and 0.0% too large; an iteration has 1.4 times the pixels",
    ):
        assert part in text
    changes = yaml.safe_load(text[text.index("  numbers:") :].replace("  ", "", 1).replace("\n  ", "\n"))
    study = compile_study({"scale": "mini", "experiments": ["fig1"], **changes})
    assert study.scale.detection.image_sides == (96,)
    assert (study.scale.detection.batch, study.scale.detection.base_lr) == (4, 0.04)


def test_nothing_is_suggested_for_the_miniature_world() -> None:
    """`mini` was made for it."""
    layout = Layout(compile_study({"scale": "mini", "experiments": ["fig1", "text_voc"]}))
    assert layout.asked_fits() == [f"results/mini/data/fit-{name}.txt" for name in ("coco", "voc")]
    assert layout.fit_options("coco") == {
        "image_side": 80,
        "longest_side": 80,
        "anchor_sizes": {"levels": [[10], [20], [40]]},
        "batch": 8,
    }


def test_the_rules_are_told() -> None:
    page = (REPOSITORY / "docs/data-checks.md").read_text()
    for value in (
        f"IoU of {fit.BACKGROUND}",
        f"{fit.BADLY:.0%}",
        f"{fit.STEP} pixels",
        f"{fit.SMALLEST_ANCHOR} pixels",
    ):
        assert value in page.replace("\n", " ")
