"""Faults of a cluster that take too long for every run of the tests: `python -m tests.faults`, as root.

On a SLURM of this machine's own, of two nodes, one training is disturbed in each way that is told, or in all. Printed
for each as a line of a table: what SLURM and Snakemake made of it, and whether the final state is that of a training
that was left alone. docs/cluster.md keeps the last output. Needs what `make test` installs; those with accounting,
which need a MariaDB and a slurmdbd, and those with cgroups are tried by name alone.
"""

import argparse
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import psutil

from tests import slurm
from tests.slurm_training import SHORT, SNAKEMAKE, Training, job_of, state_of, wait_for
from tests.system import NEEDS
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
TWO_NODES = NUMBERS | {
    "training": NUMBERS["training"] | {"processes": 2},
    "resources": {"train": SHORT["resources"]["train"] | {"nodes": 2}},
}
"""The same training, by one process on each node; its sums are of another order, so its states are its own."""


@dataclass(frozen=True)
class Fault:
    """`happens` disturbs a training and says what came of it; its docstring names it in docs/cluster.md."""

    happens: Callable[[Training, subprocess.Popen[str]], str]
    options: tuple[str, ...] = ()
    two_nodes: bool = False
    needs: str = ""
    """What their SLURM has beside the rest: `accounting` or `cgroups`."""

    @property
    def name(self) -> str:
        return self.happens.__doc__ or ""


