"""Puts the lines for a terminal into the place of Snakemake's own output, where a person has not asked for another."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.terminal import failures, words
from workflow_scripts.terminal.formatter import ENDING, Lines, Needed
from workflow_scripts.terminal.jobs import Expected, Job, Jobs, Later
from workflow_scripts.terminal.progress import Progress

HANDLER = "DefaultStreamHandler"
"""What Snakemake calls its handler that writes to the terminal; a person's own `--logger` may take its place."""


def no_plan(rule: str, wildcards: Mapping[str, str]) -> float:
    """Nothing is expected of any job."""
    return 0.0


def nothing_later(jobs: Iterable[Job]) -> list[Job]:
    """No job will be added."""
    return []


class Terminal:
    """What is said at the end of a run, beside the lines in between."""

    def __init__(self, logger: logging.Logger, progress: Progress, jobs: Jobs) -> None:
        self._logger = logger
        self._progress = progress
        self._jobs = jobs

    def succeeded(self, answers: Mapping[str, Callable[[], str]]) -> None:
        """Say what was made; if a page that answers was, its answer, too."""
        files = [file for file in self._jobs.files() if Path(file).exists()]
        self._say(words.success(self._progress.done, self._progress.elapsed, files))
        for page, answer in answers.items():
            if page in files:
                self._say(answer())

    def failed(self) -> None:
        """Say which jobs failed, and what to do."""
        progress = self._progress
        counts = progress.done, progress.total, progress.elapsed
        failed = list(progress.failed.values())
        self._say(failures.all_failed(*counts, failed) if failed else failures.stopped(*counts))

    def _say(self, text: str) -> None:
        self._logger.info(text, extra={"event": ENDING})


def install(
    logger: logging.Logger,
    settings: Any,
    graph: Callable[[], Any],
    expected: Expected = no_plan,
    later: Later = nothing_later,
) -> Terminal | None:
    """Change what Snakemake writes to the terminal, and nothing of its log file.

    Args:
        settings: Snakemake's settings of its output. With `--dry-run`, `--verbose`, `--quiet` or `--debug-dag` all is
            left as it is.
        graph: gives Snakemake's graph of jobs, once there is one.
        expected: seconds that a job takes by the plan.
        later: jobs that searches will add.
    """
    handler: Any = next((each for each in logger.handlers if each.name == HANDLER), None)
    if handler is None or settings.dryrun or settings.verbose or settings.quiet or settings.debug_dag:
        return None
    jobs = Jobs(graph, later)
    progress = Progress(jobs, expected)
    needed = Needed()
    handler.addFilter(needed)
    handler.setFormatter(Lines(handler, handler.formatter, needed, progress, jobs))
    return Terminal(logger, progress, jobs)
