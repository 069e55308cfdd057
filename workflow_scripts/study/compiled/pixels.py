"""How many times as many pixels a study works on as its scale does, which the scale's costs were measured on."""

from functools import cache

from workflow_scripts.study.configuration.config import StudyConfig, read_scale
from workflow_scripts.study.configuration.scales import Scale


def pixels_detected(config: StudyConfig, scale: Scale) -> float:
    """Times the pixels of an image, by the square of the largest shorter side; 1 where costs are the study's own."""
    if _measured_anew(config, "detection"):
        return 1.0
    ours, own = scale.detection, _own(scale.name).detection
    return (max(ours.image_sides) / max(own.image_sides)) ** 2


def pixels_trained(config: StudyConfig, scale: Scale, task: str) -> float:
    """Times the pixels of a batch of `detection` or `classification`; 1 where costs are the study's own."""
    if _measured_anew(config, task):
        return 1.0
    own = _own(scale.name)
    if task == "classification":
        ours, theirs = scale.classification, own.classification
        return ours.batch / theirs.batch * (ours.image_side / theirs.image_side) ** 2
    return scale.detection.batch / own.detection.batch * pixels_detected(config, scale)


def _measured_anew(config: StudyConfig, section: str) -> bool:
    """Whether sizes are the scale's, or costs were given with them."""
    return section not in config.numbers or "costs" in config.numbers


@cache
def _own(scale: str) -> Scale:
    return read_scale(StudyConfig(scale=scale, experiments=("fig1",)))
