"""The configuration that a person edits (`config.yaml`), typed; unknown keys and wrong values are refused."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from workflow_scripts.data.world.settings import Settings
from workflow_scripts.errors import UserError
from workflow_scripts.study.configuration.bounds import MOST_SCHEDULES, MOST_SEEDS, Number, Seed
from workflow_scripts.study.configuration.documents import read_mapping
from workflow_scripts.study.configuration.linear_scaling import linear_scaling
from workflow_scripts.study.configuration.paths import results_path, without_braces
from workflow_scripts.study.configuration.scales import Scale

T = TypeVar("T", bound=BaseModel)
LONGEST_SHOWN = 80
SCALES = Path(__file__).parents[3] / "scales"


def _usual_name(schedule: str) -> str:
    """`2x` for `2.0x`, `02x` and the like: two names of one schedule would be two schedules."""
    multiple = re.fullmatch(r"(\d+(?:\.\d+)?)x", schedule, re.ASCII)
    if multiple and len(schedule) < 20:
        return f"{float(multiple[1]):.12g}x"
    return str(int(schedule)) if re.fullmatch(r"\d{1,20}", schedule, re.ASCII) else schedule


def _each_once(values: tuple) -> tuple:
    repeated = sorted(value for value, times in Counter(values).items() if times > 1)
    if repeated:
        raise ValueError(f"listed twice: {', '.join(map(str, repeated))}; expected each once")
    return values


# YAML reads explicit iterations as a number.
ScheduleName = Annotated[
    str, Field(coerce_numbers_to_str=True, max_length=40), Number, AfterValidator(_usual_name)
]
Named = Annotated[str, Field(min_length=1), AfterValidator(without_braces)]
LayoutName = Literal["torchvision", "timm", "mmdetection", "detectron2", "detectron"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


WHOLE = ("annotations", "images", "validation")
"""What tells of one set to split."""


class ImageSet(_Section):
    """COCO's layout: one annotation file and the folder of its images."""

    annotations: Named
    images: Named


class KeypointAnnotations(_Section):
    """Person keypoints on the same images: person_keypoints_train2017.json and its like."""

    train: Named
    val: Named


class CocoDataset(_Section):
    """A detection data set in COCO's layout: its `train` and `val` parts, or one set to split by image."""

    train: ImageSet | None = None
    val: ImageSet | None = None
    annotations: Named | None = Field(default=None, description="of the one set; `images` is its folder")
    images: Named | None = None
    validation: float | None = Field(
        default=None, gt=0, lt=1, description="fraction of the one set's images to validate on"
    )
    seed: Seed | None = Field(default=None, description="fixes which images these are; 0 unless given")
    masks: bool = Field(
        default=True,
        description="whether objects have masks; without, they have boxes alone: detectors learn no masks",
    )
    keypoints: KeypointAnnotations | None = None
    val2014_annotations: Named | None = Field(
        default=None, description="instances_val2014.json: makes the 35k subset the paper's val35k"
    )

    @model_validator(mode="after")
    def _parts_or_one(self) -> "CocoDataset":
        given = [name for name in ("train", "val", *WHOLE, "seed") if getattr(self, name) is not None]
        if {"train", "val"} <= set(given) and len(given) == 2:
            return self
        if set(WHOLE) <= set(given) and not {"train", "val"} & set(given):
            if self.keypoints or self.val2014_annotations:
                raise ValueError(
                    "one set to split has neither keypoints nor val2014_annotations; give train and val"
                )
            return self
        raise ValueError(f"expected train and val, or {', '.join(WHOLE)} (and seed) of one set to split")

    @property
    def whole(self) -> ImageSet | None:
        """The one set to split, if that is what is given."""
        if self.annotations is None or self.images is None:
            return None
        return ImageSet(annotations=self.annotations, images=self.images)

    def part(self, split: str) -> ImageSet | None:
        """The given `train` or `val`."""
        return self.train if split == "train" else self.val


class ClassificationDataset(_Section):
    """Folders of images, one folder a class, to pre-train on."""

    train: Named
    val: Named


class VocSplit(_Section):
    """A folder in VOC's layout (Annotations, ImageSets/Main, JPEGImages) and one of its image lists."""

    folder: Named
    split: Named


class VocDataset(_Section):
    """The paper trains on trainval of 2007 with train of 2012, and evaluates on val of 2012."""

    train: tuple[VocSplit, ...] = Field(min_length=1)
    val: VocSplit


class Datasets(_Section):
    """Real data; what is not given here comes from the miniature world, where the scale has one."""

    coco: CocoDataset | None = None
    voc: VocDataset | None = None
    classification: ClassificationDataset | None = None


