"""The state of a training: weights, momentum and iteration in one safetensors file. Nothing from pickle."""

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from workflow_scripts.errors import FULL, UserError
from workflow_scripts.files import write_atomically

HEADER = "training"
"""The entry of safetensors' metadata that holds ours, as JSON."""


@dataclass(frozen=True)
class State:
    """A training after `iteration` iterations."""

    iteration: int
    weights: dict[str, Tensor]
    momentum: dict[str, Tensor]


def capture(model: nn.Module, optimizer: torch.optim.Optimizer, iteration: int) -> State:
    """The state of a model and its SGD optimizer, by parameter name; tensors are shared, not copied."""
    momentum = {
        name: optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in model.named_parameters()
        if "momentum_buffer" in optimizer.state.get(parameter, {})
    }
    return State(iteration, model.state_dict(), momentum)


def restore(state: State, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a state into a model and its optimizer; every weight must be there."""
    model.load_state_dict(state.weights)
    for name, parameter in model.named_parameters():
        if name in state.momentum:
            # Laid out in memory as its parameter is: the fused optimizer walks the two side by side.
            buffer = torch.empty_like(parameter, requires_grad=False).copy_(state.momentum[name])
            optimizer.state[parameter]["momentum_buffer"] = buffer


def save_state(path: Path, state: State, training: str = "") -> str:
    """Write a state atomically, with what identifies its training; returns the digest of all of it."""
    tensors = {f"weights/{name}": tensor for name, tensor in state.weights.items()}
    tensors |= {f"momentum/{name}": tensor for name, tensor in state.momentum.items()}
    return save_tensors(path, tensors, {"iteration": str(state.iteration), "training": training})


def load_state(path: Path) -> State:
    """Read a state.

    Raises:
        UserError: the file is absent, cut off, altered, or not a state.
    """
    tensors, metadata = load_tensors(path)
    if "iteration" not in metadata:
        raise UserError(f"{path}: expected a training state, found tensors without an iteration")
    return State(int(metadata["iteration"]), _part(tensors, "weights/"), _part(tensors, "momentum/"))


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Write tensors as safetensors, atomically, with a digest of them in the metadata; returns the digest."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    digest = tensors_digest(on_cpu, metadata)
    with write_atomically(path) as temporary:
        # One entry: safetensors writes several in an order that changes from process to process.
        header = {HEADER: json.dumps({**metadata, "digest": digest})}
        try:
            save_file(on_cpu, temporary, header)
        except SafetensorError as error:
            # It carries the system's number in its text alone.
            if any(f"(os error {number})" in str(error) for number in FULL):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
            raise
    return digest


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata, and check them against their digest.

    Raises:
        UserError: the file is absent, cut off, altered, or not written by `save_tensors`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: cannot be read as safetensors ({error}); remove it to make it again"
        ) from None
    digest = metadata.pop("digest", None)
    if digest is None:
        raise UserError(
            f"{path}: found safetensors without a digest, expected a file that this project wrote; convert published "
            "weights with workflow_scripts.detection.pretrained"
        )
    if digest != tensors_digest(tensors, metadata):
        raise UserError(
            f"{path}: its tensors do not match its digest: it was altered; remove it to make it again"
        )
    return tensors, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """What `save_tensors` wrote into a file beside the tensors, and their `digest`, taken at its word."""
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()[HEADER])


def tensors_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors (on the CPU) and the metadata, in order of name."""
    digest = hashlib.sha256()
    for name, value in sorted(metadata.items()):
        digest.update(f"{name}={value}\n".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
