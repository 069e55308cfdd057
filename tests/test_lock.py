"""One writer a segment: the newest job gets the lock, and a dead owner is not waited for."""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.training import lock
from workflow_scripts.training.lock import Superseded, held

HOLD = """
import sys, time
from pathlib import Path
from workflow_scripts.training.lock import held
with held(Path(sys.argv[1])) as own:
    print("held", flush=True)
    while not own.wanted:
        time.sleep(0.05)
print("released", flush=True)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SETTLE", 0.0)
    monkeypatch.setattr(lock, "POLL", 0.05)


def holder(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until it is asked for it."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_an_older_owner_is_asked_and_gives_it_up(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "segment.lock"
    older = holder(path)
    with held(path) as own:
        assert older.wait(timeout=30) == 0
        assert not own.wanted
    assert f"{os.uname().nodename} {older.pid}" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_it_is_asked_again_where_another_waiting_job_took_the_request_away(tmp_path: Path) -> None:
    path = tmp_path / "segment.lock"
    older = holder(path)
    older.send_signal(signal.SIGSTOP)
    request = lock._request(path)

    def take_away() -> None:
        while not request.exists():
            time.sleep(0.01)
        request.unlink()
        older.send_signal(signal.SIGCONT)

    taking = threading.Thread(target=take_away)
    taking.start()
    with held(path):
        assert older.wait(timeout=30) == 0
    taking.join()


def test_a_newer_owner_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "segment.lock"
    newer = holder(path)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with pytest.raises(Superseded, match=f"{newer.pid}, which started later"), held(path):
        pass
    assert newer.poll() is None
    newer.kill()
    newer.wait()


def test_a_killed_owner_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "segment.lock"
    dead = holder(path)
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    began = time.monotonic()
    with held(path) as own:
        assert not own.wanted
    assert time.monotonic() - began < lock.STALE / 2


def test_an_owner_on_another_machine_is_dead_once_its_heart_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "segment.lock"
    elsewhere = holder(path)
    monkeypatch.setattr(lock, "_machine", lambda: "another machine")
    elsewhere.send_signal(signal.SIGSTOP)  # neither beats nor answers
    silent = time.time() - lock.STALE - 1
    os.utime(path, (silent, silent))
    with held(path) as own:
        elsewhere.send_signal(signal.SIGCONT)
        assert elsewhere.wait(timeout=30) == 0, "an owner that was taken for dead must see it and stop"
        assert not own.wanted
        assert path.exists(), "it must not release what is no longer its own"


def test_an_owner_that_lives_and_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "segment.lock"
    deaf = holder(path)
    deaf.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(lock, "PATIENCE", 0.5)
    with pytest.raises(UserError, match=f"{deaf.pid} trains this segment and did not stop"), held(path):
        pass
    deaf.kill()
    deaf.wait()


@pytest.mark.parametrize("content", ["", '{"token": "a", "mach', '{"token": "a"}', "5", "\xff"])
def test_a_lock_that_names_no_owner_is_waited_for_aloud_and_then_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, content: str
) -> None:
    """Cut short by a full disk, or something else altogether."""
    monkeypatch.setattr(lock, "STALE", 1.5)
    path = tmp_path / "segment.lock"
    path.write_bytes(content.encode("latin-1"))
    with held(path) as own:
        assert not own.taken_over
    said = capsys.readouterr().out
    assert said.count("names no owner; waiting") == 1
    assert said.index("names no owner; waiting") < said.index("is gone; taking over")
    assert not list(tmp_path.iterdir())


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing beyond so many bytes of a file fails half-way, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("create", [lock._create, lock._create_without_links], ids=["links", "no links"])
def test_a_full_disk_leaves_no_half_of_a_lock(
    tmp_path: Path, create: Callable[[Path, lock.Owner], bool]
) -> None:
    own = lock.Owner("token", "machine", os.getpid(), time.time(), "job")
    with files_of_at_most(20), pytest.raises(OSError, match="File too large"):
        create(tmp_path / "segment.lock", own)
    assert not list(tmp_path.iterdir())
    assert create(tmp_path / "segment.lock", own)


def test_whoever_was_taken_over_writes_no_more_nor_keeps_the_lock_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.02)
    path = tmp_path / "segment.lock"
    with held(path) as own:
        own.check()
        path.write_text(path.read_text().replace(own._owner.token, "another job's"))
        time.sleep(0.1)  # a beat that had looked before
        os.utime(path, (0, 0))
        with pytest.raises(Superseded, match="taken over by another job"):
            own.check()
        time.sleep(0.2)
        assert path.stat().st_mtime == 0
    assert path.exists()


def test_what_another_job_moved_away_is_no_error_of_whoever_was_taken_over(tmp_path: Path) -> None:
    """It was stopped in the middle of a write, while the other job trained to the end."""
    path, file = tmp_path / "segment.lock", tmp_path / "segment.progress/state"
    with pytest.raises(FileNotFoundError), held(path):
        file.write_text("")
    with pytest.raises(Superseded, match="taken over by another job"), held(path):
        path.unlink()
        file.write_text("")


def test_a_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.05)
    path = tmp_path / "segment.lock"
    with held(path):
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 30
        while path.stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _take_over(path: Path, gate: threading.Barrier, log: Path) -> None:
    lock.SETTLE, lock.POLL = 0.0, 0.01
    gate.wait()
    try:
        with held(path) as own:
            with log.open("a") as file:
                file.write(f"{os.getpid()} in\n")
            time.sleep(0.05)
            lost = own.wanted and lock._read(path) != own._owner
            with log.open("a") as file:
                file.write(f"{os.getpid()} out{' lost' * lost}\n")
    except Superseded:
        pass


def test_of_many_that_find_a_dead_owner_one_at_a_time_holds_the_lock(tmp_path: Path) -> None:
    path, log = tmp_path / "segment.lock", tmp_path / "log"
    dead = holder(path)
    dead.kill()
    dead.wait()
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(6)
    takers = [context.Process(target=_take_over, args=(path, gate, log)) for _ in range(6)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(timeout=60)
        assert taker.exitcode == 0
    lines = log.read_text().splitlines()
    assert len(lines) >= 2
    for entered, left in zip(lines[::2], lines[1::2], strict=True):
        assert (entered, left) == (entered, entered.replace(" in", " out")), lines
