"""What SLURM is asked, and what is made of its answers: partitions' limits, and jobs that wait."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.checkout import ROOT
from tests.faults import FAULTS
from workflow_scripts.study.slurm import (
    Asked,
    States,
    minutes,
    partition_limits,
    too_long,
    unknown_partitions,
    waiting,
)


def answering(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, answer: str) -> Path:
    """Put a program first on the PATH that answers so; returns the file with the words that it was called with."""
    (folder / "answer").write_text(answer)
    path, words = folder / program, folder / "words"
    path.write_text(f'#!/bin/sh\necho "$@" > {words}\ncat {folder / "answer"}\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return words


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("10:00", 10),
        ("1:30:30", 90.5),
        ("2-00:00:00", 2880),
        ("1-12", 2160),
        ("45", 45),
        ("infinite", float("inf")),
    ],
)
def test_a_limit_of_slurm_in_minutes(limit: str, expected: float) -> None:
    """The forms of sinfo's and squeue's manuals."""
    assert minutes(limit) == expected


def test_partitions_are_those_of_sinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(tmp_path, monkeypatch, "sinfo", "cpu|10:00\ncpu|10:00\ngpu|1-00:00:00\n")
    assert partition_limits() == {"cpu": 10, "gpu": 1440}


def test_without_slurm_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert partition_limits() == {}
    assert unknown_partitions([Asked("train", "gpus", 60)], {}) is None
    assert too_long([Asked("train", "gpus", 60)], {}) == []
    assert waiting(tmp_path) == []


def test_a_partition_that_is_not_there_is_named_with_those_that_are() -> None:
    asked = [Asked("train", "gpu,gpus", 60), Asked("images", "cpu", 30)]
    assert unknown_partitions(asked, {"cpu": 10, "gpu": 1440}) == (
        "profiles/slurm/config.yaml: slurm_partition: found gpus (for train), expected one of cpu, gpu"
    )
    assert unknown_partitions(asked[1:], {"cpu": 10, "gpu": 1440}) is None


def test_who_asks_for_more_time_than_there_is_is_told() -> None:
    limits = {"cpu": 10, "short": 5, "gpu": 1440}
    fitting = [Asked("images", "cpu", 10), Asked("audit", "short,cpu", 10), Asked("train", "gpu", 240)]
    assert too_long(fitting, limits) == []
    (sentence,) = too_long([*fitting, Asked("detect and evaluate", "cpu,short", 20)], limits)
    assert sentence.startswith("detect and evaluate asks for 20 minutes, and partition cpu,short gives 10")


def test_a_job_that_is_gone_is_told_in_a_word_that_the_executor_knows() -> None:
    """Of squeue's and sacct's manuals; one that was preempted may be queued again, and then goes on."""
    states = States()
    cancelled = {"1": "CANCELLED by 1000", "2": "CANCELLED"}
    first = {"3": "PREEMPTED", "4": "PREEMPTED", "5": "RUNNING"}
    assert states.known(cancelled | first) == {"1": "CANCELLED", "2": "CANCELLED"} | first
    second = {"3": "PREEMPTED", "4": "PENDING", "5": "PREEMPTED"}
    assert states.known(second) == {"3": "CANCELLED", "4": "PENDING", "5": "PREEMPTED"}
    assert states.known({"4": "PREEMPTED"}) == {"4": "PREEMPTED"}, "of another time"


WORKFLOW = """
import asyncio, os, sys

sys.path.insert(0, {root!r})

include: {rules!r}

onstart:
    import snakemake_executor_plugin_slurm as executor

    prepare_slurm()
    print("told", asyncio.run(executor.query_job_status("cat answer", logger))[0], flush=True)
    os._exit(0)

rule all:
    output: "made"
    shell: "touch {{output}}"
"""


def test_the_executor_is_told_what_it_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own function that asks SLURM, once the workflow has started."""
    for program in ("sinfo", "squeue"):
        answering(tmp_path, monkeypatch, program, "1|CANCELLED by 1000\n2|COMPLETED\n")
    rules = str(ROOT / "rules/slurm.smk")
    (tmp_path / "Snakefile").write_text(WORKFLOW.format(root=str(ROOT), rules=rules))
    command = [sys.executable, "-m", "snakemake", "--executor", "slurm", "--jobs", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "told {'1': 'CANCELLED', '2': 'COMPLETED'}" in done.stdout, done.stderr


def test_jobs_that_wait_are_counted_by_rule_and_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = tmp_path / "study", tmp_path / "other"
    jobs = [
        f"PartitionTimeLimit|cpu|20:00|{here}|rule_images_wildcards_coco-train",
        f"PartitionTimeLimit|cpu|20:00|{here}|rule_images_wildcards_coco-val",
        f"Priority|gpu|4:00:00|{here}|rule_train_wildcards_a|b",
        f"Priority|gpu|4:00:00|{here}|rule_train-coco-R50_GN-random-seed0-1_train",
        f"Resources|gpu|4:00:00|{elsewhere}|rule_train_wildcards_c",
    ]
    words = answering(tmp_path, monkeypatch, "squeue", "".join(f"{job}\n" for job in jobs))
    assert waiting(here / "results/mini") == [
        "waiting in SLURM: 2 images, 20:00 in partition cpu (PartitionTimeLimit; for ever: it asks for more time than "
        "its partition gives: lower `runtime`, or name another one)",
        "waiting in SLURM: 2 train, 4:00:00 in partition gpu (Priority)",
    ]
    assert "--states=PENDING" in words.read_text()
    assert len(waiting(elsewhere / "results/mini")) == 1


def test_the_status_tells_of_jobs_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = f"PartitionTimeLimit|cpu|20:00|{tmp_path}|rule_images_wildcards_coco-train"
    answering(tmp_path, monkeypatch, "squeue", f"{job}\n")
    (tmp_path / "results/mini/training").mkdir(parents=True)
    command = [sys.executable, "-m", "workflow_scripts.study.status", str(tmp_path / "results/mini")]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "1 images, 20:00 in partition cpu (PartitionTimeLimit" in " ".join(shown.split())


def test_the_documentation_keeps_what_came_of_each_slow_fault() -> None:
    lines = (ROOT / "docs/cluster.md").read_text().splitlines()
    for fault in FAULTS.values():
        assert [line for line in lines if line.startswith(f"| {fault.name} | ") and line.endswith(" | yes |")]


def test_the_documentation_tells_where_each_rule_lands() -> None:
    files = [*(ROOT / "rules").glob("*.smk"), ROOT / "Snakefile"]
    text = "\n".join(path.read_text() for path in files)
    headings = r"^(?:rule|checkpoint|use rule \w+ as) (\w+)(?::| with:)"
    rules = set(re.findall(headings, text, re.MULTILINE)) - {"all"}
    blocks = re.findall(r"^localrules:\n((?:    \w+,\n)+)", text, re.MULTILINE)
    local = {name for block in blocks for name in re.findall(r"\w+", block)}
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    on_gpus = profile["set-resources"].keys()
    told = {}
    for line in (ROOT / "docs/cluster.md").read_text().splitlines():
        if found := re.match(r"\| (`.*?) \| (`cpu`|`gpu`|none)", line):
            told |= dict.fromkeys(re.findall(r"`(\w+)`", found[1]), found[2].strip("`"))
    expected = {name: "none" if name in local else "gpu" if name in on_gpus else "cpu" for name in rules}
    assert told == expected
