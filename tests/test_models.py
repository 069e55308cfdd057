"""Every architecture of the paper at its full size: it has the parameters it should have, and all of them learn."""

import math
from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest
import torch
import yaml
from detectron2.structures import BitMasks, Boxes, Instances, Keypoints
from detectron2.utils.events import EventStorage
from fvcore.nn import FlopCountAnalysis

from tests.training import tiny_recipe
from workflow_scripts.errors import UserError
from workflow_scripts.models.build import backbone_weights, build, load_backbone
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.configuration.config import SCALES

PAPER = yaml.safe_load((SCALES / "paper.yaml").read_text())
RPN = {"loss_rpn_cls", "loss_rpn_loc"}
BOX = {"loss_cls", "loss_box_reg"}
CASCADE = {f"{loss}_stage{stage}" for loss in BOX for stage in range(3)}
TINY_VGG = {
    "MODEL.VGG.STAGE_DEPTHS": [1, 2, 1],
    "MODEL.VGG.STAGE_CHANNELS": [8, 12, 16],
    "MODEL.ROI_BOX_HEAD.FC_DIM": 20,
}


def recipe(detector: str, backbone: str, norm: str) -> Recipe:
    """A recipe with the paper scale's backbone, and few proposals sampled: that is no matter of size."""
    return tiny_recipe(
        detector=detector,
        backbone=backbone,
        norm=norm,
        detectron2={**PAPER["backbones"][backbone], "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": 16},
    )


def vgg(task: str = "detection", **changes: object) -> Recipe:
    """A small VGG."""
    detector = "classifier" if task == "classification" else "faster_rcnn"
    model = {"detector": detector, "backbone": "VGG-16", "norm": "", "detectron2": TINY_VGG}
    return tiny_recipe(task, **{**model, **changes})


def examples() -> list[dict]:
    """One picture with two objects, their masks and their keypoints."""
    instances = Instances((64, 96))
    instances.gt_boxes = Boxes(torch.tensor([[4.0, 4.0, 44.0, 60.0], [50.0, 20.0, 90.0, 44.0]]))
    instances.gt_classes = torch.tensor([0, 0])
    masks = torch.zeros(2, 64, 96, dtype=torch.bool)
    masks[0, 10:50, 10:40] = masks[1, 22:40, 55:80] = True
    instances.gt_masks = BitMasks(masks)
    corners = instances.gt_boxes.tensor.view(2, 2, 2)
    places = corners.mean(dim=1, keepdim=True) + torch.linspace(-8, 8, 17).view(1, 17, 1)
    instances.gt_keypoints = Keypoints(torch.cat([places, torch.full((2, 17, 1), 2.0)], dim=2))
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (3, 64, 96), generator=generator, dtype=torch.uint8)
    return [{"image": image, "instances": instances, "height": 64, "width": 96}]


def layer(inputs: int, outputs: int, side: int = 1, groups: int = 1, normalised: bool = False) -> int:
    """Parameters of a convolution or, with side 1, a linear layer: with a bias, or a scale and a shift."""
    return inputs // groups * outputs * side**2 + (2 * outputs if normalised else outputs)


def resnet(blocks: Sequence[int], groups: int = 1, width: int = 64) -> int:
    """He et al., Deep Residual Learning, table 1; Xie et al., Aggregated Residual Transformations, table 1."""
    total, inputs = layer(3, 64, 7, normalised=True), 64
    for stage, count in enumerate(blocks):
        middle, outputs = groups * width * 2**stage, 256 * 2**stage
        total += layer(inputs, outputs, normalised=True)
        for _ in range(count):
            total += layer(inputs, middle, normalised=True)
            total += layer(middle, middle, 3, groups, normalised=True)
            total += layer(middle, outputs, normalised=True)
            inputs = outputs
    return total


def fpn() -> int:
    levels = (256, 512, 1024, 2048)
    return sum(layer(level, 256, normalised=True) + layer(256, 256, 3, normalised=True) for level in levels)


def rpn(channels: int, anchors: int) -> int:
    return layer(channels, channels, 3) + layer(channels, anchors) + layer(channels, 4 * anchors)


def box_head(classes: int, regressed: int) -> int:
    """4conv+1fc, Wu and He, Group Normalization, section 4.2; boxes are regressed for so many classes."""
    hidden = 4 * layer(256, 256, 3, normalised=True) + layer(256 * 7 * 7, 1024)
    return hidden + layer(1024, classes + 1) + layer(1024, 4 * regressed)


def mask_head(classes: int) -> int:
    return 4 * layer(256, 256, 3, normalised=True) + layer(256, 256, 2) + layer(256, classes)


