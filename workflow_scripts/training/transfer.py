"""Batches on the training device, sent there while it still works on the step before.

detectron2's models move what they are given, too, but by copies that wait until all work of the GPU is done.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from detectron2.structures import BitMasks, Boxes, Instances, Keypoints
from torch import Tensor

from workflow_scripts.models.devices import sent
from workflow_scripts.training.examples import Example


def on_device(batches: Iterable[Sequence[Example]], device: str) -> Iterator[Sequence[Example]]:
    """The batches with their tensors on the device; on the CPU, as they are."""
    if device == "cpu":
        yield from batches
        return
    for batch in batches:
        yield [moved(example, device) for example in batch]


def moved(value: Any, device: str) -> Any:
    """An example, or a part of one, with its tensors on the device; polygons are no tensors and stay where they are."""
    if isinstance(value, Tensor):
        return sent(value, device)
    if isinstance(value, dict):
        return {name: moved(part, device) for name, part in value.items()}
    if isinstance(value, Instances):
        return Instances(value.image_size, **moved(value.get_fields(), device))
    if isinstance(value, (Boxes, Keypoints, BitMasks)):
        return type(value)(moved(value.tensor, device))
    return value
