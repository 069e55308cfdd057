"""Published weights to start from: fetched, checked against their hash, and named as this project's backbones do.

python -m workflow_scripts.models.published --weights '{"source": ..., "sha256": ...}' --model R50_GN ...
"""

import argparse
import json
import shutil
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from workflow_scripts.errors import FULL, UserError
from workflow_scripts.files import sha256, write_atomically, write_json
from workflow_scripts.jobs.job import job
from workflow_scripts.models.build import build, load_backbone
from workflow_scripts.models.config import RGB_STD
from workflow_scripts.models.layouts import has_statistics, our_names
from workflow_scripts.models.pickles import NotArrays, load_arrays
from workflow_scripts.models.tensors import save_tensors
from workflow_scripts.study.compiled.recipes import MODELS, Recipe
from workflow_scripts.study.configuration.config import PublishedWeights

FIRST_CONVOLUTIONS = ("stem.conv1.weight", "conv1_1.weight")
NORMS = {"GN": "GroupNorm", "SyncBN": "BatchNorm", "": "no norm"}
TORCH = (b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
"""How files of torch.save begin: as a zip, or with a pickled magic number where they are of before torch 1.6."""


def bgr_to_rgb(first_convolution: Tensor) -> Tensor:
    """The first convolution of a network that expects BGR from 0 to 255, for RGB divided by its deviation."""
    return first_convolution.flip(1) * torch.tensor(RGB_STD).view(1, 3, 1, 1)


def read_published(path: Path, published: PublishedWeights, model: str) -> dict[str, Tensor]:
    """Published weights named as this project's backbones do, for RGB input. No pickle is executed.

    Raises:
        UserError: another hash than expected, a file that holds anything but named tensors, names of another layout, or
            another norm than the model's.
    """
    found = sha256(path)
    if found != published.sha256:
        raise UserError(
            f"{published.source}: found SHA-256 {found}, expected {published.sha256}; it is another file: "
            "correct pretraining.fetch in config.yaml, or do not use it"
        )
    weights = our_names(_tensors(path, published.source), published.layout, published.source)
    _check_numbers(weights, published.source)
    _check_norm(weights, model, published.source)
    if published.colours == "bgr":
        first = {name: bgr_to_rgb(weights[name]) for name in FIRST_CONVOLUTIONS if name in weights}
        weights = {**weights, **first}
    # Frozen and old BatchNorms have no such counter; nothing here reads it.
    counted = [name.removesuffix("running_mean") for name in weights if name.endswith(".running_mean")]
    return {**{f"{norm}num_batches_tracked": torch.tensor(0) for norm in counted}, **weights}


def _check_numbers(weights: Mapping[str, Tensor], source: str) -> None:
    """A training would cast whole numbers and complex ones without a word, and take NaN for a divergence of its own."""
    for name, value in weights.items():
        if name.endswith(".num_batches_tracked"):
            continue
        if value.layout is not torch.strided or value.is_quantized or not value.is_floating_point():
            dense = value.layout is torch.strided
            found = str(value.dtype if dense else value.layout).removeprefix("torch.")
        elif not value.isfinite().all():
            found = "numbers that are not finite"
        else:
            continue
        raise UserError(
            f"{source}: found {found} at {name!r}, expected finite floating-point numbers in each weight; fetch it "
            "anew, or give other weights"
        )


def _check_norm(weights: Mapping[str, Tensor], model: str, source: str) -> None:
    expected = MODELS[model].norm
    found = "SyncBN" if has_statistics(weights) else "GN" if any(".norm." in name for name in weights) else ""
    if found != expected:
        fitting = [name for name, each in MODELS.items() if each.norm == found]
        raise UserError(
            f"{source}: found weights of a network with {NORMS[found]}, expected {NORMS[expected]} for model {model}; "
            f"docs/weights.md lists weights that fit it, and these may fit {' or '.join(fitting)}"
        )


def check_fit(weights: Mapping[str, Tensor], recipe: Recipe, source: str) -> None:
    """That a recipe can start from weights, by their names and shapes: before anything is trained for it.

    Raises:
        UserError: it cannot.
    """
    with torch.device("meta"):
        model = build(recipe, num_classes=1, device="meta")
    load_backbone(recipe, model, weights, source)


def _tensors(path: Path, source: str) -> dict[str, Tensor]:
    loaded = _loaded(path, source)
    for key in ("state_dict", "model", "blobs"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise UserError(f"{source}: found a {type(loaded).__name__}, expected tensors by name (a state dict)")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(
                f"{source}: found a {type(value).__name__} at {name!r}, expected a state dict of tensors alone, or one "
                "under the name state_dict, model or blobs"
            )
    return dict(loaded)


def _loaded(path: Path, source: str) -> object:
    """What a file of weights holds, whichever kind of file it is."""
    try:
        if _is_safetensors(path):
            return load_file(path)
        return torch.load(path, "cpu", weights_only=True) if _is_torchs(path) else load_arrays(path)
    except Exception as error:  # torch raises many kinds on foreign files
        why = str(error) if isinstance(error, NotArrays) else type(error).__name__
        raise UserError(
            f"{source}: cannot be read as tensors alone ({why}); expected safetensors, a .pth file that torch.load "
            "reads with weights_only=True, or a .pkl file of plain arrays"
        ) from None


def _is_safetensors(path: Path) -> bool:
    """Eight bytes of length, then a header in JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _is_torchs(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(max(map(len, TORCH))).startswith(TORCH)


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
    except (OSError, HTTPException, ValueError) as error:  # the last two of servers and of URLs that are none
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{source}: cannot be fetched ({why}); correct pretraining.fetch in config.yaml, "
            "or fetch the file by hand and name its path"
        ) from None


def _described(text: str) -> PublishedWeights:
    try:
        return PublishedWeights.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        raise UserError(
            f"--weights: {field}{': ' if field else ''}{problem['msg']}; expected an entry of pretraining.fetch as JSON"
        ) from None


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", required=True, help="an entry of pretraining.fetch, as JSON")
    parser.add_argument("--model", required=True, choices=MODELS, help="the model to start from them")
    parser.add_argument(
        "--recipes", type=json.loads, default={}, help="by model, one that starts from them, as JSON"
    )
    parser.add_argument("--backbone", type=Path, required=True, help="output: the backbone's weights")
    parser.add_argument("--summary", type=Path, required=True, help="output: summary.json")
    arguments = parser.parse_args()
    published = _described(arguments.weights)
    path = arguments.backbone.with_name("fetched")
    fetch(published.source, path)
    try:
        weights = read_published(path, published, arguments.model)
        if arguments.model in arguments.recipes:
            check_fit(weights, Recipe.model_validate(arguments.recipes[arguments.model]), published.source)
    finally:
        path.unlink()
    save_tensors(arguments.backbone, weights, {"source": published.source})
    summary = {"kind": "fetch", **published.model_dump()}
    write_json(arguments.summary, summary)
    print(json.dumps(summary))


if __name__ == "__main__":
    job(main)
