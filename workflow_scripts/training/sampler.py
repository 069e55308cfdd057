"""Which images the global batch of each iteration holds: a pure function of (seed, iteration).

detectron2's sampler restarts its stream on resume and splits it by rank; this one does neither.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from workflow_scripts.models.seeds import key

Draw = tuple[int, int, int]
"""Iteration, position in the global batch, index of the example."""


class GlobalBatches:
    """Shuffled epochs of whole batches, whose images share an orientation where the data allows.

    Grouping by orientation is detectron2's way to waste less padding; here a *global* batch is grouped, so that it
    stays the same for any number of processes. Each epoch leaves out `len % batch` images, others each time; a data
    set smaller than a batch is repeated to fill one.
    """

    def __init__(self, wide: Sequence[bool], batch: int, seed: int) -> None:
        """`wide[i]`: whether example i is wider than high."""
        repeats = -(-batch // len(wide))
        self._wide = np.tile(np.asarray(wide, dtype=bool), repeats)
        self._examples = len(wide)
        self._batch = batch
        self._seed = seed
        self.batches_per_epoch = len(self._wide) // batch
        self._epoch = lru_cache(maxsize=2)(self._draw_epoch)

    def indices(self, iteration: int) -> np.ndarray:
        """Example indices of an iteration's global batch, shape (batch,)."""
        epoch, number = divmod(iteration, self.batches_per_epoch)
        return self._epoch(epoch)[number]

    def _draw_epoch(self, epoch: int) -> np.ndarray:
        generator = np.random.default_rng(key(self._seed, "epoch", epoch))
        order = generator.permutation(len(self._wide))
        wide = self._wide[order]
        groups = [order[wide], order[~wide]]
        whole = [group[: len(group) // self._batch * self._batch] for group in groups]
        rest = np.concatenate([group[len(kept) :] for group, kept in zip(groups, whole, strict=True)])
        rest = generator.permutation(rest)[: len(rest) // self._batch * self._batch]
        batches = np.concatenate([*whole, rest]).reshape(-1, self._batch)
        return generator.permutation(batches) % self._examples


class ProcessShare:
    """A batch sampler for torch's DataLoader: one process's share of each global batch, from `start` on."""

    def __init__(
        self, batches: GlobalBatches, batch: int, start: int, stop: int, rank: int, processes: int
    ) -> None:
        if batch % processes:
            raise ValueError(f"a batch of {batch} images does not divide among {processes} processes")
        self._batches = batches
        self._range = range(start, stop)
        share = batch // processes
        self._positions = range(rank * share, (rank + 1) * share)

    def __len__(self) -> int:
        return len(self._range)

    def __iter__(self) -> Iterator[list[Draw]]:
        for iteration in self._range:
            indices = self._batches.indices(iteration)
            yield [(iteration, position, int(indices[position])) for position in self._positions]
