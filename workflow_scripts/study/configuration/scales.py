"""Scales: the numbers that turn the same experiments into minutes, a laptop's evening, or the paper."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from workflow_scripts.study.configuration.bounds import (
    MOST_EVALUATIONS,
    MOST_POINTS,
    Batch,
    Cost,
    Factor,
    Images,
    Iterations,
    Momentum,
    Number,
    Numbers,
    Rate,
    Side,
    WeightDecay,
)


def _not_all(name: str) -> str:
    if name == "all":
        raise ValueError("expected another name: `all` is the whole training set")
    return name


SubsetName = Annotated[str, Field(pattern=r"^\w[\w.-]*$"), AfterValidator(_not_all)]


class ScheduleUnit(Numbers):
    """What `1x` means at a scale, and the tail that ends every schedule."""

    iterations_per_x: Iterations
    tail: Iterations = Field(description="iterations after the first drop")
    second_tail: Iterations = Field(description="iterations after the second drop")

    @model_validator(mode="after")
    def _nested(self) -> Self:
        if self.second_tail >= self.tail:
            raise ValueError(f"second_tail ({self.second_tail}) must be shorter than tail ({self.tail})")
        return self


class Warmup(Numbers):
    """Linear warm-up: from `factor` times the base rate to the base rate in `iterations`."""

    iterations: Annotated[int, Number, Field(ge=0, le=1_000_000_000)]
    factor: Annotated[float, Number, Field(ge=0, le=1)]


class DetectionNumbers(Numbers):
    """Common settings of detector trainings (paper, sections 3 and 4)."""

    image_sides: tuple[Side, ...] = Field(min_length=1, max_length=100)
    longest_side: Side
    base_lr: Rate
    warmup: Warmup
    decay_factor: Factor = 0.1
    momentum: Momentum = 0.9
    weight_decay: WeightDecay = 1e-4
    batch: Batch
    freeze_at: Annotated[int, Number, Field(ge=0, le=5)] = Field(
        default=0,
        description="stages of a pre-trained backbone that stay as they were: 1 is the stem, 2 res2 as well; 0 none",
    )
    detectron2: dict[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _sides_reached(self) -> Self:
        _check_sides(self.image_sides, self.longest_side)
        return self


class ClassificationNumbers(Numbers):
    """Settings of the pre-training on classification, for where it is trained and not fetched."""

    image_side: Side
    base_lr: Rate
    base_lr_without_norm: Rate = Field(description="of networks without normalisation, as VGG-16 is")
    warmup: Warmup
    momentum: Momentum = 0.9
    weight_decay: WeightDecay = 1e-4
    batch: Batch
    iterations: Iterations
    iterations_on_crops: Iterations | None = Field(
        default=None, description="instead, where pictures are cut out of a detection set, which has fewer"
    )


class EvaluationNumbers(Numbers):
    """How often the curves are measured, in iterations."""

    trunk_period: Iterations
    tail_period: Iterations
    short_points: Annotated[int, Number, Field(ge=1, le=MOST_EVALUATIONS)] = Field(
        description="evaluations along a short schedule"
    )
    replicates: Annotated[int, Number, Field(ge=0, le=10_000)] = Field(
        description="resamples of the validation images that give an AP its interval"
    )


class TestAugmentation(Numbers):
    """Test aug: several scales and their mirror images, combined."""

    image_sides: tuple[Side, ...] = Field(min_length=1, max_length=100)
    longest_side: Side

    @model_validator(mode="after")
    def _sides_reached(self) -> Self:
        _check_sides(self.image_sides, self.longest_side)
        return self

    @property
    def versions(self) -> int:
        """Of each image: every size, and its mirror image."""
        return 2 * len(self.image_sides)


class SearchGrid(Numbers):
    """Hyper-parameters to search over, relative to the scale's own; every combination is a point."""

    base_lr: tuple[Rate, ...] = Field(min_length=1, description="times the scale's base rate")
    decay_factor: tuple[Factor, ...] = Field(min_length=1)
    shortest_side: tuple[Annotated[float, Number, Field(gt=0, le=1)], ...] = Field(
        min_length=1, description="of the range of shorter sides, as a fraction of the longest of them"
    )

    @model_validator(mode="after")
    def _few_points(self) -> Self:
        points = len(self.base_lr) * len(self.decay_factor) * len(self.shortest_side)
        if points > MOST_POINTS:
            raise ValueError(
                f"{points:,} combinations, each of which is a training; expected {MOST_POINTS} at most"
            )
        for name, values in self:
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: a value is listed twice; expected each once")
        return self


