"""A SLURM of this machine's own for tests: two nodes, partitions `cpu` and `gpu`, started and ended as root."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION = Path("/etc/slurm/slurm.conf")
MARK = "# written by the tests of this project"
KEY = Path("/etc/munge/munge.key")
NODES = ("n1", "n2")


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """A running SLURM whose daemons write into `folder`.

    Jobs find it through its usual file, for what starts them drops SLURM's variables; another's file is not touched.
    """
    if CONFIGURATION.exists() and not CONFIGURATION.read_text().startswith(MARK):
        raise RuntimeError(
            f"{CONFIGURATION}: this machine belongs to a cluster; its tests need one that does not"
        )
    for program in ("slurmctld", "slurmd", "slurmstepd"):  # of tests that were killed
        subprocess.run(["pkill", "-KILL", "-x", program], check=False)
    _start_munge()
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.write_text(_configuration(folder))
    daemons = [_start("slurmctld", "-D", "-c", log=folder / "slurmctld.out")]
    daemons += [_start("slurmd", "-D", "-N", node, log=folder / f"{node}.out") for node in NODES]
    try:
        _wait_for_nodes()
        yield
    finally:
        subprocess.run(["scancel", "--user", "root"], check=False)
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
        CONFIGURATION.unlink()


def _start_munge() -> None:
    if subprocess.run(["munge", "-n"], capture_output=True).returncode == 0:
        return
    KEY.parent.mkdir(exist_ok=True)
    KEY.write_bytes(os.urandom(1024))
    KEY.chmod(0o400)
    Path("/run/munge").mkdir(exist_ok=True)
    for path in (KEY, KEY.parent, Path("/run/munge"), Path("/var/lib/munge"), Path("/var/log/munge")):
        shutil.chown(path, "munge")
    subprocess.run(["su", "-s", "/bin/sh", "munge", "-c", "/usr/sbin/munged --force"], check=True)


def _start(program: str, *arguments: str, log: Path) -> subprocess.Popen:
    with log.open("w") as output:
        return subprocess.Popen([program, *arguments], stdout=output, stderr=subprocess.STDOUT)


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
    return f"""{MARK}
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
MinJobAge=600
KillWait=5
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
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
