"""What must hold of the configuration and the scale together, before anything is compiled."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from workflow_scripts.data.world.settings import Settings
from workflow_scripts.errors import UserError
from workflow_scripts.study.config import StudyConfig, scale_source
from workflow_scripts.study.experiments import Arm, experiments
from workflow_scripts.study.recipes import MODELS
from workflow_scripts.study.scales import Scale


def check(config: StudyConfig, scale: Scale) -> None:
    """Refuse what no job could succeed with.

    Raises:
        UserError: a line for each problem, which names the field, what was found and what is expected.
    """
    problems = [*_names(config), *_numbers(config, scale), *missing_data(config, scale), *_paths(config)]
    if problems:
        raise UserError("\n".join(problems))


def _names(config: StudyConfig) -> Iterator[str]:
    yield from _unknown("experiments", config.experiments, experiments(config.models))
    yield from _unknown("models", config.models, MODELS)
    yield from _unknown("pretraining.fetch", config.pretraining.fetch, MODELS)


def _unknown(field: str, found: Iterable[str], known: Mapping[str, object]) -> Iterator[str]:
    unknown = [name for name in found if name not in known]
    if unknown:
        yield f"config.yaml: {field}: found {', '.join(unknown)}, expected names from: {', '.join(known)}"


def _numbers(config: StudyConfig, scale: Scale) -> Iterator[str]:
    where = scale_source(config)
    for name in sorted({arm.model for arm in _arms(config)} & set(MODELS)):
        backbone = MODELS[name].backbone
        if backbone not in scale.backbones:
            yield (
                f"{where}: backbones: found {', '.join(scale.backbones) or 'none'}, expected {backbone} among "
                f"them for model {name}; add its detectron2 settings"
            )
    training = scale.training
    if training.save_period % training.log_period:
        yield (
            f"{where}: training.save_period: found {training.save_period}, expected a multiple of log_period "
            f"({training.log_period}): saved states end a line of metrics"
        )
    if config.datasets.coco is None and scale.world is not None:
        drawn = Settings(**scale.world).train_images
        for name, size in scale.subsets.items():
            if size > drawn:
                yield (
                    f"{where}: subsets.{name}: found {size} images, expected at most {drawn}, which is all that "
                    "world.train_images draws; ask for fewer or draw more"
                )


def missing_data(config: StudyConfig, scale: Scale) -> Iterator[str]:
    """A line for each thing that the experiments of the configuration train on and that it does not name."""
    coco = config.datasets.coco
    if coco and coco.keypoints is None and any(arm.detector == "keypoint_rcnn" for arm in _arms(config)):
        yield (
            "config.yaml: datasets.coco.keypoints: missing; an experiment that is asked for trains on keypoints: name "
            "the train and val files, person_keypoints_train2017.json and its like"
        )
    if scale.world is not None:
        return
    if config.datasets.coco is None:
        yield (
            f"config.yaml: datasets.coco: missing; scale {scale.name} trains on real data: name the annotations "
            "and images of its train and val set"
        )
    pretrained = {arm.model for arm in _arms(config) if arm.initialisation == "pretrained"}
    untrained = sorted(pretrained - set(config.pretraining.fetch))
    if config.datasets.classification is None and untrained:
        yield (
            f"config.yaml: datasets.classification: missing; scale {scale.name} pre-trains {', '.join(untrained)} "
            "on real data: name its train and val folders, or published weights under pretraining.fetch"
        )


def _arms(config: StudyConfig) -> list[Arm]:
    """Arms of the experiments that the configuration asks for: the others need no data until they are asked for."""
    known = experiments(config.models)
    return [arm for name in config.experiments if name in known for arm in known[name].arms]


def _paths(config: StudyConfig) -> Iterator[str]:
    coco, classification = config.datasets.coco, config.datasets.classification
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for split in ("train", "val"):
        if coco:
            files[f"coco.{split}.annotations"] = getattr(coco, split).annotations
            folders[f"coco.{split}.images"] = getattr(coco, split).images
        if classification:
            folders[f"classification.{split}"] = getattr(classification, split)
    if coco and coco.val2014_annotations is not None:
        files["coco.val2014_annotations"] = coco.val2014_annotations
    if coco and coco.keypoints:
        files |= {f"coco.keypoints.{split}": getattr(coco.keypoints, split) for split in ("train", "val")}
    for kind, paths, exists in (("file", files, Path.is_file), ("folder", folders, Path.is_dir)):
        for field, path in paths.items():
            if not exists(Path(path)):
                yield f"config.yaml: datasets.{field}: found {path!r}, expected a {kind} that exists; correct the path"
