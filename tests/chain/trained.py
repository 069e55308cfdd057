"""What the study's trainings must have been told, by the names of recipes and segments, and what they wrote."""

import json
from pathlib import Path
from typing import Any

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
    trunk = [f"trunk-{start}-{stop}" for start, stop in zip(cuts, cuts[1:], strict=False)]
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
    """Pre-trained weights, for the first segment of a recipe that starts from them: fetched of R101, trained of others."""
    if recipe["initialisation"] == "random" or segment.split("-")[1] != "0":
        return None
    model = recipe["label"].replace(" ", "_")
    return f"{RESULTS}/pretraining/{'fetch' if model == 'R101_GN' else 'train'}/{model}/backbone.safetensors"


def parent(recipe: Json, segment: str) -> str | None:
    """The state at which a segment goes on: of the same recipe, or of the one whose trunk it leaves.

    A random init's cascade leaves the plain detector's 3x before the end of 9x; another decay leaves at the first drop.
    """
    stage, start, *_ = segment.split("-")
    if start == "0":
        return None
    trunk = recipe["name"]
    if recipe["decay_factor"] != 0.1 and stage == "tail":
        trunk = trunk.replace("-decay0.02", "")
    if recipe["detector"] == "cascade_mask_rcnn" and recipe["initialisation"] == "random" and int(start) == 9 * X - 3 * X:
        trunk = trunk.replace("-cascade", "")
    return f"{RESULTS}/training/{trunk}/trunk-{before(int(start))}-{start}/state.safetensors"


def before(start: int) -> int:
    """Where the piece of trunk began that ends at `start`: at the grid's last cut below it, or at 0."""
    cuts = [0, *range(X - TAIL + X, start, X)]
    return 0 if start in SHORT_DROPS else cuts[-1]


SHORT_DROPS = (4, 6)
"""First drops of the short schedules, whose trunk is one piece."""
