"""VGG-16 as a backbone and a box head of detectron2. Importing the module registers them.

Simonyan and Zisserman, Very Deep Convolutional Networks, configuration D. As in Detectron's VGG-16, the last pooling is
left to RoIAlign and fc6 and fc7 are the box head, without dropout.
"""

import fvcore.nn.weight_init as weight_init
from detectron2.config import CfgNode
from detectron2.layers import Conv2d, ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, ROI_BOX_HEAD_REGISTRY
from detectron2.modeling.backbone import Backbone
from torch import Tensor, nn

from workflow_scripts.errors import UserError
from workflow_scripts.study.configuration.detectron2_keys import VGG as VGG_DEFAULTS

FEATURE = "vgg"
"""The one feature map that the backbone returns, whatever its number of stages."""


def add_vgg_config(config: CfgNode) -> None:
    """Add `MODEL.VGG`: convolutions of each stage, and their channels; a pooling stands between two stages."""
    config.MODEL.VGG = CfgNode(VGG_DEFAULTS)


class VGG(Backbone, nn.Sequential):
    """Stages of 3x3 convolutions `conv1_1`, `conv1_2` ..., each with ReLU, and 2x2 max pooling between stages."""

    def __init__(self, depths: list[int], channels: list[int], in_channels: int = 3) -> None:
        super().__init__()
        for stage, (depth, out_channels) in enumerate(zip(depths, channels, strict=True), 1):
            if stage > 1:
                self.add_module(f"pool{stage - 1}", nn.MaxPool2d(2))
            for number in range(1, depth + 1):
                convolution = Conv2d(in_channels, out_channels, 3, padding=1, activation=nn.ReLU())
                weight_init.c2_msra_fill(convolution)
                self.add_module(f"conv{stage}_{number}", convolution)
                in_channels = out_channels
        self._out_features = [FEATURE]
        self._out_feature_channels = {FEATURE: in_channels}
        self._out_feature_strides = {FEATURE: 2 ** (len(depths) - 1)}

    def freeze(self, stages: int) -> "VGG":
        """Leave the first stages untrained; returns itself, as detectron2's `ResNet.freeze` does."""
        frozen = tuple(f"conv{stage}_" for stage in range(1, stages + 1))
        for name, layer in self.named_children():
            if name.startswith(frozen):
                layer.requires_grad_(False)
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The last stage's feature map of N x 3 x H x W images: N x C x H/s x W/s, s being the stride."""
        for layer in self:
            images = layer(images)
        return {FEATURE: images}


@BACKBONE_REGISTRY.register()
def build_vgg_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> VGG:
    """The backbone that `MODEL.VGG` describes, its first `MODEL.BACKBONE.FREEZE_AT` stages frozen.

    Detectron's VGG-16 stops gradients after the second.

    Raises:
        UserError: it gives depths and channels of different numbers of stages.
    """
    depths, channels = cfg.MODEL.VGG.STAGE_DEPTHS, cfg.MODEL.VGG.STAGE_CHANNELS
    if len(depths) != len(channels):
        raise UserError(
            f"MODEL.VGG: found STAGE_DEPTHS {depths} and STAGE_CHANNELS {channels}, expected lists of one length; "
            "correct them in the scale or in `numbers` of config.yaml"
        )
    return VGG(depths, channels, input_shape.channels).freeze(cfg.MODEL.BACKBONE.FREEZE_AT)


@ROI_BOX_HEAD_REGISTRY.register()
class VGGHead(nn.Sequential):
    """fc6 and fc7 with ReLU, each `MODEL.ROI_BOX_HEAD.FC_DIM` wide: N x C x h x w to N x width."""

    def __init__(self, cfg: CfgNode, input_shape: ShapeSpec) -> None:
        super().__init__()
        width = cfg.MODEL.ROI_BOX_HEAD.FC_DIM
        self.flatten = nn.Flatten()
        self.fc6 = nn.Linear(input_shape.channels * input_shape.height * input_shape.width, width)
        self.relu6 = nn.ReLU()
        self.fc7 = nn.Linear(width, width)
        self.relu7 = nn.ReLU()
        self.output_shape = ShapeSpec(channels=width)
        for layer in (self.fc6, self.fc7):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
