"""Jobs that end early, in whichever way, lose nothing: the segment ends in the bits of one that was left alone."""

import filecmp
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
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
from workflow_scripts.errors import INTERRUPTED, MISTAKE, Interrupted
from workflow_scripts.jobs.record import ENDING
from workflow_scripts.jobs.sheet import Sheet, write_sheet
from workflow_scripts.models.build import backbone_weights, build
from workflow_scripts.models.tensors import save_tensors, tensors_digest
from workflow_scripts.training.lock import Superseded
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.state import State, load_state, write_state

OPTIONS = ("--log-period", "2", "--save-period", "4")
PART = segment(0, 40, (32, 36), evaluations=(20, 40))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def undisturbed(world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job that was left alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(training_command(folder, tiny_recipe(), PART, world, *OPTIONS))
    assert done.returncode == 0, done.stderr
    return folder


def job(folder: Path, world: TinyWorld, *options: str) -> list[str]:
    return training_command(folder, tiny_recipe(), PART, world, *OPTIONS, *options)


def same(left: Path, right: Path) -> None:
    for name in (
        "state.safetensors",
        "metrics.jsonl",
        "checkpoints/20.safetensors",
        "checkpoints/40.safetensors",
    ):
        assert filecmp.cmp(left / name, right / name, shallow=False), name
    assert not (right / "progress").exists()
    assert not list(right.glob("*.lock*"))


@pytest.mark.parametrize("processes", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_job_saves_before_its_end_and_says_so(
    world: TinyWorld, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time()))
    part = job(tmp_path, world, "--processes", processes)
    ended = run(part)
    assert ended.returncode == INTERRUPTED, ended.stderr
    assert "saved at iteration 2 of 40 and stopped" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "progress/state-000000002.safetensors").exists()
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 3600))
    finished = run(part)
    assert finished.returncode == 0, finished.stderr
    assert [line["iteration"] for line in metrics(tmp_path)] == list(range(2, 41, 2))
    if processes == "1":
        same(undisturbed, tmp_path)


def other_data(what: str, world: TinyWorld, folder: Path, seed: int) -> list[str]:
    """Options that give a job one of two kinds of what it reads."""
    if what == "annotations":
        content = json.loads(world.annotations.read_text())
        content["annotations"] = content["annotations"][seed::2]
        path = folder / f"{seed}.json"
        path.write_text(json.dumps(content))
        return ["--annotations", str(path)]
    path = folder / f"{seed}.safetensors"
    weights = build(tiny_recipe(seed=seed), 10, "cpu").state_dict()
    if what == "parent":
        write_state(path, State(4, weights, {}))
    else:
        save_tensors(path, backbone_weights(tiny_recipe(), weights), {})
    return [f"--{what}", str(path)]


