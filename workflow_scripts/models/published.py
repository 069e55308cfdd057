"""Published weights to start from: fetched, checked against their hash, and named as this project's backbones do.

python -m workflow_scripts.models.published --weights '{"source": ..., "sha256": ...}' --backbone b.safetensors ...
"""

import argparse
import json
import re
import shutil
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256, write_atomically, write_json
from workflow_scripts.jobs.job import job
from workflow_scripts.models.config import RGB_STD
from workflow_scripts.models.tensors import save_tensors
from workflow_scripts.study.configuration.config import PublishedWeights

RESNET = (
    (r"^(conv1|bn1|gn1)\.", r"stem.\1."),
    (r"^layer(\d)\.", lambda match: f"res{int(match[1]) + 1}."),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"\.(?:bn|gn)(\d)\.", r".conv\1.norm."),
)
"""torchvision's names of a ResNet's weights as detectron2's, in order."""

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

CLASSIFIER_LAYERS = ("fc", "head", "classifier.6")
FIRST_CONVOLUTIONS = ("stem.conv1.weight", "conv1_1.weight")


def torchvision_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A torchvision-style ResNet's or VGG-16's weights without the last, linear layer, named as our models do."""
    renamed: dict[str, Tensor] = {}
    for name, value in weights.items():
        layer, _, kind = re.sub(r"^(?:module\.|backbone\.)?", "", name).rpartition(".")
        if layer in CLASSIFIER_LAYERS:
            continue
        name = f"{VGG_16.get(layer, layer)}.{kind}"
        for pattern, replacement in RESNET:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    return renamed


def bgr_to_rgb(first_convolution: Tensor) -> Tensor:
    """The first convolution of a network that expects BGR from 0 to 255, for RGB divided by its deviation."""
    return first_convolution.flip(1) * torch.tensor(RGB_STD).view(1, 3, 1, 1)


def read_published(path: Path, published: PublishedWeights) -> dict[str, Tensor]:
    """Published weights as detectron2's ResNet or our VGG-16 names them, for RGB input. No pickle is executed.

    Raises:
        UserError: another hash than expected, or a file that holds anything but named tensors.
    """
    found = sha256(path)
    if found != published.sha256:
        raise UserError(
            f"{published.source}: found SHA-256 {found}, expected {published.sha256}; another file stands there: "
            "correct pretraining.fetch in config.yaml, or do not use it"
        )
    weights = _tensors(path, published.source)
    if published.layout == "torchvision":
        weights = torchvision_names(weights)
    if published.colours == "bgr":
        first = {name: bgr_to_rgb(weights[name]) for name in FIRST_CONVOLUTIONS if name in weights}
        weights = {**weights, **first}
    # Frozen and old BatchNorms have no such counter; nothing here reads it.
    counted = [name.removesuffix("running_mean") for name in weights if name.endswith(".running_mean")]
    return {**{f"{norm}num_batches_tracked": torch.tensor(0) for norm in counted}, **weights}


def _tensors(path: Path, source: str) -> dict[str, Tensor]:
    try:
        loaded = load_file(path) if _is_safetensors(path) else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on foreign files
        raise UserError(
            f"{source}: cannot be read as tensors alone ({type(error).__name__}); expected safetensors, or a .pth file "
            "that torch.load reads with weights_only=True"
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise UserError(f"{source}: found a {type(loaded).__name__}, expected tensors by name (a state dict)")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(
                f"{source}: found a {type(value).__name__} at {name!r}, expected a state dict of tensors alone, or one "
                "under the name state_dict or model"
            )
    return dict(loaded)


def _is_safetensors(path: Path) -> bool:
    """Eight bytes of length, then a header in JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def fetch(source: str, path: Path) -> None:
    """Copy published weights from a URL or a path.

    Raises:
        UserError: they cannot be had.
    """
    try:
        with write_atomically(path) as temporary:
            if "://" in source:
                with urllib.request.urlopen(source, timeout=60) as response, temporary.open("wb") as file:
                    shutil.copyfileobj(response, file)
            else:
                shutil.copyfile(source, temporary)
    except OSError as error:
        raise UserError(
            f"{source}: cannot be fetched ({error}); correct pretraining.fetch in config.yaml"
        ) from None


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", required=True, help="source, sha256, layout and colours, as JSON")
    parser.add_argument("--backbone", type=Path, required=True, help="output: the backbone's weights")
    parser.add_argument("--summary", type=Path, required=True, help="output: summary.json")
    arguments = parser.parse_args()
    published = PublishedWeights.model_validate_json(arguments.weights)
    path = arguments.backbone.with_name("fetched")
    fetch(published.source, path)
    try:
        weights = read_published(path, published)
    finally:
        path.unlink()
    save_tensors(arguments.backbone, weights, {"source": published.source})
    summary = {"kind": "fetch", **published.model_dump()}
    write_json(arguments.summary, summary)
    print(json.dumps(summary))


if __name__ == "__main__":
    job(main)
