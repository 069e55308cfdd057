"""Plain Mask R-CNN's state as the start of a Cascade R-CNN.

The paper's random-init cascades train without cascade and switch to it for the last 270k iterations (figure 5).
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from workflow_scripts.errors import UserError

RENAMED = re.compile(r"^(roi_heads\.box_(?:head|predictor))\.(?!\d)")
"""A plain detector's only box head, which becomes the cascade's first."""
NEW = re.compile(r"^roi_heads\.(box_(head|predictor)\.[1-9]|box_predictor\.0\.bbox_pred)\.")
"""What a cascade has beyond a plain detector: the later stages, and box regression without regard to class."""


Tensors = Mapping[str, Tensor]
"""By name, as in a model's state dict."""


def forked(weights: Tensors, momentum: Tensors, model: nn.Module, source: str) -> tuple[Tensors, Tensors]:
    """A parent's weights and momentum as those of `model`: unchanged where they fit, else a plain detector's as a
    cascade's.

    What both have keeps its weights and momentum; the plain detector's box head becomes the first stage. New weights
    are those of `model`, random by the recipe's seed, and start with zero momentum, as SGD starts any weight:
    explicitly, for the fused SGD takes buffers for all weights or for none. The plain detector's box regression by
    class is dropped.

    Raises:
        UserError: the parent lacks a weight that a fork does not add, or has it in another shape; `source` names it.
    """
    own = model.state_dict()
    if _fits(own, weights, own.keys() | weights.keys()):
        return weights, momentum
    if any(NEW.match(name) for name in own):
        weights, momentum = _renamed(weights), _renamed(momentum)
    kept = {name for name in own if _fits(own, weights, [name])}
    unfit = [name for name in own if name not in kept and not NEW.match(name)]
    if unfit:
        raise UserError(
            f"{source}: found a state of another model: {len(unfit)} weights are missing or of another shape, such as "
            f"{unfit[0]}; expected the same detector, or for a cascade the plain one, with the same backbone, norm and "
            "categories; correct the parent"
        )
    trained = [name for name, each in model.named_parameters() if each.requires_grad and momentum]
    return (
        {name: weights[name] if name in kept else value for name, value in own.items()},
        {name: momentum[name] if name in kept else torch.zeros_like(own[name]) for name in trained},
    )


def _fits(own: Tensors, given: Tensors, names: Iterable[str]) -> bool:
    return all(name in own and name in given and own[name].shape == given[name].shape for name in names)


def _renamed(tensors: Tensors) -> dict[str, Tensor]:
    return {RENAMED.sub(r"\1.0.", name): tensor for name, tensor in tensors.items()}
