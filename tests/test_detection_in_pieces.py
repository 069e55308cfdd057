"""A detection that is killed or stops in time goes on, and ends in the bytes of one that was not disturbed."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from tests.training import REPOSITORY, TinyWorld, mixed_sizes, tiny_recipe, tiny_world
from workflow_scripts.errors import Interrupted
from workflow_scripts.evaluation import detect as detection
from workflow_scripts.evaluation.pieces import joined
from workflow_scripts.models.build import build
from workflow_scripts.models.tensors import save_tensors
from workflow_scripts.training.examples import coco_records

ITERATIONS = (3, 6)
IMAGES = 4
"""Of the world: each of a size of its own, so each a batch, and a piece."""
PIECES = IMAGES * len(ITERATIONS)
KILLED = """
import os, signal
from workflow_scripts.evaluation import detect, pieces

keep = pieces.Pieces.keep
names = []

def keep_and_die(self, name, results):
    content = keep(self, name, results)
    names.append(name)
    if len(names) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return content

pieces.Pieces.keep = keep_and_die
detect.main()
"""
"""A detection that is killed in its second checkpoint."""

Detect = Callable[[], int]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    world = tiny_world(tmp_path_factory.mktemp("world"))
    mixed_sizes(world)
    return world


@pytest.fixture(scope="module")
def checkpoints(world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights and a recipe that they fit."""
    folder = tmp_path_factory.mktemp("checkpoints")
    recipe = tiny_recipe()
    detects = {**recipe.detectron2, "MODEL.ROI_HEADS.SCORE_THRESH_TEST": 0.0}
    _, classes = coco_records(world.val_annotations, world.val_images)
    for seed in ITERATIONS:
        recipe = recipe.model_copy(update={"detectron2": detects, "seed": seed})
        save_tensors(folder / f"{seed}.safetensors", build(recipe, len(classes), "cpu").state_dict(), {})
    (folder / "recipe.json").write_text(recipe.model_dump_json())
    return folder


@pytest.fixture
def words(world: TinyWorld, checkpoints: Path, tmp_path: Path) -> list[str]:
    """The options of a detection with test augmentation."""
    shutil.copytree(checkpoints, tmp_path, dirs_exist_ok=True)
    options = {
        "--recipe": tmp_path / "recipe.json",
        "--checkpoints": tmp_path,
        "--annotations": world.val_annotations,
        "--images": world.val_images,
        "--output": tmp_path / "out/detections",
        "--code": detection.__file__,
        "--piece": 1,
    }
    named = [str(word) for pair in options.items() for word in pair]
    return [
        *named,
        "--iterations",
        *map(str, ITERATIONS),
        "--test-aug-sides",
        "32",
        "40",
        "--test-aug-longest",
        "64",
    ]


@pytest.fixture
def detect(words: list[str], monkeypatch: pytest.MonkeyPatch) -> Detect:
    """Run the command, and tell how many pieces it detected."""
    detected = []
    once = detection.Detector.detect

    def counted(self, weights, batches):
        detected.append(weights)
        return once(self, weights, batches)

    def run() -> int:
        detected.clear()
        monkeypatch.setattr(sys, "argv", ["detect", *words])
        with suppress(Interrupted):
            detection.main()
        return len(detected)

    monkeypatch.setattr(detection.Detector, "detect", counted)
    return run


@pytest.fixture(scope="module")
def undisturbed(world: TinyWorld, checkpoints: Path) -> dict[str, bytes]:
    """What there must be at the end: of each checkpoint, all that is detected in one go."""
    recipe = detection.read_recipe(checkpoints / "recipe.json")
    files = world.val_annotations, world.val_images, "cpu", detection.Augmentation((32, 40), 64)
    weights = [checkpoints / f"{iteration}.safetensors" for iteration in ITERATIONS]
    found = list(detection.detect_each(recipe, weights, *files))
    assert len({result["image_id"] for result in found[0]}) == IMAGES
    assert found[0] != found[1]
    option = orjson.OPT_SERIALIZE_NUMPY
    return {
        f"{path.stem}.json": orjson.dumps(results, option=option)
        for path, results in zip(weights, found, strict=True)
    }


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "out/detections").iterdir()}


def test_a_killed_detection_goes_on(
    words: list[str], detect: Detect, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, *words], cwd=REPOSITORY, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "out/detections").exists()
    assert detect() == PIECES - 5
    assert made(tmp_path) == undisturbed
    assert [path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")] == [
        "detections"
    ]


def test_a_detection_stops_before_its_job_ends(
    detect: Detect, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the job, it detects on something: one piece, for it cannot tell before how long that takes."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 50))
    for _ in range(PIECES - 1):
        assert detect() == 1
        assert not (tmp_path / "out/detections").exists()
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 3600))
    assert detect() == 1
    assert made(tmp_path) == undisturbed


@pytest.mark.parametrize("changed", ["weights", "sides", "code"])
def test_what_another_detection_kept_is_not_taken(
    words: list[str], detect: Detect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    code = tmp_path / "code.py"
    code.write_text("before")
    words[words.index("--code") + 1] = str(code)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time()))
    assert detect() == 1
    if changed == "weights":
        (tmp_path / "3.safetensors").write_bytes((tmp_path / "6.safetensors").read_bytes())
    elif changed == "code":
        code.write_text("after")
    else:
        words[words.index("40")] = "48"
    monkeypatch.delenv("SLURM_JOB_ID")
    assert detect() == PIECES


def test_pieces_without_detections_leave_no_trace() -> None:
    parts = [[], [{"a": 1}, {"b": 2}], [], [{"c": 3}]]
    for first in range(len(parts) + 1):
        some = parts[first:]
        assert joined(orjson.dumps(part) for part in some) == orjson.dumps(
            [each for part in some for each in part]
        )
