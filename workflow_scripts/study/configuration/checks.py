"""What must hold of the configuration and the scale, whatever is asked for: no job could succeed otherwise."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from workflow_scripts.data.voc import read_split
from workflow_scripts.data.world.settings import Settings
from workflow_scripts.errors import UserError
from workflow_scripts.study.configuration.config import CocoDataset, ImageSet, StudyConfig, scale_source
from workflow_scripts.study.configuration.detectron2_keys import refused
from workflow_scripts.study.configuration.look import look_problems
from workflow_scripts.study.configuration.paths import results_problems
from workflow_scripts.study.configuration.scales import Scale

DECIDED = {
    "MODEL.MASK_ON": "the experiments say which detector learns masks; where the data has boxes alone, write "
    "datasets: {coco: {masks: false}}",
    "MODEL.KEYPOINT_ON": "the experiments say which detector learns keypoints",
    "MODEL.META_ARCHITECTURE": "the experiments say which detector is trained",
    "MODEL.ROI_HEADS.NUM_CLASSES": "the data says how many categories there are",
    "MODEL.WEIGHTS": "name published weights under pretraining.fetch",
    "MODEL.BACKBONE.FREEZE_AT": "use detection.freeze_at",
    "MODEL.DEVICE": "training runs on GPUs where resources.train.gpu asks for some",
    "MODEL.RESNETS.NORM": "choose another of the models",
    "MODEL.PIXEL_MEAN": "say under pretraining.fetch which colours weights expect",
    "MODEL.PIXEL_STD": "say under pretraining.fetch which colours weights expect",
}
"""Keys of detectron2 that something else decides here, and what does. Another value would contradict it."""
SCHEMES = ("http", "https", "ftp", "file")


def problems(config: StudyConfig, scale: Scale) -> Iterator[str]:
    """A line for each problem, which names the field, what was found and what is expected."""
    yield from _numbers(config, scale)
    yield from results_problems(config.results)
    yield from look_problems(config.figures)


def data_problems(config: StudyConfig) -> Iterator[str]:
    """The same, of the data and weights that the configuration names: what a plan can do without."""
    yield from _paths(config)
    yield from _weights(config)
    yield from _same_set(config)
    yield from _overlap(config)


def _numbers(config: StudyConfig, scale: Scale) -> Iterator[str]:
    where = scale_source(config)
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
    yield from _drawn(where, config, scale)
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


def _drawn(where: str, config: StudyConfig, scale: Scale) -> Iterator[str]:
    """Subsets of more images than the miniature world draws."""
    if config.datasets.coco is None and scale.world is not None:
        drawn = Settings(**scale.world).train_images
        for name, size in scale.subsets.items():
            if size > drawn:
                yield (
                    f"{where}: subsets.{name}: found {size} images, expected at most {drawn}, which is all that "
                    "world.train_images draws; ask for fewer or draw more"
                )


def _overrides(where: str, scale: Scale) -> Iterator[str]:
    """detectron2 settings that nothing would read, or that contradict what is decided elsewhere."""
    overrides = {"detection.detectron2": scale.detection.detectron2}
    overrides |= {f"backbones.{name}": values for name, values in scale.backbones.items()}
    overrides |= {f"heads.{name}": values for name, values in scale.heads.items()}
    for place, values in overrides.items():
        for name, value in values.items():
            if name in DECIDED:
                yield (
                    f"{where}: {place}.{name}: found {value!r}, expected no value, for this is decided elsewhere: "
                    f"{DECIDED[name]}"
                )
            elif not name.startswith("MODEL."):
                yield (
                    f"{where}: {place}: found {name}, which nothing here takes from detectron2's configuration; "
                    "expected keys of MODEL, such as MODEL.RPN.NMS_THRESH; set rates, sizes and schedules where the "
                    "scale has them"
                )
            elif why := refused(name, value):
                yield (
                    f"{where}: {place}.{name}: found {value!r}, expected what detectron2 takes ({why}); "
                    "correct the key or its value"
                )


def _paths(config: StudyConfig) -> Iterator[str]:
    for kind, paths, exists in (
        # These take over-long names for such that are not there.
        ("file", _named_files(config), os.path.isfile),
        ("folder", _named_folders(config), os.path.isdir),
    ):
        for field, path in paths.items():
            if not exists(path):
                yield f"config.yaml: datasets.{field}: found {path!r}, expected a {kind} that exists; correct the path"


def _weights(config: StudyConfig) -> Iterator[str]:
    """Published weights that cannot be had from where they are said to be."""
    for model, published in config.pretraining.fetch.items():
        source, field = published.source, f"config.yaml: pretraining.fetch.{model}.source"
        scheme, remote, _ = source.partition("://")
        if remote and scheme not in SCHEMES:
            yield f"{field}: found {source!r}, expected a path, or a URL that begins with {', '.join(SCHEMES)}"
        elif remote and not _is_url(source):
            yield f"{field}: found {source!r}, expected a URL with a host and a path; correct it"
        elif not remote and not os.path.isfile(source):
            yield f"{field}: found {source!r}, expected a file that exists, or a URL; correct the path"


def _is_url(text: str) -> bool:
    """Whether a URL leads anywhere; those of files name no host."""
    try:
        url = urlsplit(text)
        at_a_host = url.port != 0 and bool(url.hostname)
    except ValueError:  # of a port or an address that is none
        return False
    return text.isprintable() and " " not in text and bool(url.path) and (at_a_host or url.scheme == "file")


def _same_set(config: StudyConfig) -> Iterator[str]:
    """What is trained on, given as what is evaluated on, too: the AP would be that of images learned by heart."""
    coco, classification = config.datasets.coco, config.datasets.classification
    pairs: dict[str, tuple[str, str]] = {}
    if coco and coco.train and coco.val:
        pairs["coco.val.annotations"] = (coco.train.annotations, coco.val.annotations)
    if coco and coco.keypoints:
        pairs["coco.keypoints.val"] = (coco.keypoints.train, coco.keypoints.val)
    if classification:
        pairs["classification.val"] = (classification.train, classification.val)
    for field, (train, val) in pairs.items():
        if os.path.exists(train) and os.path.exists(val) and Path(train).samefile(val):
            yield (
                f"config.yaml: datasets.{field}: found {val!r}, which is trained on, too; expected another set: what a "
                "model has learned by heart says nothing of it"
            )


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


def _image_sets(coco: CocoDataset) -> list[tuple[str, ImageSet]]:
    """Those that are given, and where in the configuration."""
    given = {"coco.train.": coco.train, "coco.val.": coco.val, "coco.": coco.whole}
    return [(name, each) for name, each in given.items() if each is not None]


def _named_files(config: StudyConfig) -> dict[str, str]:
    coco = config.datasets.coco
    if coco is None:
        return {}
    files = {f"{name}annotations": each.annotations for name, each in _image_sets(coco)}
    if coco.val2014_annotations is not None:
        files["coco.val2014_annotations"] = coco.val2014_annotations
    if coco.keypoints:
        files |= {f"coco.keypoints.{split}": getattr(coco.keypoints, split) for split in ("train", "val")}
    return files


def _named_folders(config: StudyConfig) -> dict[str, str]:
    coco, voc, classification = config.datasets.coco, config.datasets.voc, config.datasets.classification
    folders: dict[str, str] = {}
    if coco:
        folders |= {f"{name}images": each.images for name, each in _image_sets(coco)}
    if voc:
        folders |= {f"voc.train[{number}].folder": part.folder for number, part in enumerate(voc.train)}
        folders["voc.val.folder"] = voc.val.folder
    if classification:
        folders |= {f"classification.{split}": getattr(classification, split) for split in ("train", "val")}
    return folders
