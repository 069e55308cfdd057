"""Snakemake's records turned into lines for a terminal; which of them a person can do without."""

import logging
import re
from typing import Any

from workflow_scripts.terminal import failures, words
from workflow_scripts.terminal.jobs import Job, Jobs
from workflow_scripts.terminal.progress import Progress

ENDING = "ending"
"""The event of what is said at the end of a run."""
NEEDLESS_EVENTS = {"workflow_started", "resources_info", "job_started"}
FIRST = "Assuming unrestricted shared filesystem usage"
"""How the message begins that comes before the event, where a workflow runs on one machine."""
NEEDLESS = (
    FIRST,
    "Building DAG of jobs",
    "Cleaning up SLURM log files",
    "Conda environments: ignored",
    "DAG of jobs will be updated after completion",
    "Elapsed time: ",
    "Exiting because a job execution failed",
    "Group jobs: inactive",
    "Job rate limit reached",
    "Processed ",
    "Removing output files of failed job",
    "Removing temporary output",
    "Select jobs to execute",
    "Shutting down, this might take some time",
    "Singularity containers: ignored",
    "Touching output file",
    "Updating checkpoint dependencies",
    "Using shell: ",
)
"""How messages begin that say nothing of the study. `Exiting because …` gives way to the list of failed jobs."""
_RESTART = re.compile(r"Trying to restart job (\S+)\.$")
_WITHOUT_OUTPUT = re.compile(r"^Job (\S+)\s+completed successfully, but", re.MULTILINE)
_SUBMITTED = re.compile(r"Job (\S+) has been submitted with SLURM jobid (\S+) \(log: (.+)\)\.$")


class Needed(logging.Filter):
    """Lets through what a person needs once a workflow runs; before, everything: `--summary` and others do not run."""

    def __init__(self) -> None:
        super().__init__()
        self.running = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to show a record. What is unknown is shown."""
        event, text = _event(record), str(record.msg)
        if event == "workflow_started" or text.startswith(FIRST):
            self.running = True
        if not self.running:
            return True
        return event not in NEEDLESS_EVENTS and not text.startswith(NEEDLESS)


class Lines(logging.Formatter):
    """A line a job. A handler calls it under its lock, one record at a time, so the state behind it needs none."""

    def __init__(
        self,
        handler: Any,
        usual: logging.Formatter,
        needed: Needed,
        progress: Progress,
        jobs: Jobs,
    ) -> None:
        """`usual`: formats what is left as Snakemake has it."""
        super().__init__()
        self._handler = handler
        self._usual = usual
        self._needed = needed
        self._progress = progress
        self._jobs = jobs
        self._ends: dict[int | None, str] = {}
        self._lines = {
            "run_info": self._beginning,
            "job_info": self._job,
            "shellcmd": self._command,
            "job_finished": self._finished,
            "job_error": self._failed,
            "error": self._error,
            "group_error": self._group_failed,
            "group_info": self._group,
            "progress": self._nothing,
            None: self._said,
        }

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record; an empty text, which the handler leaves out, if it has none."""
        if not self._needed.running:
            return self._usual.format(record)
        text = self._lines.get(_event(record), self._usual.format)(record)
        # Snakemake's handler writes an empty line before a job unless it believes that one went before.
        self._handler.last_msg_was_job_info = True
        return text

    def _beginning(self, record: logging.LogRecord) -> str:
        self._progress.begin()
        return words.beginning(self._progress.total, self._jobs.choosing(), len(self._jobs.to_come()))

    def _job(self, record: logging.LogRecord) -> str:
        found = record.__dict__
        job = Job.of(found["rule_name"], found["wildcards"], found["is_checkpoint"])
        values = [str(value) for value in (found["wildcards"] or {}).values()]
        message = words.message(job.rule, found["rule_msg"], values, bool(found["shellcmd"]))
        self._progress.start(str(found["jobid"]), job, message)
        progress = self._progress
        line = words.job_line(
            progress.done, progress.total, progress.elapsed, progress.seconds_left(), message
        )
        grown = progress.grown()
        return f"{words.growth(grown.before, grown.now, grown.searches)}\n{line}" if grown else line

    def _command(self, record: logging.LogRecord) -> str:
        command = record.__dict__.get("shellcmd") or record.__dict__.get("cmd")
        return f"    {command}" if command else ""

    def _finished(self, record: logging.LogRecord) -> str:
        self._progress.finish(str(record.__dict__["job_id"]))
        return ""

    def _error(self, record: logging.LogRecord) -> str:
        """What a command ended with is said with its job, whose failure the same thread tells next.

        No failure follows where a job did not write its output, so that is read from the error itself.
        """
        text = str(record.msg)
        if end := failures.end_of_command(text):
            self._ends[record.thread] = end
            return ""
        if found := _WITHOUT_OUTPUT.search(text):
            self._progress.fail(found[1], self._named(found[1]), [])
        return self._usual.format(record)

    def _failed(self, record: logging.LogRecord) -> str:
        found = record.__dict__
        number, logs = str(found["jobid"]), list(found["log"])
        end = self._ends.pop(record.thread, None) or failures.recorded_end(found["output"])
        message, saved = self._named(number), end == failures.SAVED
        self._progress.fail(number, message, logs, saved)
        if saved:
            return failures.saved(message, logs)
        return failures.failure(found["rule_name"], message, failures.why(found["rule_msg"], end), logs)

    def _group(self, record: logging.LogRecord) -> str:
        """Its jobs follow, each with its line. A group goes by the name of its last job, which any of them may be."""
        jobs = record.__dict__["jobs"]
        messages = "; ".join(sorted(job.message or job.rule.name for job in jobs))
        self._progress.messages |= {job.uuid(): messages for job in jobs}
        return ""

    def _group_failed(self, record: logging.LogRecord) -> str:
        """Its jobs follow, each with its own log; here is the log that they have in common."""
        logs = ", ".join(record.__dict__["aux_logs"])
        return words.cut(f"One of the next jobs failed, which ran together{f'; log {logs}' if logs else ''}:")

    def _said(self, record: logging.LogRecord) -> str:
        text = str(record.msg)
        if found := _RESTART.match(text):
            return words.cut(f"Started again: {self._named(found[1])}")
        if found := _SUBMITTED.match(text):
            return words.submitted(found[2], found[3], self._named(found[1]))
        return self._usual.format(record)

    def _named(self, number: str) -> str:
        """What a job or a group of jobs does."""
        return self._progress.messages.get(number, f"job {number}")

    def _nothing(self, record: logging.LogRecord) -> str:
        return ""


def _event(record: logging.LogRecord) -> str | None:
    event = getattr(record, "event", None)
    return None if event is None else str(event)
