"""Advice: the trainings that tell someone with data of their own whether to pre-train, and from how many images on not.

Both initialisations are trained on nested shares of the images, with several seeds, each for two lengths of which one
is twice the other, which says what more training would add. A budget decides how many shares there are and how long
trainings are, before anything runs. Lengths grow with the square root of the share: fewer images need fewer
iterations, but not in proportion (on a twelfth of COCO's images the paper trains for a third of 2x, section 5.2).
"""

import math
from dataclasses import dataclass, replace

from workflow_scripts.study.compiled.experiments import ADVICE, BOTH, Arm, Experiment
from workflow_scripts.study.compiled.pixels import pixels_detected, pixels_trained
from workflow_scripts.study.compiled.recipes import MODELS, Initialisation
from workflow_scripts.study.compiled.schedules import Schedule, short_schedule
from workflow_scripts.study.configuration.config import StudyConfig
from workflow_scripts.study.configuration.scales import Scale

SHARES = {"all": 1.0, "half": 1 / 2, "quarter": 1 / 4, "eighth": 1 / 8, "sixteenth": 1 / 16}
"""Of the images, largest first: as many of them as the budget has room for."""
FEWEST_SHARES = 2
MOST_X = 6
"""No training is longer than this many x, the length at which the paper's models from random init have caught up."""
LEAST_X = 0.3
"""The longest training is at least this many x: parts of the images are given up for it."""
WARMUPS = 2
"""The shortest training is this many warm-ups long."""
PLANNED = 0.85
"""Of the budget, by the scale's costs: the rest is for jobs of seconds, which have none."""
SHORTEST = 5
"""Iterations in which a rate can drop twice."""
TITLE = "Whether to pre-train, by number of images"


@dataclass(frozen=True)
class Design:
    """What is trained for advice.

    `lengths`: iterations of the longer trainings, by share; the shorter ones are half of that. `seconds`: those of one
    device, a GPU or a core, that all of it takes by the scale's costs.
    """

    experiment: Experiment
    lengths: dict[str, int]
    seeds: tuple[int, ...]
    seconds: float

    @property
    def schedules(self) -> dict[str, Schedule]:
        """By name, such as `half-random`, `half-pretrained` and `half-longer`."""
        found = {}
        for share, length in self.lengths.items():
            short = [f"{share}-{initialisation}" for initialisation in BOTH]
            for name, iterations in (*((each, length // 2) for each in short), (longer(share), length)):
                found[name] = short_schedule(name, iterations).model_copy(update={"whole": True})
        return found


def longer(share: str) -> str:
    """The name of a share's longer schedule, which both initialisations have."""
    return f"{share}-longer"


def design(config: StudyConfig, scale: Scale) -> Design | str:
    """The most shares of the images, and the longest trainings on them, for which there is budget; or why none are."""
    if config.models[0] not in MODELS:
        return f"config.yaml: models: found {config.models[0]}, expected one of {', '.join(MODELS)}"
    budget = PLANNED * 60 * config.advice.minutes * config.advice.devices
    for number in range(len(SHARES), FEWEST_SHARES - 1, -1):
        shares = list(SHARES)[:number]
        fixed, slope = _seconds(config, scale, shares)
        longest = MOST_X * scale.schedule.iterations_per_x
        length = min(longest, math.floor((budget - fixed) / slope)) if slope else longest
        if length >= _least(scale, shares):
            lengths = {share: 2 * round(length * math.sqrt(SHARES[share]) / 2) for share in shares}
            experiment = Experiment(ADVICE, TITLE, tuple(_arms(config, shares)))
            return Design(experiment, lengths, config.advice.seeds, fixed + slope * length)
    fewest = list(SHARES)[:FEWEST_SHARES]
    fixed, slope = _seconds(config, scale, fewest)
    seconds = fixed + slope * _least(scale, fewest)
    needed = math.ceil(seconds / PLANNED / 60 / config.advice.devices)
    return (
        f"config.yaml: advice.minutes: found {config.advice.minutes:g}, expected {needed:,} at least on "
        f"{config.advice.devices} {device(scale)}s (advice.devices), for trainings of some use with "
        f"{len(config.advice.seeds)} seeds at scale {scale.name}; give more, or train on smaller pictures"
    )


def device(scale: Scale) -> str:
    """What trainings run on, in the words of a plan."""
    return "GPU" if scale.resources.train.gpu else "core"


def _least(scale: Scale, shares: list[str]) -> int:
    """Iterations of the longer training on all images, with which the shortest of all is of some use, too."""
    shortest = max(SHORTEST, WARMUPS * scale.detection.warmup.iterations)
    by_shortest = math.ceil(2 * (shortest + 1) / math.sqrt(SHARES[shares[-1]]))
    return max(by_shortest, math.ceil(LEAST_X * scale.schedule.iterations_per_x))


def _arms(config: StudyConfig, shares: list[str]) -> list[Arm]:
    search = config.advice.search
    own: dict[Initialisation, Initialisation | None] = {each: each for each in BOTH}
    usual_search: Initialisation | None = None if search == "none" else "pretrained"
    of_voc = config.datasets.coco is None and config.datasets.voc is not None
    usual = Arm(
        config.models[0],
        "random",
        detector="mask_rcnn" if config.masks and not of_voc else "faster_rcnn",
        train_set="voc" if of_voc else "coco",
        points="end",
        seeds=config.advice.seeds,
    )
    return [
        replace(
            usual,
            initialisation=initialisation,
            subset=share,
            schedules=(f"{share}-{initialisation}", longer(share)),
            searched=own[initialisation] if search == "both" else usual_search,
        )
        for share in shares
        for initialisation in BOTH
    ]


def _seconds(config: StudyConfig, scale: Scale, shares: list[str]) -> tuple[float, float]:
    """Those of one device for all trainings and evaluations: a part that is fixed, and one for each iteration that the
    longer training on all images has."""
    costs, training, evaluating = scale.costs, scale.resources.train, scale.resources.evaluate
    backbone = MODELS[config.models[0]].backbone
    of_training = (training.gpu or training.threads) * training.nodes
    of_evaluation = evaluating.gpu or evaluating.threads
    detection = costs.detection.get(backbone, 0.0) * pixels_detected(config, scale)
    evaluation = (costs.start + detection) * of_evaluation
    evaluation += costs.scoring * (not evaluating.gpu)
    both = len(BOTH) * len(config.advice.seeds)
    further = _searched_points(config, scale)
    runs = len(shares) * (2 * both + further)
    iterations = sum(math.sqrt(SHARES[share]) for share in shares) * (1.5 * both + 0.5 * further)
    fixed = runs * (costs.start * of_training + evaluation)
    if config.models[0] not in config.pretraining.fetch:
        classification = costs.classification.get(backbone, 0.0) * pixels_trained(
            config, scale, "classification"
        )
        fixed += (costs.start + classification * scale.classification.iterations) * of_training
    iteration = costs.iteration.get(backbone, 0.0) * pixels_trained(config, scale, "detection")
    return fixed, iterations * iteration * of_training


def _searched_points(config: StudyConfig, scale: Scale) -> int:
    """Trainings that searches add on each share: of each searched initialisation, all points but the chosen one."""
    grid = scale.search
    points = len(grid.base_lr) * len(grid.decay_factor) * len(grid.shortest_side)
    return {"none": 0, "pretrained": 1, "both": 2}[config.advice.search] * (points - 1)
