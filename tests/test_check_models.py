"""Each model is tried on a small picture before anything trains: what does not fit together is found then."""

import json
from pathlib import Path

import pytest

from tests.checked import run
from workflow_scripts.models import check
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.recipes import Recipe

STUDY = compile_study({"scale": "smoke", "experiments": ["fig1"]})
CLASSES = "classification-R50_GN"
MASKS, KEYPOINTS = "coco-R50_GN-random-seed0", "keypoints-R50_GN-random-side0.8-seed0"


def command(recipes: list[Recipe], folder: Path) -> list[str]:
    told = {"recipes": [recipe.model_dump(mode="json") for recipe in recipes]}
    return ["--recipes", json.dumps(told), "--report", f"{folder}/a.json", "--text", f"{folder}/a.txt"]


def test_every_kind_of_model_computes_its_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number of losses is detectron2's: two of the RPN, two of each stage's boxes, one of masks or keypoints."""
    kinds = {recipe.detector: recipe for recipe in (*STUDY.recipes.values(), STUDY.recipes[MASKS])}
    assert run(command(list(kinds.values()), tmp_path), monkeypatch, check.main) == 0
    tried = json.loads((tmp_path / "a.json").read_text())["tried"]
    losses = {"classifier": 1, "faster_rcnn": 4, "mask_rcnn": 5, "keypoint_rcnn": 5, "cascade_mask_rcnn": 9}
    assert {each["detector"]: len(each["losses"]) for each in tried} == losses
    text = (tmp_path / "a.txt").read_text()
    initialisation = kinds["mask_rcnn"].initialisation
    assert f"  mask_rcnn R50 GN, {initialisation}: 3.0 million parameters, loss_box_reg, " in text


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        (MASKS, {"MODEL.ANCHOR_GENERATOR.SIZES": [[10], [20]]}, "sizes of length 2 in anchor generator"),
        (MASKS, {"MODEL.ROI_HEADS.IN_FEATURES": ["p2", "p4"]}, "do not form a pyramid"),
        (MASKS, {"MODEL.FPN.OUT_CHANNELS": 33}, "must be divisible by num_groups"),
        (MASKS, {"MODEL.RPN.BBOX_REG_LOSS_TYPE": "l3"}, "Invalid dense box regression loss type 'l3'"),
        (
            MASKS,
            {"MODEL.ANCHOR_GENERATOR.NAME": "RotatedAnchorGenerator"},
            "does not train with these settings",
        ),
        (MASKS, {"MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 0}, "does not train with these settings"),
        (MASKS, {"MODEL.RPN.BATCH_SIZE_PER_IMAGE": 0}, "loss_rpn_cls, loss_rpn_loc is no number"),
        (
            MASKS,
            {"MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.0]]},
            "ZeroDivisionError: float division by zero",
        ),
        (
            MASKS,
            {"MODEL.RPN.CONV_DIMS": [-5]},
            "RuntimeError: Trying to create tensor with negative dimension",
        ),
        (CLASSES, {"MODEL.RESNETS.DEPTH": 19}, "builds no model with these settings (KeyError: 19)"),
        (CLASSES, {"MODEL.RESNETS.OUT_FEATURES": []}, "ValueError: max()"),
        (CLASSES, {"MODEL.RESNETS.STEM_OUT_CHANNELS": 33}, "(33) must be divisible by num_groups"),
        (KEYPOINTS, {"MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS": 5}, "does not train with these settings"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_do_not_fit_are_refused_with_one_message(
    name: str,
    settings: dict[str, object],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = STUDY.recipes[name]
    wrong = recipe.model_copy(update={"detectron2": {**recipe.detectron2, **settings}})
    assert run(command([recipe, wrong], tmp_path), monkeypatch, check.main) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"Error: recipe {name}: ") and told in said
    assert "`numbers`, which set" in said and all(key in said for key in settings)
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
