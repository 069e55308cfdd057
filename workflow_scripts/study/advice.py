"""What a person is told of advice before it runs, and what its page says was done."""

from workflow_scripts.study.compiled.advice import Design, device
from workflow_scripts.study.configuration.config import StudyConfig
from workflow_scripts.study.configuration.scales import Scale
from workflow_scripts.study.words import count, duration


def facts(found: Design | None, config: StudyConfig, scale: Scale) -> list[str]:
    """What was done, for the page; nothing where the budget buys nothing."""
    return [] if found is None else [_pretraining(config), f"{in_words(found, config, scale)}."]


def in_words(found: Design, config: StudyConfig, scale: Scale) -> str:
    """What a person is told before anything runs: what the budget buys."""
    devices = config.advice.devices
    lengths = ", ".join(f"{length:,} on {_of_images(share)}" for share, length in found.lengths.items())
    return (
        f"Advice within {duration(60 * config.advice.minutes)} on {count(devices, device(scale))}: both "
        f"initialisations, {count(len(found.seeds), 'seed')}, iterations: {lengths}, and half of each; "
        f"{duration(found.seconds / devices)} planned"
    )


def _pretraining(config: StudyConfig) -> str:
    """What pre-training is in this advice, and what it is not: for the page."""
    model = config.models[0]
    if model in config.pretraining.fetch:
        return f"Pre-training is the published weights {config.pretraining.fetch[model].source}."
    if config.datasets.classification is not None:
        return f"Pre-training is a classifier trained here on the pictures of {config.datasets.classification.train}."
    if config.cropped:
        return (
            "Pre-training is a classifier trained here on the objects of the training images themselves, cut out. It "
            "has seen no other pictures, so this says nothing about weights from ImageNet: name some under "
            "pretraining.fetch, or pictures under datasets.classification, to ask about them."
        )
    return "Pre-training is a classifier trained here on pictures of the miniature world."


def _of_images(share: str) -> str:
    return "all images" if share == "all" else f"{'an' if share[0] in 'aeiou' else 'a'} {share}"
