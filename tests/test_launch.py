"""Which commands start the processes of a training, and which code they end with."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import get_args_parser

from workflow_scripts.errors import INTERRUPTED, MISTAKE
from workflow_scripts.training import launch


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands, which are not run; what each returns is 5."""
    commands: list[list[str]] = []
    monkeypatch.setattr(launch, "torchrun", commands.append)
    monkeypatch.setattr(
        subprocess, "run", lambda command: commands.append(command) or SimpleNamespace(returncode=5)
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "12")
    return commands


def test_torchrun_starts_as_many_processes_as_asked_for_on_one_machine(started: list[list[str]]) -> None:
    launch.start_processes("training.train", ["--recipe", "r.json"], 3, 1)
    (command,) = started
    found = get_args_parser().parse_args(command)
    assert (found.standalone, found.nproc_per_node, found.nnodes) == (True, "3", "1:1")
    assert (found.module, found.training_script, found.training_script_args) == (
        True,
        "training.train",
        ["--recipe", "r.json"],
    )
    assert os.environ["OMP_NUM_THREADS"] == "4"


def test_srun_starts_one_torchrun_a_node_and_all_meet_on_this_one(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    with pytest.raises(SystemExit) as stopped:
        launch.start_processes("training.train", ["--recipe", "r.json"], 6, 2)
    assert stopped.value.code == 5
    (command,) = started
    python = command.index(sys.executable)
    assert command[:python] == [
        "srun",
        "--overlap",
        "--nodes=2",
        "--ntasks=2",
        "--ntasks-per-node=1",
        "--cpus-per-task=12",
        "--kill-on-bad-exit=0",
        "--wait=60",
    ]
    assert command[python + 1 : python + 3] == ["-m", launch.__name__]
    found = get_args_parser().parse_args(command[python + 3 :])
    assert (found.nnodes, found.nproc_per_node, found.rdzv_backend, found.rdzv_id) == ("2", "3", "c10d", "77")
    host, port = found.rdzv_endpoint.split(":")
    assert host == os.uname().nodename and 0 < int(port) < 2**16
    assert (found.module, found.training_script, found.training_script_args) == (
        True,
        "training.train",
        ["--recipe", "r.json"],
    )


@pytest.mark.parametrize(
    ("code", "error"), [(MISTAKE, SystemExit), (INTERRUPTED, SystemExit), (1, ChildFailedError)]
)
def test_the_code_of_a_process_that_said_why_it_stopped_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[BaseException]
) -> None:
    def fails(_arguments: list[str]) -> None:
        failure = ProcessFailure(0, 1, code, str(tmp_path / "error"))
        raise ChildFailedError("train", {0: failure})

    monkeypatch.setattr(launch, "torchrun", fails)
    with pytest.raises(error) as stopped:
        launch.start_here([])
    assert error is ChildFailedError or stopped.value.code == code