def keypoint_head() -> int:
    return layer(256, 512, 3) + 7 * layer(512, 512, 3) + layer(512, 17, 4)


def vgg_faster_rcnn(classes: int) -> int:
    """Simonyan and Zisserman, configuration D, up to fc7."""
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = sum(layer(a, b, 3) for a, b in pairwise(widths))
    head = layer(512 * 7 * 7, 4096) + layer(4096, 4096) + layer(4096, classes + 1) + layer(4096, 4 * classes)
    return convolutions + rpn(512, anchors=5 * 3) + head


R50, R101, X152 = resnet((3, 4, 6, 3)), resnet((3, 4, 23, 3)), resnet((3, 8, 36, 3), groups=8, width=32)
FASTER = fpn() + rpn(256, anchors=3) + box_head(80, regressed=80)
VOC = fpn() + rpn(256, anchors=3) + box_head(20, regressed=20)
MASK = FASTER + mask_head(80)
CASCADE_MASK = fpn() + rpn(256, anchors=3) + 3 * box_head(80, regressed=1) + mask_head(80)
KEYPOINT = fpn() + rpn(256, anchors=3) + box_head(1, regressed=1) + keypoint_head()


ARCHITECTURES = {
    ("mask_rcnn", "R50", "GN"): (80, R50 + MASK, RPN | BOX | {"loss_mask"}),
    ("mask_rcnn", "R50", "SyncBN"): (80, R50 + MASK, RPN | BOX | {"loss_mask"}),
    ("mask_rcnn", "R101", "GN"): (80, R101 + MASK, RPN | BOX | {"loss_mask"}),
    ("mask_rcnn", "X152", "GN"): (80, X152 + MASK, RPN | BOX | {"loss_mask"}),
    ("cascade_mask_rcnn", "X152", "GN"): (80, X152 + CASCADE_MASK, RPN | CASCADE | {"loss_mask"}),
    ("keypoint_rcnn", "R50", "GN"): (1, R50 + KEYPOINT, RPN | BOX | {"loss_keypoint"}),
    ("faster_rcnn", "R101", "GN"): (20, R101 + VOC, RPN | BOX),
    ("faster_rcnn", "VGG-16", ""): (80, vgg_faster_rcnn(80), RPN | BOX),
}
"""Classes, parameters and losses of every detector, backbone and norm of the paper."""


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=" ".join)
def test_full_size_detector_trains_every_parameter(architecture):
    classes, parameters, losses = ARCHITECTURES[architecture]
    model = build(recipe(*architecture), classes, "cpu").train()
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    with EventStorage():
        found = model(examples())
    assert found.keys() == losses
    sum(found.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad, name
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.slow
def test_x152_takes_about_four_times_the_flops_of_r101():
    """The paper, section 5.1; 32 groups of width 8, Detectron's model of a like name, would take 3.1 times."""

    def flops(backbone: str) -> float:
        bottom_up = build(recipe("mask_rcnn", backbone, "GN"), 80, "cpu").backbone.bottom_up
        count = FlopCountAnalysis(bottom_up, torch.zeros(1, 3, 64, 64))
        return count.unsupported_ops_warnings(False).total()

    assert flops("X152") / flops("R101") == pytest.approx(4.2, abs=0.1)


@pytest.mark.parametrize(("depths", "stride"), [(None, 16), ([1, 1, 1, 1], 8)])
def test_vgg_stride_follows_its_stages(depths, stride):
    overrides = (
        {} if depths is None else {"MODEL.VGG.STAGE_DEPTHS": depths, "MODEL.VGG.STAGE_CHANNELS": [8] * 4}
    )
    model = build(vgg(detectron2={"MODEL.ROI_BOX_HEAD.FC_DIM": 8, **overrides}), 2, "cpu").eval()
    (shape,) = model.backbone.output_shape().values()
    (features,) = model.backbone(torch.zeros(1, 3, 64, 96)).values()
    assert shape.stride == stride
    assert features.shape == (1, shape.channels, 64 // stride, 96 // stride)


def test_vgg_starts_with_msra_weights_and_no_bias():
    model = build(vgg(detectron2={"MODEL.ROI_BOX_HEAD.FC_DIM": 64}), 2, "cpu")
    fc6 = model.roi_heads.box_head.fc6
    weights = {math.sqrt(2 / (9 * c.out_channels)): c for c in model.backbone if hasattr(c, "weight")}
    weights[math.sqrt(2 / fc6.in_features)] = fc6
    for expected, module in weights.items():
        assert module.weight.std().item() == pytest.approx(expected, rel=0.05)
        assert not module.bias.any()


@pytest.mark.parametrize(("depth", "last"), [(18, "conv2"), (50, "conv3")])
def test_a_resnet_to_pre_train_starts_with_residuals_of_zero(depth, last):
    """Wu and He, Group Normalization, section 4.1: each block's last gain starts at 0, all others at 1."""
    small = {"MODEL.RESNETS.DEPTH": depth, "MODEL.RESNETS.RES2_OUT_CHANNELS": 64 if depth == 18 else 256}
    recipe = tiny_recipe("classification")
    model = build(recipe.model_copy(update={"detectron2": recipe.detectron2 | small}), 400, "cpu")
    gains = {name: value for name, value in model.named_parameters() if name.endswith("norm.weight")}
    zero = {name for name, value in gains.items() if not value.any()}
    assert zero == {name for name in gains if f"{last}.norm" in name and "stem" not in name}
    assert len(zero) == {18: 2 + 2 + 2, 50: 3 + 4 + 6}[depth]  # of three stages, as at scale smoke
    assert all(torch.all(gains[name] == 1) for name in gains.keys() - zero)
    assert model.linear.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not model.linear.bias.any()


def test_vgg_stages_with_unequal_lists_are_refused():
    wrong = {**TINY_VGG, "MODEL.VGG.STAGE_CHANNELS": [8, 16]}
    with pytest.raises(UserError, match=r"MODEL\.VGG: found STAGE_DEPTHS"):
        build(vgg(detectron2=wrong), 2, "cpu")


def test_vgg_mask_rcnn_can_be_had():
    model = build(vgg(detector="mask_rcnn"), 2, "cpu").train()
    with EventStorage():
        assert model(examples()).keys() == RPN | BOX | {"loss_mask"}


@pytest.mark.parametrize(
    ("backbone", "norm"),
    [("VGG-16", ""), ("R50", "GN")],
    ids=["VGG-16: with fc6 and fc7", "R50: backbone alone"],
)
def test_detector_starts_from_the_classifiers_weights(backbone, norm):
    if backbone == "VGG-16":
        classifier_recipe, detector_recipe = vgg("classification"), vgg()
    else:
        classifier_recipe, detector_recipe = tiny_recipe("classification"), tiny_recipe()
    classifier = build(classifier_recipe, 5, "cpu")
    detector = build(detector_recipe.model_copy(update={"seed": 1}), 2, "cpu")
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    handed_over = backbone_weights(classifier_recipe, classifier.state_dict())
    load_backbone(detector_recipe, detector, handed_over, "w")

    loaded = backbone_weights(detector_recipe, detector.state_dict())
    assert loaded.keys() == handed_over.keys()
    assert all(torch.equal(loaded[name], value) for name, value in handed_over.items())
    assert {"fc6.weight", "fc7.bias"} <= loaded.keys() or backbone != "VGG-16"
    assert not any(name.startswith("linear") for name in loaded)
    predictor = "roi_heads.box_predictor.cls_score.weight"
    assert torch.equal(detector.state_dict()[predictor], before[predictor])


def test_no_detector_starts_from_the_weights_that_its_classifier_started_from():
    """Else random init and pre-training of one seed would be two trainings of the same draw."""
    recipes = compile_study({"scale": "smoke", "experiments": ["fig1"], "seeds": [0, 1]}).recipes
    names = ("classification-R50_GN", "coco-R50_GN-random-seed0", "coco-R50_GN-random-seed1")
    started = {name: build(recipes[name], 3, "cpu").state_dict() for name in names}
    stems = [
        backbone_weights(recipes[name], weights)["stem.conv1.weight"] for name, weights in started.items()
    ]
    assert not any(torch.equal(*pair) for pair in combinations(stems, 2))


@pytest.mark.parametrize(
    "settings",
    [
        {"MODEL.ANCHOR_GENERATOR.SIZES": [[32], [64]]},
        {"MODEL.RPN.IN_FEATURES": ["p2", "p9"]},
        {"MODEL.ROI_HEADS.IN_FEATURES": ["p2", "p4"]},
        {"MODEL.RESNETS.DEPTH": 51},
        {"MODEL.ROI_BOX_HEAD.NAME": "NoSuchHead"},
        {"MODEL.RESNETS.NUM_GROUPS": 2, "MODEL.RESNETS.DEPTH": 18, "MODEL.RESNETS.RES2_OUT_CHANNELS": 64},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_that_do_not_fit_together_are_the_users_to_mend(settings: dict) -> None:
    wrong = tiny_recipe(detectron2=settings)
    with (
        torch.device("meta"),
        pytest.raises(UserError, match=f"^recipe {wrong.name}: detectron2 builds no model"),
    ):
        build(wrong, 2, "meta")
