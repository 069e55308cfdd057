"""detectron2's own trainer, on its own configuration files: what this project's training is held against.

The model, the mapper, the records, the optimiser, its rates and the loop are detectron2's, from the YAML files that it
is shipped with. Of this project it takes the order of the images and the seeds of the draws, which both sides must
share: `DrawsPerImage` seeds the witness's sampling, too. VGG-16, which detectron2 lacks, is torchvision's convolutions
under detectron2's fully connected head.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import detectron2
import yaml
from detectron2.config import CfgNode, get_cfg
from detectron2.data import DatasetMapper, MetadataCatalog, get_detection_dataset_dicts
from detectron2.data.datasets import register_coco_instances
from detectron2.data.datasets.builtin_meta import _get_builtin_metadata
from detectron2.engine import HookBase, SimpleTrainer, hooks
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone
from detectron2.solver import build_lr_scheduler, build_optimizer
from torch import Tensor, nn
from torchvision.models import vgg

from workflow_scripts.models.seeds import key, seed_everything
from workflow_scripts.training.draws import DrawsPerImage

CONFIGS = Path(detectron2.__file__).parent / "model_zoo/configs"
SCRATCH = "Misc/scratch_mask_rcnn_R_50_FPN_3x_gn.yaml"
FILES = {
    "mask_rcnn": [SCRATCH],
    "cascade_mask_rcnn": [SCRATCH, "Misc/cascade_mask_rcnn_R_50_FPN_3x.yaml"],
    "keypoint_rcnn": [SCRATCH, "COCO-Keypoints/Base-Keypoint-RCNN-FPN.yaml"],
    "faster_rcnn": [SCRATCH, "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml"],
    "fine_tuned": ["Misc/mask_rcnn_R_50_FPN_3x_gn.yaml"],
    "SyncBN": ["Misc/scratch_mask_rcnn_R_50_FPN_9x_syncbn.yaml"],
    "VGG-16": ["Base-RCNN-C4.yaml"],
}
"""detectron2's file for each kind of model; of those after the first, what they say themselves, without their base."""

