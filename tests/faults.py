"""Faults of a cluster that take too long for every run of the tests: `python -m tests.faults`, as root.

On a SLURM of this machine's own, of two nodes, one training is disturbed in each way that is told, or in all. Printed
for each as a line of a table: what SLURM and Snakemake made of it, and whether the final state is that of a training
that was left alone. docs/cluster.md keeps the last output. Needs what `make test` installs; those with accounting are
tried by name alone, and need a MariaDB and a slurmdbd.
"""

import argparse
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import slurm
from tests.system import NEEDS
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
PATIENCE = 180
"""Seconds in which Snakemake, which asks less often the longer a job takes, has asked several times."""
SACCT = ("--slurm-status-command", "sacct")


@dataclass(frozen=True)
class Fault:
    """`happens` disturbs a training and says what came of it; its docstring names it in docs/cluster.md."""

    happens: Callable[[Training, subprocess.Popen[str]], str]
    options: tuple[str, ...] = ()
    accounting: bool = False

    @property
    def name(self) -> str:
        return self.happens.__doc__ or ""


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
    job = _preempt(training, mode, state, seconds)
    if state == "PENDING":
        subprocess.run(["scontrol", "update", f"jobid={job}", "starttime=now"], check=False)
    output = training.finish(snakemake)
    return f"the job was {state}, then {state_of(job)}; started again: {output.count('Started again')} times"


def _preempt(training: Training, mode: str, state: str, seconds: int) -> str:
    """The job of the training, which one of so many seconds, now over, brought into a state."""
    job = job_of(training.wait_until(DISTURBED_AT))
    subprocess.run(["scontrol", "update", "partition=gpu", f"preemptmode={mode}"], check=True)
    urgent = ["sbatch", "--parsable", "--partition=urgent", "--exclusive", "--nodes=2"]
    other = subprocess.check_output([*urgent, "--wrap", f"sleep {seconds}"], text=True).strip()
    wait_for(lambda: state_of(job) == state)
    wait_for(lambda: state_of(other) == "COMPLETED", seconds + 120)
    return job


def cancelled_sacct(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """scancel of the job, with accounting and the executor asking sacct"""
    job = job_of(training.wait_until(DISTURBED_AT))
    subprocess.run(["scancel", job], check=True)
    wait_for(lambda: state_of(job) == "CANCELLED")
    return _noticed(training, snakemake, job)


def _noticed(training: Training, snakemake: subprocess.Popen[str], job: str) -> str:
    """Whether Snakemake sees that its job is gone; where it waits, it is ended with Ctrl-C and started again."""
    said = f"the job was {_told(job)}"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if _newest_job(training) > int(job) or snakemake.poll() is not None:
            return f"{said}; {_ended(training, snakemake)}"
        time.sleep(1)
    snakemake.send_signal(signal.SIGINT)
    snakemake.communicate(timeout=300)
    training.finish(training.start())
    return f"{said}; Snakemake waited on for {PATIENCE} s; after Ctrl-C, the same command went on"


def _newest_job(training: Training) -> int:
    """The number of the newest job that works in the training's folder."""
    asked = ["squeue", "--states=all", "--noheader", "--format=%i %Z"]
    jobs = [line.split() for line in subprocess.check_output(asked, text=True).splitlines()]
    return max(int(number) for number, folder in jobs if Path(folder) == training.checkout.folder)


def _told(job: str) -> str:
    """What SLURM says of a job; in both commands' words, where there is accounting."""
    asked = subprocess.run(
        ["sacct", "-X", "-n", "-P", "-o", "State", "-j", job], capture_output=True, text=True
    )
    accounted = asked.stdout.strip()
    return f"{state_of(job)}, for sacct {accounted}" if asked.returncode == 0 else state_of(job)


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


def _ended(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """A Snakemake that fails is started again."""
    output, _ = snakemake.communicate(timeout=600)
    times = f"started again: {output.count('Started again')} times"
    if snakemake.returncode == 0:
        return times
    training.finish(training.start())
    return f"{times}; Snakemake failed, and the same command again went on"


FAULTS = {
    "suspend": Fault(suspended),
    "preempt-suspend": Fault(preempted_by_suspension),
    "preempt-requeue": Fault(preempted_by_requeue, ("--slurm-requeue",)),
    "ctrl-c": Fault(ctrl_c),
    "sigterm": Fault(sigterm),
    "scancel-sacct": Fault(cancelled_sacct, SACCT, accounting=True),
}


def _digest(training: Training) -> str:
    assert not training.progress.exists()
    return read_metadata(training.segment / "state.safetensors")["digest"]


def _training(folder: Path, prepared: Path | None = None) -> Training:
    training = Training(folder, prepared, numbers=NUMBERS)
    training.choose(SEGMENT)
    return training


def _chosen(parser: argparse.ArgumentParser) -> list[Fault]:
    parser.add_argument(
        "faults", nargs="*", help=f"of {', '.join(FAULTS)}; if none is named, all without accounting"
    )
    named = parser.parse_args().faults
    if unknown := set(named) - FAULTS.keys():
        parser.error(f"found {', '.join(sorted(unknown))}, expected some of {', '.join(FAULTS)}")
    chosen = [FAULTS[name] for name in named] or [each for each in FAULTS.values() if not each.accounting]
    if any(fault.accounting for fault in chosen) and (unmet := NEEDS["accounting"].unmet()):
        parser.error(f"these faults need {unmet}")
    return chosen


def main() -> None:
    """Run the command line."""
    faults = _chosen(
        argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    )
    accounting = any(fault.accounting for fault in faults)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with slurm.cluster(_folder(scratch, "slurm"), *PREEMPTING, accounting=accounting):
            prepared = _training(folder / "prepared")
            rules = ("check_data", "manifest", "images", "recipe")
            prepared.finish(prepared.start("--until", *rules, profile="profiles/local"))
            ready = prepared.checkout.folder
            alone = _training(folder / "alone", ready)
            alone.finish(alone.start(profile="profiles/local"))
            expected = _digest(alone)
            print("| fault | what came of it | state as without |\n| --- | --- | --- |", flush=True)
            for number, fault in enumerate(faults):
                training = _training(folder / str(number), ready)
                said = fault.happens(training, training.start(*fault.options))
                equal = "yes" if _digest(training) == expected else "NO"
                print(f"| {fault.name} | {said} | {equal} |", flush=True)


def _folder(scratch: str, name: str) -> Path:
    folder = Path(scratch) / name
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
