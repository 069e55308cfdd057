"""Weights in each publisher's layout, written here by hand, compute in this project's backbone what they did in theirs.

The published network is torchvision's ResNet with small stages and weights that are all different. Its weights are
written as other publishers name and keep them; detectron2's own loader reads those that it knows, as a second witness.
"""

import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.modeling.backbone.resnet import BasicStem, BottleneckBlock, ResNet
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck
from torchvision.models.resnet import ResNet as TorchvisionResNet

from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256
from workflow_scripts.models.config import RGB_MEAN, RGB_STD
from workflow_scripts.models.published import read_published
from workflow_scripts.study.configuration.config import PublishedWeights

BLOCKS = (2, 1, 1, 1)
MODEL = {"GN": "R50_GN", "BN": "R50_SyncBN"}
State = Mapping[str, Tensor]


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    """By norm. Scales, shifts and statistics differ everywhere: none can take another's place unseen."""
    torch.manual_seed(0)
    norms = {"GN": lambda channels: nn.GroupNorm(32, channels), "BN": nn.BatchNorm2d}
    found = {}
    for name, norm in norms.items():
        network = TorchvisionResNet(Bottleneck, list(BLOCKS), 5, width_per_group=32, norm_layer=norm).eval()
        for key, value in network.state_dict().items():
            if value.ndim == 1:
                value.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else value.uniform_(-0.5, 0.5)
        found[name] = network
    return found


@pytest.fixture(scope="module")
def small(networks) -> dict[str, State]:
    """Three numbers for each of the networks' weights, where only names count."""
    return {
        norm: {name: torch.zeros(1, 3, 1, 1) for name in network.state_dict()}
        for norm, network in networks.items()
    }


def layers(norm: str) -> Iterator[tuple[str, str, str, str]]:
    """Convolution and norm of each layer: torchvision's two names, then Caffe2's, as in Detectron's ResNet.py."""
    suffix = norm.lower()
    yield "conv1", "bn1", "conv1", "conv1_gn" if norm == "GN" else "res_conv1_bn"
    for stage, blocks in enumerate(BLOCKS, 1):
        for block in range(blocks):
            theirs, caffe2 = f"layer{stage}.{block}", f"res{stage + 1}_{block}"
            for number, letter in enumerate("abc", 1):
                branch = f"{caffe2}_branch2{letter}"
                yield f"{theirs}.conv{number}", f"{theirs}.bn{number}", branch, f"{branch}_{suffix}"
            if block == 0:
                branch = f"{caffe2}_branch1"
                yield f"{theirs}.downsample.0", f"{theirs}.downsample.1", branch, f"{branch}_{suffix}"


def as_detectron(state: State, norm: str) -> dict[str, Any]:
    """GN as in R-50-GN.pkl: names of its blobs and no others; BN as in detectron2's MSRA/R-50.pkl."""
    kinds = {"weight": "s", "bias": "b"} if norm == "GN" else {}
    kinds = kinds or {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "running_mean",
        "running_var": "running_var",
    }
    blobs = {}
    for convolution, normalisation, caffe2, caffe2_norm in layers(norm):
        blobs[f"{caffe2}_w"] = state[f"{convolution}.weight"].numpy()
        for kind, named in kinds.items():
            blobs[f"{caffe2_norm}_{named}"] = state[f"{normalisation}.{kind}"].numpy()
    last = "pred" if norm == "GN" else "fc1000"
    blobs |= {f"{last}_w": state["fc.weight"].numpy(), f"{last}_b": state["fc.bias"].numpy()}
    return {"blobs": blobs} if norm == "GN" else blobs | {"conv1_b": blobs["res_conv1_bn_beta"] * 0}


def as_detectron2(state: State, norm: str) -> dict[str, Any]:
    """What detectron2's tools/convert-torchvision-to-d2.py makes of torchvision's."""
    model = {}
    for name, value in state.items():
        if name.startswith("layer"):
            stage, rest = int(name[5]), name[6:]
            for number in "123":
                rest = rest.replace(f"bn{number}", f"conv{number}.norm")
            rest = rest.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")
            model[f"res{stage + 1}{rest}"] = value.numpy()
        else:
            model["stem." + name.replace("bn1", "conv1.norm")] = value.numpy()
    return {"model": model, "__author__": "torchvision", "matching_heuristics": True}


