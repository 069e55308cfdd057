"""Random draws as a function of (seed, iteration, position in the global batch), whoever draws them.

detectron2 draws augmentations and the RPN's and RoI heads' samples from global generators. Seeding those from a key
just before each image's draw makes training continue bit for bit from a saved state, and makes one process and many
draw the same.
"""

import hashlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn


def key(seed: int, *parts: int | str) -> int:
    """A 63-bit number for a draw, independent of every other key's."""
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def seed_torch(number: int) -> None:
    """Seed torch's global generators of the CPU and of this process's GPU.

    `torch.manual_seed` would, where no GPU is in use, keep each call with its stack for the day one is: that costs a
    tenth of a training step and grows without end.
    """
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(number)


def seed_everything(number: int) -> None:
    """Seed the global generators of random, numpy and torch."""
    random.seed(number)
    np.random.seed(number & 0xFFFFFFFF)
    seed_torch(number)


class DrawsPerImage:
    """Makes a detector's anchor and proposal sampling draw by image.

    Call `begin` before each forward pass; detectron2 samples the images of a batch in order. The later stages of a
    cascade draw nothing: they take every box of the stage before.
    """

    def __init__(self, model: nn.Module, seed: int) -> None:
        self.seed = seed
        self._iteration = 0
        self._position = {"anchors": 0, "proposals": 0}
        generator: Any = getattr(model, "proposal_generator", None)
        heads: Any = getattr(model, "roi_heads", None)
        if generator is not None:
            generator._subsample_labels = self._per_image("anchors", generator._subsample_labels)
        if heads is not None:
            heads._sample_proposals = self._per_image("proposals", heads._sample_proposals)

    def begin(self, iteration: int, first_position: int) -> None:
        """The next forward pass is this iteration's, on images from `first_position` of the global batch on."""
        self._iteration = iteration
        self._position = dict.fromkeys(self._position, first_position)

    def _per_image(self, what: str, sample: Callable[..., Any]) -> Callable[..., Any]:
        def seeded(*args: Any) -> Any:
            seed_torch(key(self.seed, what, self._iteration, self._position[what]))
            self._position[what] += 1
            return sample(*args)

        return seeded
