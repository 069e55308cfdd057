"""Which GPU a job uses that needs one alone, how tensors get there, and in which arithmetic it computes."""

import fcntl
import tempfile
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

_claims: list[IO] = []


def claimed_device() -> str:
    """The first GPU that no other job has claimed, then the one with the most free memory; without any, the CPU.

    A GPU is claimed until the process ends, by a locked file of its name among the machine's temporary ones. It becomes
    the one that torch uses where none is named.
    """
    if not torch.cuda.is_available():
        return "cpu"
    gpus = range(torch.cuda.device_count())
    free = next((gpu for gpu in gpus if _claim(gpu)), None)
    if free is None:
        free = max(gpus, key=lambda gpu: torch.cuda.mem_get_info(gpu)[0])
    torch.cuda.set_device(free)
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


def fix_arithmetic() -> None:
    """Compute alike whatever torch's version and the environment say: call before the first forward pass.

    Denormal numbers are zero on CPUs. GPUs that know TF32 use it in convolutions and not in matrix products, torch's
    defaults, which detectron2 leaves as they are. Algorithms are not chosen by trying them: sizes change each step.
    """
    torch.set_flush_denormal(True)
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


def sent(tensor: Tensor, device: str | torch.device) -> Tensor:
    """The tensor on `device`. A copy to a GPU is queued behind its work, and not waited for."""
    if tensor.device == torch.device(device):
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
