"""What the study's trainings must have been told, by the names of recipes and segments, and what they wrote."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from tests.chain.oracle import length
from tests.chain.study import TAIL, ChainStudy, X, read

RESULTS = "results/smoke"
Json = dict[str, Any]


def metrics(study: ChainStudy, recipe: str, segment: str) -> list[Json]:
    """The lines of metrics of a segment."""
    text = (study.results / f"training/{recipe}/{segment}/metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def chain(recipe: str, schedule: str) -> list[tuple[str, str]]:
    """The segments of a run of multiples of x that shares its trunk with no other recipe."""
    first, second, end = length(schedule)
    cuts = [0, *range(X - TAIL + X, first, X), first]
    trunk = [f"trunk-{start}-{stop}" for start, stop in itertools.pairwise(cuts)]
    return [(recipe, segment) for segment in (*trunk, f"tail-{first}-{second}-{end}")]


def record(state: Path) -> Json:
    """The record of the job that made a state."""
    return read(state.with_name("metrics.jsonl.record.json"))


def words(state: Path) -> dict[str, str]:
    """The options of the command that made a state, by its record."""
    _, _, module, *rest = record(state)["command"]
    assert module == "workflow_scripts.training.train"
    return dict(zip(rest[::2], rest[1::2], strict=True))


def annotations(study: ChainStudy, recipe: Json) -> str | None:
    """The file that a recipe must be trained on; none of pictures to classify."""
    if recipe.get("subset", "all") != "all":
        return f"{RESULTS}/data/subsets/instances_{recipe['subset']}.json"
    return {
        "coco": f"{study.data}/coco/instances_train.json",
        "keypoints": f"{study.data}/coco/person_keypoints_train.json",
        "voc": f"{RESULTS}/data/voc/train.json",
        "classification": None,
    }[recipe["train_set"]]


def images(study: ChainStudy, recipe: Json) -> str:
    """The folder of those images."""
    folder = {"voc": "voc", "classification": "classification/train"}.get(recipe["train_set"], "coco/train")
    return f"{study.data}/{folder}"


def backbone(recipe: Json, segment: str) -> str | None:
    """Pre-trained weights, for the first segment of a recipe that starts from them: R101's fetched, others trained."""
    if recipe["initialisation"] == "random" or segment.split("-")[1] != "0":
        return None
    model = recipe["label"].replace(" ", "_")
    return f"{RESULTS}/pretraining/{'fetch' if model == 'R101_GN' else 'train'}/{model}/backbone.safetensors"


def parent(recipe: Json, segment: str) -> str | None:
    """The state at which a segment goes on: of the same recipe, or of the one whose trunk it leaves.

    A random init's cascade leaves the plain detector's trunk, and another decay leaves at the first drop.
    """
    stage, start = segment.split("-")[0], int(segment.split("-")[1])
    if start == 0:
        return None
    switches = recipe["detector"].endswith("mask_rcnn") and recipe["initialisation"] == "random"
    switches &= recipe["train_set"] == "coco" and "-side0.8-" in recipe["name"]
    trunk = recipe["name"]
    if recipe["decay_factor"] != 0.1 and stage == "tail":
        trunk = trunk.replace("-decay0.02", "")
    if switches and start == SWITCH:
        trunk = trunk.replace("-cascade", "")
    cuts = [0, *range(X - TAIL + X, start, X), *([SWITCH] if switches and start > SWITCH else [])]
    begin = 0 if start in SHORT_DROPS else max(cuts)
    return f"{RESULTS}/training/{trunk}/trunk-{begin}-{start}/state.safetensors"


SHORT_DROPS = (4, 6)
"""First drops of the short schedules, whose trunk is one piece."""
SWITCH = 9 * X - 3 * X
"""Where a random init of 9x leaves the plain detector's trunk to go on as a cascade."""


def handed_over(study: ChainStudy, recipe: Json) -> dict[str, Tensor]:
    """What a ResNet starts from, by the names of its states: published weights for R101, or a classifier's."""
    ours = "weights/backbone.bottom_up."
    model = recipe["label"].replace(" ", "_")
    if model == "R101_GN":
        return {f"{ours}{name}": value for name, value in study.fetched.items()}
    state = load_file(study.results / f"training/classification-{model}/cosine-0-6/state.safetensors")
    theirs = "weights/backbone."
    return {name.replace(theirs, ours): value for name, value in state.items() if name.startswith(theirs)}


def rate(recipe: str, segment: str, iteration: int) -> float:
    """The learning rate of an iteration, from 0, by the names of recipe and segment and the smoke scale's numbers."""
    stage, *cuts = segment.split("-")
    if stage == "cosine":
        base, warm, drops, factor = 0.02 if "VGG" in recipe else 0.05, 2, [], 1.0
        base *= (1 + math.cos(math.pi * iteration / int(cuts[1]))) / 2
    else:
        base, warm = 0.02 if "-lr2" in recipe else 0.01, 3
        drops = [int(cut) for cut in cuts[:2]] if stage == "tail" else []
        factor = 0.02 if "-decay0.02" in recipe else 0.1
    warming = 0.1 + 0.9 * iteration / warm if iteration < warm else 1.0
    return base * warming * factor ** sum(iteration >= drop for drop in drops)


def pixels(width: int, height: int, side: int) -> int:
    """Of an image scaled as detectron2 does, its shorter side to `side` unless the longer would be longer than that."""
    scale = side / max(width, height)
    return int(width * scale + 0.5) * int(height * scale + 0.5)
