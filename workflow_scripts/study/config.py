"""The configuration that a person edits (`config.yaml`), typed; unknown keys and wrong values are refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workflow_scripts.errors import UserError
from workflow_scripts.study.scales import Scale

T = TypeVar("T", bound=BaseModel)
SCALES = Path(__file__).parents[2] / "scales"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageSet(_Section):
    """COCO's layout: one annotation file and the folder of its images."""

    annotations: str
    images: str


class CocoDataset(_Section):
    """A detection data set in COCO's layout."""

    train: ImageSet
    val: ImageSet
    val2014_annotations: str | None = Field(
        default=None, description="instances_val2014.json: makes the 35k subset the paper's val35k"
    )


class ClassificationDataset(_Section):
    """Folders of images, one folder a class, to pre-train on."""

    train: str
    val: str


class Datasets(_Section):
    """Real data; what is not given here comes from the miniature world, where the scale has one."""

    coco: CocoDataset | None = None
    classification: ClassificationDataset | None = None


class PublishedWeights(_Section):
    """Pre-trained weights to fetch instead of training them."""

    source: str = Field(description="a URL or a path")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    layout: Literal["torchvision", "detectron2"] = "torchvision"
    colours: Literal["rgb", "bgr"] = Field(
        default="rgb", description="rgb scaled by its deviation, or bgr unscaled"
    )


class Pretraining(_Section):
    """How the `pretrained` initialisation gets its weights: trained here, unless published ones are named."""

    fetch: dict[str, PublishedWeights] = Field(default={}, description="by model, such as R50_GN")


class StudyConfig(_Section):
    """What to regenerate, at which scale, on which data."""

    scale: str
    experiments: tuple[str, ...] = Field(min_length=1)
    models: tuple[str, ...] = Field(default=("R50_GN",), min_length=1)
    schedules: tuple[str, ...] = Field(default=("2x", "3x", "4x", "5x", "6x"), min_length=1)
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    subset_seed: int = Field(default=0, description="fixes which images the nested subsets hold")
    results: str = "results"
    datasets: Datasets = Datasets()
    pretraining: Pretraining = Pretraining()
    figures: dict[str, Any] = {}
    numbers: dict[str, Any] = Field(
        default={}, description="changes to the scale's numbers, in its own structure"
    )

    @field_validator("experiments", "models", "schedules", "seeds")
    @classmethod
    def _no_repeats(cls, values: tuple) -> tuple:
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise ValueError(f"listed twice: {', '.join(map(str, repeated))}")
        return values


def read_config(values: Mapping[str, Any]) -> StudyConfig:
    """The typed study configuration.

    Raises:
        UserError: naming each field at fault, what was found there and what is expected.
    """
    return _validated(StudyConfig, dict(values), "config.yaml")


def read_scale(config: StudyConfig) -> Scale:
    """The scale's numbers (`scales/<scale>.yaml`) with the config's changes laid over them.

    Raises:
        UserError: no such scale, or a number that does not fit.
    """
    path = SCALES / f"{config.scale}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in SCALES.glob("*.yaml")))
        raise UserError(f"config.yaml: scale: found {config.scale!r}, expected one of: {known}")
    values = {"name": config.scale, **yaml.safe_load(path.read_text())}
    where = f"scales/{config.scale}.yaml" + (" with `numbers` of config.yaml" if config.numbers else "")
    return _validated(Scale, overlaid(values, config.numbers), where)


def overlaid(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes` laid over them, mapping by mapping; neither is modified."""
    result = dict(values)
    for key, change in changes.items():
        both = isinstance(change, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = overlaid(result[key], change) if both else change
    return result


def _validated(model: type[T], values: dict[str, Any], where: str) -> T:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError("\n".join(_sentence(where, problem) for problem in error.errors())) from None


def _sentence(where: str, problem: Any) -> str:
    field = ".".join(map(str, problem["loc"])) or "the whole"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"{where}: {field}: unknown key; check its spelling or remove it"
    if problem["type"] == "missing":
        return f"{where}: {field}: missing; add it"
    return f"{where}: {field}: {message}; found {problem['input']!r}"
