"""Experiments: the runs that one figure or table of the paper reads. Written once, for every scale."""

from dataclasses import dataclass, replace
from typing import Literal

from workflow_scripts.study.compiled.recipes import USUAL, Detector, HyperParameters, Initialisation, TrainSet

Points = Literal["curve", "end", "training"]
Testing = Literal["single_scale", "test_aug"]
Kind = Literal["figure", "table", "advice"]
BOTH: tuple[Initialisation, ...] = ("random", "pretrained")
TRAIN_AUG = HyperParameters(shortest_side=0.8)
"""Shorter side sampled from [640, 800] (paper, section 5.1)."""
SEARCHED_35K = HyperParameters(base_lr=2, decay_factor=0.02, shortest_side=0.64)
"""What the paper found for 35k images: rate 0.04, factor 0.02, shorter side from [512, 800] (paper, Fig. 7)."""
LONGER = ", longer"
"""Ends the setting of runs that go on beyond the length at which the paper quotes a result."""
ADVICE = "advise"
"""The experiment for one's own data: neither figure nor table of the paper."""
SWITCH = 3.0
"""A random init becomes a cascade for the last 270k iterations, which are 3x (paper, Fig. 5)."""


@dataclass(frozen=True)
class Arm:
    """Trainings of one model from one initialisation, as one figure or table reads them.

    `schedules`: None takes all of the study's. `searched`: the initialisation whose search on the same images finds the
    hyper-parameters; None takes those given. `switch`: how much before the end (in x) its trunk is cut, for a random
    init's cascade to leave it there. `points`: which checkpoints are evaluated, the whole `curve`, which tells whether
    a run has converged, or the `end` of each run; or no checkpoint, but its `training`. `seeds`: None takes those of
    the study.
    """

    model: str
    initialisation: Initialisation
    schedules: tuple[str, ...] | None = None
    detector: Detector = "mask_rcnn"
    train_set: TrainSet = "coco"
    subset: str = "all"
    setting: str = "baseline"
    hyper_parameters: HyperParameters = USUAL
    searched: Initialisation | None = None
    switch: float | None = None
    testing: Testing = "single_scale"
    points: Points = "curve"
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Experiment:
    """What a figure or table shows, and the arms it is made from."""

    name: str
    title: str
    arms: tuple[Arm, ...]

    @property
    def kind(self) -> Kind:
        """What it makes: a figure or a table of the paper, or advice."""
        if self.name == ADVICE:
            return "advice"
        return "figure" if self.name.startswith("fig") else "table"

    @property
    def reads_training(self) -> bool:
        """Whether it shows the training itself and no evaluation."""
        return any(arm.points == "training" for arm in self.arms)


def experiments(models: tuple[str, ...], masks: bool = True) -> dict[str, Experiment]:
    """Every experiment by name; `models` are those that the study's tables compare.

    Without `masks` to learn, Faster R-CNN takes Mask R-CNN's place: the same but for the mask head.
    """
    ends = tuple(Arm(model, initialisation, points="end") for model in models for initialisation in BOTH)
    found = (
        Experiment("fig1", "Learning curves of R50-FPN with GN", _both(Arm("R50_GN", "random"))),
        Experiment("fig2", "Images, instances and pixels seen in all of training", _counted()),
        Experiment("fig3", "Learning curves of R101-FPN with GN", _both(Arm("R101_GN", "random"))),
        Experiment("fig4", "Learning curves of R50-FPN with SyncBN", _both(Arm("R50_SyncBN", "random"))),
        Experiment("fig5", "Enhanced baselines", _baselines()),
        Experiment("fig6", "Keypoint AP of R50-FPN with GN", _both(_keypoints("2x", "3x"))),
        Experiment("fig7", "Training with less data", (*_usual(), *_found(), *_both(_searched("10k")))),
        Experiment("fig7_left", "35k images, default hyper-parameters", _usual()),
        Experiment("fig7_middle", "35k images, re-searched hyper-parameters", _found()),
        Experiment("fig7_right", "10k images, re-searched hyper-parameters", _both(_searched("10k"))),
        Experiment("fig8", "Training loss on 1k images", _both(_searched("1k", points="training"))),
        Experiment("table1", "Box AP by schedule", ends),
        Experiment("table2", "Box and mask AP at the best schedule", ends),
        Experiment("table3", "Larger models from random initialisation", _from_scratch()),
        Experiment("text", "Results that the text quotes", _quoted()),
        Experiment("text_longer", "Longer than where the text quotes a result", _longer()),
        Experiment("text_vgg", "VGG-16 without normalisation", _vgg()),
        Experiment("text_voc", "PASCAL VOC", _voc()),
    )
    return {each.name: each if masks else _of_boxes(each) for each in found}


def _of_boxes(experiment: Experiment) -> Experiment:
    arms = (
        replace(arm, detector="faster_rcnn") if arm.detector == "mask_rcnn" else arm
        for arm in experiment.arms
    )
    return replace(experiment, arms=tuple(arms))


def _both(arm: Arm) -> tuple[Arm, ...]:
    """An arm from both initialisations; its short schedule is the initialisation's own."""
    return tuple(_from(arm, initialisation) for initialisation in BOTH)


