"""Seeds for random draws: numbers from keys, and the global generators that libraries draw from."""

import hashlib
import random

import numpy as np
import torch


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
