"""A training job knows when it ends."""

import time
from pathlib import Path

import pytest

from workflow_scripts.training.deadline import Deadline, job_deadline


def test_a_job_without_a_scheduler_has_no_end() -> None:
    assert not job_deadline(0.01, 60, {}).near(1e9)


def test_slurm_tells_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    deadline = job_deadline(1e9, 60, {"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": "1100"})
    assert deadline == Deadline(1100, 60)
    assert deadline.near(41)
    assert not deadline.near(39)


@pytest.mark.parametrize(
    ("answer", "end"), [("echo 1970-01-01T01:00:00", 3600.0), ("echo N/A", 60 * 5 + 50.0), ("exit 1", 350.0)]
)
def test_slurm_is_asked_where_the_variable_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, end: float
) -> None:
    squeue = tmp_path / "squeue"
    # %e is "the time at which the job ended or is expected to end", says squeue's manual.
    asked = '[ "$*" = "--noheader --jobs 7 --format %e" ] || exit 1'
    squeue.write_text(f"#!/bin/sh\n{asked}\n{answer}\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: 50.0)
    assert job_deadline(5, 60, {"SLURM_JOB_ID": "7"}) == Deadline(end, 60)
    monkeypatch.undo()
    time.tzset()
