"""A recipe as detectron2's configuration."""

from detectron2.config import CfgNode, get_cfg

from workflow_scripts.errors import UserError
from workflow_scripts.models.vgg import FEATURE, add_vgg_config
from workflow_scripts.study.compiled.recipes import ANCHORS, Recipe

RGB_MEAN = [123.675, 116.28, 103.53]
RGB_STD = [58.395, 57.12, 57.375]


def detectron2_config(recipe: Recipe, num_classes: int, device: str = "cpu") -> CfgNode:
    """The architecture and input of a recipe; optimiser and rate are the recipe's own.

    Mask R-CNN with FPN as detectron2's `Misc/scratch_mask_rcnn_R_50_FPN_3x_gn.yaml` describes the paper's: the
    recipe's norm in backbone, FPN and heads, four convolutions in the box head, and of the backbone the first stages
    frozen where the recipe says so, as detectron2's `Misc/mask_rcnn_R_50_FPN_3x_gn.yaml` has it. Keypoint R-CNN is the
    same with detectron2's keypoint head, which has no norm, and its `COCO-Keypoints/Base-Keypoint-RCNN-FPN.yaml`.
    Cascade R-CNN is detectron2's `Misc/cascade_mask_rcnn_R_50_FPN_3x.yaml`: three box heads, at IoU 0.5, 0.6 and 0.7,
    but for its mask head, which is the last stage's: `models/cascade.py`.
    VGG-16 has no FPN: `models/vgg.py`.

    Raises:
        UserError: the recipe overrides a key that detectron2 does not have, or with a wrong type.
    """
    config = get_cfg()
    add_vgg_config(config)
    config.SEED = recipe.seed
    config.MODEL.DEVICE = device
    config.MODEL.BACKBONE.FREEZE_AT = recipe.freeze_at
    _normalise(config, detectron2_norm(recipe.norm, device))
    _heads(config)
    if recipe.backbone == "VGG-16":
        _vgg(config)
    else:
        _fpn(config)
    config.MODEL.ROI_HEADS.NUM_CLASSES = num_classes
    config.MODEL.MASK_ON = recipe.detector in ("mask_rcnn", "cascade_mask_rcnn")
    config.MODEL.KEYPOINT_ON = recipe.detector == "keypoint_rcnn"
    if config.MODEL.KEYPOINT_ON:
        config.MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA = 0.5
        config.MODEL.RPN.POST_NMS_TOPK_TRAIN = 1500
    if recipe.detector == "cascade_mask_rcnn":
        config.MODEL.ROI_HEADS.NAME = "LastStageMaskROIHeads"
        config.MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG = True
        config.MODEL.RPN.POST_NMS_TOPK_TRAIN = 2000
    _input(config, recipe)
    for name, value in recipe.detectron2.items():
        _override(config, name, value, recipe.name)
    config.freeze()
    return config


def detectron2_norm(norm: str, device: str) -> str:
    """detectron2's name of a norm. torch's SyncBN needs GPUs; the naive one computes the same on any device.

    Its variant N weights each process by its number of inputs, as torch's does: RoIs are not shared out evenly.
    """
    return "naiveSyncBN_N" if norm == "SyncBN" and device == "cpu" else norm


def _normalise(config: CfgNode, norm: str) -> None:
    model = config.MODEL
    model.RESNETS.STRIDE_IN_1X1 = False
    for section in (model.RESNETS, model.FPN, model.ROI_BOX_HEAD, model.ROI_MASK_HEAD):
        section.NORM = norm


def _fpn(config: CfgNode) -> None:
    model = config.MODEL
    levels = ["res2", "res3", "res4", "res5"]
    model.BACKBONE.NAME = "build_resnet_fpn_backbone"
    model.RESNETS.OUT_FEATURES = levels
    model.FPN.IN_FEATURES = levels
    model.ANCHOR_GENERATOR.SIZES = [[size] for size in ANCHORS]
    model.RPN.IN_FEATURES = ["p2", "p3", "p4", "p5", "p6"]
    model.RPN.PRE_NMS_TOPK_TRAIN, model.RPN.POST_NMS_TOPK_TRAIN = 2000, 1000
    model.RPN.PRE_NMS_TOPK_TEST, model.RPN.POST_NMS_TOPK_TEST = 1000, 1000
    model.ROI_HEADS.IN_FEATURES = ["p2", "p3", "p4", "p5"]
    model.ROI_BOX_HEAD.NAME = "FastRCNNConvFCHead"
    model.ROI_BOX_HEAD.NUM_CONV, model.ROI_BOX_HEAD.NUM_FC = 4, 1


def _vgg(config: CfgNode) -> None:
    """One feature map of stride 16; where the paper is silent, detectron2's anchors and RPN for one map (C4)."""
    model = config.MODEL
    model.BACKBONE.NAME = "build_vgg_backbone"
    model.ANCHOR_GENERATOR.SIZES = [ANCHORS]
    model.RPN.IN_FEATURES = [FEATURE]
    model.RPN.PRE_NMS_TOPK_TRAIN, model.RPN.POST_NMS_TOPK_TRAIN = 12000, 2000
    model.RPN.PRE_NMS_TOPK_TEST, model.RPN.POST_NMS_TOPK_TEST = 6000, 1000
    model.ROI_HEADS.IN_FEATURES = [FEATURE]
    model.ROI_BOX_HEAD.NAME = "VGGHead"
    model.ROI_BOX_HEAD.FC_DIM = 4096


def _heads(config: CfgNode) -> None:
    model = config.MODEL
    model.META_ARCHITECTURE = "GeneralizedRCNN"
    model.WEIGHTS = ""
    model.ROI_HEADS.NAME = "StandardROIHeads"
    model.ROI_BOX_HEAD.POOLER_RESOLUTION = 7
    model.ROI_MASK_HEAD.NAME = "MaskRCNNConvUpsampleHead"
    model.ROI_MASK_HEAD.NUM_CONV = 4
    model.ROI_MASK_HEAD.POOLER_RESOLUTION = 14


def _input(config: CfgNode, recipe: Recipe) -> None:
    # RGB scaled by its deviation for both initialisations: what published GN weights expect, or are converted to.
    config.INPUT.FORMAT = "RGB"
    config.MODEL.PIXEL_MEAN, config.MODEL.PIXEL_STD = RGB_MEAN, RGB_STD
    config.INPUT.MIN_SIZE_TRAIN = tuple(recipe.image_sides)
    config.INPUT.MIN_SIZE_TRAIN_SAMPLING = "choice"
    config.INPUT.MIN_SIZE_TEST = max(recipe.image_sides)
    config.INPUT.MAX_SIZE_TRAIN = config.INPUT.MAX_SIZE_TEST = recipe.longest_side


def _override(config: CfgNode, name: str, value: object, recipe: str) -> None:
    try:
        config.merge_from_list([name, value])
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"recipe {recipe}: detectron2: {name}: found {value!r}, which detectron2's configuration refuses "
            f"({error}); correct it in the scale or in `numbers` of config.yaml"
        ) from None
