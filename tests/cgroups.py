"""Processes tracked by cgroups for the SLURM of tests (`tests/slurm.py`): of version 1, with its freezer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
FREEZER = MOUNTED / "freezer"
TRACKING = "ProctrackType=proctrack/cgroup"


def mounted() -> bool:
    """Whether this machine has what a SLURM of this kind needs."""
    return (FREEZER / "cgroup.procs").exists()


@contextmanager
def cgroups(configuration: Path, mark: str, nodes: tuple[str, ...]) -> Iterator[str]:
    """The line of slurm.conf; beside that file, SLURM reads one on cgroups. Both that and the groups go at the end."""
    file = configuration.with_name("cgroup.conf")
    if file.exists() and not file.read_text().startswith(mark):
        raise RuntimeError(f"{file}: this machine belongs to a cluster; the tests need one that does not")
    file.write_text(f"{mark}\nCgroupMountpoint={MOUNTED}\nCgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    try:
        yield TRACKING
    finally:
        file.unlink()
        for node in nodes:
            _remove(FREEZER / f"slurm_{node}")


def _remove(group: Path) -> None:
    """A group, which has no processes any more, with those in it."""
    if group.exists():
        for inner in group.iterdir():
            if inner.is_dir():
                _remove(inner)
        group.rmdir()
