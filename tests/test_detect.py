"""Detection: what detectron2 detects, in COCO's results format, with the numbers of pycocotools."""

import contextlib
import io
import json
import sys

import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from safetensors.torch import save_file

from tests.training import TinyWorld, run, segment, tiny_recipe, tiny_world, training_command
from workflow_scripts.errors import UserError
from workflow_scripts.evaluation.coco_metrics import evaluate
from workflow_scripts.evaluation.detect import detect, detect_each, main, same_size_batches
from workflow_scripts.study.compiled.reading import read_recipe


@pytest.fixture(scope="module")
def recipe():
    recipe = tiny_recipe()
    return recipe.model_copy(
        update={"detectron2": {**recipe.detectron2, "MODEL.ROI_HEADS.SCORE_THRESH_TEST": 0.0}}
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def checkpoint(recipe, world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    job = run(training_command(folder, recipe, segment(0, 6, evaluations=(3, 6)), world))
    assert job.returncode == 0, job.stderr
    return folder / "checkpoints/6.safetensors"


@pytest.fixture(scope="module")
def detections(recipe, world, checkpoint):
    return detect(recipe, checkpoint, world.val_annotations, world.val_images, "cpu")


def test_every_image_is_detected_on_and_no_other(world, detections):
    """What is detected on each is held against detectron2 in `test_against_detectron2_evaluation.py`."""
    images = {image["id"] for image in json.loads(world.val_annotations.read_text())["images"]}
    assert {result["image_id"] for result in detections} == images


def test_metrics_equal_pycocotools_on_the_dump(world, detections, tmp_path):
    dump = tmp_path / "detections.json"
    dump.write_text(json.dumps(detections))
    ours = evaluate(world.val_annotations, dump, ("bbox", "segm"))
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    for iou_type in ("bbox", "segm"):
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(world.val_annotations))
            results = json.loads(dump.read_text())
            if iou_type == "segm":
                results = [{k: v for k, v in result.items() if k != "bbox"} for result in results]
            evaluation = COCOeval(truth, truth.loadRes(results), iou_type)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        for name, value in zip(names, evaluation.stats, strict=False):
            assert ours[iou_type][name] == (None if value == -1 else pytest.approx(100 * value, abs=1e-12)), (
                name
            )


def test_checkpoints_of_one_job_detect_what_each_does_alone(recipe, world, checkpoint, detections):
    files = world.val_annotations, world.val_images, "cpu"
    early = checkpoint.with_name("3.safetensors")
    together = list(detect_each(recipe, [checkpoint, early, checkpoint], *files))
    assert together == [detections, detect(recipe, early, *files), detections]
    assert together[0] != together[1]


def test_a_checkpoint_that_is_missing_leaves_no_detections(recipe, world, checkpoint, tmp_path, monkeypatch):
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    words = ["--recipe", tmp_path / "recipe.json", "--checkpoints", checkpoint.parent, "--iterations", 3, 4]
    words += ["--annotations", world.val_annotations, "--images", world.val_images]
    output = tmp_path / "out/detections"
    monkeypatch.setattr(sys, "argv", ["detect", *map(str, [*words, "--output", output])])
    with pytest.raises(UserError, match=r"checkpoints/4\.safetensors"):
        main()
    assert not list(output.parent.glob("*"))


def test_batches_hold_neighbours_of_one_size():
    sizes = [(4, 5)] * 9 + [(5, 4)] + [(4, 5)]
    records = [{"height": height, "width": width, "image_id": n} for n, (height, width) in enumerate(sizes)]
    batches = [[record["image_id"] for record in batch] for batch in same_size_batches(records)]
    assert batches == [[0, 1, 2, 3, 4, 5, 6, 7], [8], [9], [10]]


def test_weights_of_other_categories_are_refused(recipe, world, checkpoint, tmp_path):
    annotations = json.loads(world.val_annotations.read_text())
    annotations["categories"].append({"id": 99, "name": "another"})
    other = tmp_path / "other.json"
    other.write_text(json.dumps(annotations))
    with pytest.raises(UserError, match="does not fit recipe"):
        detect(recipe, checkpoint, other, world.val_images, "cpu")


def test_tensors_that_others_wrote_are_not_called_altered(recipe, world, tmp_path):
    path = tmp_path / "theirs.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="without a digest, expected a file that this project wrote"):
        detect(recipe, path, world.val_annotations, world.val_images, "cpu")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "recipe.json: found no recipe: the whole: Invalid JSON"),
        (None, "expected a recipe, cannot be read"),
    ],
)
def test_what_is_no_recipe_is_refused_without_a_traceback(tmp_path, content, message):
    recipe = tmp_path / "recipe.json"
    if content is not None:
        recipe.write_text(content)
    with pytest.raises(UserError, match=message):
        read_recipe(recipe)
