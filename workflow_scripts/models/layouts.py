"""Layouts of published weights: how each publisher names a backbone's weights, brought to this project's names.

Those are detectron2's of a ResNet (`res2.0.conv1.norm.weight`), and `models/vgg.py`'s. docs/weights.md says where each
layout was read.
"""

import re
from collections.abc import Mapping

from detectron2.checkpoint.c2_model_loading import convert_basic_c2_names
from torch import Tensor

from workflow_scripts.errors import UserError
from workflow_scripts.study.configuration.config import LayoutName

EXAMPLES: dict[LayoutName, str] = {
    "torchvision": "layer1.0.conv1.weight",
    "timm": "layer1.0.conv1.weight",
    "mmdetection": "layer1.0.conv1.weight, with or without backbone. before it",
    "detectron2": "res2.0.conv1.weight",
    "detectron": "res2_0_branch2a_w",
}
"""A name of each layout, for messages."""

RESNET = (
    (r"^(conv1|bn1|gn1)\.", r"stem.\1."),
    (r"^layer(\d)\.", lambda match: f"res{int(match[1]) + 1}."),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"\.(?:bn|gn)(\d)\.", r".conv\1.norm."),
)
"""torchvision's names of a ResNet's weights as detectron2's, in order. timm's are the same; mmdetection has `gn1`."""

VGG_16 = {
    **{
        f"features.{index}": f"conv{stage}_{number}"
        for stage, indices in enumerate([(0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)], 1)
        for number, index in enumerate(indices, 1)
    },
    "classifier.0": "fc6",
    "classifier.3": "fc7",
}
"""torchvision's names of VGG-16's layers as `models/vgg.py`'s."""

CLASSIFIERS = r"(fc|head|head\.fc|classifier\.6|stem\.fc|linear|fc1000)\.(weight|bias)"
"""The last, linear layer, which no detector has."""

STATISTIC = r"running_mean|running_var|num_batches_tracked"
OURS = (
    rf"(stem\.conv1|res[2-5]\.\d+\.(conv[1-3]|shortcut))\.(weight|norm\.(weight|bias|{STATISTIC}))"
    r"|(conv[1-5]_[1-3]|fc[67])\.(weight|bias)"
)
"""What this project's backbones are made of."""


def our_names(weights: Mapping[str, Tensor], layout: LayoutName, source: str) -> dict[str, Tensor]:
    """The weights of a classifier's backbone under this project's names, without its last, linear layer.

    Raises:
        UserError: a weight that no backbone of this layout has, or BatchNorm that was folded into a scale and a shift.
    """
    named = [(name, _our_name(name, layout), value) for name, value in weights.items()]
    kept = {name: (ours, value) for name, ours, value in named if ours}
    own = layout == "detectron2"  # every other layout names every weight otherwise
    foreign = [
        name for name, (ours, _) in kept.items() if not re.fullmatch(OURS, ours) or (name == ours) != own
    ]
    if foreign:
        raise UserError(
            f"{source}: found {len(foreign)} weights that no backbone in layout {layout} has, such as {foreign[0]}; "
            f"expected a classifier's, named as {EXAMPLES[layout]}; correct `layout` in pretraining.fetch, or give "
            "weights of a classifier: a detector's have seen what is to be learned"
        )
    renamed = dict(kept.values())
    folded = [name for name in weights if layout == "detectron" and name.endswith("_bn_s")]
    if folded and not has_statistics(renamed):
        raise UserError(
            f"{source}: found BatchNorm folded into a scale and a shift ({folded[0]} without mean and variance), "
            "expected GroupNorm, or BatchNorm with its statistics; it can only be kept frozen, which no model here does"
        )
    return renamed


def _our_name(name: str, layout: LayoutName) -> str:
    """One weight's name in this project; empty for what is no part of the backbone."""
    if layout == "detectron":
        ours = _from_detectron(name)
    elif layout == "detectron2":
        ours = name
    else:
        ours = _from_torchvision(name)
    return "" if re.fullmatch(CLASSIFIERS, ours) else ours


def _from_torchvision(name: str) -> str:
    layer, _, kind = re.sub(r"^(?:module\.)?(?:backbone\.)?", "", name).rpartition(".")
    name = f"{VGG_16.get(layer, layer)}.{kind}"
    for pattern, replacement in RESNET:
        name = re.sub(pattern, replacement, name)
    return name


def _from_detectron(name: str) -> str:
    """Caffe2's name as detectron2 translates it.

    Momentum and biases of convolutions are left out, as Detectron and detectron2 do: their networks have none.
    """
    (ours,) = convert_basic_c2_names([name])
    return "" if re.search(r"\.momentum$|\.(conv\d|shortcut)\.bias$", ours) else ours


def has_statistics(weights: Mapping[str, Tensor]) -> bool:
    """Whether a backbone's norms are BatchNorm: none else has a running mean and variance."""
    return any(name.endswith(".running_var") for name in weights)
