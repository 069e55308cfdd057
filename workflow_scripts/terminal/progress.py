"""The state of a run: which jobs are done, run and failed, and how long each kind of job took."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from workflow_scripts.terminal.failures import Failed
from workflow_scripts.terminal.jobs import Expected, Job, Jobs
from workflow_scripts.terminal.remaining import Measured, Work, seconds_left


@dataclass(frozen=True)
class Growth:
    """That the number of jobs changed, and the searches that have chosen since."""

    before: int
    now: int
    searches: list[str]


@dataclass(frozen=True)
class Running:
    """A job that runs, since when."""

    job: Job
    since: float


class Progress:
    """Told of each start, end and failure; knows the rest from the jobs' graph, asked when a line is due.

    Numbers of jobs are Snakemake's. A job that was started again has run for all its attempts together.
    """

    def __init__(self, jobs: Jobs, expected: Expected, clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs = jobs
        self._expected = expected
        self._clock = clock
        self._begun = clock()
        self._first_start: float | None = None
        self._busy = 0.0
        self._earlier: dict[str, float] = {}
        self._running: dict[str, Running] = {}
        self._measured: dict[str, Measured] = {}
        self._searches: list[str] = []
        self._told = 0
        self.messages: dict[str, str] = {}
        self.failed: dict[str, Failed] = {}
        """By number of the job, those that were not started again."""
        self.done = 0

    @property
    def total(self) -> int:
        """Jobs of this run, those that are done among them."""
        return self._jobs.total()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._begun

    def begin(self) -> None:
        """The jobs are known and about to start."""
        self._told = self.total

    def start(self, number: str, job: Job, message: str) -> None:
        """A job starts, or is started again."""
        now = self._clock()
        self._first_start = now if self._first_start is None else self._first_start
        self._running[number] = Running(job, now)
        self.messages[number] = message
        self.failed.pop(number, None)

    def finish(self, number: str) -> None:
        """A job ended well."""
        self.done += 1
        running = self._running.pop(number, None)
        if running is None:
            return
        job = running.job
        seconds = self._stop(running) + self._earlier.pop(number, 0.0)
        before = self._measured.get(job.rule, Measured())
        self._measured[job.rule] = before.and_one(seconds, self._expected(job.rule, dict(job.wildcards)))
        if job.chooses:
            self._searches.append(", ".join(value for _, value in sorted(job.wildcards)))

    def fail(self, number: str, message: str, logs: list[str], saved: bool = False) -> None:
        """A job failed, or `saved` what it had and stopped."""
        self.failed[number] = Failed(message, logs, saved)
        running = self._running.pop(number, None)
        if running is not None:
            self._earlier[number] = self._earlier.get(number, 0.0) + self._stop(running)

    def grown(self) -> Growth | None:
        """How the number of jobs changed since this was last asked."""
        before, now = self._told, self.total
        if before == now:
            return None
        self._told = now
        searches, self._searches = self._searches, []
        return Growth(before, now, searches)

    def seconds_left(self) -> float | None:
        """Seconds until the run ends, with the jobs that searches will add; None where they cannot be told yet."""
        if self._first_start is None or not self._measured:
            return None
        now = self._clock()
        since = {running.job: running.since for running in self._running.values()}
        works = [
            self._work(job, now - since[job] if job in since else 0.0)
            for job in [*self._jobs.to_run(), *self._jobs.to_come()]
        ]
        busy = self._busy + sum(now - running.since for running in self._running.values())
        wall = now - self._first_start
        return seconds_left(works, self._measured, busy / wall if wall > 0 else 1.0)

    def _work(self, job: Job, elapsed: float) -> Work:
        return Work(job.rule, self._expected(job.rule, dict(job.wildcards)), elapsed)

    def _stop(self, running: Running) -> float:
        seconds = self._clock() - running.since
        self._busy += seconds
        return seconds