# docs/design.md: RGB divided by its deviation. The numbers are torchvision's, of ImageNet.
RGB = [
    *("INPUT.FORMAT", "RGB"),
    *("MODEL.PIXEL_MEAN", [255 * mean for mean in (0.485, 0.456, 0.406)]),
    *("MODEL.PIXEL_STD", [255 * deviation for deviation in (0.229, 0.224, 0.225)]),
]
BATCH_NORM = [f"MODEL.{section}.NORM" for section in ("RESNETS", "FPN", "ROI_BOX_HEAD", "ROI_MASK_HEAD")]
VGG_NARROWER = 16
VGG = [
    *("MODEL.BACKBONE.NAME", "build_torchvision_vgg"),
    *("MODEL.RPN.IN_FEATURES", ["last"]),
    *("MODEL.ROI_HEADS.NAME", "StandardROIHeads"),
    *("MODEL.ROI_HEADS.IN_FEATURES", ["last"]),
    *("MODEL.ROI_BOX_HEAD.NAME", "FastRCNNConvFCHead"),
    *("MODEL.ROI_BOX_HEAD.NUM_FC", 2),
    *("MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 7),
    *("MODEL.BACKBONE.FREEZE_AT", 0),
    *("MODEL.PROPOSAL_GENERATOR.NAME", "RPN"),
]


class _TorchvisionVGG(Backbone):
    """The convolutions of torchvision's VGG-16, with fewer channels, up to the last pooling."""

    def __init__(self) -> None:
        super().__init__()
        *plan, _ = [each if each == "M" else each // VGG_NARROWER for each in vgg.cfgs["D"]]
        self.layers = vgg.make_layers(plan)
        self._out_features = ["last"]
        self._out_feature_channels = {"last": plan[-1]}
        self._out_feature_strides = {"last": 2 ** plan.count("M")}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"last": self.layers(images)}


@BACKBONE_REGISTRY.register()
def build_torchvision_vgg(_cfg: CfgNode, _input_shape: ShapeSpec) -> Backbone:
    return _TorchvisionVGG()


def detectron2s_config(kind: str, *options: Any) -> CfgNode:
    """detectron2's configuration of a kind of model, with names and values laid over it.

    SyncBN is torch's plain BatchNorm: the witness is one process, which sees the global batch.
    """
    config = get_cfg()
    first, *more = FILES[kind]
    config.merge_from_file(str(CONFIGS / first))
    for name in more:
        own = yaml.safe_load((CONFIGS / name).read_text())
        own.pop("_BASE_")
        config.merge_from_other_cfg(CfgNode(own))
    if kind == "keypoint_rcnn":
        config.MODEL.MASK_ON = False  # as in its base
    if kind == "SyncBN":
        config.merge_from_list([part for name in BATCH_NORM for part in (name, "BN")])
    if kind == "VGG-16":
        config.merge_from_list(VGG)
    config.MODEL.DEVICE = "cpu"
    config.MODEL.WEIGHTS = ""
    config.merge_from_list([*RGB, *options])
    return config


def registered(annotations: Path, images: Path, keypoints: bool = False) -> str:
    """The name under which detectron2 knows a data set in COCO's format, once it is registered."""
    name = f"witness of {annotations}"
    if name not in MetadataCatalog.list():
        metadata = _get_builtin_metadata("coco_person") if keypoints else {}
        register_coco_instances(name, metadata, str(annotations), str(images))
    return name


@dataclass
class Told(HookBase):
    """The losses and the rate of each step, and the weights after some.

    `follow` are weights by step that the model goes on from, instead of its own, once these are kept.
    """

    keep: Sequence[int]
    follow: Callable[[int], Mapping[str, Tensor]] | None = None
    losses: list[dict[str, float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    weights: dict[int, dict[str, Tensor]] = field(default_factory=dict, repr=False)

    def after_step(self) -> None:
        latest = {name: value for name, (value, _) in self.trainer.storage.latest().items()}
        self.losses.append({name: value for name, value in latest.items() if name.startswith("loss")})
        self.rates.append(latest["lr"])
        done = self.trainer.iter + 1
        if done in self.keep:
            state = self.trainer.model.state_dict()
            self.weights[done] = {name: tensor.clone() for name, tensor in state.items()}
        if self.follow is not None:
            self.trainer.model.load_state_dict(self.follow(done))


def train(
    config: CfgNode,
    model: nn.Module,
    batches: Sequence[Sequence[int]],
    seed: int,
    told: Told,
) -> Told:
    """Train with detectron2's `SimpleTrainer` on the images of `config.DATASETS.TRAIN` that the batches name."""
    draws = DrawsPerImage(model, seed)
    optimizer = build_optimizer(config, model)
    for group in optimizer.param_groups:
        # torch's other kernels round otherwise, and equal scores of proposals make percents of it.
        group.update(fused=True, foreach=False)
    trainer = SimpleTrainer(model, _mapped(config, batches, seed, draws), optimizer)
    trainer.register_hooks([hooks.LRScheduler(optimizer, build_lr_scheduler(config, optimizer)), told])
    trainer.train(0, len(batches))
    return told


def _mapped(
    config: CfgNode, batches: Sequence[Sequence[int]], seed: int, draws: DrawsPerImage
) -> Iterator[list[dict]]:
    keypoints = config.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE if config.MODEL.KEYPOINT_ON else 0
    records = get_detection_dataset_dicts(config.DATASETS.TRAIN, filter_empty=True, min_keypoints=keypoints)
    mapper = DatasetMapper(config, is_train=True)
    for iteration, batch in enumerate(batches):
        images = []
        for position, index in enumerate(batch):
            seed_everything(key(seed, "augmentation", iteration, position))
            images.append(mapper(records[index]))
        draws.begin(iteration, 0)
        yield images


def load_in_order(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Fill a model whose layers have other names with weights in the order of its own; their names by the model's."""
    own = model.state_dict()
    names = dict(zip(own, weights, strict=True))
    model.load_state_dict({name: weights[other] for name, other in names.items()})
    return names
