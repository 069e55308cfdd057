"""Recipes: all that fixes a training except its length.

A recipe's `version` is raised by a person (`VERSIONS`) when its results should change; training does not list code as
input.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workflow_scripts.study.configuration.scales import ClassificationNumbers, Scale, Warmup

Initialisation = Literal["random", "pretrained"]
Pretraining = Literal["train", "fetch", "skip"]
Detector = Literal["mask_rcnn", "cascade_mask_rcnn", "keypoint_rcnn", "faster_rcnn"]
TrainSet = Literal["coco", "keypoints", "voc"]
VERSIONS = {"cascade_mask_rcnn": 2}
"""Of detectors whose trainings have changed since the first; a person raises it when results should change."""
CLASSIFIER_SEED = -1
"""No detector's, so that none of random init starts from the weights that the classifier started from."""
ANCHORS = [32, 64, 128, 256, 512]
"""Sizes in pixels where recipes name no others: one for each level of an FPN, all of them on VGG-16's one map."""
SIDE_STEP = 0.04
"""Between the shorter sides to choose from, as a fraction of the largest: detectron2's 640, 672, ..., 800."""


class Model(BaseModel):
    """A backbone with its normalisation, as the paper's figures name it."""

    model_config = ConfigDict(frozen=True)

    backbone: str
    norm: str = Field(description="empty: none")

    @property
    def label(self) -> str:
        """`R50 GN`: for people."""
        return f"{self.backbone} {self.norm}".rstrip()

    @property
    def name(self) -> str:
        """`R50_GN`: for file names."""
        return self.label.replace(" ", "_")


MODELS = {
    model.name: model
    for model in (
        Model(backbone="R50", norm="GN"),
        Model(backbone="R101", norm="GN"),
        Model(backbone="R50", norm="SyncBN"),
        Model(backbone="X152", norm="GN"),
        Model(backbone="VGG-16", norm=""),
    )
}


@dataclass(frozen=True)
class HyperParameters:
    """What an experiment changes of the scale's settings, relative to them, so that it holds at every scale.

    `base_lr`: times the scale's. `decay_factor`: None leaves the scale's. `shortest_side`: shorter sides are chosen
    from this fraction of the scale's side up to the whole.
    """

    base_lr: float = 1.0
    decay_factor: float | None = None
    shortest_side: float = 1.0

    @property
    def changes(self) -> list[str]:
        """Names for what is changed: `lr2`, `decay0.02`, `side0.64`."""
        named = (
            ("lr", self.base_lr, 1.0),
            ("decay", self.decay_factor, None),
            ("side", self.shortest_side, 1.0),
        )
        return [f"{name}{value:g}" for name, value, usual in named if value is not None and value != usual]


USUAL = HyperParameters()
"""The scale's own."""


class Recipe(BaseModel):
    """What a training job reads; everything in it can change the result, except `label`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    name: str
    label: str
    task: Literal["detection", "classification"]
    detector: Detector | Literal["classifier"]
    backbone: str
    norm: str
    initialisation: Initialisation
    pretraining: Pretraining
    train_set: TrainSet | Literal["classification"]
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
    freeze_at: int = Field(
        default=0, description="stages of the backbone that are not trained, from the stem"
    )
    detectron2: dict[str, Any] = Field(default={}, description="overrides of detectron2's config")

    @property
    def model(self) -> str:
        """`R50_GN`: names the pre-trained backbone that fits."""
        return Model(backbone=self.backbone, norm=self.norm).name

    @property
    def anchors(self) -> list[list[float]]:
        """Sizes of anchors by level, detectron2's `MODEL.ANCHOR_GENERATOR.SIZES`."""
        usual = [ANCHORS] if self.backbone == "VGG-16" else [[size] for size in ANCHORS]
        sizes = self.detectron2.get("MODEL.ANCHOR_GENERATOR.SIZES", usual)
        # For detectron2 a list of numbers is that of each level.
        return sizes if all(isinstance(level, list) for level in sizes) else [sizes]


@dataclass(frozen=True)
class Training:
    """What an experiment trains, before a scale gives it numbers."""

    model: Model
    initialisation: Initialisation
    pretraining: Pretraining
    seed: int
    detector: Detector = "mask_rcnn"
    train_set: TrainSet = "coco"
    subset: str = "all"
    hyper_parameters: HyperParameters = USUAL

    @property
    def name(self) -> str:
        """Says all that tells it from the study's other trainings: `coco-10k-R50_GN-random-lr2-seed0`."""
        kind = {"cascade_mask_rcnn": ["cascade"], "faster_rcnn": ["faster_rcnn"]}.get(self.detector, [])
        subset = [] if self.subset == "all" else [self.subset]
        changes = self.hyper_parameters.changes
        parts = [self.train_set, *subset, *kind, self.model.name, self.initialisation, *changes]
        return "-".join([*parts, f"seed{self.seed}"])


def recipes_of(trainings: Iterable[Training], scale: Scale) -> tuple[dict[Training, Recipe], list[Recipe]]:
    """The recipe of each training, and those of the classifiers that they start from, where these are trained."""
    recipes = {training: detection_recipe(training, scale) for training in trainings}
    begun = dict.fromkeys(training.model for training in recipes if training.pretraining == "train")
    return recipes, [classification_recipe(model, scale) for model in begun]


def detection_recipe(training: Training, scale: Scale) -> Recipe:
    """A detector's training with the scale's numbers, the paper's common settings (sections 3 and 4)."""
    numbers, changes, model = scale.detection, training.hyper_parameters, training.model
    return Recipe(
        version=VERSIONS.get(training.detector, 1),
        name=training.name,
        label=model.label,
        task="detection",
        detector=training.detector,
        backbone=model.backbone,
        norm=model.norm,
        initialisation=training.initialisation,
        pretraining=training.pretraining,
        train_set=training.train_set,
        subset=training.subset,
        image_sides=image_sides(numbers.image_sides, changes.shortest_side),
        longest_side=numbers.longest_side,
        base_lr=numbers.base_lr * changes.base_lr,
        warmup=numbers.warmup,
        decay_factor=changes.decay_factor or numbers.decay_factor,
        momentum=numbers.momentum,
        weight_decay=numbers.weight_decay,
        batch=numbers.batch,
        seed=training.seed,
        freeze_at=numbers.freeze_at if training.initialisation == "pretrained" else 0,
        # A backbone's own come last: one without FPN undoes what the scale says of FPN.
        detectron2={
            **numbers.detectron2,
            **scale.heads.get(training.detector, {}),
            **scale.backbones.get(model.backbone, {}),
        },
    )


def image_sides(sides: tuple[int, ...], shortest: float) -> tuple[int, ...]:
    """Shorter sides to choose from, in pixels: the scale's, or from `shortest` times their largest up to it."""
    if shortest == 1:
        return sides
    steps = max(1, round((1 - shortest) / SIDE_STEP))
    return tuple(round(max(sides) * (shortest + (1 - shortest) * step / steps)) for step in range(steps + 1))


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
        base_lr=numbers.base_lr if model.norm else numbers.base_lr_without_norm,
        warmup=numbers.warmup,
        decay_factor=0.1,
        momentum=numbers.momentum,
        weight_decay=numbers.weight_decay,
        batch=numbers.batch,
        seed=CLASSIFIER_SEED,
        detectron2=scale.backbones.get(model.backbone, {}),
    )
