"""The command of a training job, in this process: what it trains from, what it takes up, and when it stops."""

import json
import re
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training import (
    TinyWorld,
    metrics,
    segment,
    tiny_recipe,
    tiny_world,
    training_command,
)
from workflow_scripts.errors import Interrupted, UserError
from workflow_scripts.jobs.decision import DECIDED
from workflow_scripts.models.build import backbone_weights, build
from workflow_scripts.models.tensors import save_tensors, tensors_digest
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.segments import Segment
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.examples import detection_examples
from workflow_scripts.training.processes import Processes
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.segment import train_segment
from workflow_scripts.training.state import load_state, write_state
from workflow_scripts.training.train import main

RECIPE = tiny_recipe(batch=2)
PART = segment(0, 4, (2, 3), evaluations=(3, 4))
EVERY = ("--log-period", "1", "--save-period", "2")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def straight(world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of `PART`, trained without the command."""
    folder = tmp_path_factory.mktemp("straight")
    examples = detection_examples(RECIPE, world.annotations, world.images)
    numbers = TrainingNumbers(log_period=1, save_period=2, workers=0)
    alone = Processes(rank=0, count=1, device="cpu")
    state = train_segment(RECIPE, PART, examples, numbers, Progress(folder / "progress"), alone)
    write_state(folder / "state.safetensors", state)
    return digest(folder)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without SLURM, on one thread."""
    for name in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME", DECIDED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)


def digest(folder: Path) -> str:
    state = load_state(folder / "state.safetensors")
    momentum = {f"momentum/{name}": tensor for name, tensor in state.momentum.items()}
    return tensors_digest(state.weights | momentum, {})


class Job:
    """The command, which says what it was told and trains in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: TinyWorld) -> None:
        self.monkeypatch = monkeypatch
        self.world = world

    def __call__(self, folder: Path, *options: object, recipe: Recipe = RECIPE, part: Segment = PART) -> Path:
        command = training_command(folder, recipe, part, self.world, *EVERY, *map(str, options))
        self.monkeypatch.setattr(sys, "argv", command[2:])
        main()
        return folder


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, world: TinyWorld) -> Job:
    return Job(monkeypatch, world)


def test_two_commands_train_what_one_does(job: Job, tmp_path: Path, straight: str) -> None:
    whole = job(tmp_path / "whole")
    assert digest(whole) == straight
    assert [line["iteration"] for line in metrics(whole)] == [1, 2, 3, 4]
    assert sorted(path.name for path in (whole / "checkpoints").iterdir()) == [
        "3.safetensors",
        "4.safetensors",
    ]
    assert not (whole / "progress").exists()
    assert load_state(whole / "state.safetensors").iteration == 4

    trunk = job(tmp_path / "trunk", part=segment(0, 2))
    parent = ("--parent", trunk / "state.safetensors")
    tail = job(tmp_path / "tail", *parent, part=segment(2, 4, (2, 3)))
    assert digest(tail) == straight


def test_a_classifier_trains_on_folders_without_annotations(job: Job, tmp_path: Path) -> None:
    recipe = tiny_recipe("classification", batch=4)
    pictures = job.world.folder / "classification/train"
    command = training_command(tmp_path, recipe, segment(0, 2), job.world, *EVERY)
    place = command.index("--annotations")
    command[place : place + 4] = ["--images", str(pictures)]
    job.monkeypatch.setattr(sys, "argv", command[2:])
    main()

    lines = metrics(tmp_path)
    assert [(line["images"], line["instances"]) for line in lines] == [(4, 4), (4, 4)]
    assert [line["pixels"] for line in lines] == [4 * recipe.image_sides[0] ** 2] * 2


@pytest.fixture(scope="module")
def saved(world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that had trained and saved all when it was killed before it could hand it over."""
    folder = tmp_path_factory.mktemp("saved")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            Job(patch, world)(folder)
    return folder


def test_what_was_saved_is_taken_up(
    job: Job, tmp_path: Path, saved: Path, straight: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    job(tmp_path)
    printed = capsys.readouterr().out
    assert "starting anew" not in printed
    assert "iteration 3/4" not in printed  # nothing is trained again
    assert digest(tmp_path) == straight


def other_annotations(folder: Path, world: TinyWorld) -> list[object]:
    content = json.loads(world.annotations.read_text())
    content["annotations"] = content["annotations"][1:]
    path = folder / "other.json"
    path.write_text(json.dumps(content))
    return ["--annotations", path]


@pytest.mark.parametrize(
    ("recipe", "part", "options"),
    [
        (RECIPE.model_copy(update={"seed": 5}), PART, lambda *_: []),
        (RECIPE, PART.model_copy(update={"evaluations": (4,)}), lambda *_: []),
        (RECIPE, PART, lambda *_: ["--log-period", 4]),
        (RECIPE, PART, other_annotations),
    ],
    ids=["recipe", "segment", "log period", "annotations"],
)
def test_what_was_saved_of_another_training_is_dropped(
    job: Job,
    tmp_path: Path,
    saved: Path,
    capsys: pytest.CaptureFixture[str],
    recipe: Recipe,
    part: Segment,
    options,
) -> None:
    shutil.copytree(saved, tmp_path / "job")
    job.monkeypatch.setattr("workflow_scripts.training.train.train_segment", lambda *_: None)
    job.monkeypatch.setattr(Progress, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        job(tmp_path / "job", *options(tmp_path, job.world), recipe=recipe, part=part)
    assert "starting anew" in capsys.readouterr().out
    assert not list((tmp_path / "job/progress").glob("state-*"))


def test_what_was_saved_from_another_backbone_is_dropped(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe(batch=2, initialisation="pretrained")
    for seed in (0, 1):
        weights = build(tiny_recipe(seed=seed), 10, "cpu").state_dict()
        save_tensors(tmp_path / f"{seed}", backbone_weights(recipe, weights), {})
    job.monkeypatch.setattr(Progress, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    said = []
    for seed in (0, 0, 1):
        with pytest.raises(KeyboardInterrupt):
            job(tmp_path / "job", "--backbone", tmp_path / f"{seed}", recipe=recipe, part=segment(0, 2))
        said.append("starting anew" in capsys.readouterr().out)
    assert said == [False, False, True]


def test_what_was_saved_from_another_parent_is_dropped(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job.monkeypatch.setattr(Progress, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    job.monkeypatch.setattr("workflow_scripts.training.train.train_segment", lambda *_: None)
    said = []
    for number in (0, 0, 1):
        save_tensors(tmp_path / f"{number}", {"weight": torch.tensor([float(number)])}, {})
        with pytest.raises(KeyboardInterrupt):
            job(tmp_path / "job", "--parent", tmp_path / f"{number}", part=segment(4, 6))
        said.append("starting anew" in capsys.readouterr().out)
    assert said == [False, False, True]


WHOLE = Segment(**segment(2, 4).model_dump() | {"parent": None})
STARTS: dict[str, tuple[Segment, list[str], str]] = {
    "start without a parent": (WHOLE, [], "--segment: found start 2 and parent none, expected the names"),
    "parent of a start at 0": (
        PART.model_copy(update={"parent": ("tiny", "trunk-0-2")}),
        [],
        "--segment: found start 0 and parent ('tiny', 'trunk-0-2'), expected",
    ),
    "state for a start at 0": (
        PART,
        ["--parent", "x"],
        "--parent: found x, expected none: segment tail-0-3-4",
    ),
    "no state": (segment(2, 4), [], "--parent: found nothing, expected the state of tiny trunk-0-2"),
    "state that is not there": (
        segment(2, 4),
        ["--parent", "nowhere.safetensors"],
        "nowhere.safetensors: cannot be read as safetensors",
    ),
}


@pytest.mark.parametrize(("part", "options", "told"), STARTS.values(), ids=STARTS)
def test_a_start_from_what_is_not_there_is_refused(
    job: Job, tmp_path: Path, part: Segment, options: list[str], told: str
) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(told)}"):
        job(tmp_path, *options, part=part)
    assert not (tmp_path / "state.safetensors").exists()


@pytest.mark.parametrize(
    "of", [("another", "trunk-0-2"), ("tiny", "tail-0-1-2")], ids=["another recipe", "another segment"]
)
def test_a_state_of_another_training_is_no_parent(job: Job, tmp_path: Path, of: tuple[str, str]) -> None:
    """It would fit, and make another training of this one without a word."""
    saved = job(tmp_path / "trunk", part=segment(0, 2)) / "state.safetensors"
    assert load_state(saved).of == "tiny/trunk-0-2"
    part = segment(2, 4).model_copy(update={"parent": of})
    told = f"^{re.escape(str(saved))}: found a state of tiny/trunk-0-2, expected one of {'/'.join(of)}, from which"
    with pytest.raises(UserError, match=told):
        job(tmp_path / "tail", "--parent", saved, part=part)
    assert not (tmp_path / "tail/state.safetensors").exists()


def test_a_state_that_does_not_say_what_it_is_of_is_taken(job: Job, tmp_path: Path) -> None:
    """Those of before they did."""
    saved = job(tmp_path / "trunk", part=segment(0, 2)) / "state.safetensors"
    write_state(saved, replace(load_state(saved), of=""))
    assert (job(tmp_path / "tail", "--parent", saved, part=segment(2, 4)) / "state.safetensors").exists()


def test_what_another_job_trained_meanwhile_is_taken(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path)
    before = (tmp_path / "state.safetensors").stat().st_mtime_ns
    job.monkeypatch.setenv(DECIDED, str(time.time() - 3600))
    capsys.readouterr()
    job(tmp_path)
    assert "trained by another job in the meantime" in capsys.readouterr().out
    assert (tmp_path / "state.safetensors").stat().st_mtime_ns == before

    for changed, decided in ((RECIPE.model_copy(update={"seed": 1}), -3600), (RECIPE, 3600)):
        job.monkeypatch.setenv(DECIDED, str(time.time() + decided))
        job(tmp_path, recipe=changed)
        assert "done at iteration 4" in capsys.readouterr().out


def test_someone_may_try_again_what_diverged(job: Job, tmp_path: Path) -> None:
    """What tells of it lies in the progress folder until then."""
    recipe = tiny_recipe(base_lr=1e8, batch=2)
    with pytest.raises(UserError, match="training diverged at iteration"):
        job(tmp_path, recipe=recipe, part=segment(0, 20))
    told = tmp_path / "progress/diverged.txt"
    assert "training diverged at iteration" in told.read_text()
    job.monkeypatch.setattr("workflow_scripts.training.train.train_segment", lambda *_: None)
    job.monkeypatch.setattr(Progress, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        job(tmp_path, recipe=recipe, part=segment(0, 20))
    assert not told.exists()


def test_a_job_that_ends_saves_and_the_next_goes_on(
    job: Job, tmp_path: Path, straight: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job.monkeypatch.setenv("SLURM_JOB_ID", "7")
    job.monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 50))
    with pytest.raises(Interrupted, match="saved at iteration 1 of 4"):
        job(tmp_path, "--margin", 60)
    assert load_state(tmp_path / "progress/state-000000001.safetensors").iteration == 1
    capsys.readouterr()

    job.monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 3600))
    job(tmp_path, "--margin", 60)
    assert "iteration 1/4" not in capsys.readouterr().out
    assert digest(tmp_path) == straight
    assert [line["iteration"] for line in metrics(tmp_path)] == [1, 2, 3, 4]