def suspended_cgroups(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """scontrol suspend, and resume after more than a minute; processes tracked by cgroups (proctrack/cgroup)"""
    return suspended(training, snakemake)


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


def preempted_by_requeue_sacct(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """preempted by requeue (PreemptMode=REQUEUE), with --slurm-requeue, accounting and the executor asking sacct"""
    return preempted_by_requeue(training, snakemake)


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


def preempted_by_cancelling(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """preempted by cancelling (PreemptMode=CANCEL)"""
    return _noticed(training, snakemake, _preempt(training, "CANCEL", "PREEMPTED", 5))


def preempted_by_cancelling_sacct(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """preempted by cancelling (PreemptMode=CANCEL), with accounting and the executor asking sacct"""
    return _noticed(training, snakemake, _preempt(training, "CANCEL", "PREEMPTED", 5))


def cancelled_squeue(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """scancel of the job, with accounting and the executor asking squeue"""
    return _cancelled(training, snakemake)


def cancelled_sacct(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """scancel of the job, with accounting and the executor asking sacct"""
    return _cancelled(training, snakemake)


def cancelled_cgroups(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """scancel of the job; processes tracked by cgroups (proctrack/cgroup)"""
    return _cancelled(training, snakemake)


def _cancelled(training: Training, snakemake: subprocess.Popen[str]) -> str:
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
    here = [int(number) for number, folder in jobs if Path(folder) == training.checkout.folder]
    return max(here, default=0)  # SLURM forgets old ones


def _told(job: str) -> str:
    """What SLURM says of a job; in both commands' words, where there is accounting."""
    asked = ["sacct", "-X", "-n", "-P", "-o", "State", "-j", job]
    accounted = subprocess.run(asked, capture_output=True, text=True)
    said = state_of(job)
    return f"{said}, for sacct {accounted.stdout.strip()}" if accounted.returncode == 0 else said


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


def first_of_two_nodes(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """two nodes train, and the one with the job's script goes down with all that it runs; then back"""
    return _goes_down(training, snakemake, slurm.NODES[0], signal.SIGKILL)


def second_of_two_nodes(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """two nodes train, and the other one hangs, is set down, and wakes"""
    return _goes_down(training, snakemake, slurm.NODES[1], signal.SIGSTOP)


def second_of_two_nodes_accounting(training: Training, snakemake: subprocess.Popen[str]) -> str:
    """two nodes train, and the other one hangs, is set down, and wakes; with accounting, the executor asking squeue"""
    return _goes_down(training, snakemake, slurm.NODES[1], signal.SIGSTOP)


def _goes_down(training: Training, snakemake: subprocess.Popen[str], node: str, how: signal.Signals) -> str:
    """A signal to all that the job runs on a node, which comes back once SLURM has given the job up."""
    job = job_of(training.wait_until(DISTURBED_AT))
    hit = _on_node(job, node) | (_daemons(node) if how == signal.SIGSTOP else set())
    _send(how, hit)
    subprocess.run(["scontrol", "update", f"node={node}", "state=down", "reason=test"], check=True)
    wait_for(lambda: state_of(job) not in ("RUNNING", "COMPLETING"))
    said = f"the job was {state_of(job)}"
    if how == signal.SIGSTOP:
        _send(signal.SIGCONT, hit)
    # It may have come back by itself, for its daemon still answers.
    subprocess.run(["scontrol", "update", f"node={node}", "state=resume"], capture_output=True, check=False)
    return f"{said}; {_ended(training, snakemake)}"


def _send(number: signal.Signals, processes: set[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _daemons(node: str) -> set[psutil.Process]:
    running = psutil.process_iter(["name", "cmdline"])
    return {each for each in running if each.info["name"] == "slurmd" and node in each.info["cmdline"]}


def _on_node(job: str, node: str) -> set[psutil.Process]:
    """All that runs of a job on a node, with the daemons of its steps there."""
    variables = {"SLURM_JOB_ID": job, "SLURMD_NODENAME": node}.items()
    running = psutil.process_iter(["environ"])
    found = {each for each in running if (each.info["environ"] or {}).items() >= variables}
    parents = {parent for each in found for parent in each.parents()}
    return found | {parent for parent in parents if parent.name() == "slurmstepd"}


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
    "preempt-cancel": Fault(preempted_by_cancelling),
    "ctrl-c": Fault(ctrl_c),
    "sigterm": Fault(sigterm),
    "first-of-two": Fault(first_of_two_nodes, two_nodes=True),
    "second-of-two": Fault(second_of_two_nodes, two_nodes=True),
    "scancel-squeue": Fault(cancelled_squeue, needs="accounting"),
    "scancel-sacct": Fault(cancelled_sacct, SACCT, needs="accounting"),
    "preempt-requeue-sacct": Fault(
        preempted_by_requeue_sacct, (*SACCT, "--slurm-requeue"), needs="accounting"
    ),
    "preempt-cancel-sacct": Fault(preempted_by_cancelling_sacct, SACCT, needs="accounting"),
    "suspend-cgroups": Fault(suspended_cgroups, needs="cgroups"),
    "scancel-cgroups": Fault(cancelled_cgroups, needs="cgroups"),
    "second-of-two-accounting": Fault(second_of_two_nodes_accounting, two_nodes=True, needs="accounting"),
}


def _digest(training: Training) -> str:
    assert not training.progress.exists()
    return read_metadata(training.segment / "state.safetensors")["digest"]


def _training(folder: Path, prepared: Path | None = None, two_nodes: bool = False) -> Training:
    training = Training(folder, prepared, numbers=TWO_NODES if two_nodes else NUMBERS)
    training.program = SNAKEMAKE  # as anyone's asks SLURM
    training.choose(SEGMENT)
    return training


def _undisturbed(folder: Path, prepared: Path, two_nodes: bool) -> str:
    """The digest of a training that is left alone."""
    training = _training(folder, prepared, two_nodes)
    training.finish(training.start(profile="slurm" if two_nodes else "profiles/local"))
    return _digest(training)


def _chosen(parser: argparse.ArgumentParser) -> list[Fault]:
    parser.add_argument(
        "faults",
        nargs="*",
        help=f"of {', '.join(FAULTS)}; if none is named, all that need no more than tests do",
    )
    named = parser.parse_args().faults
    if unknown := set(named) - FAULTS.keys():
        parser.error(f"found {', '.join(sorted(unknown))}, expected some of {', '.join(FAULTS)}")
    chosen = [FAULTS[name] for name in named] or [each for each in FAULTS.values() if not each.needs]
    for need in {each.needs for each in chosen if each.needs}:
        if unmet := NEEDS[need].unmet():
            parser.error(f"some of these faults need {unmet}")
    return sorted(chosen, key=lambda each: each.needs)


def main() -> None:
    """Run the command line."""
    faults = _chosen(
        argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepared = _training(folder / "prepared")
        rules = ("check_data", "check_models", "manifest", "images", "recipe")
        prepared.finish(prepared.start("--until", *rules, profile="profiles/local"))
        print("| fault | what came of it | state as without |\n| --- | --- | --- |", flush=True)
        for need, those in groupby(faults, lambda each: each.needs):
            (folder / f"slurm-{need}").mkdir()
            has = {need: True} if need else {}
            with slurm.cluster(folder / f"slurm-{need}", *PREEMPTING, **has):
                _try(folder / f"training-{need}", prepared.checkout.folder, list(those))


def _try(folder: Path, prepared: Path, faults: list[Fault]) -> None:
    """Print a line for each fault; `folder` is for the trainings."""
    expected = {
        two_nodes: _undisturbed(folder / f"alone-{two_nodes}", prepared, two_nodes)
        for two_nodes in {fault.two_nodes for fault in faults}
    }
    for number, fault in enumerate(faults):
        training = _training(folder / str(number), prepared, fault.two_nodes)
        said = fault.happens(training, training.start(*fault.options))
        equal = "yes" if _digest(training) == expected[fault.two_nodes] else "NO"
        print(f"| {fault.name} | {said} | {equal} |", flush=True)


if __name__ == "__main__":
    main()
