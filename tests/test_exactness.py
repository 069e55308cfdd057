"""The property everything rests on: training is a function of (recipe, iteration), however it is cut or killed."""

import filecmp
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training import (
    REPOSITORY,
    TinyWorld,
    metrics,
    run,
    run_here,
    segment,
    tiny_recipe,
    tiny_world,
    training_command,
)
from workflow_scripts.errors import UserError
from workflow_scripts.models.tensors import load_tensors, tensors_digest
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.segments import Segment
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.examples import Examples, detection_examples
from workflow_scripts.training.processes import Processes
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.segment import train_segment
from workflow_scripts.training.state import State, load_state, write_state
from workflow_scripts.training.train import main

ALONE = Processes(rank=0, count=1, device="cpu")
NUMBERS = TrainingNumbers(log_period=2, save_period=4, workers=0)
DROPS = (8, 10)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return tiny_recipe()


@pytest.fixture(scope="module")
def examples(recipe: Recipe, world: TinyWorld) -> Examples:
    return detection_examples(recipe, world.annotations, world.images)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums depend on how many threads share them: a study fixes that with its resources."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(
    recipe: Recipe,
    part: Segment,
    examples: Examples,
    folder: Path,
    parent: State | None = None,
    numbers: TrainingNumbers = NUMBERS,
) -> State:
    """The final state of a segment, trained in this process."""
    parent_file = None
    if parent is not None:
        folder.mkdir(exist_ok=True)
        parent_file = folder / "parent.safetensors"
        write_state(parent_file, parent)
    return train_segment(recipe, part, examples, numbers, Progress(folder / "progress"), ALONE, parent_file)


def digest(state: State) -> str:
    return tensors_digest(
        {f"w/{k}": v for k, v in state.weights.items()} | {f"m/{k}": v for k, v in state.momentum.items()}, {}
    )


