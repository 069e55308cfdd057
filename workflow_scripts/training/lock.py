"""One writer a segment: a lock with an owner and a heartbeat, on a file system that several machines share.

The newest job gets the lock, for it is the one that a running Snakemake waits for: an older owner is asked for it,
saves, stops and gives it up. Nobody waits for an owner that is gone, or whose heart has not beaten for `STALE` seconds;
a file that names no owner, cut short by a full disk, is taken for one of those.
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
from typing import Annotated

import msgspec

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
    pid: Annotated[int, msgspec.Meta(gt=0, lt=2**31)]
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

    def check(self) -> None:
        """Whoever writes looks here first.

        Raises:
            Superseded: another job took this one for dead, and has the lock.
        """
        if self.taken_over:
            raise Superseded(
                f"{self._path}: taken over by another job, for this one was silent; it writes no more"
            )

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
                if not self.taken_over:  # the new owner's heart is its own
                    os.utime(self._path)
            except OSError:  # a file system that is away for a moment; a lock that was taken over
                continue


@contextmanager
def held(path: Path) -> Iterator[Lock]:
    """Hold the lock at `path`; waits for an older owner, which is asked to stop.

    Raises:
        Superseded: a newer job holds it, or took it over and moved away what was being written.
        UserError: its owner lives and does not give it up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _acquire(path, Owner(uuid.uuid4().hex, _machine(), os.getpid(), time.time(), job_name()))
    try:
        yield lock
    except OSError:
        lock.check()
        raise
    finally:
        lock.release()


def _acquire(path: Path, own: Owner) -> Lock:
    patience = time.monotonic() + PATIENCE
    said: list[str] = []
    while not _create(path, own):
        time.sleep(POLL)
        other = _read(path)
        if other is None and not path.exists():  # released between two looks
            continue
        if other is None or other.gone or _silence(path) > STALE:
            _take_over_once_silent(path, other, own, said)
        elif other.started > own.started:
            raise Superseded(f"{path}: held by {other.job}, which started later")
        elif time.monotonic() > patience:
            raise UserError(
                f"{path}: {other.job} trains this segment and did not stop in {PATIENCE / 60:.0f} minutes; end that "
                "job and start again"
            )
        else:
            _say_once(f"{path}: asking its owner, {other.job}, to save and stop", said)
            _request(path).touch()  # each time: another job that waited may have removed it with its own
    if said:
        time.sleep(SETTLE)
    _request(path).unlink(missing_ok=True)
    return Lock(path, own)


def _take_over_once_silent(path: Path, other: Owner | None, own: Owner, said: list[str]) -> None:
    """Take the lock of an owner that is gone; one that names no owner may be whole in a moment."""
    if other is None and _silence(path) <= STALE:
        _say_once(f"{path}: names no owner; waiting until it has been silent for {STALE:.0f} s", said)
        return
    _say_once(
        f"{path}: its owner, {other.job if other else 'which it does not name'}, is gone; taking over", said
    )
    _take_over(path, other, own)


def _say_once(text: str, said: list[str]) -> None:
    if text not in said:
        print(text, flush=True)
        said.append(text)


def _create(path: Path, own: Owner) -> bool:
    """Whether the lock was free, and is now `own`'s. It appears with its content, where there are hard links."""
    ours = _read(path)
    if ours is not None and ours.token == own.token:
        return True
    written = path.with_name(f".{path.name}.{own.token}")
    try:
        written.write_text(json.dumps(asdict(own)))
        try:
            os.link(written, path)
        except FileExistsError:
            return False
        except OSError:
            return _create_without_links(path, own)
    finally:
        written.unlink(missing_ok=True)
    return True


def _create_without_links(path: Path, own: Owner) -> bool:
    try:
        file = path.open("x")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(json.dumps(asdict(own)))
    except OSError:  # of a full disk: others shall not find half of it
        path.unlink(missing_ok=True)
        raise
    return True


def _take_over(path: Path, dead: Owner | None, own: Owner) -> None:
    """Put `own` in the place of a dead owner, or of none that could be read, unless another job did so first."""
    claim = path.with_name(f".{path.name}.{dead.token if dead else 'unreadable'}.claim")
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        if _silence(claim) > STALE:  # of a job that died right here
            claim.unlink(missing_ok=True)
        return
    try:
        # Only the holder of this claim replaces this owner, so what is read here does not change before it is replaced.
        current = _read(path)
        if path.exists() and (current and current.token) == (dead and dead.token):
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
    """The owner that a lock names; None where there is no lock, and where it was cut short or is something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Owner)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
