"""One writer a segment: a lock with an owner and a heartbeat, on a file system that several machines share.

The newest job gets the lock, for it is the one that a running Snakemake waits for: an older owner is asked for it,
saves, stops and gives it up. Nobody waits for an owner that is gone, or whose heart has not beaten for `STALE` seconds.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from workflow_scripts.errors import Interrupted, UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.study.trainings import job_name

BEAT = 10.0
"""Seconds between two heartbeats."""
STALE = 60.0
"""Seconds without a heartbeat after which an owner is taken for dead."""
PATIENCE = 540.0
"""Seconds that a living owner has for saving and stopping: less than the processes beside this one wait for it."""
POLL = 0.5
"""Seconds between two looks at a lock that is waited for."""
SETTLE = 3.0
"""Seconds from an owner's end until its Snakemake has cleared away the outputs that it did not make."""


class Superseded(Interrupted):
    """Another job trains the segment."""


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock, or wants it."""

    token: str
    machine: str
    pid: int
    started: float
    job: str

    @property
    def gone(self) -> bool:
        """Whether the process is known to have ended; of other machines nothing is known."""
        if not self.machine or self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


class Lock:
    """A held lock; `wanted` once a newer job asks for it."""

    def __init__(self, path: Path, owner: Owner) -> None:
        self._path = path
        self._owner = owner
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    @property
    def wanted(self) -> bool:
        """Whether another job asks for the lock, or took it over."""
        return _request(self._path).exists() or self.taken_over

    @property
    def taken_over(self) -> bool:
        """Whether another job took this one for dead, and has the lock: nothing may be written any more."""
        owner = _read(self._path)
        return owner is None or owner.token != self._owner.token

    def release(self) -> None:
        """Let go of the lock, if it is still this process's."""
        self._released.set()
        self._heart.join()
        owner = _read(self._path)
        if owner is not None and owner.token == self._owner.token:
            self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._released.wait(BEAT):
            try:
                os.utime(self._path)
            except OSError:  # a file system that is away for a moment; a lock that was taken over
                continue


@contextmanager
def held(path: Path) -> Iterator[Lock]:
    """Hold the lock at `path`; waits for an older owner, which is asked to stop.

    Raises:
        Superseded: a newer job holds it.
        UserError: its owner lives and does not give it up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _acquire(path, Owner(uuid.uuid4().hex, _machine(), os.getpid(), time.time(), job_name()))
    try:
        yield lock
    finally:
        lock.release()


def _acquire(path: Path, own: Owner) -> Lock:
    patience = time.monotonic() + PATIENCE
    waited = False
    while not _create(path, own):
        time.sleep(POLL)
        other = _read(path)
        if other is None:  # released between two looks, or being written
            continue
        if other.gone or _silence(path) > STALE:
            print(f"{path}: its owner, {other.job}, is gone; taking over", flush=True)
            _take_over(path, other, own)
        elif other.started > own.started:
            raise Superseded(f"{path}: held by {other.job}, which started later")
        elif time.monotonic() > patience:
            raise UserError(
                f"{path}: {other.job} trains this segment and did not stop in {PATIENCE / 60:.0f} minutes; end that "
                "job and start again"
            )
        else:
            if not waited:
                print(f"{path}: asking its owner, {other.job}, to save and stop", flush=True)
            _request(path).touch()  # each time: another job that waited may have removed it with its own
            waited = True
    if waited:
        time.sleep(SETTLE)
    _request(path).unlink(missing_ok=True)
    return Lock(path, own)


def _create(path: Path, own: Owner) -> bool:
    """Whether the lock was free, and is now `own`'s. It appears with its content, where there are hard links."""
    ours = _read(path)
    if ours is not None and ours.token == own.token:
        return True
    written = path.with_name(f".{path.name}.{own.token}")
    written.write_text(json.dumps(asdict(own)))
    try:
        os.link(written, path)
    except FileExistsError:
        return False
    except OSError:
        try:
            with path.open("x") as file:
                file.write(json.dumps(asdict(own)))
        except FileExistsError:
            return False
    finally:
        written.unlink()
    return True


def _take_over(path: Path, dead: Owner, own: Owner) -> None:
    """Put `own` in the place of a dead owner, unless another job did so first."""
    claim = path.with_name(f".{path.name}.{dead.token}.claim")
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        if time.time() - claim.stat().st_mtime > STALE:  # of a job that died right here
            claim.unlink(missing_ok=True)
        return
    try:
        # Only the holder of this claim replaces this owner, so what is read here does not change before it is replaced.
        current = _read(path)
        if current is not None and current.token == dead.token:
            with write_atomically(path) as temporary:
                temporary.write_text(json.dumps(asdict(own)))
    finally:
        claim.unlink(missing_ok=True)


def _silence(path: Path) -> float:
    """Seconds since the last heartbeat, by the file system's own clock: machines' clocks differ."""
    probe = path.with_name(f".{path.name}.{uuid.uuid4().hex}.now")
    probe.touch()
    try:
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    finally:
        probe.unlink()


def _read(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _request(path: Path) -> Path:
    return path.with_name(f"{path.name}.wanted")


def _machine() -> str:
    """This boot of this machine and this space of process numbers; empty where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""
