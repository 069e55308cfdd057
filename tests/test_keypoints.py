"""Keypoint R-CNN: trained on person keypoints, scored by COCO's OKS with the numbers of pycocotools."""

import contextlib
import io
import json

import pytest
import torch
from detectron2.structures import Boxes, Instances, Keypoints
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.training import TinyWorld, metrics, run, segment, tiny_recipe, tiny_world, training_command
from workflow_scripts.evaluation.coco_metrics import evaluate
from workflow_scripts.evaluation.detect import detect
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.training.examples import detection_examples
from workflow_scripts.training.processes import _visible_keypoints
from workflow_scripts.training.state import load_state


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"), annotations="person_keypoints")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    recipe = tiny_recipe(experiment="fig6")
    assert recipe.detector == "keypoint_rcnn"
    return recipe.model_copy(
        update={"detectron2": {**recipe.detectron2, "MODEL.ROI_HEADS.SCORE_THRESH_TEST": 0.0}}
    )


def test_examples_hold_people_with_keypoints_and_mirror_them(recipe, world):
    examples = detection_examples(
        recipe.model_copy(update={"image_sides": (48,)}), world.annotations, world.images
    )
    assert examples.classes == ("person",)
    seen = [examples[(iteration, 0, 0)] for iteration in range(12)]
    assert all(example["instances"].gt_keypoints.tensor.shape[1:] == (17, 3) for example in seen)
    # COCO's keypoints 1 and 2 are the left and right eye: in a mirror the left one is still the person's left.
    ways = {float(example["instances"].gt_keypoints.tensor[0, 0, 0]) for example in seen}
    assert len(ways) == 2
    assert sum(ways) == pytest.approx(48, abs=1)


def test_keypoints_that_count_are_visible_and_within_their_proposal():
    """Of the first person one of three, of the second two; an image without proposals counts none."""
    proposals = Instances((40, 40))
    proposals.proposal_boxes = Boxes(torch.tensor([[0.0, 0.0, 10.0, 10.0], [10.0, 10.0, 30.0, 30.0]]))
    first = [[5, 5, 2], [20, 5, 2], [5, 6, 0]]
    second = [[11, 11, 2], [29, 20, 1], [9, 20, 2]]
    proposals.gt_keypoints = Keypoints(torch.tensor([first, second], dtype=torch.float32))
    features = torch.zeros(2, 8, 14, 14)
    assert _visible_keypoints(features, [proposals, proposals[:0]]) == 3
    assert _visible_keypoints(features, [proposals[:0]]) == 0


def test_training_and_metrics(recipe, world, tmp_path):
    job = run(training_command(tmp_path, recipe, segment(0, 4, evaluations=(4,)), world, "--log-period", "2"))
    assert job.returncode == 0, job.stderr
    assert all(line["loss_keypoint"] > 0 for line in metrics(tmp_path))
    weights = tmp_path / "checkpoints/4.safetensors"
    results = detect(recipe, weights, world.val_annotations, world.val_images, "cpu")
    dump = tmp_path / "detections.json"
    dump.write_text(json.dumps(results))
    ours = evaluate(world.val_annotations, dump, ("bbox", "keypoints"))["keypoints"]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(world.val_annotations))
        people = [{k: v for k, v in result.items() if k != "bbox"} for result in results]
        evaluation = COCOeval(truth, truth.loadRes(people), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    for name, value in zip(("AP", "AP50", "AP75", "APm", "APl"), evaluation.stats[:5], strict=True):
        assert ours[name] == (None if value == -1 else pytest.approx(100 * value, abs=1e-12)), name


def test_two_processes_agree_in_loss_however_many_keypoints_each_sees(recipe, world, tmp_path):
    # Pictures of one size: detectron2 pads a process's batch to its largest picture.
    recipe = recipe.model_copy(update={"image_sides": (48,)})
    one = run(training_command(tmp_path / "one", recipe, segment(0, 3), world, "--log-period", "1"))
    two = run(
        training_command(
            tmp_path / "two", recipe, segment(0, 3), world, "--log-period", "1", "--processes", "2"
        )
    )
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    lines = list(zip(metrics(tmp_path / "one"), metrics(tmp_path / "two"), strict=True))
    assert len(lines) == 3
    for alone, shared in lines:
        for name in ("loss_keypoint", "loss_cls", "loss_box_reg", "loss_rpn_cls"):
            assert shared[name] == pytest.approx(alone[name], rel=1e-4, abs=1e-6), name
    weights = [load_state(tmp_path / name / "state.safetensors").weights for name in ("one", "two")]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-4, msg=name)