@pytest.mark.parametrize("what", ["annotations", "parent", "backbone"])
def test_saves_of_other_data_are_not_resumed(
    world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    start = 4 if what == "parent" else 0
    part = segment(start, start + 4)
    first, second = (other_data(what, world, tmp_path, seed) for seed in (0, 1))

    recipe = tiny_recipe(initialisation="pretrained" if what == "backbone" else "random")

    def train(folder: str, options: list[str]) -> str:
        path = tmp_path / folder
        run_here(training_command(path, recipe, part, world, *OPTIONS, *options))
        return tensors_digest(dict(load_state(path / "state.safetensors").weights), {})

    with monkeypatch.context() as late:
        late.setenv("SLURM_JOB_ID", "1")
        late.setenv("SLURM_JOB_END_TIME", str(time.time()))
        with pytest.raises(Interrupted, match=f"saved at iteration {start + 2} of {start + 4}"):
            train("changed", first)
    resumed = train("changed", second)
    assert resumed == train("anew", second)
    assert resumed != train("other", first)


def test_a_newer_job_takes_over_from_one_that_still_runs(
    world: TinyWorld, undisturbed: Path, tmp_path: Path
) -> None:
    part = job(tmp_path, world)
    older = subprocess.Popen(part, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert older.stdout is not None
    while "iteration 4/40" not in older.stdout.readline():
        assert older.poll() is None
    older.send_signal(signal.SIGSTOP)  # else it may be done before the newer job asks
    newer = subprocess.Popen(part, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert newer.stdout is not None
    said = ""
    while "asking its owner" not in said:
        assert newer.poll() is None
        said += newer.stdout.readline()
    older.send_signal(signal.SIGCONT)
    output, errors = newer.communicate(timeout=300)
    said += output
    assert older.wait() == INTERRUPTED
    assert newer.returncode == 0, errors
    assert "asking its owner" in said
    assert "iteration 4/40" not in said
    same(undisturbed, tmp_path)


def files(folder: Path) -> dict[Path, bytes]:
    """All that lies in a folder, but for hidden files."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path: path.read_bytes() for path in found}


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True], ids=["while another trains", "when another is done"])
def test_a_job_that_was_taken_for_dead_writes_nothing_more(
    world: TinyWorld, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    """It fails, if the outputs are not there yet, and else ends well: Snakemake removes nothing of such a job."""
    monkeypatch.setenv("STUDY_DECIDED", str(time.time()))
    part = job(tmp_path, world)
    silent = subprocess.Popen(part, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert silent.stdout is not None
    while "iteration 8/40" not in silent.stdout.readline():
        assert silent.poll() is None
    status = tmp_path / "progress/status.json"
    while json.loads(status.read_text())["iteration"] < 10:  # after which nothing is saved: it computes
        assert silent.poll() is None
    silent.send_signal(signal.SIGSTOP)
    while psutil.Process(silent.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    lock = tmp_path / "progress.lock"
    if done:
        os.utime(lock, (0, 0))  # silent for long
        newer = run(part)
        assert "taking over" in newer.stdout
        assert newer.returncode == 0, newer.stderr
    else:
        lock.write_text(json.dumps(json.loads(lock.read_text()) | {"token": "another job's"}))
    before = files(tmp_path)
    silent.send_signal(signal.SIGCONT)
    output, errors = silent.communicate(timeout=300)
    assert silent.returncode == (0 if done else INTERRUPTED), errors
    assert "by another job" in (output if done else errors)
    assert files(tmp_path) == before
    if done:
        same(undisturbed, tmp_path)


@pytest.mark.slow
def test_what_another_job_finished_in_the_meantime_is_taken_as_it_is(
    world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.time()
    part = job(tmp_path, world)
    outputs = [tmp_path / name for name in ("metrics.jsonl", "state.safetensors", "checkpoints")]
    sheet = Sheet("train", {}, [], list(map(str, outputs)), {"scale": "tiny", "wildcards": {}})
    write_sheet(tmp_path, sheet)
    recorded = [*part, "--job", str(tmp_path / sheet.name)]
    assert run(recorded).returncode == 0
    written = outputs[1].stat().st_ino
    record = tmp_path / f"metrics.jsonl{ENDING}"
    made = record.read_bytes()
    monkeypatch.setenv("STUDY_DECIDED", str(began))
    (tmp_path / "progress").mkdir()  # of a job that was killed between its outputs and its spare
    again = run(recorded)
    assert (again.returncode, "in the meantime" in again.stdout) == (0, True), again.stderr
    assert not (tmp_path / "progress").exists()
    assert outputs[1].stat().st_ino == written
    assert record.read_bytes() == made, "the record of the job that trained it stands"

    # Snakemake removed the outputs, for it never took note that they were made.
    monkeypatch.setenv("STUDY_DECIDED", str(time.time()))
    for path in outputs:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = run(recorded)
    assert (again.returncode, "iteration 2/40" in again.stdout) == (0, False), again.stderr
    assert outputs[1].stat().st_ino == written
    assert record.read_bytes() == made

    monkeypatch.setenv("STUDY_DECIDED", str(time.time()))
    shutil.rmtree(tmp_path / "progress.spare")
    assert "iteration 2/40" in run(part).stdout, "someone asked for it to be trained again"
    assert outputs[1].stat().st_ino != written


def test_lines_of_metrics_that_were_altered_are_trained_again(
    world: TinyWorld, undisturbed: Path, tmp_path: Path
) -> None:
    """In processes of their own: with other threads than `undisturbed` had, sums are others."""
    python, _, _, *arguments = job(tmp_path, world)
    killed = (
        "from workflow_scripts.training import progress, train\n"
        "progress.Progress.finish = lambda *_: exit(1)\n"
        "train.main()"
    )
    assert run([python, "-c", killed, *arguments]).returncode == 1
    path = tmp_path / "progress/metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[18] = lines[18].replace(b'"loss": ', b'"loss": 1')  # that of iteration 38; 36 and 40 were saved
    path.write_bytes(b"".join(lines))
    finished = run(job(tmp_path, world))
    assert finished.returncode == 0, finished.stderr
    assert "cut or altered since state-000000040" in finished.stdout
    assert "iteration 36/40" not in finished.stdout
    assert "iteration 38/40" in finished.stdout
    same(undisturbed, tmp_path)


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b'{"iteration": 10}\n{"iteration": 20}\n', 20),
        (
            b'{"iteration": 10}\n{"iteration": 20}\n{"iteration": 30}\n',
            20,
        ),  # killed before its state was saved
        (b'{"iteration": 10}\n{"iteration": 20', 10),
        (b'{"iteration": 10}\n{"iteration": 20}', 10),
        (b'{"iteration": 10}\n{"iteration": 20, "loss": 1}\n', 10),
        (b'{"iteration": 10}\n', 10),
        (b'{"iteration": 10}\n20\n', 10),
        (b'{"iteration": 10}\n\xff\n', 10),
        (b'{"iteration": 11}\n{"iteration": 20}\n', None),
        (b"", None),
    ],
)
def test_the_last_state_whose_lines_of_metrics_are_whole_is_gone_on_from(
    tmp_path: Path, content: bytes, left: int | None
) -> None:
    progress = Progress(tmp_path / "progress")
    for iteration in (10, 20):
        progress.save(State(iteration, {"weight": torch.ones(2)}, {}), [{"iteration": iteration}])
    progress.metrics.write_bytes(content)
    latest = Progress(tmp_path / "progress").latest()
    assert (latest and latest.iteration) == left


class Other:
    """Another job, which takes the segment over once it was looked for so many times."""

    def __init__(self) -> None:
        self.looks = -1

    def __call__(self) -> None:
        if self.looks == 0:
            raise Superseded("taken over")
        self.looks -= 1


@pytest.mark.parametrize("looks", [0, 1], ids=["before it writes", "while it writes"])
@pytest.mark.parametrize("what", ["save", "save_checkpoint", "note_divergence", "tell", "finish"])
def test_whoever_was_taken_over_changes_nothing(tmp_path: Path, what: str, looks: int) -> None:
    state = State(10, {"weight": torch.ones(2)}, {})
    outputs = [tmp_path / name for name in ("state.safetensors", "metrics.jsonl", "checkpoints")]
    words = {
        "save": (State(20, state.weights, {}), [{"iteration": 20}]),
        "save_checkpoint": (20, state.weights),
        "note_divergence": ("diverged",),
        "tell": ({"iteration": 20},),
        "finish": (10, *outputs),
    }[what]
    other = Other()
    progress = Progress(tmp_path / "progress", check=other)
    progress.save(state, [{"iteration": 10}])
    progress.tell({"iteration": 10})
    before = files(tmp_path)
    other.looks = 0 if what == "tell" else looks  # a status is small
    with pytest.raises(Superseded):
        getattr(progress, what)(*words)
    assert files(tmp_path) == before


def test_where_no_save_is_left_whole_the_next_ones_stay(tmp_path: Path) -> None:
    """Damaged saves of later iterations must not take the place of those that are made now."""
    progress = Progress(tmp_path / "progress")
    for iteration in (10, 20):
        progress.save(State(iteration, {"weight": torch.ones(2)}, {}), [{"iteration": iteration}])
    progress.metrics.write_text('{"iteration": 9}\n')
    anew = Progress(tmp_path / "progress")
    assert anew.latest() is None
    anew.go_on_from(0)
    anew.save(State(5, {"weight": torch.ones(2)}, {}), [{"iteration": 5}])
    latest = Progress(tmp_path / "progress").latest()
    assert latest is not None
    assert latest.iteration == 5
    assert metrics(tmp_path / "progress") == [{"iteration": 5}]


@pytest.mark.slow
@pytest.mark.needs_mount
def test_a_full_disk_is_said_and_room_is_all_that_it_takes(
    world: TinyWorld, undisturbed: Path, small_disk: Path
) -> None:
    part = job(small_disk, world)
    ended = run(part)
    assert ended.returncode == MISTAKE, ended.stderr
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (small_disk / "state.safetensors").exists()
    subprocess.run(["mount", "-o", "remount,size=400m", small_disk], check=True)
    finished = run(part)
    assert finished.returncode == 0, finished.stderr
    same(undisturbed, small_disk)


@pytest.mark.slow
def test_25_kills_at_random_moments_lose_nothing(world: TinyWorld, tmp_path: Path) -> None:
    part = segment(0, 100, (80, 90), evaluations=(50, 100))
    undisturbed = training_command(tmp_path / "undisturbed", tiny_recipe(), part, world, *OPTIONS)
    assert run(undisturbed).returncode == 0
    killed = training_command(tmp_path / "killed", tiny_recipe(), part, world, *OPTIONS)
    draw = random.Random(0)
    kills = 0
    while kills < 25:
        with subprocess.Popen(
            killed, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as job:
            try:
                job.wait(timeout=draw.uniform(0, 12))
            except subprocess.TimeoutExpired:
                job.send_signal(signal.SIGKILL)
                kills += 1
                continue
        assert job.returncode == 0
        _compare(tmp_path)
        for path in ("state.safetensors", "metrics.jsonl"):  # it has got to its end: again from the beginning
            (tmp_path / "killed" / path).unlink()
        shutil.rmtree(tmp_path / "killed/checkpoints")
        shutil.rmtree(tmp_path / "killed/progress.spare")
    finished = run(killed)
    assert finished.returncode == 0, finished.stderr
    _compare(tmp_path)


def _compare(folder: Path) -> None:
    checkpoints = [f"checkpoints/{iteration}.safetensors" for iteration in (50, 100)]
    for name in ("state.safetensors", "metrics.jsonl", *checkpoints):
        assert filecmp.cmp(folder / "killed" / name, folder / "undisturbed" / name, shallow=False), name
    assert not (folder / "killed/progress").exists()
