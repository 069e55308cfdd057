"""Backbones that detectron2 lacks, registered with it. Importing the module registers them."""

from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, FPN, build_resnet_backbone


@BACKBONE_REGISTRY.register()
def build_resnet_fpn_without_top_block(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """A ResNet with FPN on just the stages of `MODEL.FPN.IN_FEATURES`.

    detectron2's own builder adds a level p6 on top of p5, so it needs all four stages; pictures of the miniature
    world are too small for the last one.
    """
    return FPN(
        bottom_up=build_resnet_backbone(cfg, input_shape),
        in_features=cfg.MODEL.FPN.IN_FEATURES,
        out_channels=cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
        fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
    )
