"""Recipes as models: detectron2's detectors, and classifiers to pre-train their backbones."""

from collections.abc import Mapping, Sequence

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import Backbone, build_backbone, build_model, build_resnet_backbone
from detectron2.modeling.backbone.resnet import BasicBlock, BottleneckBlock
from detectron2.solver.build import get_default_optimizer_params
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.errors import UserError
from workflow_scripts.models import backbones, cascade  # noqa: F401 - registers them
from workflow_scripts.models.config import RGB_MEAN, RGB_STD, detectron2_config
from workflow_scripts.models.devices import sent
from workflow_scripts.models.seeds import key, seed_everything
from workflow_scripts.models.vgg import VGGHead
from workflow_scripts.study.compiled.recipes import Recipe


class Classifier(nn.Module):
    """A detector's backbone, a pooling, the layers that go on into the detector's box head, and a linear layer."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: Backbone, pool: nn.Module, head: nn.Module, width: int, num_classes: int
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = pool
        self.head = head
        self.linear = nn.Linear(width, num_classes)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(RGB_STD).view(-1, 1, 1), persistent=False)

    def forward(self, examples: Sequence[Mapping]) -> dict[str, Tensor]:
        """The loss of a batch of examples with `image` (uint8, 3 x H x W, RGB) and `label`."""
        labels = sent(torch.tensor([example["label"] for example in examples]), self.mean.device)
        logits = self.logits(torch.stack([example["image"] for example in examples]))
        return {"loss_cls": functional.cross_entropy(logits, labels)}

    def logits(self, images: Tensor) -> Tensor:
        """Class scores, N x classes, of uint8 images, N x 3 x H x W."""
        scaled = (images.to(self.mean.device) - self.mean) / self.std
        *_, features = self.backbone(scaled).values()
        return self.linear(self.head(self.pool(features)))


def resnet_classifier(config: CfgNode, num_classes: int) -> Classifier:
    """detectron2's ResNet, global average pooling and a linear layer.

    The last normalisation of each residual block starts at zero, as in Wu and He, Group Normalization, section 4.1.
    """
    backbone = build_resnet_backbone(config, ShapeSpec(channels=3))
    for block in backbone.modules():
        if isinstance(block, (BasicBlock, BottleneckBlock)):
            last = block.conv3 if isinstance(block, BottleneckBlock) else block.conv2
            nn.init.zeros_(last.norm.weight)
    *_, top = backbone.output_shape().values()
    return Classifier(backbone, nn.AdaptiveAvgPool2d(1), nn.Flatten(), top.channels, num_classes)


def vgg_classifier(config: CfgNode, num_classes: int) -> Classifier:
    """VGG-16 as torchvision's: its last pooling, brought to the size that RoIs are pooled to, fc6, fc7, linear.

    Without dropout, as the detector's head.
    """
    backbone = build_backbone(config)
    (top,) = backbone.output_shape().values()
    side = config.MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION
    pool = nn.Sequential(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(side))
    head = VGGHead(config, ShapeSpec(channels=top.channels, height=side, width=side))
    return Classifier(backbone, pool, head, head.output_shape.channels, num_classes)


def build(recipe: Recipe, num_classes: int, device: str) -> nn.Module:
    """The recipe's model with its random (MSRA) initialisation, a function of the recipe's seed alone.

    Raises:
        UserError: detectron2 settings that it cannot build a model from, or not together.
    """
    config = detectron2_config(recipe, num_classes, device)
    seed_everything(key(recipe.seed, "initialisation"))
    try:
        return _model(recipe, config, num_classes).to(device)
    except Exception as error:
        if isinstance(error, RuntimeError) and device not in ("cpu", "meta"):  # it may be the GPU's
            raise
        raise unfit(recipe, "detectron2 builds no model", error) from error


def _model(recipe: Recipe, config: CfgNode, num_classes: int) -> nn.Module:
    if recipe.task == "detection":
        return build_model(config)
    build_classifier = vgg_classifier if recipe.backbone == "VGG-16" else resnet_classifier
    return build_classifier(config, num_classes)


def unfit(recipe: Recipe, what: str, error: Exception) -> UserError:
    """A mistake in a recipe's settings of detectron2, which raises whatever it meets first: `what` came of them."""
    why = (str(error).splitlines() or [""])[0]
    return UserError(
        f"recipe {recipe.name}: {what} with these settings ({type(error).__name__}: {why}); they do not fit together: "
        f"{where_set(recipe)}"
    )


def where_set(recipe: Recipe) -> str:
    """Where a person finds a recipe's settings of detectron2, and which they are."""
    keys = ", ".join(sorted(recipe.detectron2)) or "none of its keys"
    return (
        f"compare detection.detectron2, backbones and heads of the scale and of `numbers`, which set {keys}"
    )


def build_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.SGD:
    """SGD with momentum; as in detectron2's GN recipes, normalisation layers have no weight decay."""
    parameters = get_default_optimizer_params(
        model, base_lr=recipe.base_lr, weight_decay=recipe.weight_decay, weight_decay_norm=0.0
    )
    return torch.optim.SGD(parameters, lr=recipe.base_lr, momentum=recipe.momentum, fused=True)


def load_backbone(recipe: Recipe, model: nn.Module, backbone: Mapping[str, Tensor], source: str) -> None:
    """Put pre-trained weights, named as `backbone_weights` does, into the model.

    Raises:
        UserError: a weight is missing, left over, or of another shape.
    """
    # Only BatchNorms that are not frozen count their batches, and nothing reads it.
    own, backbone = (
        {name: value for name, value in weights.items() if not name.endswith(".num_batches_tracked")}
        for weights in (backbone_weights(recipe, model.state_dict()), backbone)
    )
    wrong = sorted(own.keys() ^ backbone.keys())
    wrong += [name for name in own.keys() & backbone.keys() if own[name].shape != backbone[name].shape]
    if wrong:
        raise UserError(
            f"{source}: does not fit the backbone of recipe {recipe.name}: {len(wrong)} weights are missing, left over "
            f"or of another shape, such as {wrong[0]}; give weights of the same backbone and norm"
        )
    with torch.no_grad():
        for name, value in backbone.items():
            own[name].copy_(value)


def backbone_weights(recipe: Recipe, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What pre-training hands over of a model's weights: of ResNets the backbone, named as in detectron2's; of VGG-16
    fc6 and fc7 as well, with which published detectors start too.
    """
    return {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        for prefix in _handed_over(recipe)
        if name.startswith(prefix)
    }


def _handed_over(recipe: Recipe) -> tuple[str, ...]:
    """Where the recipe's model keeps what pre-training hands over."""
    if recipe.task == "classification":
        return ("backbone.", "head.")
    return ("backbone.", "roi_heads.box_head.") if recipe.backbone == "VGG-16" else ("backbone.bottom_up.",)
