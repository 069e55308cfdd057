"""Files of tensors: safetensors with a digest of all that is in them. Nothing from pickle."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically

HEADER = "training"
"""The entry of safetensors' metadata that holds ours, as JSON."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Write tensors as safetensors, atomically, with a digest of them in the metadata; returns the digest."""
    with write_atomically(path) as temporary:
        return write_tensors(temporary, tensors, metadata)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """What `save_tensors` writes, at once at its place, in a folder that is there."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    digest = tensors_digest(on_cpu, metadata)
    # One entry: safetensors writes several in an order that changes from process to process.
    header = {HEADER: json.dumps({**metadata, "digest": digest})}
    try:
        save_file(on_cpu, path, header)
    except SafetensorError as error:
        # It carries the system's number in its text alone.
        if found := re.search(r"\(os error (\d+)\)", str(error)):
            number = int(found[1])
            raise OSError(number, os.strerror(number), str(path)) from None
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
            "weights with workflow_scripts.models.published"
        )
    if digest != tensors_digest(tensors, metadata):
        raise UserError(
            f"{path}: its tensors do not match its digest: it was altered; remove it to make it again"
        )
    return tensors, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """What `save_tensors` wrote into a file beside the tensors, and their `digest`, taken at its word.

    Raises:
        UserError: the file is absent, cut off, or not written by `save_tensors`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {})[HEADER])
    except (OSError, SafetensorError, LookupError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read as safetensors that this project wrote ({error}); remove it to make it again"
        ) from None


def tensors_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors (on the CPU) and the metadata, in order of name."""
    digest = hashlib.sha256()
    for name, value in sorted(metadata.items()):
        digest.update(f"{name}={value}\n".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