class PublishedWeights(_Section):
    """Pre-trained weights to fetch instead of training them. docs/weights.md lists some, with what to write here."""

    source: Named = Field(description="a URL or a path")
    sha256: str
    layout: LayoutName = Field(default="torchvision", description="whose names the weights have")
    colours: Literal["rgb", "bgr"] = Field(
        default="rgb", description="rgb scaled by its deviation, or bgr unscaled"
    )
    stride_in_1x1: bool = Field(
        default=False,
        description="a bottleneck halves its image in the first convolution, as in MSRA's ResNets",
    )

    @field_validator("sha256")
    @classmethod
    def _hexadecimal(cls, value: str) -> str:
        if not re.fullmatch("[0-9a-f]{64}", value):
            raise ValueError("expected 64 hexadecimal digits, lower case")
        return value

    @model_validator(mode="after")
    def _colours_of_detectron(self) -> "PublishedWeights":
        if self.layout == "detectron" and self.colours == "rgb":
            raise ValueError(
                "layout detectron with colours rgb, expected bgr, which all of its networks read"
            )
        return self


class Pretraining(_Section):
    """How the `pretrained` initialisation gets its weights: trained here, unless published ones are named."""

    fetch: dict[str, PublishedWeights] = Field(default={}, description="by model, such as R50_GN")


class Advice(_Section):
    """What `snakemake advise` may spend on telling whether to pre-train on one's own data."""

    minutes: Annotated[float, Number] = Field(
        default=20, gt=0, le=60 * 24 * 366, description="of everything, once the environment is set up"
    )
    devices: int = Field(
        default=2,
        ge=1,
        le=10_000,
        description="cores that work side by side, or GPUs where the scale has them",
    )
    seeds: Annotated[tuple[Seed, ...], AfterValidator(_each_once)] = Field(
        default=(0, 1, 2), min_length=2, max_length=MOST_SEEDS, description="of each training"
    )
    search: Literal["none", "pretrained", "both"] = Field(
        default="none", description="which initialisations search the scale's grid for hyper-parameters"
    )


Kept = Literal["keep", "temporary"]


class Storage(_Section):
    """What is kept once all that is made from it is there, and what is deleted then; making it again means training."""

    states: Kept = Field(default="keep", description="weights and momentum at the end of each segment")
    checkpoints: Kept = Field(default="keep", description="weights at each point that is evaluated")
    detections: Kept = Field(default="keep", description="what each checkpoint detects; its metrics stay")


class StudyConfig(_Section):
    """What to regenerate, at which scale, on which data."""

    scale: str
    experiments: tuple[str, ...]
    models: tuple[str, ...] = ("R50_GN",)
    schedules: tuple[ScheduleName, ...] = Field(
        default=("2x", "3x", "4x", "5x", "6x"), max_length=MOST_SCHEDULES
    )
    seeds: tuple[Seed, ...] = (0,)
    subset_seed: Seed = Field(default=0, description="fixes which images the nested subsets hold")
    results: str = Field(default="results", min_length=1)
    datasets: Datasets = Datasets()
    pretraining: Pretraining = Pretraining()
    advice: Advice = Advice()
    linear_scaling: bool = Field(
        default=False, description="rates and iterations follow a batch that `numbers` changes"
    )
    storage: Storage = Storage()
    figures: dict[str, Any] = {}
    numbers: dict[str, Any] = Field(
        default={}, description="changes to the scale's numbers, in its own structure"
    )

    @field_validator("experiments", "models", "schedules", "seeds")
    @classmethod
    def _some_each_once(cls, values: tuple) -> tuple:
        if not values:
            raise ValueError("expected at least one")
        return _each_once(values)

    @property
    def cropped(self) -> str:
        """The detection set, `coco` or `voc`, whose own objects are cut out to pre-train a classifier on.

        Empty where there are pictures to pre-train on, or where all data is of the miniature world, which has some.
        """
        given = self.datasets
        if given.classification is not None:
            return ""
        return "coco" if given.coco is not None else "voc" if given.voc is not None else ""

    @property
    def masks(self) -> bool:
        """Whether the detection data set has masks to learn; the miniature world has."""
        return self.datasets.coco is None or self.datasets.coco.masks

    @field_validator("seeds")
    @classmethod
    def _few_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(seeds) > MOST_SEEDS:
            raise ValueError(
                f"{len(seeds):,} of them, each of which trains all; expected {MOST_SEEDS} at most"
            )
        return seeds

    @field_validator("results")
    @classmethod
    def _usable(cls, path: str) -> str:
        return results_path(path)


