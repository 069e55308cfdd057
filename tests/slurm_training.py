"""A training on the SLURM of tests (`tests/slurm.py`), followed and disturbed as it goes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.checkout import Checkout
from workflow_scripts.models.tensors import read_metadata

QUICK = ("--slurm-init-seconds-before-status-checks", "5", "--seconds-between-status-checks", "1")
SNAKEMAKE = ("-m", "snakemake")
PROMPT = (
    "-c",
    """
import snakemake_executor_plugin_slurm as executor
from snakemake import cli

executor.Executor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None)
cli.main()
""",
)
"""What Python runs for a Snakemake that asks SLURM every second; others let ten seconds more pass each time."""
RECIPE, SEGMENT = "coco-R50_GN-random-seed0", "trunk-0-500"
TRAINING = {
    "scale": "smoke",
    "experiments": ["fig1"],
    "schedules": ["1x"],
    "numbers": {
        "schedule": {"iterations_per_x": 600, "tail": 100},
        "evaluation": {"trunk_period": 250, "tail_period": 50},
        "training": {"log_period": 5, "save_period": 50, "margin": 15},
        "resources": {"train": {"runtime": 30, "retries": 3}},
    },
}
"""A segment of about a minute on one processor."""
SHORT = {
    "schedule": {"iterations_per_x": 80, "tail": 40},
    "evaluation": {"trunk_period": 20, "tail_period": 20},
    "training": {"log_period": 5, "save_period": 10},
    "resources": {"train": {"runtime": 10, "retries": 3}},
}
"""Numbers of one that takes seconds."""


class Training:
    """A checkout that trains one segment on the cluster."""

    program = PROMPT

    def __init__(self, folder: Path, prepared: Path | None = None, **changes: object) -> None:
        """`prepared` is a checkout in which all but the training is done."""
        if prepared:
            shutil.copytree(prepared, folder, dirs_exist_ok=True)
        self.checkout = Checkout(folder) if prepared else Checkout.make(folder)
        (folder / "config.yaml").write_text(yaml.safe_dump(TRAINING | changes))
        self.segment = self.checkout.results / "training" / RECIPE / SEGMENT
        self.progress = self.segment.with_suffix(".progress")
        self.log = self.checkout.results / "logs/training" / RECIPE / f"{SEGMENT}.log"

    def command(self, *options: str, profile: str = "slurm") -> list[str]:
        study = ("--configfile", "config.yaml", "--config", "scale=smoke")
        target = str((self.segment / "state.safetensors").relative_to(self.checkout.folder))
        quick = QUICK if profile == "slurm" else ()
        return [sys.executable, *self.program, target, "--profile", profile, *study, *quick, *options]

    def start(self, *options: str, profile: str = "slurm") -> subprocess.Popen[str]:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            self.command(*options, profile=profile),
            cwd=self.checkout.folder,
            env=os.environ | {"PATH": programs, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> str:
        """The output of a Snakemake that must succeed."""
        output, _ = process.communicate(timeout=1800)
        assert process.returncode == 0, output + self._log()
        return output

    def fail(self, process: subprocess.Popen[str]) -> str:
        """The output of a Snakemake that must not succeed."""
        output, _ = process.communicate(timeout=1800)
        assert process.returncode != 0, output
        return output

    def said(self) -> dict:
        """What the running job said of itself last."""
        try:
            return json.loads((self.progress / "status.json").read_text())
        except FileNotFoundError:
            return {"iteration": 0, "job": ""}

    def wait_until(self, iteration: int) -> dict:
        """What the job says once it is so far."""
        deadline = time.monotonic() + 600
        while self.said()["iteration"] < iteration:
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.1)
        return self.said()

    def choose(self, segment: str) -> None:
        """Train another segment."""
        self.segment = self.segment.with_name(segment)
        self.progress = self.segment.with_suffix(".progress")
        self.log = self.log.with_name(f"{segment}.log")

    def orphan(self, iteration: int, then: signal.Signals | None = None) -> str:
        """The job that is left after its Snakemake was killed, when it was so far, and its lock removed.

        `then` is sent to its trainer first.
        """
        snakemake = self.start()
        job = job_of(self.wait_until(iteration))
        for number in trainers(job) if then else []:
            os.kill(number, then)
        snakemake.kill()
        snakemake.wait()
        self.finish(self.start("--unlock"))
        return job

    def digest(self) -> str:
        """Of the final state, which must be all that is left."""
        assert not self.progress.exists()
        assert not list(self.segment.parent.glob("*.lock*"))
        lines = (self.segment / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["iteration"] for line in lines] == list(range(5, 501, 5))
        return read_metadata(self.segment / "state.safetensors")["digest"]

    def _log(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


def trainers(slurm_job: str) -> list[int]:
    """Process numbers of a job's trainer, by its environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"SLURM_JOB_ID={slurm_job}".encode() in environment and b"training.train" in command:
            found.append(int(folder.name))
    return found


def job_of(said: dict) -> str:
    name, number = said["job"].split()
    assert name == "slurm"
    return number


def state_of(job: str) -> str:
    """What SLURM says of a job in a word."""
    return subprocess.check_output(["squeue", "--states=all", "-h", "-o", "%T", "-j", job], text=True).strip()


def last_job() -> int:
    """The number of the newest job; 0 before there is any."""
    told = subprocess.check_output(["squeue", "--states=all", "-h", "-o", "%i"], text=True).split()
    return max(map(int, told), default=0)


def wait_for(what: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def restarted(job: str) -> bool:
    """Whether a job that was queued again runs."""
    shown = subprocess.check_output(["scontrol", "show", "job", job], text=True)
    return "Restarts=0" not in shown and "JobState=RUNNING" in shown


def start_again(job: str, begun: Callable[[], bool]) -> None:
    """Have a job that was queued again start at once, until it has; left alone, SLURM waits for two minutes."""

    def ask() -> bool:
        # Refused while it runs.
        subprocess.run(
            ["scontrol", "update", f"jobid={job}", "starttime=now"], capture_output=True, check=False
        )
        return begun()

    wait_for(ask)
