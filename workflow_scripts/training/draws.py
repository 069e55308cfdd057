"""Random draws as a function of (seed, iteration, position in the global batch), whoever draws them.

detectron2 draws augmentations and the RPN's and RoI heads' samples from global generators. Seeding those from a key
just before each image's draw makes training continue bit for bit from a saved state, and makes one process and many
draw the same.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from workflow_scripts.models.seeds import key, seed_torch


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
