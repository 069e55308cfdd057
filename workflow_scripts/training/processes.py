"""Training processes: one or many (torchrun), with the same global batches and losses either way."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.structures import Instances
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from workflow_scripts.errors import UserError
from workflow_scripts.models.devices import claimed_device, sent


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
    """Join the process group that torchrun announces in the environment, if any, and leave it at the end.

    A process that stops early does not leave it: leaving waits for the others, which may wait for this one. torchrun
    ends them when this one has told what is wrong and is gone.

    Raises:
        UserError: this machine has GPUs, but none for this process.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    if count == 1:  # others may train beside it, each on a GPU of its own
        yield Processes(rank, count, claimed_device())
        return
    device = _training_device(int(os.environ["LOCAL_RANK"]))
    if device == "cpu":
        distributed.init_process_group("gloo")
    else:
        distributed.init_process_group("nccl", device_id=torch.device(device))
    yield Processes(rank, count, device)
    distributed.destroy_process_group()


def _training_device(local_rank: int) -> str:
    if not torch.cuda.is_available():
        return "cpu"
    gpus = torch.cuda.device_count()
    if local_rank >= gpus:
        raise UserError(
            f"training process {local_rank + 1} of this machine: found {gpus} GPUs, expected one for each process; "
            "lower training.processes, or ask for more GPUs"
        )
    torch.cuda.set_device(local_rank)
    return f"cuda:{local_rank}"


def threads_each(processes: int) -> int:
    """Threads of each training process: an equal share of OMP_NUM_THREADS, the job's, or else of its processors."""
    threads = os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0))
    return max(1, int(threads) // processes)


def wait_for_all(processes: Processes) -> None:
    """Go on when every process has come here."""
    if processes.count > 1:
        distributed.barrier()


def agreed(decision: bool, processes: Processes) -> bool:
    """What any process, usually the first, decided, in all of them."""
    if processes.count == 1:
        return decision
    return bool(summed(torch.tensor(int(decision), device=processes.device), processes))


def same_everywhere(number: int, processes: Processes) -> bool:
    """Whether all processes have the same number."""
    if processes.count == 1:
        return True
    ends = torch.tensor([number, -number], device=processes.device)
    distributed.all_reduce(ends, op=distributed.ReduceOp.MAX)
    return bool(ends.sum() == 0)


def synchronised(model: nn.Module, processes: Processes) -> nn.Module:
    """The model with gradients averaged over the processes."""
    if processes.count == 1:
        return model
    devices = None if processes.device == "cpu" else [processes.device]
    return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)


class SampleCounts:
    """Over how many samples of this process each of a detector's losses is a mean, as of its last forward pass.

    detectron2 divides the box losses by the proposals (of a cascade: by its stage's), the mask loss by the foreground
    proposals and the keypoint loss by the visible keypoints. All of these come into the heads, which are watched. The
    RPN's losses are not counted: they are divided by a constant number of anchors per image.
    """

    def __init__(self, model: nn.Module) -> None:
        self.of: dict[str, int | Tensor] = {}
        heads: Any = getattr(model, "roi_heads", None)
        if heads is None:
            return
        stages = isinstance(heads.box_predictor, nn.ModuleList)
        for stage, predictor in enumerate(heads.box_predictor if stages else [heads.box_predictor]):
            suffix = f"_stage{stage}" if stages else ""
            self._watch(predictor, len, f"loss_cls{suffix}", f"loss_box_reg{suffix}")
        if heads.mask_on:
            self._watch(heads.mask_head, _rows, "loss_mask")
        if heads.keypoint_on and heads.keypoint_head.loss_normalizer == "visible":
            self._watch(heads.keypoint_head, _visible_keypoints, "loss_keypoint")

    def _watch(self, head: nn.Module, count: Callable[..., int | Tensor], *losses: str) -> None:
        def note(_head: nn.Module, inputs: tuple) -> None:
            self.of.update(dict.fromkeys(losses, count(*inputs)))

        head.register_forward_pre_hook(note)


def _rows(features: Tensor, _proposals: Sequence[Instances]) -> int:
    return len(features)


def _visible_keypoints(features: Tensor, proposals: Sequence[Instances]) -> int | Tensor:
    """As detectron2's `keypoint_rcnn_loss` counts them: visible, and within the proposal, at any resolution.

    On the model's device; 0 where there is no proposal.
    """
    return sum(
        each.gt_keypoints.to_heatmap(each.proposal_boxes.tensor, features.shape[-1])[1].sum()
        for each in proposals
        if len(each)
    )


def weighted(
    losses: Mapping[str, Tensor], counts: Mapping[str, int | Tensor], processes: Processes
) -> dict[str, Tensor]:
    """The losses of a batch, weighted so that their mean over processes is the loss of the global batch.

    detectron2 takes means over samples in each process: weighted by the process's share of all samples, their mean over
    processes is the mean over the global batch, as in one process. Every process calls this, whatever it sampled.
    """
    if processes.count == 1 or not counts:
        return dict(losses)
    own = _together_on(processes.device, list(counts.values()))
    total = summed(own.clone(), processes)
    shares = dict(zip(counts, own * processes.count / total.clamp(min=1), strict=True))
    return {
        name: value * shares[name].to(value.dtype) if name in shares else value
        for name, value in losses.items()
    }


def _together_on(device: str, counts: Sequence[int | Tensor]) -> Tensor:
    """Counts as one tensor; those that are on the device already do not leave it."""
    known = torch.tensor([0 if isinstance(count, Tensor) else count for count in counts], dtype=torch.float64)
    values = sent(known, device)
    for number, count in enumerate(counts):
        if isinstance(count, Tensor):
            values[number] = count
    return values


def diverge_together(model: nn.Module, processes: Processes) -> None:
    """Make a forward pass raise FloatingPointError in every process where it does in any.

    detectron2 checks boxes in the middle of a forward pass. A process that left alone would let the others wait for it
    in the next collective, SyncBN's or the gradients'.
    """
    generator: Any = getattr(model, "proposal_generator", None)
    heads: Any = getattr(model, "roi_heads", None)
    if generator is not None:
        generator.predict_proposals = _together(generator.predict_proposals, processes)
    if hasattr(heads, "_create_proposals_from_boxes"):  # a cascade's next stage
        create = _refusing_non_finite(heads._create_proposals_from_boxes)
        heads._create_proposals_from_boxes = _together(create, processes)


def _together(function: Callable[..., Any], processes: Processes) -> Callable[..., Any]:
    def together(*args: Any) -> Any:
        result = failure = None
        try:
            result = function(*args)
        except FloatingPointError as error:
            failure = error
        if agreed(failure is not None, processes):
            raise failure or FloatingPointError("Another process found boxes that contain Inf or NaN.")
        return result

    return together


def _refusing_non_finite(create: Callable[..., Any]) -> Callable[..., Any]:
    def checked(boxes: Sequence[Tensor], image_sizes: Sequence[tuple[int, int]]) -> Any:
        try:
            return create(boxes, image_sizes)
        except AssertionError:  # clipping them asserts it: looking first would make a GPU wait once more
            if all(bool(torch.isfinite(each).all()) for each in boxes):
                raise
            message = "A stage of the cascade predicted boxes that contain Inf or NaN."
            raise FloatingPointError(message) from None

    return checked


def summed(values: Tensor, processes: Processes) -> Tensor:
    """The sum of a tensor over the processes."""
    if processes.count > 1:
        distributed.all_reduce(values)
    return values