class TrainingNumbers(Numbers):
    """How a training job reports and saves; none of it changes the weights."""

    log_period: Iterations = Field(description="iterations that one line of metrics covers")
    save_period: Iterations = Field(description="iterations between saved states; a multiple of log_period")
    workers: Annotated[int, Number, Field(ge=0, le=256)] = Field(
        description="data loading processes of each training process; 0 loads in the training process"
    )
    processes: Annotated[int, Number, Field(ge=1, le=1024)] = Field(
        default=1, description="training processes, one for each GPU where there are GPUs"
    )
    margin: Annotated[float, Number, Field(ge=0, le=86_400)] = Field(
        default=60, description="seconds before a cluster job's end at which it has saved and stopped"
    )


class Resources(Numbers):
    """What one job of a kind asks the scheduler for."""

    threads: Annotated[int, Number, Field(ge=1, le=4096)]
    gpu: Annotated[int, Number, Field(ge=0, le=64)] = 0
    mem_mb: Annotated[int, Number, Field(ge=1, le=100_000_000)]
    runtime: Annotated[int, Number, Field(ge=1, le=60 * 24 * 366)] = Field(description="minutes")
    nodes: Annotated[int, Number, Field(ge=1, le=1024)] = Field(
        default=1, description="machines; the other numbers are those of each"
    )
    retries: Annotated[int, Number, Field(ge=0, le=1000)] = Field(
        default=0, description="how often a job that ended early is started again"
    )


class Together(Numbers):
    """How many jobs of a rule, at most, one submission to a cluster does, one after the other."""

    train: Annotated[int, Number, Field(ge=1, le=1000)] = 1
    detect: Annotated[int, Number, Field(ge=1, le=1000)] = 1
    evaluate: Annotated[int, Number, Field(ge=1, le=1000)] = 1


class ResourceTable(Numbers):
    """Resources by kind of job."""

    train: Resources
    evaluate: Resources
    light: Resources
    together: Together = Together()


class Costs(Numbers):
    """What the cost plan reckons with, by backbone; nothing else reads it."""

    iteration: dict[str, Cost] = Field(description="seconds an iteration of a detector's batch")
    cascade: Cost = Field(description="times that for a cascade")
    classification: dict[str, Cost] = Field(description="seconds an iteration of a classifier's batch")
    detection: dict[str, Cost] = Field(description="seconds to run a checkpoint on the validation images")
    scoring: Cost = Field(default=0, description="seconds to score what a checkpoint detects")
    start: Cost = Field(default=0, description="seconds until a job that uses torch has begun")
    megaparameters: dict[str, Cost] = Field(description="parameters of a detector, in millions")
    detections: Cost = Field(description="gigabytes of what one checkpoint detects on the validation images")


class Scale(Numbers):
    """One of `scales/*.yaml`."""

    name: str
    notes: dict[str, str] = Field(default={}, description="by backbone, what stands for it")
    schedule: ScheduleUnit
    short_schedules: dict[str, Annotated[int, Number, Field(ge=5, le=1_000_000_000)]] = Field(
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
    subsets: dict[SubsetName, Images] = Field(
        description="nested subsets of the training images: name to number of images"
    )
    world: dict[str, Annotated[int, Number]] | None = Field(
        default=None, description="the miniature world; none where data is real"
    )

    @model_validator(mode="after")
    def _few_evaluations(self) -> Self:
        for period, every, name, iterations in (
            (
                "trunk_period",
                self.evaluation.trunk_period,
                "iterations_per_x",
                self.schedule.iterations_per_x,
            ),
            ("tail_period", self.evaluation.tail_period, "tail", self.schedule.tail),
        ):
            if iterations > MOST_EVALUATIONS * every:
                raise ValueError(
                    f"evaluation.{period}: {every:,} iterations make {iterations // every:,} evaluations in "
                    f"schedule.{name} ({iterations:,}); expected {MOST_EVALUATIONS} at most: evaluate less often"
                )
        return self


def _check_sides(sides: Sequence[int], longest: int) -> None:
    if max(sides) > longest:
        raise ValueError(
            f"longest_side ({longest}) is shorter than a shorter side, {max(sides)} of image_sides, which no image "
            "would reach; expected that or more"
        )
