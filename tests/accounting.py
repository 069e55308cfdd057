"""Accounting for the SLURM of tests (`tests/slurm.py`): a MariaDB and a slurmdbd of its own, in its folder.

Neither is a service of this machine, and neither reads or writes its files: the database has no port, only a socket.
"""

import os
import socket
import subprocess
import time
from pathlib import Path

from tests.daemons import start

PORT = 17003


def configuration(munge: Path) -> str:
    """Lines of slurm.conf; who asks slurmdbd finds munged's socket where a password would stand."""
    return f"""AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={PORT}
AccountingStoragePass={munge}
"""


def start_accounting(folder: Path, authentication: str, cluster: str) -> list[subprocess.Popen]:
    """Both daemons, ready, with the cluster's name in the database; after munged, before slurmctld.

    `authentication` are the lines on it that all of SLURM's daemons share.
    """
    data = folder / "mariadb"
    install = ["mariadb-install-db", "--no-defaults", "--user=root", "--skip-test-db"]
    install += ["--auth-root-authentication-method=normal", f"--datadir={data}"]
    subprocess.run(install, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    database = _database_socket(folder)
    files = [f"--datadir={data}", f"--socket={database}", f"--pid-file={folder}/mariadbd.pid"]
    daemons = [start(folder, "mariadbd", "--no-defaults", "--user=root", "--skip-networking", *files)]
    _wait_for("MariaDB", ["mariadb", "--no-defaults", f"--socket={database}", "--execute=select 1"])
    (folder / "slurmdbd.conf").touch(mode=0o600)  # slurmdbd reads no other
    (folder / "slurmdbd.conf").write_text(_slurmdbd(folder, authentication))
    # It takes its file from beside SLURM_CONF, and its client of MariaDB the socket from the other.
    told = {"SLURM_CONF": str(folder / "slurm.conf"), "MYSQL_UNIX_PORT": str(database)}
    daemons.append(start(folder, "slurmdbd", "-D", environment=os.environ | told))
    _wait_for("slurmdbd", ["sacctmgr", "--noheader", "list", "cluster"])
    subprocess.run(
        ["sacctmgr", "--immediate", "add", "cluster", cluster], stdout=subprocess.DEVNULL, check=True
    )
    return daemons


def _database_socket(folder: Path) -> Path:
    return folder / "mariadb.socket"


def _slurmdbd(folder: Path, authentication: str) -> str:
    return f"""{authentication}
DbdHost={socket.gethostname()}
DbdAddr=127.0.0.1
DbdPort={PORT}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""


def _wait_for(name: str, command: list[str]) -> None:
    """Until a daemon answers a command."""
    deadline = time.monotonic() + 60
    while True:
        asked = subprocess.run(command, capture_output=True, text=True)
        if asked.returncode == 0:
            return
        assert time.monotonic() < deadline, f"{name} does not start: {asked.stdout}{asked.stderr}"
        time.sleep(0.5)
