"""The mask head of a cascade learns what the last stage sees."""

import numpy as np
import pytest
import torch
from detectron2.utils.events import EventStorage
from torchvision.ops import box_iou

from tests.training import tiny_recipe, tiny_world
from workflow_scripts.models.build import build
from workflow_scripts.training.examples import detection_examples

LAST_IOU = 0.7
"""Of the last of three stages (Cai and Vasconcelos, Cascade R-CNN)."""


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    recipe = tiny_recipe(detector="cascade_mask_rcnn")
    world = tiny_world(tmp_path_factory.mktemp("world"))
    examples = detection_examples(recipe, world.annotations, world.images)
    return recipe, len(examples.classes), [examples[(0, position, position)] for position in range(4)]


def test_mask_head_learns_on_the_boxes_that_enter_the_last_stage(batch):
    recipe, num_classes, examples = batch
    model = build(recipe, num_classes, "cpu")
    heads, learned = model.roi_heads, []
    with torch.no_grad():
        heads.box_predictor[0].bbox_pred.bias[0] = 0.5  # a twentieth of a width to the right
    heads.mask_head.register_forward_pre_hook(lambda _, inputs: learned.append(inputs[1]))
    with EventStorage():
        model(examples)

    (proposals,) = learned
    assert sum(map(len, proposals)) > 0
    for found, example in zip(proposals, examples, strict=True):
        truth = example["instances"]
        overlap = box_iou(found.proposal_boxes.tensor, truth.gt_boxes.tensor)
        best, object_of = overlap.max(dim=1)
        assert (best >= LAST_IOU).all()
        assert torch.equal(found.gt_classes, truth.gt_classes[object_of])
        for mask, number in zip(found.gt_masks.polygons, object_of.tolist(), strict=True):
            assert all(map(np.array_equal, mask, truth.gt_masks.polygons[number]))
        # The first stage moved each of them off the objects, which stand among the proposals.
        assert (best < 1).all()


def test_mask_head_sees_each_foreground_box_of_the_last_stage(batch):
    recipe, num_classes, examples = batch
    model = build(recipe, num_classes, "cpu")
    heads, labelled, rows = model.roi_heads, [], []
    match = heads._match_and_label_boxes
    heads._match_and_label_boxes = lambda *args: labelled.append(match(*args)) or labelled[-1]
    heads.mask_head.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    with EventStorage():
        model(examples)
    foreground = [sum(int((each.gt_classes < num_classes).sum()) for each in stage) for stage in labelled]
    assert rows == foreground[-1:]
    assert foreground[0] > foreground[1] > 0


def test_a_picture_without_objects_teaches_no_mask(batch):
    recipe, num_classes, examples = batch
    empty = {**examples[0], "instances": examples[0]["instances"][:0]}
    model = build(recipe, num_classes, "cpu")
    with EventStorage():
        losses = model([empty, examples[1]])
        alone = model([empty])
    assert losses["loss_mask"] > 0
    assert alone["loss_mask"] == 0
