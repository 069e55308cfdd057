"""Recipes: all that fixes a training except its length.

A recipe's `version` is raised by a person when its results should change; training does not list code as input.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workflow_scripts.study.scales import ClassificationNumbers, Scale
from workflow_scripts.study.schedules import Warmup

Initialisation = Literal["random", "pretrained"]
Pretraining = Literal["train", "fetch", "skip"]
Detector = Literal["mask_rcnn", "keypoint_rcnn"]
TRAIN_SETS: dict[Detector, str] = {"mask_rcnn": "coco", "keypoint_rcnn": "keypoints"}


class Model(BaseModel):
    """A backbone with its normalisation, as the paper's figures name it."""

    model_config = ConfigDict(frozen=True)

    backbone: str
    norm: str

    @property
    def label(self) -> str:
        """`R50 GN`: for people."""
        return f"{self.backbone} {self.norm}"

    @property
    def name(self) -> str:
        """`R50_GN`: for file names."""
        return f"{self.backbone}_{self.norm}"


MODELS = {
    model.name: model
    for model in (
        Model(backbone="R50", norm="GN"),
        Model(backbone="R101", norm="GN"),
        Model(backbone="R50", norm="SyncBN"),
    )
}


class Recipe(BaseModel):
    """What a training job reads; everything in it can change the result, except `label`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    name: str
    label: str
    task: Literal["detection", "classification"]
    detector: Literal["mask_rcnn", "keypoint_rcnn", "classifier"]
    backbone: str
    norm: str
    initialisation: Initialisation
    pretraining: Pretraining
    train_set: str
    subset: str = "all"
    image_sides: tuple[int, ...] = Field(
        description="detection: shorter sides to choose from; else the crop's side"
    )
    longest_side: int
    base_lr: float = Field(gt=0)
    warmup: Warmup
    decay_factor: float = Field(gt=0, lt=1)
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    batch: int = Field(gt=0, description="images in the global batch")
    seed: int
    detectron2: dict[str, Any] = Field(default={}, description="overrides of detectron2's config")

    @property
    def model(self) -> str:
        """`R50_GN`: names the pre-trained backbone that fits."""
        return Model(backbone=self.backbone, norm=self.norm).name


def detection_recipe(
    model: Model,
    initialisation: Initialisation,
    pretraining: Pretraining,
    seed: int,
    scale: Scale,
    detector: Detector = "mask_rcnn",
) -> Recipe:
    """Mask or Keypoint R-CNN with FPN on COCO, the paper's common settings (sections 3 and 4)."""
    numbers = scale.detection
    train_set = TRAIN_SETS[detector]
    head = scale.keypoint_head if detector == "keypoint_rcnn" else {}
    return Recipe(
        name=f"{train_set}-{model.name}-{initialisation}-seed{seed}",
        label=model.label,
        task="detection",
        detector=detector,
        backbone=model.backbone,
        norm=model.norm,
        initialisation=initialisation,
        pretraining=pretraining,
        train_set=train_set,
        image_sides=numbers.image_sides,
        longest_side=numbers.longest_side,
        base_lr=numbers.base_lr,
        warmup=numbers.warmup,
        decay_factor=numbers.decay_factor,
        momentum=numbers.momentum,
        weight_decay=numbers.weight_decay,
        batch=numbers.batch,
        seed=seed,
        detectron2={**scale.backbones[model.backbone], **numbers.detectron2, **head},
    )


def classification_recipe(model: Model, scale: Scale) -> Recipe:
    """The classifier whose backbone a pre-trained recipe starts from: one for all seeds, as in the paper."""
    numbers: ClassificationNumbers = scale.classification
    return Recipe(
        name=f"classification-{model.name}",
        label=model.label,
        task="classification",
        detector="classifier",
        backbone=model.backbone,
        norm=model.norm,
        initialisation="random",
        pretraining="skip",
        train_set="classification",
        image_sides=(numbers.image_side,),
        longest_side=numbers.image_side,
        base_lr=numbers.base_lr,
        warmup=numbers.warmup,
        decay_factor=0.1,
        momentum=numbers.momentum,
        weight_decay=numbers.weight_decay,
        batch=numbers.batch,
        seed=0,
        detectron2=scale.backbones[model.backbone],
    )
