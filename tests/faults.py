"""Faults of a cluster that take too long for every run of the tests: `python -m tests.faults`, as root.

On a SLURM of this machine's own, of two nodes, one training is disturbed in each way that is told, or in all. Printed
for each as a line of a table: what SLURM and Snakemake made of it, and whether the final state is that of a training
that was left alone. docs/cluster.md keeps the last output. Needs what `make test` installs.
"""

import argparse
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests import slurm
from tests.test_slurm import SHORT, Training, job_of, state_of, wait_for
from workflow_scripts.models.tensors import read_metadata

NUMBERS = SHORT | {
    "schedule": {"iterations_per_x": 200, "tail": 80},
    "evaluation": {"trunk_period": 60, "tail_period": 40},
    "training": {"log_period": 5, "save_period": 20},
}
SEGMENT = "trunk-0-120"
DISTURBED_AT = 30
PREEMPTING = (
    "PreemptType=preempt/partition_prio",
    "PreemptMode=SUSPEND,GANG",
    "PartitionName=urgent Nodes=ALL State=UP PriorityTier=10 PreemptMode=OFF",
)
"""Jobs of the partition `urgent` go before those of the others."""
SILENT = 70
"""Seconds, longer than a lock is respected whose owner says nothing."""


def suspended(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """scontrol suspend, and resume after more than a minute"""
    job = job_of(training.wait_until(DISTURBED_AT))
    subprocess.run(["scontrol", "suspend", job], check=True)
    wait_for(lambda: state_of(job) == "SUSPENDED")
    time.sleep(SILENT)
    subprocess.run(["scontrol", "resume", job], check=True)
    output = training.finish(snakemake)
    return f"the job went on and is {state_of(job)}; started again: {output.count('Started again')} times"


def preempted_by_suspension(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """preempted by suspension (PreemptMode=SUSPEND,GANG), for more than a minute"""
    return _preempted(training, snakemake, "SUSPEND", "SUSPENDED", SILENT)


def preempted_by_requeue(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """preempted by requeue (PreemptMode=REQUEUE), with --slurm-requeue"""
    return _preempted(training, snakemake, "REQUEUE", "PENDING", 5)


def _preempted(
    training: Training, snakemake: subprocess.Popen[str], mode: str, state: str, seconds: int
) -> str:
    job = job_of(training.wait_until(DISTURBED_AT))
    subprocess.run(["scontrol", "update", "partition=gpu", f"preemptmode={mode}"], check=True)
    urgent = [
        "sbatch",
        "--parsable",
        "--partition=urgent",
        "--exclusive",
        "--nodes=2",
        "--wrap",
        f"sleep {seconds}",
    ]
    other = subprocess.check_output(urgent, text=True).strip()
    wait_for(lambda: state_of(job) == state)
    wait_for(lambda: state_of(other) == "COMPLETED", seconds + 120)
    if state == "PENDING":
        subprocess.run(["scontrol", "update", f"jobid={job}", "starttime=now"], check=False)
    output = training.finish(snakemake)
    return f"the job was {state}, then {state_of(job)}; started again: {output.count('Started again')} times"


def ctrl_c(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """Ctrl-C, and the same command again"""
    job = job_of(training.wait_until(DISTURBED_AT))
    snakemake.send_signal(signal.SIGINT)
    snakemake.communicate(timeout=300)
    wait_for(lambda: state_of(job) not in ("RUNNING", "COMPLETING"))
    state = state_of(job)
    training.finish(training.start())
    return f"Snakemake ended with {snakemake.returncode}, its job is {state}; the next one went on"


def sigterm(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """SIGTERM to Snakemake, as where it is a job that reaches its limit"""
    job = job_of(training.wait_until(DISTURBED_AT))
    snakemake.send_signal(signal.SIGTERM)
    training.wait_until(DISTURBED_AT + 20)
    waits = snakemake.poll() is None
    snakemake.communicate(timeout=600)
    state = state_of(job)
    training.finish(training.start())
    return f"Snakemake {'waited for its job' if waits else 'ended at once'}, which is {state}"


FAULTS: dict[str, tuple[Callable[[Training, subprocess.Popen[str]], str], tuple[str, ...]]] = {
    "suspend": (suspended, ()),
    "preempt-suspend": (preempted_by_suspension, ()),
    "preempt-requeue": (preempted_by_requeue, ("--slurm-requeue",)),
    "ctrl-c": (ctrl_c, ()),
    "sigterm": (sigterm, ()),
}


def _digest(training: Training) -> str:
    assert not training.progress.exists()
    return read_metadata(training.segment / "state.safetensors")["digest"]


def _training(folder: Path, prepared: Path | None = None) -> Training:
    training = Training(folder, prepared, numbers=NUMBERS)
    training.choose(SEGMENT)
    return training


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faults", nargs="*", help=f"of {', '.join(FAULTS)}; all, if none is named")
    names = parser.parse_args().faults or list(FAULTS)
    if unknown := set(names) - FAULTS.keys():
        parser.error(f"found {', '.join(sorted(unknown))}, expected some of {', '.join(FAULTS)}")
    with tempfile.TemporaryDirectory() as scratch, slurm.cluster(_folder(scratch, "slurm"), *PREEMPTING):
        alone = _training(Path(scratch) / "alone")
        alone.finish(alone.start(profile="profiles/local"))
        expected = _digest(alone)
        prepared = _training(Path(scratch) / "prepared")
        rules = ("check_data", "manifest", "images", "recipe")
        prepared.finish(prepared.start("--until", *rules, profile="profiles/local"))
        print("| fault | what came of it | state as without |\n| --- | --- | --- |", flush=True)
        for name in names:
            fault, options = FAULTS[name]
            training = _training(Path(scratch) / name, prepared.checkout.folder)
            said = fault(training, training.start(*options))
            equal = "yes" if _digest(training) == expected else "NO"
            print(f"| {fault.__doc__} | {said} | {equal} |", flush=True)


def _folder(scratch: str, name: str) -> Path:
    folder = Path(scratch) / name
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
