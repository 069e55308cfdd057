"""When a job ends, so that it saves in time and another goes on."""

import argparse
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Deadline:
    """The end of a job, in seconds since the epoch (never, where no scheduler ends it), and what to keep in hand."""

    end: float
    margin: float

    def near(self, seconds: float) -> bool:
        """Whether less than `seconds` and the margin are left."""
        return time.time() + seconds + self.margin > self.end


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--runtime` and `--margin`, as `job_deadline` takes them."""
    parser.add_argument(
        "--runtime",
        type=float,
        default=float("inf"),
        help="minutes that SLURM gives this job, if it does not say",
    )
    parser.add_argument(
        "--margin",
        type=float,
        default=60,
        help="seconds before the end of a SLURM job to have saved and stopped",
    )


def job_deadline(runtime: float, margin: float, environment: Mapping[str, str] = os.environ) -> Deadline:
    """The deadline of this SLURM job; elsewhere there is none.

    What Snakemake starts in a job may lack the variable that tells its end, so SLURM is asked. If it does not answer,
    the `runtime` (minutes) that the job was given counts from now, which the `margin` (seconds) makes up for.
    """
    job = environment.get("SLURM_JOB_ID")
    if job is None:
        return Deadline(float("inf"), margin)
    told = environment.get("SLURM_JOB_END_TIME")
    if told is not None:
        return Deadline(float(told), margin)
    end = _asked(job)
    return Deadline(time.time() + 60 * runtime if end is None else end, margin)


def _asked(job: str) -> float | None:
    command = ["squeue", "--noheader", "--jobs", job, "--format", "%e"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        return datetime.fromisoformat(answer.strip()).timestamp()
    except (OSError, subprocess.SubprocessError, ValueError):  # no squeue, no answer, or no limit: "N/A"
        return None
