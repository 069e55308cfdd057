"""Recipes as models: detectron2's detectors, and a classifier on the same backbone class to pre-train it."""

from collections.abc import Mapping, Sequence

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_model, build_resnet_backbone
from detectron2.modeling.backbone.resnet import BasicBlock, BottleneckBlock
from detectron2.solver.build import get_default_optimizer_params
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.detection import backbones  # noqa: F401 - registers them
from workflow_scripts.detection.config import RGB_MEAN, RGB_STD, detectron2_config
from workflow_scripts.detection.draws import key, seed_everything
from workflow_scripts.errors import UserError
from workflow_scripts.study.recipes import Recipe

BACKBONE = {"detection": "backbone.bottom_up.", "classification": "backbone."}
"""Where each task's model keeps the backbone that pre-training hands over."""


class Classifier(nn.Module):
    """detectron2's ResNet, global average pooling and a linear layer.

    The last normalisation of each residual block starts at zero, as in Wu and He, Group Normalization, section 4.1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: CfgNode, num_classes: int) -> None:
        super().__init__()
        self.backbone = build_resnet_backbone(config, ShapeSpec(channels=3))
        self.top = config.MODEL.RESNETS.OUT_FEATURES[-1]
        self.linear = nn.Linear(self.backbone.output_shape()[self.top].channels, num_classes)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)
        for block in self.backbone.modules():
            if isinstance(block, (BasicBlock, BottleneckBlock)):
                last = block.conv3 if isinstance(block, BottleneckBlock) else block.conv2
                nn.init.zeros_(last.norm.weight)
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(RGB_STD).view(-1, 1, 1), persistent=False)

    def forward(self, examples: Sequence[Mapping]) -> dict[str, Tensor]:
        """The loss of a batch of examples with `image` (uint8, 3 x H x W, RGB) and `label`."""
        labels = torch.tensor([example["label"] for example in examples], device=self.mean.device)
        logits = self.logits(torch.stack([example["image"] for example in examples]))
        return {"loss_cls": functional.cross_entropy(logits, labels)}

    def logits(self, images: Tensor) -> Tensor:
        """Class scores, N x classes, of uint8 images, N x 3 x H x W."""
        scaled = (images.to(self.mean.device) - self.mean) / self.std
        return self.linear(self.backbone(scaled)[self.top].mean(dim=(2, 3)))


def build(recipe: Recipe, num_classes: int, device: str) -> nn.Module:
    """The recipe's model with its random (MSRA) initialisation, a function of the recipe's seed alone."""
    config = detectron2_config(recipe, num_classes, device)
    seed_everything(key(recipe.seed, "initialisation"))
    model = Classifier(config, num_classes) if recipe.task == "classification" else build_model(config)
    return model.to(device)


def build_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.SGD:
    """SGD with momentum; as in detectron2's GN recipes, normalisation layers have no weight decay."""
    parameters = get_default_optimizer_params(
        model, base_lr=recipe.base_lr, weight_decay=recipe.weight_decay, weight_decay_norm=0.0
    )
    return torch.optim.SGD(parameters, lr=recipe.base_lr, momentum=recipe.momentum, fused=True)


def load_backbone(recipe: Recipe, model: nn.Module, backbone: Mapping[str, Tensor], source: str) -> None:
    """Put pre-trained weights, named as in detectron2's ResNet, into the model's backbone.

    Raises:
        UserError: a weight is missing, left over, or of another shape.
    """
    prefix = BACKBONE[recipe.task]
    own = {name: value for name, value in model.state_dict().items() if name.startswith(prefix)}
    given = {prefix + name: value for name, value in backbone.items()}
    wrong = sorted(own.keys() ^ given.keys())
    wrong += [name for name in own.keys() & given.keys() if own[name].shape != given[name].shape]
    if wrong:
        raise UserError(
            f"{source}: does not fit the backbone of recipe {recipe.name}: {len(wrong)} weights are missing, left over "
            f"or of another shape, such as {wrong[0]}; give weights of the same backbone and norm"
        )
    model.load_state_dict(given, strict=False)


def backbone_weights(recipe: Recipe, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's part of a model's weights, named as in detectron2's ResNet."""
    prefix = BACKBONE[recipe.task]
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
