"""A job that failed: how it ended, and the end of its log."""

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.errors import INTERRUPTED
from workflow_scripts.jobs.decision import made_since_decided
from workflow_scripts.jobs.record import record_path
from workflow_scripts.terminal import words

LAST_LINES = 15
WIDEST_OF_LOG = 160
LONGEST_OF_LOG = 1000
"""Characters of a line that is still told whole, on several lines."""
READ = 65536
"""Bytes from the end of a log in which its last lines are looked for: a log may be large."""
SAVED = f"exit code {INTERRUPTED}"
_EXIT = re.compile(r"returned non-zero exit status (\d+)\.\s*$")
_SIGNAL = re.compile(r"died with <Signals\.(\w+): \d+>\.\s*$")
_BOILERPLATE = re.compile(r"\s*For further error details see the cluster/cloud log.*$", re.DOTALL)


@dataclass(frozen=True)
class Failed:
    """A job that failed, by what it does and its logs; one that `saved` can go on where it stopped."""

    message: str
    logs: list[str]
    saved: bool


def end_of_command(error: str) -> str | None:
    """How Snakemake's error says that a command ended; None if the error is another."""
    if found := _EXIT.search(error):
        return f"exit code {found[1]}"
    if found := _SIGNAL.search(error):
        return f"ended by {found[1]}"
    return None


def recorded_end(outputs: Sequence[str]) -> str | None:
    """How the job's own record says that it ended, which works on a cluster too; None if it has or says nothing."""
    if not outputs:
        return None
    # Snakemake writes flags of an output behind its path: "metrics.jsonl (update)".
    path = record_path(re.sub(r" \([^)]*\)$", "", outputs[0]))
    if not made_since_decided(path):  # it is that of an earlier job
        return None
    try:
        code = json.loads(path.read_bytes())["attempts"][-1].get("exit")
    except (OSError, ValueError, LookupError):
        return None
    return f"exit code {code}" if code else None


def last_lines(log: Path) -> list[str]:
    """The last lines of a log that say something; none if there is no such log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - READ))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [part for line in lines[-LAST_LINES:] for part in _wrapped(line)][-LAST_LINES:]


def _wrapped(line: str) -> list[str]:
    """On several lines, if it is a message and not what a program dumped."""
    if len(line) <= WIDEST_OF_LOG:
        return [line]
    if len(line) > LONGEST_OF_LOG or max(map(len, line.split())) > WIDEST_OF_LOG // 2:
        return [f"{line[: WIDEST_OF_LOG - 1]}…"]
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line, WIDEST_OF_LOG, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def why(said: str | None, end: str | None) -> str:
    """How a job ended, in brackets: its exit code, and what a cluster says of it."""
    reasons = [end] if end else []
    if said and (cluster := _BOILERPLATE.sub("", said)):
        reasons.append(words.cut(cluster, 120))
    return f" ({'; '.join(reasons)})" if reasons else ""


def failure(rule: str, message: str, reason: str, logs: Sequence[str]) -> str:
    """A job's failure on half a screen: what it was, the end of its logs, and where they are."""
    lines = [words.cut(f"FAILED: {message}, rule {rule}{reason}")]
    left = LAST_LINES
    for log in logs:
        found = last_lines(Path(log))[-left:] if left else []
        left -= len(found)
        lines += [f"    | {line}" for line in found]
        lines.append(f"    log: {log}{'' if found or not left else ' (nothing in it)'}")
    return "\n".join(lines)


def saved(message: str, logs: Sequence[str]) -> str:
    """A training that had to end before its segment did."""
    return words.cut(f"Saved and stopped before its end: {message}; log {', '.join(logs)}")


def stopped(done: int, total: int, seconds: float) -> str:
    """That the run ended early without a failure."""
    return f"Stopped: {words.so_far(done, total, seconds)}. To go on, {words.GO_ON}"


def all_failed(done: int, total: int, seconds: float, jobs: Sequence[Failed]) -> str:
    """Which jobs failed, and what to do."""
    lines = [f"{words.count(len(jobs))} failed, {words.so_far(done, total, seconds)}:"]
    for job in jobs[: words.MOST_NAMED]:
        lines += [words.cut_end("  ", f"{job.message}{' (saved, not at its end yet)' if job.saved else ''}")]
        lines += [f"    {log}" for log in job.logs]
    if len(jobs) > words.MOST_NAMED:
        lines.append(f"  and {len(jobs) - words.MOST_NAMED} more")
    if all(job.saved for job in jobs):
        return "\n".join([*lines, f"What to do: {words.GO_ON}"])
    return "\n".join(
        [*lines, f"What to do: the end of its log says what a job lacked; mend that, then {words.GO_ON}"]
    )
