"""What SLURM says of a study: which partitions there are and how long they let a job run, and which of its jobs wait or
are gone.

Where there is no SLURM, or it does not answer, nothing is known.
"""

import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROFILE = "profiles/slurm/config.yaml"
ENDLESS = {
    "PartitionTimeLimit": "it asks for more time than its partition gives: lower `runtime`, or name another one",
    "PartitionConfig": "it asks for more than its partition gives, most often time: lower `runtime`",
    "PartitionNodeLimit": "it asks for more machines than its partition gives",
    "BadConstraints": "no machine fits what it asks for",
    "AssocMaxWallDurationPerJobLimit": "it asks for more time than your account may: lower its `runtime`",
    "QOSMaxWallDurationPerJobLimit": "it asks for more time than its QOS gives: lower its `runtime`",
    "InvalidAccount": "name an account that you may use: `slurm_account`",
    "InvalidQOS": "name a QOS that you may use",
    "JobHeldUser": "someone held it: scontrol release",
    "JobHeldAdmin": "the cluster's administrators hold it: ask them",
}
"""Reasons of SLURM for which a job would wait for ever, and what to do."""


@dataclass(frozen=True)
class Asked:
    """What the jobs of a rule, or a group of rules, ask of SLURM at most."""

    rule: str
    partition: str
    minutes: float


def partition_limits() -> dict[str, float]:
    """The minutes that a job may run, by partition; empty if SLURM does not tell."""
    lines = _answer(["sinfo", "--all", "--noheader", "--format=%R|%l"])
    return {name: minutes(limit) for name, _, limit in (line.partition("|") for line in lines)}


def minutes(limit: str) -> float:
    """A time limit of SLURM in minutes: `[days-]hours:minutes:seconds`, `minutes:seconds`, `minutes`, `infinite`."""
    days, dash, clock = limit.rpartition("-")
    if not clock.replace(":", "").isdigit():
        return float("inf")
    parts = [int(part) for part in clock.split(":")]
    if not dash and len(parts) < 3:
        parts.insert(0, 0)
    hours, of_hour, seconds = (*parts, 0, 0)[:3]
    return 1440 * int(days or 0) + 60 * hours + of_hour + seconds / 60


def unknown_partitions(asked: Iterable[Asked], limits: dict[str, float]) -> str | None:
    """What to tell a person whose profile names a partition that is not there; None where all are."""
    wrong = {name: each.rule for each in asked for name in each.partition.split(",") if name not in limits}
    if not limits or not wrong:
        return None
    found = ", ".join(f"{name} (for {rule})" for name, rule in sorted(wrong.items()))
    return f"{PROFILE}: slurm_partition: found {found}, expected one of {', '.join(sorted(limits))}"


def too_long(asked: Iterable[Asked], limits: dict[str, float]) -> list[str]:
    """A sentence for each rule that asks for more time than any of its partitions gives."""
    found = []
    for each in asked:
        longest = max(limits.get(name, float("inf")) for name in each.partition.split(","))
        if each.minutes > longest:
            found.append(
                f"{each.rule} asks for {each.minutes:g} minutes, and partition {each.partition} gives {longest:g}: its "
                f"jobs may wait for ever; lower `runtime` or name another partition in {PROFILE}"
            )
    return found


class States:
    """Jobs' states in the words of Snakemake's slurm executor, which waits for ever where it does not know one.

    It knows neither sacct's `CANCELLED by 1000` nor a job that stays `PREEMPTED`. SLURM may queue a preempted job
    again, so that it counts as gone only if it is still that when SLURM is asked once more.
    """

    def __init__(self) -> None:
        self._preempted: set[str] = set()

    def known(self, told: Mapping[str, str]) -> dict[str, str]:
        """The states of jobs, by their numbers, as SLURM tells them now."""
        preempted = {job for job, state in told.items() if state == "PREEMPTED"}
        gone = preempted & self._preempted
        self._preempted = preempted
        return {
            job: "CANCELLED" if job in gone or state.startswith("CANCELLED by ") else state
            for job, state in told.items()
        }


def waiting(results: Path) -> list[str]:
    """A line for each kind of job of this study that waits in SLURM, with the reason and what to do."""
    lines = _answer(
        ["squeue", "--user", str(os.getuid()), "--states=PENDING", "--noheader", "--format=%r|%P|%l|%Z|%k"]
    )
    kinds = Counter(_kind(line.split("|", 4)) for line in lines if _of(line.split("|", 4)[3], results))
    return [_sentence(*kind, count) for kind, count in sorted(kinds.items())]


def _of(folder: str, results: Path) -> bool:
    """Whether a job that works in a folder may be one of the study with these results."""
    return results.resolve().is_relative_to(Path(folder).resolve())


def _kind(fields: Sequence[str]) -> tuple[str, str, str, str]:
    reason, partition, limit, _, comment = fields
    named = comment.removeprefix("rule_").partition("_wildcards_")[0]
    rule = named.partition("-")[0]  # of a batch: `train-…-0_train`
    return rule, reason, partition, limit


def _sentence(rule: str, reason: str, partition: str, limit: str, count: int) -> str:
    advice = f"; for ever: {ENDLESS[reason]}" if reason in ENDLESS else ""
    return f"waiting in SLURM: {count} {rule}, {limit} in partition {partition} ({reason}{advice})"


def _answer(command: list[str]) -> list[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()
