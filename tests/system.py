"""What tests need of the machine, beside Python's packages, and how a Debian machine gets it.

`make test` runs this file first, with the names of what to install. What is missing all the same costs the tests that
need it, which tests/conftest.py leaves out by name; with CI=true it is an error.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tests import cgroups, slurm


@dataclass(frozen=True)
class Need:
    """`allowed` says whether this user has the right, on this machine."""

    what: str
    programs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    right: str = ""
    allowed: Callable[[], bool] = lambda: True

    def missing(self) -> list[str]:
        return [program for program in self.programs if not shutil.which(program)]

    def unmet(self) -> str:
        """What tests that need this lack here, and what to do about it; empty if they can run."""
        missing, allowed = self.missing(), self.allowed()
        lacks = missing if allowed else [self.right, *missing]
        steps = [f"apt-get install {' '.join(self.packages)}"] if missing else []
        steps += [] if allowed else ["make test"]
        return f"{self.what}, and lack: {', '.join(lacks)}. As root: {', then '.join(steps)}" if lacks else ""


def may_start_slurm() -> bool:
    """SLURM's packages are not installed beside another's configuration either: Debian would start it."""
    return is_root() and not slurm.configured_by_another()


def may_mount() -> bool:
    tool = shutil.which("unshare")
    return bool(tool) and is_root() and subprocess.run([tool, "--mount", "true"]).returncode == 0


def is_root() -> bool:
    return os.geteuid() == 0


NEEDS = {
    "chromium": Need("Chromium", ("chromium",), ("chromium", "fonts-dejavu-core")),
    "openssl": Need("openssl", ("openssl",), ("openssl",)),
    "slurm": Need(
        "a SLURM of their own",
        ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "sinfo", "squeue"),
        ("munge", "slurm-client", "slurmctld", "slurmd"),
        "the rights of root on a machine that belongs to no cluster",
        may_start_slurm,
    ),
    "accounting": Need(  # for some of tests/faults.py
        "accounting for their SLURM",
        ("mariadb", "mariadb-install-db", "mariadbd", "sacct", "sacctmgr", "slurmdbd"),
        ("mariadb-server", "slurm-client", "slurmdbd"),
        "the rights of root on a machine that belongs to no cluster",
        may_start_slurm,
    ),
    "cgroups": Need(  # for some of tests/faults.py
        "cgroups for their SLURM", right="cgroups of version 1, with a freezer", allowed=cgroups.mounted
    ),
    "mount": Need("to mount a disk", right="the right to mount", allowed=may_mount),
}


def on_ci() -> bool:
    return os.environ.get("CI", "") not in ("", "false")


def install(names: list[str]) -> None:
    """Install what is missing where this user may, and nothing for tests that could not run all the same."""
    needs = [NEEDS[name] for name in names]
    packages = [package for need in needs if need.allowed() and need.missing() for package in need.packages]
    prefix = _as_root()
    if packages and prefix is not None and shutil.which("apt-get"):
        print(f"Installing {' '.join(packages)}{' with sudo' if prefix else ''}", flush=True)
        apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
        subprocess.run([*apt, "update"], check=False)
        subprocess.run(
            [*apt, "install", "-y", "--no-install-recommends", *packages],
            stdout=subprocess.DEVNULL,  # its errors are shown
            check=False,
        )
    unmet = [reason for need in needs if (reason := need.unmet())]
    if unmet and on_ci():
        sys.exit("\n".join(f"The tests need {reason}" for reason in unmet))


def _as_root() -> list[str] | None:
    """What to put before a command to run it as root; None where that cannot be."""
    if is_root():
        return []
    if not shutil.which("sudo"):
        return None
    may = sys.stdin.isatty() or subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0
    return ["sudo"] if may else None


if __name__ == "__main__":
    install(sys.argv[1:])