def as_mmdetection(state: State, norm: str) -> dict[str, Any]:
    """A classifier of mmpretrain: norms are named by kind, in front stands `backbone.`."""
    named = {
        "head." + name if name.startswith("fc.") else "backbone." + name.replace("bn", norm.lower()): value
        for name, value in state.items()
    }
    return {"meta": {"epoch": 100, "time": "noon"}, "state_dict": named}


def write(layout: str, state: State, norm: str, path: Path) -> Path:
    """A file as publishers of that layout write it."""
    if layout == "timm":
        save_file(dict(state), path)
    elif layout == "torchvision":
        torch.save(state, path)
    elif layout == "mmdetection":
        torch.save(as_mmdetection(state, norm), path, _use_new_zipfile_serialization=False)
    elif layout == "detectron2":
        path.write_bytes(pickle.dumps(as_detectron2(state, norm)))
    else:
        path.write_bytes(pickle.dumps(as_detectron(state, norm), 2))
    return path


def read(path: Path, layout: str, model: str, colours: str = "") -> dict[str, Tensor]:
    colours = colours or ("bgr" if layout == "detectron" else "rgb")
    published = PublishedWeights(source="w", sha256=sha256(path), layout=layout, colours=colours)
    return read_published(path, published, model)


def ours(norm: str) -> ResNet:
    """detectron2's ResNet of the same stages."""
    stages, channels = [], 64
    for number, blocks in enumerate(BLOCKS):
        stages.append(
            ResNet.make_stage(
                BottleneckBlock,
                blocks,
                in_channels=channels,
                out_channels=256 * 2**number,
                bottleneck_channels=32 * 2**number,
                stride_per_block=[2 if number and not block else 1 for block in range(blocks)],
                stride_in_1x1=False,
                norm=norm,
            )
        )
        channels = 256 * 2**number
    return ResNet(BasicStem(norm=norm), stages, out_features=["res2", "res3", "res4", "res5"]).eval()


def features(network: nn.Module, image: Tensor) -> list[Tensor]:
    """What torchvision's network finds on each stage."""
    found = network.maxpool(network.relu(network.bn1(network.conv1(image))))
    stages = []
    for number in range(1, 5):
        found = getattr(network, f"layer{number}")(found)
        stages.append(found)
    return stages


def test_statistics_under_their_other_names_and_momentum_change_nothing(small, tmp_path):
    """Caffe2's own names of BatchNorm, and what Detectron saves beside a weight."""
    blobs = as_detectron(small["BN"], "BN")
    older = {"gamma": "s", "beta": "b", "running_mean": "rm", "running_var": "riv"}
    renamed = {
        re.sub("_bn_(.*)", lambda match: f"_bn_{older[match[1]]}", name): value
        for name, value in blobs.items()
    }
    assert "res_conv1_bn_riv" in renamed
    for number, content in enumerate((blobs, renamed | {"res2_0_branch2a_w_momentum": renamed["conv1_w"]})):
        (tmp_path / f"{number}").write_bytes(pickle.dumps(content, 2))
    first, second = (read(tmp_path / number, "detectron", "R50_SyncBN") for number in "01")
    assert first.keys() == second.keys() == ours("BN").state_dict().keys()


WRITTEN = [
    (layout, norm, "bgr" if layout == "detectron" or (layout, norm) == ("mmdetection", "GN") else "rgb")
    for layout in ("torchvision", "timm", "mmdetection", "detectron2", "detectron")
    for norm in ("GN", "BN")
]
"""Layout, norm and colours of weights that are published."""


@pytest.mark.parametrize(("layout", "norm", "colours"), WRITTEN)
def test_weights_of_each_layout_compute_what_they_did(networks, tmp_path, layout, norm, colours):
    """On one image: theirs sees it in their colours, ours in RGB divided by its deviation."""
    path = write(layout, networks[norm].state_dict(), norm, tmp_path / "w")
    backbone = ours(norm)
    backbone.load_state_dict(read(path, layout, MODEL[norm], colours))
    pixels = torch.rand(1, 3, 64, 96) * 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (RGB_MEAN, RGB_STD))
    seen = (pixels - mean).flip(1) if colours == "bgr" else (pixels - mean) / std
    with torch.no_grad():
        found = backbone((pixels - mean) / std).values()
        for stage, expected in zip(found, features(networks[norm], seen), strict=True):
            torch.testing.assert_close(stage / expected.abs().max(), expected / expected.abs().max())


