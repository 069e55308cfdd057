"""The table of trainings: what jobs say of themselves, what is done, and what has gone silent."""

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.training import TinyWorld, run, segment, tiny_recipe, tiny_world, training_command
from workflow_scripts.errors import UserError
from workflow_scripts.jobs.record import record_path
from workflow_scripts.jobs.sheet import Sheet, write_sheet
from workflow_scripts.study.status import curve, last_ap, next_steps, screen
from workflow_scripts.study.trainings import (
    INTERRUPTED,
    STATUS,
    Point,
    State,
    Training,
    points,
    status,
    trainings,
)
from workflow_scripts.training.progress import Progress

NOW = 1_000_000.0
RECIPE = "coco-R50_GN-random-seed0"


def segment_folder(results: Path, name: str, recipe: str = RECIPE) -> Path:
    folder = results / "training" / recipe / name
    folder.mkdir(parents=True)
    return folder


def said(
    folder: Path,
    iteration: int,
    seconds: float = 0.5,
    ago: float = 10,
    state: str = "training",
    job: str = "slurm 7",
) -> None:
    words = {
        "state": state,
        "iteration": iteration,
        "stop": 3000,
        "loss": 1.25,
        "seconds_an_iteration": seconds,
        "job": job,
    }
    (folder / STATUS).write_text(json.dumps({**words, "time": NOW - ago}))


def evaluated(results: Path, name: str, iteration: int, metrics: dict[str, dict[str, float]]) -> None:
    folder = results / f"evaluation/{RECIPE}/{name}/single_scale"
    folder.mkdir(parents=True)
    before = {"iteration": iteration - 1, "metrics": {"bbox": {"AP": 98.0}}}
    checkpoints = [{"iteration": iteration, "metrics": metrics}, before]
    (folder / "metrics.json").write_text(json.dumps({"checkpoints": checkpoints}))


def done(results: Path, name: str) -> None:
    (segment_folder(results, name) / "state.safetensors").touch()


def planned(results: Path, name: str) -> None:
    """A sheet as Snakemake writes it when it plans a training."""
    named = {"recipe": RECIPE, "segment": name}
    write_sheet(results / "jobs", Sheet("train", {}, [], [], {"wildcards": named}))


