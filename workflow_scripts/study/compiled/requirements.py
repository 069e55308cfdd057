"""What the experiments that are asked for require of the configuration and the scale. Others may lack it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import get_args

from workflow_scripts.study.compiled.advice import SHARES
from workflow_scripts.study.compiled.experiments import Arm, Experiment
from workflow_scripts.study.compiled.recipes import MODELS, Detector
from workflow_scripts.study.configuration.config import StudyConfig, scale_source
from workflow_scripts.study.configuration.scales import Scale


def unmet(config: StudyConfig, scale: Scale, known: Mapping[str, Experiment]) -> Iterator[str]:
    """A line for each problem, which names the field, what was found and what is expected."""
    yield from _unknown("experiments", config.experiments, known)
    yield from _unknown("models", config.models, MODELS)
    yield from _unknown("pretraining.fetch", config.pretraining.fetch, MODELS)
    yield from _strides(config, scale)
    yield from _short_schedules(scale_source(config), scale, known.values())
    yield from _unread(scale_source(config), scale)
    yield from _numbers(scale_source(config), scale, _arms(config, known))


def missing_data(config: StudyConfig, scale: Scale, known: Mapping[str, Experiment]) -> Iterator[str]:
    """The same, of data that the configuration does not name."""
    yield from _data(config, scale, _arms(config, known))


def _arms(config: StudyConfig, known: Mapping[str, Experiment]) -> list[Arm]:
    return [arm for name in config.experiments if name in known for arm in known[name].arms]


def missing(config: StudyConfig, scale: Scale, asked: Iterable[Experiment]) -> Iterator[str]:
    """A line for each thing that experiments need, and that scale or configuration does not name."""
    arms = [arm for experiment in asked for arm in experiment.arms]
    yield from _numbers(scale_source(config), scale, arms)
    yield from _data(config, scale, arms)


def _unknown(field: str, found: Iterable[str], known: Mapping[str, object]) -> Iterator[str]:
    unknown = [name for name in found if name not in known]
    if unknown:
        yield f"config.yaml: {field}: found {', '.join(unknown)}, expected names from: {', '.join(known)}"


def _strides(config: StudyConfig, scale: Scale) -> Iterator[str]:
    """Weights of a network that halves its image elsewhere than the scale's: they fit, and compute something else."""
    key = "MODEL.RESNETS.STRIDE_IN_1X1"
    for name in sorted(config.pretraining.fetch.keys() & MODELS.keys()):
        found = config.pretraining.fetch[name].stride_in_1x1
        backbone = MODELS[name].backbone
        expected = scale.backbones.get(backbone, {}).get(key, False)
        if found != expected:
            yield (
                f"config.yaml: pretraining.fetch.{name}.stride_in_1x1: found {str(found).lower()}, expected "
                f"{str(expected).lower()}, as {name} is built; give other weights, or change the architecture for both "
                f"initialisations: numbers: {{backbones: {{{backbone}: {{{key}: {str(found).lower()}}}}}}}"
            )


def _unread(where: str, scale: Scale) -> Iterator[str]:
    """Settings of detectron2 for what no experiment trains."""
    for field, found, expected in (
        ("backbones", scale.backbones, {model.backbone for model in MODELS.values()}),
        ("heads", scale.heads, set(get_args(Detector))),
    ):
        if unread := sorted(set(found) - expected):
            yield f"{where}: {field}: found {', '.join(unread)}, expected names from: {', '.join(sorted(expected))}"


def _numbers(where: str, scale: Scale, arms: Sequence[Arm]) -> Iterator[str]:
    for name in sorted({arm.model for arm in arms} & set(MODELS)):
        backbone = MODELS[name].backbone
        if backbone not in scale.backbones:
            yield (
                f"{where}: backbones: found {', '.join(scale.backbones) or 'none'}, expected {backbone} among "
                f"them for model {name}; add its detectron2 settings"
            )
    for name in sorted({arm.subset for arm in arms} - {*SHARES, *scale.subsets}):
        yield f"{where}: subsets: {name} is missing; add its number of images: an experiment trains on it"


def _short_schedules(where: str, scale: Scale, known: Iterable[Experiment]) -> Iterator[str]:
    schedules = {name for each in known for arm in each.arms for name in arm.schedules or ()}
    short = {
        name
        for name in schedules
        if name.endswith(("-random", "-pretrained", "-longer")) and name.partition("-")[0] not in SHARES
    }
    for name in sorted(short - set(scale.short_schedules)):
        yield f"{where}: short_schedules: {name} is missing; add its number of iterations"


def _data(config: StudyConfig, scale: Scale, arms: Sequence[Arm]) -> Iterator[str]:
    datasets = config.datasets
    train_sets = {arm.train_set for arm in arms}
    if datasets.coco and datasets.coco.keypoints is None and "keypoints" in train_sets:
        yield (
            "config.yaml: datasets.coco.keypoints: missing; an experiment that is asked for trains on keypoints: name "
            "the train and val files, person_keypoints_train2017.json and its like"
        )
    if scale.world is not None:
        return
    if datasets.coco is None and train_sets & {"coco", "keypoints"}:
        yield (
            f"config.yaml: datasets.coco: missing; scale {scale.name} trains on real data: name the annotations "
            "and images of its train and val set"
        )
    if datasets.voc is None and "voc" in train_sets:
        yield (
            f"config.yaml: datasets.voc: missing; scale {scale.name} trains on real data: name the folders and splits "
            "of its train and val set"
        )
    pretrained = {arm.model for arm in arms if arm.initialisation == "pretrained"}
    pretrained |= {arm.model for arm in arms if arm.searched == "pretrained"}
    untrained = sorted(pretrained - set(config.pretraining.fetch))
    if datasets.classification is None and untrained:
        yield (
            f"config.yaml: datasets.classification: missing; scale {scale.name} pre-trains {', '.join(untrained)} "
            "on real data: name its train and val folders, or published weights under pretraining.fetch"
        )