def _from(arm: Arm, initialisation: Initialisation) -> Arm:
    own = tuple(name.replace(arm.initialisation, initialisation) for name in arm.schedules or ()) or None
    return replace(arm, initialisation=initialisation, schedules=own)


def _counted() -> tuple[Arm, ...]:
    """Fig. 2 compares 2x after pre-training with 6x."""
    fine_tuned, longer = Arm("R50_GN", "pretrained", ("2x",)), Arm("R50_GN", "random", ("6x",))
    return tuple(replace(arm, points="training") for arm in (fine_tuned, longer))


def _enhanced(model: str, initialisation: Initialisation) -> dict[str, Arm]:
    """Fig. 5's four settings by name: train aug takes 9x from random init and 6x after pre-training."""
    random = initialisation == "random"
    plain = Arm(model, initialisation, ("6x",))
    augmented = replace(
        plain,
        schedules=("9x",) if random else ("6x",),
        switch=SWITCH if random else None,
        setting="train aug",
        hyper_parameters=TRAIN_AUG,
    )
    cascade = replace(augmented, detector="cascade_mask_rcnn", setting="cascade + train aug")
    tested = replace(cascade, testing="test_aug", setting="cascade + train aug + test aug", points="end")
    return {arm.setting: arm for arm in (plain, augmented, cascade, tested)}


def _baselines() -> tuple[Arm, ...]:
    """Fig. 5."""
    pairs = [(model, initialisation) for model in ("R50_GN", "R101_GN") for initialisation in BOTH]
    return tuple(arm for pair in pairs for arm in _enhanced(*pair).values())


def _from_scratch() -> tuple[Arm, ...]:
    """Table 3: R101 with train aug, X152 with train aug, cascade and test aug."""
    larger = [arm for setting, arm in _enhanced("X152_GN", "random").items() if setting != "baseline"]
    return (_enhanced("R101_GN", "random")["train aug"], *larger)


def _keypoints(*schedules: str) -> Arm:
    """At shorter sides from [640, 800], as Detectron and detectron2 train all their keypoint detectors."""
    arm = Arm("R50_GN", "random", schedules, detector="keypoint_rcnn", train_set="keypoints")
    return replace(arm, hyper_parameters=TRAIN_AUG)


def _searched(subset: str, searched: Initialisation = "pretrained", points: Points = "curve") -> Arm:
    """Random init on a subset, with the hyper-parameters that a search found for the initialisation `searched`."""
    return Arm(
        "R50_GN",
        "random",
        (f"{subset}-random",),
        subset=subset,
        setting="re-searched hyper-parameters" if searched == "pretrained" else "own grid search",
        searched=searched,
        points=points,
    )


def _usual() -> tuple[Arm, ...]:
    """Fig. 7 left: it overfits, so the end of a longer schedule is no better."""
    schedules = ("2x", "6x")
    return (Arm("R50_GN", "pretrained", schedules, subset="35k", setting="default hyper-parameters"),)


def _found() -> tuple[Arm, ...]:
    """Fig. 7 middle: the same images with the paper's hyper-parameters."""
    setting = "re-searched hyper-parameters"
    arm = Arm("R50_GN", "random", ("6x",), subset="35k", setting=setting, hyper_parameters=SEARCHED_35K)
    return _both(arm)


def _faster(model: str) -> Arm:
    """Faster R-CNN with train aug, from random init."""
    detector: Detector = "faster_rcnn"
    return Arm(model, "random", detector=detector, setting="train aug", hyper_parameters=TRAIN_AUG)


def _vgg() -> tuple[Arm, ...]:
    """11x from random init, 9x after pre-training."""
    random = replace(_faster("VGG-16"), schedules=("11x",))
    return (random, replace(random, initialisation="pretrained", schedules=("9x",)))


def _voc() -> tuple[Arm, ...]:
    """PASCAL VOC with R101."""
    return _both(replace(_faster("R101_GN"), train_set="voc", schedules=("voc-random",)))


def _longer() -> tuple[Arm, ...]:
    """What the text says of training on: VGG-16 by two more x, pre-training on 10k images, random init on VOC.

    Beside the runs that it quotes, so that both can be told apart by their setting.
    """
    random, pretrained = _vgg()
    few = _both(_searched("10k"))
    voc = _voc()
    longer = (
        replace(random, schedules=("13x",)),
        replace(pretrained, schedules=("11x",)),
        replace(few[1], schedules=("10k-longer",)),
        replace(voc[0], schedules=("voc-longer",)),
    )
    return (*_vgg(), *few, *voc, *(replace(arm, setting=f"{arm.setting}{LONGER}") for arm in longer))


def _quoted() -> tuple[Arm, ...]:
    """What the paper says in its text alone, and the other initialisation beside it.

    X152's cascade stands there without test aug as well: along its curve it tells whether it has converged.
    """
    cascades = ("cascade + train aug", "cascade + train aug + test aug")
    return (
        *_both(_keypoints("2x")),
        *_vgg(),
        *(_enhanced("X152_GN", each)[setting] for setting in cascades for each in BOTH),
        *_both(_searched("3.5k")),
        *_both(_searched("1k")),
        _searched("1k", searched="random"),
        *_voc(),
    )
