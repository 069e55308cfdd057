"""A SLURM of this machine's own for tests: two nodes, partitions `cpu` and `gpu`, started and ended as root."""

import fcntl
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests import accounting as accounts
from tests.cgroups import cgroups as tracking
from tests.daemons import start

CONFIGURATION = Path("/etc/slurm/slurm.conf")
MARK = "# written by the tests of this project; its daemons work in "
LOCK = Path("/run/slurm-of-tests.lock")
NODES = ("n1", "n2")
CLUSTER = "test"
NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none"
NO_CGROUPS = "ProctrackType=proctrack/linuxproc"
DAEMONS = ("slurmctld", "slurmd", "slurmstepd", "slurmdbd")


@dataclass(frozen=True)
class Cluster:
    """Its daemons, and those that they start for each job, have this folder as their working directory.

    No other process is ended, whatever its name.
    """

    folder: Path

    def daemons(self) -> set[psutil.Process]:
        programs = (*DAEMONS, "slurmscriptd", "munged", "mariadbd")
        return {process for process in _running(programs) if self._holds(process)}

    def step_daemons(self, job: str) -> set[psutil.Process]:
        """Those that run the steps of a job."""
        titled = f"slurmstepd: [{job}."
        return {process for process in self.daemons() if " ".join(process.cmdline()).startswith(titled)}

    def processes(self) -> set[psutil.Process]:
        """Daemons and all that they run."""
        found = self.daemons()
        for daemon in list(found):
            with suppress(psutil.NoSuchProcess):
                found.update(daemon.children(recursive=True))
        return found

    def end(self) -> None:
        """Kill all of it, once all is stopped: what is stopped starts nothing that would be missed."""
        stopped: set[psutil.Process] = set()
        while new := self.processes() - stopped:
            for process in new:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            stopped |= new
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        while any(runs(process) for process in stopped):
            time.sleep(0.1)

    def _holds(self, process: psutil.Process) -> bool:
        try:
            return Path(process.cwd()).is_relative_to(self.folder)
        except psutil.Error:  # it has ended, or is another user's
            return False


def runs(process: psutil.Process) -> bool:
    """What is killed and waits to be collected does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def cluster(folder: Path, *more: str, accounting: bool = False, cgroups: bool = False) -> Iterator[Cluster]:
    """A running SLURM whose daemons write into `folder`; refused where the machine belongs to a cluster.

    `more` are further lines of its configuration. With `accounting`, sacct answers; with `cgroups`, those track its
    processes.

    Jobs find it through its usual file, for what starts them drops SLURM's variables. A munged with a key of its own
    serves it, so that the machine's is left alone.
    """
    with only_one(), ExitStack() as others:
        _end_leftovers()
        _refuse_a_machine_of_a_cluster()
        started = Cluster(folder)
        CONFIGURATION.parent.mkdir(exist_ok=True)
        tracked = others.enter_context(tracking(CONFIGURATION, MARK, NODES)) if cgroups else NO_CGROUPS
        accounted = accounts.configuration(_socket(folder)) if accounting else NO_ACCOUNTING
        CONFIGURATION.write_text("\n".join([_configuration(folder), tracked, accounted, *more, ""]))
        daemons = []
        try:
            daemons.append(_start_munge(folder))
            if accounting:
                daemons += accounts.start_accounting(folder, _authentication(folder), CLUSTER)
            daemons.append(start(folder, "slurmctld", "-D", "-c"))
            daemons += [start(folder, "slurmd", "-D", "-N", node) for node in NODES]
            _wait_for_nodes()
            yield started
        finally:
            started.end()
            for daemon in daemons:
                daemon.wait()
            CONFIGURATION.unlink()


@contextmanager
def only_one() -> Iterator[None]:
    """Two runs of the tests would end each other's cluster; the system releases the lock of one that is killed."""
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"{LOCK} is held: another run of these tests has a SLURM on this machine"
            ) from None
        yield


def configured_by_another() -> bool:
    return CONFIGURATION.exists() and not CONFIGURATION.read_text().startswith(MARK)


def _end_leftovers() -> None:
    """End the cluster of tests that were killed, whose folder its configuration tells."""
    if configured_by_another():
        raise RuntimeError(
            f"{CONFIGURATION}: this machine belongs to a cluster; the tests need one that does not"
        )
    if CONFIGURATION.exists():
        first, *_ = CONFIGURATION.read_text().splitlines()
        Cluster(Path(first.removeprefix(MARK))).end()
        CONFIGURATION.unlink()


def _refuse_a_machine_of_a_cluster() -> None:
    for process in _running(DAEMONS):
        raise RuntimeError(
            f"{process.name()} runs here as process {process.pid} and was not started by these tests: "
            "this machine belongs to a cluster, and the tests need one that does not"
        )


def _running(programs: tuple[str, ...]) -> list[psutil.Process]:
    found = psutil.process_iter(["name"])
    return [process for process in found if process.info["name"] in programs and runs(process)]


def _start_munge(folder: Path) -> subprocess.Popen:
    key = folder / "munge.key"
    key.touch(mode=0o400)
    key.write_bytes(os.urandom(1024))
    files = {"key-file": key, "socket": _socket(folder), "pid-file": folder / "munged.pid"}
    files |= {"seed-file": folder / "munged.seed", "log-file": folder / "munged.log"}
    options = [f"--{name}={path}" for name, path in files.items()]
    return start(
        folder, "munged", "--foreground", "--force", *options
    )  # in a folder that root alone may enter


def _socket(folder: Path) -> Path:
    return folder / "munge.socket"


def _authentication(folder: Path) -> str:
    return f"AuthType=auth/munge\nAuthInfo=socket={_socket(folder)}"


def _wait_for_nodes() -> None:
    deadline = time.monotonic() + 60
    while True:
        found = subprocess.run(["sinfo", "--noheader", "--format", "%T"], capture_output=True, text=True)
        if found.stdout.split() and set(found.stdout.split()) <= {"idle"}:
            return
        assert time.monotonic() < deadline, f"SLURM does not start: {found.stdout}{found.stderr}"
        time.sleep(0.2)


def _configuration(folder: Path) -> str:
    """Nodes that say they have two processors each, whatever the machine has."""
    host = socket.gethostname()
    return f"""{MARK}{folder}
ClusterName={CLUSTER}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
{_authentication(folder)}
CryptoType=crypto/munge
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
MinJobAge=600
KillWait=5
JobAcctGatherType=jobacct_gather/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=17001 CPUs=2 RealMemory=30000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=17002 CPUs=2 RealMemory=30000
PartitionName=cpu Nodes=ALL Default=YES State=UP
PartitionName=gpu Nodes=ALL State=UP
"""
