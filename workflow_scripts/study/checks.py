"""What must hold of the configuration and the scale together, before anything is compiled."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from workflow_scripts.data.voc import read_split
from workflow_scripts.data.world.settings import Settings
from workflow_scripts.errors import UserError
from workflow_scripts.study.config import StudyConfig, scale_source
from workflow_scripts.study.experiments import Arm, experiments
from workflow_scripts.study.recipes import MODELS
from workflow_scripts.study.scales import Scale

IGNORED_SECTIONS = ("DATALOADER", "DATASETS", "INPUT", "OUTPUT_DIR", "SEED", "SOLVER", "TEST", "VIS_PERIOD")
"""Parts of detectron2's configuration that this project's recipes, schedules and scales hold instead."""


def check(config: StudyConfig, scale: Scale) -> None:
    """Refuse what no job could succeed with.

    Raises:
        UserError: a line for each problem, which names the field, what was found and what is expected.
    """
    found = list(problems(config, scale))
    if found:
        raise UserError("\n".join(found))


def problems(config: StudyConfig, scale: Scale) -> Iterator[str]:
    """A line for each."""
    yield from _names(config)
    yield from _numbers(config, scale)
    yield from _missing_data(config, scale)
    yield from _paths(config)
    yield from _overlap(config)


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
    for name in sorted({arm.model for arm in asked_arms(config)} & set(MODELS)):
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
    yield from _processes(where, scale)
    for section in ("detection", "classification"):
        batch = getattr(scale, section).batch
        if batch % training.processes:
            yield (
                f"{where}: {section}.batch: found {batch} images, expected a multiple of training.processes "
                f"({training.processes}): each process takes an equal share"
            )
    yield from _subsets(config, scale)
    yield from _overrides(where, scale)


def _processes(where: str, scale: Scale) -> Iterator[str]:
    """Training processes that do not share out over machines and GPUs."""
    count, job = scale.training.processes, scale.resources.train
    if count % job.nodes:
        yield (
            f"{where}: training.processes: found {count}, expected a multiple of resources.train.nodes ({job.nodes}): "
            "each machine runs an equal share"
        )
    elif job.gpu and job.gpu * job.nodes != count:
        yield (
            f"{where}: training.processes: found {count}, expected one for each of the {job.gpu * job.nodes} GPUs of "
            "resources.train (gpu times nodes)"
        )


def _subsets(config: StudyConfig, scale: Scale) -> Iterator[str]:
    where = scale_source(config)
    for name in sorted({arm.subset for arm in asked_arms(config)} - {"all", *scale.subsets}):
        yield f"{where}: subsets: {name} is missing; add its number of images: an experiment trains on it"
    known = {arm for experiment in experiments(config.models).values() for arm in experiment.arms}
    short = {
        name for arm in known for name in arm.schedules or () if name.endswith(("-random", "-pretrained"))
    }
    for name in sorted(short - set(scale.short_schedules)):
        yield f"{where}: short_schedules: {name} is missing; add its number of iterations"
    if config.datasets.coco is None and scale.world is not None:
        drawn = Settings(**scale.world).train_images
        for name, size in scale.subsets.items():
            if size > drawn:
                yield (
                    f"{where}: subsets.{name}: found {size} images, expected at most {drawn}, which is all that "
                    "world.train_images draws; ask for fewer or draw more"
                )


def _overrides(where: str, scale: Scale) -> Iterator[str]:
    """detectron2 settings that nothing would read."""
    overrides = {"detection.detectron2": scale.detection.detectron2}
    overrides |= {f"backbones.{name}": values for name, values in scale.backbones.items()}
    overrides |= {f"heads.{name}": values for name, values in scale.heads.items()}
    for place, values in overrides.items():
        for name in values:
            if name.split(".")[0] in IGNORED_SECTIONS:
                yield (
                    f"{where}: {place}: found {name}, which nothing here takes from detectron2's configuration; "
                    "expected keys of MODEL; set rates, sizes and schedules where the scale has them"
                )


def _missing_data(config: StudyConfig, scale: Scale) -> Iterator[str]:
    """A line for each thing that the experiments of the configuration train on and that it does not name."""
    datasets, arms = config.datasets, asked_arms(config)
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


def asked_arms(config: StudyConfig) -> list[Arm]:
    """Arms of the experiments that the configuration asks for: the others need no data until they are asked for."""
    known = experiments(config.models)
    return [arm for name in config.experiments if name in known for arm in known[name].arms]


def _paths(config: StudyConfig) -> Iterator[str]:
    for kind, paths, exists in (
        ("file", _named_files(config), Path.is_file),
        ("folder", _named_folders(config), Path.is_dir),
    ):
        for field, path in paths.items():
            if not exists(Path(path)):
                yield f"config.yaml: datasets.{field}: found {path!r}, expected a {kind} that exists; correct the path"


def _overlap(config: StudyConfig) -> Iterator[str]:
    """An image of VOC to train on and to evaluate on."""
    voc = config.datasets.voc
    for number, part in enumerate(voc.train if voc else ()):
        if voc and Path(part.folder).resolve() == Path(voc.val.folder).resolve():
            try:
                shared = set(read_split(part.folder, part.split)) & set(
                    read_split(voc.val.folder, voc.val.split)
                )
            except UserError:  # the job that reads the folder says what is wrong with it
                continue
            if shared:
                yield (
                    f"config.yaml: datasets.voc.train[{number}]: found split {part.split}, which shares {len(shared)} "
                    f"images with val's {voc.val.split}, such as {min(shared)}; expected splits without a common image"
                )


def _named_files(config: StudyConfig) -> dict[str, str]:
    coco = config.datasets.coco
    if coco is None:
        return {}
    files = {f"coco.{split}.annotations": getattr(coco, split).annotations for split in ("train", "val")}
    if coco.val2014_annotations is not None:
        files["coco.val2014_annotations"] = coco.val2014_annotations
    if coco.keypoints:
        files |= {f"coco.keypoints.{split}": getattr(coco.keypoints, split) for split in ("train", "val")}
    return files


def _named_folders(config: StudyConfig) -> dict[str, str]:
    coco, voc, classification = config.datasets.coco, config.datasets.voc, config.datasets.classification
    folders: dict[str, str] = {}
    if coco:
        folders |= {f"coco.{split}.images": getattr(coco, split).images for split in ("train", "val")}
    if voc:
        folders |= {f"voc.train[{number}].folder": part.folder for number, part in enumerate(voc.train)}
        folders["voc.val.folder"] = voc.val.folder
    if classification:
        folders |= {f"classification.{split}": getattr(classification, split) for split in ("train", "val")}
    return folders
