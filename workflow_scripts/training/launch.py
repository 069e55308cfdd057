"""Start a command again in many processes: torchrun on this machine, or under srun on each of a job's nodes."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from workflow_scripts.errors import INTERRUPTED, MISTAKE
from workflow_scripts.training.processes import threads_each


def start_processes(module: str, arguments: Sequence[str], count: int, nodes: int) -> None:
    """Run `python -m module arguments` in `count` processes, an equal share on each node of this job.

    Raises:
        SystemExit: with the code of a process that stopped for a reason which it has told.
        ChildFailedError: a process failed otherwise.
    """
    each = count // nodes
    os.environ["OMP_NUM_THREADS"] = str(threads_each(each))
    if nodes > 1:
        raise SystemExit(subprocess.run(_on_nodes(module, arguments, each, nodes)).returncode)
    start_here(["--standalone", f"--nproc-per-node={each}", "-m", module, *arguments])


def start_here(arguments: Sequence[str]) -> None:
    """torchrun with its arguments, for the processes of this machine.

    Raises:
        SystemExit: with the code of a process that stopped for a reason which it has told.
        ChildFailedError: a process failed otherwise.
    """
    try:
        torchrun(list(arguments))
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        if failure.exitcode not in (MISTAKE, INTERRUPTED):
            raise
        raise SystemExit(failure.exitcode) from None


def _on_nodes(module: str, arguments: Sequence[str], each: int, nodes: int) -> list[str]:
    """One torchrun a node of the SLURM job, which meet on this one, the first."""
    threads = int(os.environ["OMP_NUM_THREADS"]) * each
    return [
        "srun",
        "--overlap",
        f"--nodes={nodes}",
        f"--ntasks={nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={threads}",
        *(
            "--kill-on-bad-exit=0",
            "--wait=60",
        ),  # at once, its signal would hide the code of those that stop together
        *(sys.executable, "-m", __name__, f"--nnodes={nodes}", f"--nproc-per-node={each}"),
        *("--rdzv-backend=c10d", f"--rdzv-endpoint={socket.gethostname()}:{_free_port()}"),
        f"--rdzv-id={os.environ.get('SLURM_JOB_ID', '0')}",
        *("-m", module, *arguments),
    ]


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("", 0))
        return server.getsockname()[1]


if __name__ == "__main__":  # on each of several nodes
    start_here(sys.argv[1:])
