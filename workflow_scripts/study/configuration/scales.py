"""Scales: the numbers that turn the same experiments into minutes, a laptop's evening, or the paper."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

SubsetName = Annotated[str, Field(pattern=r"^[\w.-]+$")]


class _Numbers(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScheduleUnit(_Numbers):
    """What `1x` means at a scale, and the tail that ends every schedule."""

    iterations_per_x: int = Field(gt=0)
    tail: int = Field(gt=0, description="iterations after the first drop")
    second_tail: int = Field(gt=0, description="iterations after the second drop")

    @model_validator(mode="after")
    def _nested(self) -> "ScheduleUnit":
        if self.second_tail >= self.tail:
            raise ValueError(f"second_tail ({self.second_tail}) must be shorter than tail ({self.tail})")
        return self


class Warmup(_Numbers):
    """Linear warm-up: from `factor` times the base rate to the base rate in `iterations`."""

    iterations: int = Field(ge=0)
    factor: float = Field(ge=0, le=1)


class DetectionNumbers(_Numbers):
    """Common settings of detector trainings (paper, sections 3 and 4)."""

    image_sides: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)
    longest_side: int = Field(gt=0)
    base_lr: float = Field(gt=0)
    warmup: Warmup
    decay_factor: float = Field(default=0.1, gt=0, lt=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    batch: int = Field(gt=0)
    freeze_at: int = Field(
        default=0,
        ge=0,
        le=5,
        description="stages of a pre-trained backbone that stay as they were: 1 is the stem, 2 res2 as well; 0 none",
    )
    detectron2: dict[str, Any] = {}


class ClassificationNumbers(_Numbers):
    """Settings of the pre-training on classification, for where it is trained and not fetched."""

    image_side: int = Field(gt=0)
    base_lr: float = Field(gt=0)
    base_lr_without_norm: float = Field(gt=0, description="of networks without normalisation, as VGG-16 is")
    warmup: Warmup
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    batch: int = Field(gt=0)
    iterations: int = Field(gt=0)


class EvaluationNumbers(_Numbers):
    """How often the curves are measured, in iterations."""

    trunk_period: int = Field(gt=0)
    tail_period: int = Field(gt=0)
    short_points: int = Field(gt=0, description="evaluations along a short schedule")
    replicates: int = Field(
        ge=0, description="resamples of the validation images that give an AP its interval"
    )


class TestAugmentation(_Numbers):
    """Test aug: several scales and their mirror images, combined."""

    image_sides: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)
    longest_side: int = Field(gt=0)

    @property
    def versions(self) -> int:
        """Of each image: every size, and its mirror image."""
        return 2 * len(self.image_sides)


class SearchGrid(_Numbers):
    """Hyper-parameters to search over, relative to the scale's own; every combination is a point."""

    base_lr: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        min_length=1, description="times the scale's base rate"
    )
    decay_factor: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(min_length=1)
    shortest_side: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        min_length=1, description="of the range of shorter sides, as a fraction of the longest of them"
    )


class TrainingNumbers(_Numbers):
    """How a training job reports and saves; none of it changes the weights."""

    log_period: int = Field(gt=0, description="iterations that one line of metrics covers")
    save_period: int = Field(gt=0, description="iterations between saved states; a multiple of log_period")
    workers: int = Field(
        ge=0, description="data loading processes of each training process; 0 loads in the training process"
    )
    processes: int = Field(
        default=1, gt=0, description="training processes, one for each GPU where there are GPUs"
    )
    margin: float = Field(
        default=60, ge=0, description="seconds before a cluster job's end at which it has saved and stopped"
    )


class Resources(_Numbers):
    """What one job of a kind asks the scheduler for."""

    threads: int = Field(gt=0)
    gpu: int = Field(default=0, ge=0)
    mem_mb: int = Field(gt=0)
    runtime: int = Field(gt=0, description="minutes")
    nodes: int = Field(default=1, gt=0, description="machines; the other numbers are those of each")
    retries: int = Field(default=0, ge=0, description="how often a job that ended early is started again")


class Together(_Numbers):
    """How many jobs of a rule, at most, one submission to a cluster does, one after the other."""

    train: int = Field(default=1, gt=0)
    detect: int = Field(default=1, gt=0)
    evaluate: int = Field(default=1, gt=0)


class ResourceTable(_Numbers):
    """Resources by kind of job."""

    train: Resources
    evaluate: Resources
    light: Resources
    together: Together = Together()


class Costs(_Numbers):
    """What the cost plan reckons with, by backbone; nothing else reads it."""

    iteration: dict[str, float] = Field(description="seconds an iteration of a detector's batch")
    cascade: float = Field(description="times that for a cascade")
    classification: dict[str, float] = Field(description="seconds an iteration of a classifier's batch")
    detection: dict[str, float] = Field(description="seconds to run a checkpoint on the validation images")
    scoring: float = Field(default=0, description="seconds to score what a checkpoint detects")
    start: float = Field(default=0, description="seconds until a job that uses torch has begun")
    megaparameters: dict[str, float] = Field(description="parameters of a detector, in millions")
    detections: float = Field(description="gigabytes of what one checkpoint detects on the validation images")


class Scale(_Numbers):
    """One of `scales/*.yaml`."""

    name: str
    notes: dict[str, str] = Field(default={}, description="by backbone, what stands for it")
    schedule: ScheduleUnit
    short_schedules: dict[str, Annotated[int, Field(ge=5)]] = Field(
        description="iterations where there is little data, by subset or train set and initialisation"
    )
    search: SearchGrid
    detection: DetectionNumbers
    classification: ClassificationNumbers
    evaluation: EvaluationNumbers
    test_aug: TestAugmentation
    training: TrainingNumbers
    backbones: dict[str, dict[str, Any]] = Field(description="detectron2 overrides that make each backbone")
    heads: dict[str, dict[str, Any]] = Field(
        default={}, description="detectron2 overrides by detector, such as keypoint_rcnn"
    )
    resources: ResourceTable
    costs: Costs
    subsets: dict[SubsetName, Annotated[int, Field(gt=0)]] = Field(
        description="nested subsets of the training images: name to number of images"
    )
    world: dict[str, int] | None = Field(
        default=None, description="the miniature world; none where data is real"
    )