@pytest.fixture(scope="module")
def straight(recipe: Recipe, examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of a run that is never cut: to iteration 12, with drops at 8 and 10."""
    return digest(train(recipe, segment(0, 12, DROPS), examples, tmp_path_factory.mktemp("straight")))


def test_straight_run_equals_trunk_and_tail(recipe, examples, straight, tmp_path):
    first = train(recipe, segment(0, 3), examples, tmp_path / "a")
    trunk = train(recipe, segment(3, 8), examples, tmp_path / "b", first)
    tail = train(recipe, segment(8, 12, DROPS, after=3), examples, tmp_path / "c", trunk)
    assert digest(tail) == straight
    assert digest(trunk) != straight


def test_another_seed_trains_to_other_weights(examples, straight, tmp_path):
    other = train(tiny_recipe(seed=1), segment(0, 12, DROPS), examples, tmp_path)
    assert digest(other) != straight


def test_saving_logging_and_loading_do_not_change_the_weights(recipe, examples, straight, tmp_path):
    numbers = TrainingNumbers(log_period=3, save_period=6, workers=2)
    part = segment(0, 12, DROPS, evaluations=(5, 12))
    assert digest(train(recipe, part, examples, tmp_path, numbers=numbers)) == straight


def test_classification_continues_bit_for_bit(world, tmp_path):
    from workflow_scripts.training.examples import classification_examples

    recipe = tiny_recipe("classification")
    pictures = classification_examples(recipe, world.folder / "classification/train")
    whole = train(recipe, segment(0, 6), pictures, tmp_path / "whole")
    half = train(recipe, segment(0, 3), pictures, tmp_path / "half")
    assert digest(train(recipe, segment(3, 6), pictures, tmp_path / "rest", half)) == digest(whole)


def test_killed_jobs_end_in_the_same_bits(recipe, world, tmp_path):
    part = segment(0, 16, (12, 14), evaluations=(6, 16))
    options = ("--log-period", "2", "--save-period", "4")
    undisturbed = run(training_command(tmp_path / "undisturbed", recipe, part, world, *options))
    assert undisturbed.returncode == 0, undisturbed.stderr

    killed = training_command(tmp_path / "killed", recipe, part, world, *options)
    draw = random.Random(0)
    for _ in range(3):
        _kill_after(killed, lines=draw.randint(1, 4))
    finished = run(killed)
    assert finished.returncode == 0, finished.stderr

    for name in (
        "state.safetensors",
        "metrics.jsonl",
        "checkpoints/6.safetensors",
        "checkpoints/16.safetensors",
    ):
        left, right = (tmp_path / folder / name for folder in ("undisturbed", "killed"))
        assert filecmp.cmp(left, right, shallow=False), name
    assert [line["iteration"] for line in metrics(tmp_path / "killed")] == list(range(2, 17, 2))
    assert not (tmp_path / "killed/progress").exists()


def _kill_after(command: list[str], lines: int) -> None:
    """Start a job and kill it, with signal 9, once it has printed so many lines of progress."""
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        for line in job.stdout:
            lines -= "iteration" in line and "left" in line
            if lines <= 0:
                job.send_signal(signal.SIGKILL)
                break
    assert job.returncode == -signal.SIGKILL


@pytest.mark.parametrize("damage", ["cut off", "altered"])
def test_a_damaged_save_gives_way_to_the_one_before(recipe, examples, straight, tmp_path, damage):
    part = segment(0, 12, DROPS)
    train(recipe, segment(0, 8), examples, tmp_path)
    progress = Progress(tmp_path / "progress")
    older, newest = sorted(progress.folder.glob("state-*.safetensors"))
    assert load_state(older).iteration == 4
    content = bytearray(newest.read_bytes())
    if damage == "altered":
        content[-1] ^= 1
    newest.write_bytes(content[: len(content) // 2] if damage == "cut off" else content)
    resumed = train_segment(recipe, part, examples, NUMBERS, progress, ALONE)
    assert digest(resumed) == straight
    assert [line["iteration"] for line in metrics(progress.folder)] == [2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("norm", ["GN", "SyncBN"])
def test_two_processes_see_the_same_batches_and_agree_in_loss(world, tmp_path, norm):
    # Pictures of one size: detectron2 pads a process's batch to its largest picture.
    recipe = tiny_recipe(image_sides=(48,), norm=norm)
    part = segment(0, 4)
    one = run(training_command(tmp_path / "one", recipe, part, world, "--log-period", "1"))
    two = run(
        training_command(tmp_path / "two", recipe, part, world, "--log-period", "1", "--processes", "2")
    )
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    left, right = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert len(left) == len(right) == 4
    for alone, shared in zip(left, right, strict=True):
        assert {
            name: alone[name] for name in ("iteration", "images", "instances", "pixels", "learning_rate")
        } == {name: shared[name] for name in ("iteration", "images", "instances", "pixels", "learning_rate")}
        for name in ("loss_cls", "loss_box_reg", "loss_mask", "loss_rpn_cls", "loss_rpn_loc"):
            assert shared[name] == pytest.approx(alone[name], rel=1e-3, abs=1e-5), name
    weights = [load_state(tmp_path / name / "state.safetensors").weights for name in ("one", "two")]
    for name, tensor in weights[0].items():
        if name.endswith(("num_batches_tracked", "running_var")):
            continue  # the naive SyncBN does not count, and its running variance is the biased one
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_saves_of_another_training_are_dropped(recipe, examples, straight, tmp_path):
    folder = tmp_path / "progress"
    train_segment(
        tiny_recipe(base_lr=0.02), segment(0, 8), examples, NUMBERS, Progress(folder, "rate 0.02"), ALONE
    )
    part = segment(0, 12, DROPS)
    assert Progress(folder, "rate 0.02").latest() is not None
    assert (
        digest(train_segment(recipe, part, examples, NUMBERS, Progress(folder, "rate 0.01"), ALONE))
        == straight
    )


@pytest.mark.parametrize("processes", ["1", "2"])
def test_divergence_stops_with_one_message_and_keeps_the_last_state(world, tmp_path, processes):
    recipe = tiny_recipe(base_lr=1e8)
    options = ("--log-period", "1", "--save-period", "1", "--processes", processes)
    job = run(training_command(tmp_path, recipe, segment(0, 20), world, *options))
    assert job.returncode == 2
    assert "Traceback" not in job.stderr
    assert job.stderr.count("training diverged at iteration") == 1
    assert "learning rate" in job.stderr
    assert list((tmp_path / "progress").glob("state-*.safetensors"))
    assert not (tmp_path / "state.safetensors").exists()


def test_a_parent_of_another_iteration_is_refused(recipe, examples, tmp_path):
    parent = train(recipe, segment(0, 2), examples, tmp_path / "parent")
    with pytest.raises(UserError, match="found a state of iteration 2, expected 3"):
        train(recipe, segment(3, 4), examples, tmp_path / "child", parent)


def test_a_killed_writer_leaves_nothing_in_the_outputs_and_the_state_is_not_written_again(
    tmp_path, monkeypatch
):
    folder = tmp_path / "progress"
    progress = Progress(folder)
    state = State(4, {"weight": torch.ones(2)}, {})
    progress.save_checkpoint(4, state.weights)
    (progress.checkpoints / ".4.safetensors.half.safetensors").write_bytes(b"half")
    progress = Progress(folder)
    progress.save(state, [{"iteration": 4}])
    saved = folder / "state-000000004.safetensors"
    inode, content = saved.stat().st_ino, saved.read_bytes()
    progress.finish(4, tmp_path / "state.safetensors", tmp_path / "metrics.jsonl", tmp_path / "checkpoints")
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["4.safetensors"]
    assert (tmp_path / "state.safetensors").stat().st_ino == inode
    assert not folder.exists()

    # Some file systems know no hard links.
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError("no links here")))
    progress = Progress(folder)
    progress.save_checkpoint(4, state.weights)
    progress.save(state, [{"iteration": 4}])
    progress.finish(4, tmp_path / "copy.safetensors", tmp_path / "metrics.jsonl", tmp_path / "copies")
    assert (tmp_path / "copy.safetensors").read_bytes() == content
    assert load_tensors(tmp_path / "copies/4.safetensors")[1] == {"iteration": "4"}


@pytest.mark.parametrize(("training", "taken_back"), [("this one", True), ("another", False)])
def test_what_was_done_is_taken_back_by_the_same_training_alone(tmp_path, training, taken_back):
    folder = tmp_path / "segment.progress"
    first = Progress(folder, "this one")
    first.save(State(4, {"weight": torch.ones(2)}, {}), [{"iteration": 4}])
    first.finish(4, tmp_path / "state.safetensors", tmp_path / "metrics.jsonl", tmp_path / "checkpoints")
    again = Progress(folder, training)
    assert (again.taken_back, again.latest() is not None) == (taken_back, taken_back)


@pytest.mark.parametrize(
    ("initialisation", "start", "options", "message"),
    [
        (
            "pretrained",
            0,
            [],
            "--backbone: found nothing for segment trunk-0-4 .*, expected pre-trained weights",
        ),
        ("random", 0, ["--backbone", "b"], "--backbone: found b for segment trunk-0-4 .*, expected none"),
        ("random", 2, [], "--parent: found nothing, expected the state of tiny trunk-0-2"),
        ("pretrained", 2, ["--parent", "p", "--backbone", "b"], "--backbone: found b .*, expected none"),
    ],
)
def test_a_training_starts_from_what_its_recipe_says(
    world, tmp_path, initialisation, start, options, message
):
    recipe = tiny_recipe(initialisation=initialisation)
    with pytest.raises(UserError, match=message):
        run_here(training_command(tmp_path, recipe, segment(start, 4), world, *options))
    assert not (tmp_path / "progress").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--segment", '{"recipe": "tiny"}', "--segment: found no segment: stage: Field required"),
        (
            "--annotations",
            "nowhere.json",
            "--annotations: found nowhere.json, expected the COCO annotation file",
        ),
    ],
)
def test_wrong_arguments_are_refused_without_a_traceback(
    recipe, world, tmp_path, monkeypatch, option, value, message
):
    command = training_command(tmp_path, recipe, segment(0, 2), world, option, value)
    monkeypatch.setattr(sys, "argv", command[2:])
    with pytest.raises(UserError, match=message):
        main()
