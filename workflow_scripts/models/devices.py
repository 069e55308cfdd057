"""Which GPU a job uses that needs one alone, where several such jobs share a machine."""

import fcntl
import tempfile
from pathlib import Path
from typing import IO

import torch

_claims: list[IO] = []


def evaluation_device() -> str:
    """The first GPU that no other evaluation uses, then the one with the most free memory; without any, the CPU.

    A GPU is claimed until the process ends, by a locked file of its name among the machine's temporary ones.
    """
    if not torch.cuda.is_available():
        return "cpu"
    gpus = range(torch.cuda.device_count())
    free = next((gpu for gpu in gpus if _claim(gpu)), None)
    if free is None:
        free = max(gpus, key=lambda gpu: torch.cuda.mem_get_info(gpu)[0])
    return f"cuda:{free}"


def _claim(gpu: int) -> bool:
    name = torch.cuda.get_device_properties(gpu).uuid
    try:
        file = (Path(tempfile.gettempdir()) / f"evaluation-{name}.lock").open("w")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # claimed by a job of this or of another person
        return False
    _claims.append(file)
    return True
