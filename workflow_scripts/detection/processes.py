"""Training processes: one or many (torchrun), with the same global batches and losses either way."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from workflow_scripts.detection.draws import SampledCounts


@dataclass(frozen=True)
class Processes:
    """This process's place among the training processes."""

    rank: int
    count: int
    device: str

    @property
    def first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0


@contextmanager
def training_processes() -> Iterator[Processes]:
    """Join the process group that torchrun announces in the environment, if any, and leave it at the end."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    device = "cpu"
    if torch.cuda.is_available():
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    if count == 1:
        yield Processes(rank, count, device)
        return
    distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    try:
        yield Processes(rank, count, device)
    finally:
        distributed.destroy_process_group()


def wait_for_all(processes: Processes) -> None:
    """Go on when every process has come here."""
    if processes.count > 1:
        distributed.barrier()


def synchronised(model: nn.Module, processes: Processes) -> nn.Module:
    """The model with gradients averaged over the processes."""
    if processes.count == 1:
        return model
    devices = None if processes.device == "cpu" else [processes.device]
    return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)


def loss_weights(sampled: SampledCounts, processes: Processes) -> tuple[float, float]:
    """Factors for the losses that are means over sampled, and over foreground, proposals.

    detectron2 takes those means in each process. Weighted by this process's share of the proposals, their mean over
    processes is the mean over the global batch, as in one process.
    """
    if processes.count == 1:
        return 1.0, 1.0
    own = torch.tensor([sampled.proposals, sampled.foreground], dtype=torch.float64, device=processes.device)
    total = own.clone()
    distributed.all_reduce(total)
    shares = own * processes.count / total.clamp(min=1)
    return float(shares[0]), float(shares[1])


def weighted(losses: Mapping[str, Tensor], sampled: SampledCounts, processes: Processes) -> dict[str, Tensor]:
    """The losses of a batch, weighted so that their mean over processes is the loss of the global batch."""
    if processes.count == 1 or not sampled.proposals:
        return dict(losses)
    proposals, foreground = loss_weights(sampled, processes)
    return {name: value * _weight(name, proposals, foreground) for name, value in losses.items()}


def _weight(name: str, proposals: float, foreground: float) -> float:
    if name.startswith("loss_rpn"):
        return 1.0  # detectron2 divides these by a constant number of anchors per image
    return foreground if name in ("loss_mask", "loss_keypoint") else proposals


def summed(values: Tensor, processes: Processes) -> Tensor:
    """The sum of a tensor over the processes."""
    if processes.count > 1:
        distributed.all_reduce(values)
    return values
