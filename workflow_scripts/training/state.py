"""The state of a training: weights, momentum and iteration in one safetensors file. Nothing from pickle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from workflow_scripts.errors import UserError
from workflow_scripts.models.tensors import load_tensors, write_tensors


@dataclass(frozen=True)
class State:
    """A training after `iteration` iterations; tensors by parameter name. `of`: names of its recipe and segment."""

    iteration: int
    weights: Mapping[str, Tensor]
    momentum: Mapping[str, Tensor]
    of: str = ""


def capture(model: nn.Module, optimizer: torch.optim.Optimizer, iteration: int, of: str = "") -> State:
    """The state of a model and its SGD optimizer, by parameter name; tensors are shared, not copied."""
    momentum = {
        name: optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in model.named_parameters()
        if "momentum_buffer" in optimizer.state.get(parameter, {})
    }
    return State(iteration, model.state_dict(), momentum, of)


def restore(state: State, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a state into a model and its optimizer; every weight must be there."""
    model.load_state_dict(state.weights)
    for name, parameter in model.named_parameters():
        if name in state.momentum:
            # Laid out in memory as its parameter is: the fused optimizer walks the two side by side.
            buffer = torch.empty_like(parameter, requires_grad=False).copy_(state.momentum[name])
            optimizer.state[parameter]["momentum_buffer"] = buffer


def write_state(path: Path, state: State, training: str = "") -> str:
    """Write a state, with what identifies its training; returns the digest of all of it."""
    tensors = {f"weights/{name}": tensor for name, tensor in state.weights.items()}
    tensors |= {f"momentum/{name}": tensor for name, tensor in state.momentum.items()}
    return write_tensors(
        path, tensors, {"iteration": str(state.iteration), "training": training, "of": state.of}
    )


def load_state(path: Path) -> State:
    """Read a state.

    Raises:
        UserError: the file is absent, cut off, altered, or not a state.
    """
    tensors, metadata = load_tensors(path)
    if "iteration" not in metadata:
        raise UserError(f"{path}: expected a training state, found tensors without an iteration")
    parts = _part(tensors, "weights/"), _part(tensors, "momentum/")
    return State(int(metadata["iteration"]), *parts, metadata.get("of", ""))


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