def ended(results: Path, name: str, code: int | None) -> None:
    """The part of a job's record that tells how it ended; one that runs or was killed has no code."""
    attempt = {"start": "then", "host": "here"} | ({} if code is None else {"exit": code})
    path = record_path(results / "training" / RECIPE / name / "metrics.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"attempts": [{"exit": 1}, attempt]}))


def one(results: Path) -> Training:
    (found,) = trainings(results, NOW)
    return found


def printed(results: Path, everything: bool = False, height: int | None = None) -> list[str]:
    """The lines that a pipe gets."""
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(screen(results, NOW, everything, height), crop=False)
    text = console.file.getvalue()
    assert "\x1b" not in text
    return [line.rstrip() for line in text.splitlines()]


def test_running_segment_tells_pace_time_left_ap_and_log(tmp_path: Path) -> None:
    done(tmp_path, "trunk-0-900")
    evaluated(tmp_path, "trunk-0-900", 900, {"bbox": {"AP": 12.34}})
    evaluated(tmp_path, "trunk-0-90", 90, {"bbox": {"AP": 99.0}})
    said(segment_folder(tmp_path, "trunk-900-3000.progress"), 1200)
    finished, running = trainings(tmp_path, NOW)
    assert (finished.segment, finished.state, finished.iteration) == ("trunk-0-900", "done", 900)
    assert running == Training(
        recipe=RECIPE,
        segment="trunk-900-3000",
        state="training",
        words="training",
        start=900,
        stop=3000,
        iteration=1200,
        log=tmp_path / f"logs/training/{RECIPE}/trunk-900-3000.log",
        loss=1.25,
        pace=0.5,
        job="slurm 7",
    )
    assert running.seconds_left == 0.5 * 1800
    text = "\n".join(printed(tmp_path))
    assert "1 of 2 trainings done, 1 in training" in " ".join(text.split())
    assert "━━━━━━━━━━────────────── 40% of 3,000 iterations" in text, "1,200 of them"
    assert "15 min left" in text and "0.500" in text and "12.3 at 900" in text
    assert "trunk-900-3000, slurm 7" in text and "trunk-0-900" not in text
    assert "trunk-0-900" in "\n".join(printed(tmp_path, everything=True))


def test_lines_fit_a_narrow_terminal(tmp_path: Path) -> None:
    recipe = "coco-35k-R101_GN-pretrained-base_lr0.02-decay0.02-seed10"
    said(segment_folder(tmp_path, "trunk-450000-480000.progress", recipe), 470_000, job="slurm 1234567")
    planned(tmp_path, "tail-480000-520000-540000")
    assert max(map(len, printed(tmp_path, everything=True))) <= 80
    assert recipe in "".join(line.split("  ")[0] for line in printed(tmp_path)), "folded, not cut"


def test_a_low_screen_shows_first_what_needs_someone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = Path("results/mini")
    for number in range(1, 21):
        said(segment_folder(results, f"trunk-0-{number}00.progress"), 10)
    said(segment_folder(results, "trunk-0-9000.progress"), 10, ago=3000, job="host 7")
    lines = printed(results, height=24)
    assert len(lines) <= 24
    (first, *_) = [line for line in lines if line.startswith("trunk-")]
    assert first.startswith("trunk-0-9000, host 7")
    assert "and 16 more; into a pipe, all are printed" in lines


def test_job_that_says_nothing_for_long_is_silent(tmp_path: Path) -> None:
    said(segment_folder(tmp_path, "trunk-0-3000.progress"), 20, ago=3000, job="host 7")
    assert (one(tmp_path).state, one(tmp_path).words) == ("silent", "silent for 50 min")
    lines = printed(tmp_path)
    assert "end Snakemake with Ctrl-C and start it again" in " ".join(lines)
    assert lines[lines.index("silent for 50 min; its log:") + 1] == str(one(tmp_path).log), "in one piece"


def test_a_silent_job_whose_process_is_gone(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    for process, words in ((gone.pid, "silent for 50 min, its process is gone"), (1, "silent for 50 min")):
        folder = tmp_path / str(process)
        job = f"{socket.gethostname()} {process}"
        said(segment_folder(folder, "trunk-0-3000.progress"), 20, ago=3000, job=job)
        assert one(folder).words == words


@pytest.mark.parametrize(("answer", "known"), [("CANCELLED", "CANCELLED"), ("", "no longer")])
def test_slurm_is_asked_about_a_silent_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, known: str
) -> None:
    squeue = tmp_path / "bin/squeue"
    squeue.parent.mkdir()
    squeue.write_text(f"#!/bin/sh\necho {answer}\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(squeue.parent), prepend=":")
    said(segment_folder(tmp_path, "trunk-0-3000.progress"), 20, ago=3000)
    assert one(tmp_path).words == f"silent for 50 min, in SLURM {known}"


def test_segment_between_two_jobs_is_not_silent(tmp_path: Path) -> None:
    said(segment_folder(tmp_path, "trunk-0-3000.progress"), 20, seconds=0.0, ago=90_000, state=INTERRUPTED)
    found = one(tmp_path)
    assert (found.state, found.words, found.seconds_left) == ("saved", INTERRUPTED, None)


def test_slow_lines_are_not_silence(tmp_path: Path) -> None:
    said(segment_folder(tmp_path, "trunk-0-3000.progress"), 20, seconds=60, ago=3000)
    assert one(tmp_path).state == "training"


def test_keypoints_are_what_a_keypoint_detector_is_judged_by(tmp_path: Path) -> None:
    evaluated(tmp_path, "trunk-0-900", 900, {"bbox": {"AP": 50.0}, "keypoints": {"AP": 3.0}})
    assert last_ap(points(tmp_path, RECIPE)) == "3.0 at 900"


def test_a_curve_is_of_the_trunk_and_as_high_as_its_ap() -> None:
    def at(iteration: int, ap: float | None, stage: str = "trunk") -> Point:
        return Point("any", stage, iteration, ap)

    assert (
        curve([at(1, 0.0), at(2, 20.0), at(3, 40.0), at(3, 39.0, "tail"), at(4, None)], best=40.0) == "▁▅█▁"
    )
    assert len(curve([at(number, 1.0) for number in range(100)], best=1.0)) == 12
    assert last_ap([at(1, 5.0), at(2, None)]) == "– at 2"


def test_what_is_planned_and_what_is_not_whole(tmp_path: Path) -> None:
    segment_folder(tmp_path, "trunk-0-900.progress")
    segment_folder(tmp_path, "trunk-900-1000")
    planned(tmp_path, "trunk-0-900")
    planned(tmp_path, "tail-900-950-1000")
    segment_folder(tmp_path, "notes")
    assert [(each.segment, each.state) for each in trainings(tmp_path, NOW)] == [
        ("trunk-0-900", "starting"),
        ("tail-900-950-1000", "not begun"),
        ("trunk-900-1000", "not begun"),
    ]


@pytest.mark.parametrize(
    ("code", "begun", "state"),
    [
        (1, True, "failed"),
        (2, False, "failed"),
        (75, True, "saved"),
        (None, True, "training"),
        (None, False, "not begun"),
        (0, False, "done"),  # its state was temporary
    ],
)
def test_the_record_tells_how_the_last_job_ended(
    tmp_path: Path, code: int | None, begun: bool, state: str
) -> None:
    ended(tmp_path, "trunk-0-3000", code)
    if begun:
        said(segment_folder(tmp_path, "trunk-0-3000.progress"), 20)
    assert one(tmp_path).state == state
    if state == "failed":
        assert one(tmp_path).words == f"failed, exit code {code}"


def test_a_training_that_diverged_is_told_before_all_else(tmp_path: Path) -> None:
    folder = segment_folder(tmp_path, "trunk-0-3000.progress")
    said(folder, 20, ago=90_000)
    Progress(folder, "this training").note_divergence("at iteration 20")
    ended(tmp_path, "trunk-0-3000", 2)
    assert one(tmp_path).state == "diverged"


def test_what_to_do_next(tmp_path: Path) -> None:
    report, log = tmp_path / "report.html", tmp_path / "training.log"

    def steps(*states: State) -> str:
        found = [Training(RECIPE, "trunk-0-9", state, state, 0, 9, 0, log) for state in states]
        return " ".join(next_steps(found, report))

    assert steps("done", "training", "not begun").startswith("Next: nothing to do.")
    assert steps("done", "not begun").startswith("Next: nothing trains at present. If Snakemake does not run")
    assert steps("done", "saved").startswith("Next: nothing trains")
    assert steps("done", "failed").startswith("Failed: ") and "Next" not in steps("done", "failed")
    assert steps("failed", "silent", "diverged", "training").startswith("Diverged: ")
    assert steps("failed", "not begun").count("run Snakemake again") == 1
    assert "all is trained" in steps("done")
    report.touch()
    assert steps("done") == f"Next: open {report}"
    log.touch()
    os.utime(report, (1, 1))
    assert "all is trained" in steps("done"), "the report is older than the last training"


def test_folder_without_trainings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found no folder `training`"):
        trainings(tmp_path, NOW)


def test_the_command_prints_once_into_a_pipe(tmp_path: Path) -> None:
    said(segment_folder(tmp_path, "trunk-0-3000.progress"), 20)
    command = [sys.executable, "-m", "workflow_scripts.study.status", str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (finished.returncode, finished.stderr) == (0, "")
    text = " ".join(finished.stdout.split())
    assert text.startswith(f"{tmp_path}: 0 of 1 trainings done") and "\x1b" not in text
    assert text.count("trainings done") == 1


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"))


def test_training_says_how_far_it_is_and_takes_the_word_back_at_the_end(
    world: TinyWorld, tmp_path: Path
) -> None:
    folder = tmp_path / "training/tiny/trunk-0-4"
    command = training_command(
        folder, tiny_recipe(), segment(0, 4), world, "--log-period", "2", "--save-period", "2"
    )
    finished = run(command)
    assert finished.returncode == 0, finished.stderr
    assert not (folder / "progress").exists()
    words = status(2, 4, 1.5, 0.25, "training")
    assert words.keys() >= {"iteration", "stop", "loss", "seconds_an_iteration", "time", "job"}
    assert [(each.segment, each.state) for each in trainings(tmp_path, NOW)] == [("trunk-0-4", "done")]
