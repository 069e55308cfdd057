"""The table of trainings: what jobs say of themselves, what is done, and what has gone silent."""

import json
from pathlib import Path

import pytest

from tests.training import TinyWorld, run, segment, tiny_recipe, tiny_world, training_command
from workflow_scripts.errors import UserError
from workflow_scripts.study.status import INTERRUPTED, STATUS, rows, status, table

NOW = 1_000_000.0


def segment_folder(results: Path, name: str, recipe: str = "coco-R50_GN-random-seed0") -> Path:
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
    folder = results / f"evaluation/coco-R50_GN-random-seed0/{name}/single_scale"
    folder.mkdir(parents=True)
    before = {"iteration": iteration - 1, "metrics": {"bbox": {"AP": 98.0}}}
    checkpoints = [{"iteration": iteration, "metrics": metrics}, before]
    (folder / "metrics.json").write_text(json.dumps({"checkpoints": checkpoints}))


def done(results: Path, name: str, iteration: int) -> None:
    folder = segment_folder(results, name)
    (folder / "state.safetensors").touch()
    lines = [{"iteration": at, "loss": at / 1000} for at in (iteration - 10, iteration)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_running_segment_tells_pace_time_left_ap_and_log(tmp_path: Path) -> None:
    done(tmp_path, "trunk-0-900", 900)
    evaluated(tmp_path, "trunk-0-900", 900, {"bbox": {"AP": 12.34}})
    evaluated(tmp_path, "trunk-0-90", 90, {"bbox": {"AP": 99.0}})
    said(segment_folder(tmp_path, "trunk-900-3000.progress"), 1200)
    finished, running = rows(tmp_path, NOW)
    assert running.texts == (
        "coco-R50_GN-random-seed0",
        "trunk-900-3000",
        "training",
        "1,200/3,000",
        "1.250",
        "0.500",
        "15 min",
        "12.3 at 900",
        "slurm 7",
    )
    assert running.log == tmp_path / "logs/training/coco-R50_GN-random-seed0/trunk-900-3000.log"
    assert finished.texts[2:5] == ("done", "900", "0.900")
    text = table(rows(tmp_path, NOW), everything=False)
    assert str(running.log) in text and "trunk-0-900" not in text
    assert text.endswith("1 segments in training, 1 done")
    assert "trunk-0-900" in table(rows(tmp_path, NOW), everything=True)


def test_job_that_says_nothing_for_long_is_silent(tmp_path: Path) -> None:
    said(segment_folder(tmp_path, "trunk-0-3000.progress"), 20, ago=3000, job="host 7")
    assert rows(tmp_path, NOW)[0].texts[2] == "silent for 50 min"
    assert "end Snakemake with Ctrl-C and start it again" in table(rows(tmp_path, NOW), everything=False)


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
    assert rows(tmp_path, NOW)[0].texts[2] == f"silent for 50 min, in SLURM {known}"


def test_segment_between_two_jobs_is_not_silent(tmp_path: Path) -> None:
    said(segment_folder(tmp_path, "trunk-0-3000.progress"), 20, seconds=0.0, ago=90_000, state=INTERRUPTED)
    assert rows(tmp_path, NOW)[0].texts[2:7] == (INTERRUPTED, "20/3,000", "1.250", "", "")


def test_slow_lines_are_not_silence(tmp_path: Path) -> None:
    said(segment_folder(tmp_path, "trunk-0-3000.progress"), 20, seconds=60, ago=3000)
    assert rows(tmp_path, NOW)[0].texts[2] == "training"


def test_keypoints_are_what_a_keypoint_detector_is_judged_by(tmp_path: Path) -> None:
    done(tmp_path, "trunk-0-900", 900)
    evaluated(tmp_path, "trunk-0-900", 900, {"bbox": {"AP": 50.0}, "keypoints": {"AP": 3.0}})
    assert rows(tmp_path, NOW)[0].texts[7] == "3.0 at 900"


def test_job_that_has_not_begun_and_output_that_is_not_whole(tmp_path: Path) -> None:
    segment_folder(tmp_path, "trunk-0-900.progress")
    segment_folder(tmp_path, "trunk-900-1000")
    assert [row.texts[1:3] for row in rows(tmp_path, NOW)] == [("trunk-0-900", "starting")]


def test_folder_without_trainings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found no folder `training`"):
        rows(tmp_path, NOW)


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
    assert rows(tmp_path, NOW)[0].texts[1:4] == ("trunk-0-4", "done", "4")