@pytest.mark.parametrize(("layout", "norm"), [("detectron", "GN"), ("detectron", "BN"), ("detectron2", "BN")])
def test_detectron2_reads_the_same_from_the_same_file(networks, tmp_path, layout, norm):
    path = write(layout, networks[norm].state_dict(), norm, tmp_path / "w.pkl")
    witness = ours(norm)
    for value in witness.state_dict().values():
        value.fill_(-9)
    DetectionCheckpointer(witness).load(str(path))
    found, expected = read(path, layout, MODEL[norm]), witness.state_dict()
    assert found.keys() == expected.keys()
    for name, value in found.items():
        if not name.endswith("num_batches_tracked") and (layout, name) != ("detectron", "stem.conv1.weight"):
            assert torch.equal(value, expected[name]), name


DECLARED = [
    (written, declared)
    for written in ("torchvision", "mmdetection", "detectron2", "detectron")
    for declared in ("torchvision", "detectron2", "detectron")
    if written != declared and (written, declared) != ("mmdetection", "torchvision")  # one reader
]


@pytest.mark.parametrize(("written", "declared"), DECLARED)
def test_weights_of_another_layout_than_declared_are_refused(small, tmp_path, written, declared):
    path = write(written, small["GN"], "GN", tmp_path / "w")
    with pytest.raises(
        UserError, match=rf"^w: found \d+ weights that no backbone in layout {declared} has, such as "
    ):
        read(path, declared, "R50_GN")


@pytest.mark.parametrize(
    ("layout", "of_the_backbone", "of_the_detector"),
    [
        ("torchvision", "layer1.0.conv1.weight", "roi_heads.box_head.fc6.weight"),
        ("mmdetection", "backbone.layer1.0.conv1.weight", "neck.lateral_convs.0.conv.weight"),
        ("detectron2", "res2.0.conv1.weight", "proposal_generator.rpn_head.conv.weight"),
        ("detectron", "res2_0_branch2a_w", "fpn_inner_res5_2_sum_w"),
    ],
)
def test_a_detectors_weights_are_refused(tmp_path, layout, of_the_backbone, of_the_detector):
    torch.save(dict.fromkeys((of_the_backbone, of_the_detector), torch.zeros(1)), tmp_path / "w")
    with pytest.raises(
        UserError, match=f"found 1 weights .*such as {of_the_detector}; expected a classifier's"
    ):
        read(tmp_path / "w", layout, "R50_GN")


@pytest.mark.parametrize(
    ("layout", "norm", "model", "found"),
    [
        ("torchvision", "BN", "R50_GN", "BatchNorm, expected GroupNorm for model R50_GN"),
        ("detectron", "BN", "R101_GN", "BatchNorm, expected GroupNorm for model R101_GN"),
        ("detectron", "GN", "R50_SyncBN", "GroupNorm, expected BatchNorm for model R50_SyncBN"),
        ("timm", "GN", "VGG-16", "GroupNorm, expected no norm for model VGG-16"),
    ],
)
def test_weights_with_another_norm_than_the_models_are_refused(small, tmp_path, layout, norm, model, found):
    path = write(layout, small[norm], norm, tmp_path / "w")
    with pytest.raises(UserError, match=f"^w: found weights of a network with {found}; docs/weights.md"):
        read(path, layout, model)


@pytest.mark.parametrize("model", ["R50_GN", "R50_SyncBN"])
def test_folded_batchnorm_is_not_taken_for_groupnorm(small, tmp_path, model):
    """As in Detectron's MSRA/R-50.pkl: a scale and a shift alone, as GN has, but named `_bn_`."""
    blobs = as_detectron(small["GN"], "GN")["blobs"]
    folded = {
        name.replace("conv1_gn", "res_conv1_bn").replace("_gn_", "_bn_"): value
        for name, value in blobs.items()
    }
    (tmp_path / "w").write_bytes(pickle.dumps(folded, 2))
    with pytest.raises(
        UserError, match=r"^w: found BatchNorm folded into a scale and a shift \(res_conv1_bn_s"
    ):
        read(tmp_path / "w", "detectron", model)
