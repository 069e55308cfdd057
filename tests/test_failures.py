"""Jobs that fail, as Snakemake has them: what of their outputs it leaves, and which it tries again.

The workflow is of two rules and shell commands, under the real rules for failures.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.checkout import ROOT

WORKFLOW = """
import sys

sys.path.insert(0, {root!r})
from workflow_scripts.jobs.decision import decide

if workflow.is_main_process:
    decide()

include: {rules!r}

rule train:
    output:
        metrics="train/metrics.jsonl",
        state="train/state",
    retries: 2
    shell:
        {command!r}

rule other:
    output:
        metrics="other/metrics.jsonl",
        state="other/state",
    shell:
        {command!r}
"""
HAND_OVER = "echo {rule} >> tries; echo made > {output.state}; echo made > {output.metrics}"


def snakemake(folder: Path, command: str, target: str) -> subprocess.CompletedProcess[str]:
    text = WORKFLOW.format(root=str(ROOT), rules=str(ROOT / "rules/failures.smk"), command=command)
    (folder / "Snakefile").write_text(text)
    words = [sys.executable, "-m", "snakemake", target, "--cores", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def tries(folder: Path) -> int:
    return len((folder / "tries").read_text().splitlines())


def old(path: Path) -> Path:
    """A file of an hour ago."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("old")
    os.utime(path, (time.time() - 3600, time.time() - 3600))
    return path


@pytest.mark.parametrize(("rule", "left"), [("train", True), ("other", False)])
def test_what_a_failed_training_made_stays_and_another_job_s_goes(
    tmp_path: Path, rule: str, left: bool
) -> None:
    ended = snakemake(tmp_path, f"{HAND_OVER}; exit 1", f"{rule}/state")
    assert ended.returncode != 0
    found = [(tmp_path / rule / name).exists() for name in ("state", "metrics.jsonl")]
    assert found == [left, left], ended.stderr
    assert tries(tmp_path) == (3 if rule == "train" else 1)


def test_a_training_tried_again_finds_what_was_made(tmp_path: Path) -> None:
    """Snakemake would have removed it twice: when the first attempt failed, and before the second."""
    ended = snakemake(tmp_path, f"test -e {{output.metrics}} || ( {HAND_OVER}; exit 1 )", "train/state")
    assert ended.returncode == 0, ended.stderr
    assert tries(tmp_path) == 1


def test_what_was_there_before_is_not_taken_for_new(tmp_path: Path) -> None:
    """Else a training that never ran would leave the outputs of another recipe as its own."""
    for name in ("state", "metrics.jsonl"):
        old(tmp_path / "train" / name)
    words = "echo {rule} >> tries; ls train >> seen; exit 1"
    ended = snakemake(tmp_path, words, "--forceall")
    assert ended.returncode != 0
    assert tries(tmp_path) == 3, ended.stderr
    assert (tmp_path / "seen").read_text() == ""
    assert not (tmp_path / "train").exists()


JOB = """
import sys
from workflow_scripts.errors import UserError
from workflow_scripts.jobs.job import job
from workflow_scripts.jobs.sheet import Sheet, write_sheet

def main():
    raise {error}("mend this")

sheet = Sheet("train", {{}}, [], ["train/metrics.jsonl"], {{}})
write_sheet("jobs", sheet)
sys.argv[1:] = ["--job", "jobs/" + sheet.name]
job(main)
"""


def fail_with(folder: Path, error: str) -> subprocess.CompletedProcess[str]:
    """A job whose command keeps a record."""
    (folder / "job.py").write_text(JOB.format(error=error))
    return snakemake(folder, f"echo {{rule}} >> tries; {sys.executable} job.py", "train/state")


@pytest.mark.parametrize(("error", "expected"), [("UserError", 1), ("RuntimeError", 3)])
def test_a_mistake_is_not_tried_again(tmp_path: Path, error: str, expected: int) -> None:
    ended = fail_with(tmp_path, error)
    assert ended.returncode != 0
    assert tries(tmp_path) == expected, ended.stderr


def test_a_mistake_of_an_earlier_run_counts_for_nothing(tmp_path: Path) -> None:
    """The job may fail for another reason now, and before it could say so."""
    fail_with(tmp_path, "UserError")
    (tmp_path / "tries").unlink()
    snakemake(tmp_path, "echo {rule} >> tries; exit 1", "train/state")
    assert tries(tmp_path) == 3