def read_config(values: Mapping[str, Any]) -> StudyConfig:
    """The typed study configuration.

    Raises:
        UserError: naming each field at fault, what was found there and what is expected.
    """
    if not isinstance(values, Mapping):
        raise UserError(
            f"config.yaml: found {shortened(values)}, expected keys such as scale and experiments"
        )
    return _validated(StudyConfig, dict(values), "config.yaml")


def read_scale(config: StudyConfig) -> Scale:
    """The scale's numbers (`scales/<scale>.yaml`) with the config's changes laid over them.

    Raises:
        UserError: no such scale, or a number that does not fit.
    """
    known = {file.stem: file for file in sorted(SCALES.glob("*.yaml"))}
    if config.scale not in known:
        raise UserError(f"config.yaml: scale: found {config.scale!r}, expected one of: {', '.join(known)}")
    numbers = read_mapping(known[config.scale], f"scales/{config.scale}.yaml", "the keys of the other scales")
    if "subsets" in config.numbers:
        numbers = {**numbers, "subsets": {}}  # a set of subsets replaces the scale's, and does not add to it
    where = scale_source(config)
    if "name" in {*numbers, *config.numbers}:  # results lie in a folder of that name
        raise UserError(f"{where}: name: unknown key; a scale is called as its file: remove it")
    scale = _validated(Scale, overlaid({"name": config.scale, **numbers}, config.numbers), where)
    if config.cropped and (fewer := scale.classification.iterations_on_crops):
        classification = scale.classification.model_copy(update={"iterations": fewer})
        scale = scale.model_copy(update={"classification": classification})
    if config.linear_scaling:
        own = _validated(Scale, {"name": config.scale, **numbers}, where)
        changes = linear_scaling(scale, own.detection.batch, own.classification.batch)
        scale = _validated(Scale, overlaid(scale.model_dump(), changes), f"{where}, linearly scaled")
    if scale.world is not None:
        _validated(Settings, scale.world, where, ("world",))
    return scale


def scale_source(config: StudyConfig) -> str:
    """Where a person finds the scale's numbers, for messages."""
    return f"scales/{config.scale}.yaml" + (" with `numbers` of config.yaml" if config.numbers else "")


def overlaid(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes` laid over them, mapping by mapping; neither is modified."""
    result = dict(values)
    for key, change in changes.items():
        both = isinstance(change, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = overlaid(result[key], change) if both else change
    return result


def _validated(model: type[T], values: dict[str, Any], where: str, within: tuple[str, ...] = ()) -> T:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        sentences = [_sentence(model, problem, within) for problem in _first(error.errors())]
        raise UserError("\n".join(f"{where}: {sentence}" for sentence in sentences)) from None


def _first(problems: list[Any]) -> list[Any]:
    """Without what only follows from another: a list is too short, since an item of it is wrong."""
    within = {problem["loc"][:-1] for problem in problems if problem["loc"]}
    return [problem for problem in problems if problem["loc"] not in within]


def _sentence(model: type[BaseModel], problem: Any, within: tuple[str, ...]) -> str:
    field = ".".join(map(str, (*within, *problem["loc"])))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known = ", ".join(_section_at(model, problem["loc"][:-1]).model_fields)
        return f"{field}: unknown key, expected one of: {known}; check its spelling or remove it"
    if problem["type"] == "missing":
        return f"{field}: missing; add it"
    if expected := _expected_kind(model, problem):
        return f"{field}: expected {expected}; found {shortened(problem['input'])}"
    if (
        isinstance(problem["input"], Mapping) and problem["type"] == "value_error"
    ):  # what is wrong, it has said
        return f"{field}: {message}" if field else message
    return f"{field}: {message}; found {shortened(problem['input'])}"


def _expected_kind(model: type[BaseModel], problem: Any) -> str:
    """A list or keys, in YAML's words; empty where something else is wrong."""
    if problem["type"] == "tuple_type":
        return "a list, such as [a, b]"
    if problem["type"] == "dict_type":
        return "keys with values, such as {a: 1}"
    if problem["type"] == "model_type":
        return f"the keys {', '.join(_section_at(model, problem['loc']).model_fields)}, each with its value"
    return ""


def shortened(value: object) -> str:
    """A value for a message, of at most some 80 characters."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 4]} ..."


def _section_at(model: type[BaseModel], location: tuple[Any, ...]) -> type[BaseModel]:
    """The model that describes the section at `location` within `model`; keys of plain mappings are passed over."""
    for key in location:
        if key in model.model_fields:
            annotation = model.model_fields[key].annotation
            model = next(
                kind
                for kind in (annotation, *get_args(annotation))
                if isinstance(kind, type) and issubclass(kind, BaseModel)
            )
    return model
