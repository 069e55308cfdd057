"""Figures and tables drawn again: the recorded commands that lead to them from metrics, with this repository's code."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.errors import UserError
from workflow_scripts.jobs.environment import REPOSITORY
from workflow_scripts.jobs.record import Record
from workflow_scripts.jobs.sheet import OPTION
from workflow_scripts.provenance.archive import Files, is_below

READ = ("run_evaluations", "run_training", "concatenate", "counts", "search")
GATHERED = (*READ, "figure_intervals", "table_intervals")
REDRAWN = frozenset((*GATHERED, "study", "table", "figure", "verdicts", "report"))
"""Rules whose jobs are run again: from metrics and lines of metrics on, without torch, weights and images."""
MODULES = tuple(f"workflow_scripts.{name}" for name in ("tables.", "figures.", "report.", "jobs.write"))
"""What their commands begin with; a bundle's records run nothing else."""
FROM_HERE = ("--template", "--captions", "--published")
"""Options that name files of the repository. A template is as good as code, so none of a bundle's is filled in."""
ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
"""What a word begins with that pandas would fetch from the network."""
VERSIONS = re.compile(rb'<section id="versions">.*?</section>', re.DOTALL)
"""What of the report tells of the machine that it was built on."""


@dataclass(frozen=True)
class Job:
    """A command to run again, and the files that it reads and writes."""

    rule: str
    command: list[str]
    inputs: list[str]
    outputs: list[str]


def jobs_of(records: Iterable[Record], results: str) -> list[Job]:
    """The jobs to run again; `results` is the folder of the results, as the records name it.

    Raises:
        UserError: a record's command is none that a bundle may run.
    """
    return [_job(record, results) for record in records if record.rule in REDRAWN]


def _job(record: Record, results: str) -> Job:
    """A record's job, with what it read of the repository then from the repository here."""
    inputs, outputs = ([file.path for file in files] for files in (record.inputs, record.outputs))
    ours = {path for path in inputs if not is_below(path, results)}
    words = [_ours(word) if word in ours else word for word in record.command]
    if not outputs or words[:2] != ["python", "-m"] or not "".join(words[2:3]).startswith(MODULES):
        raise UserError(f"the bundle's record of {outputs or record.rule} has no command to draw it with")
    if forbidden := next(_forbidden(record.command, ours), None):
        raise UserError(
            f"the bundle's record of {outputs[0]} has the words {forbidden}, with which no figure is drawn again"
        )
    given = [word for word, then in zip(words, record.command, strict=True) if word == then]
    # What lies elsewhere is neither the bundle's nor the repository's.
    astray = [word for word in (*given, *outputs) if _lies_elsewhere(word.partition("=")[2] or word)]
    if astray:
        raise UserError(f"the bundle's record of {outputs[0]} names {astray[0]}, which lies outside of it")
    return Job(record.rule, words[2:], inputs, outputs)


def _forbidden(command: list[str], ours: set[str]) -> Iterator[str]:
    """Options that would take more words from a sheet, or a file of the bundle for one of the repository.

    argparse reads the beginning of an option for the whole, and a value behind `=`: records have neither of these.
    """
    for word, value in zip(command, [*command[1:], ""], strict=True):
        name = word.partition("=")[0]
        begins = word.startswith("--") and any(option.startswith(name) for option in FROM_HERE)
        if name == OPTION or (begins and (word not in FROM_HERE or value not in ours)):
            yield f"{word} {value}".strip()


def _lies_elsewhere(word: str) -> bool:
    return not is_below(word, ".") or ADDRESS.match(word) is not None


def _ours(path: str) -> str:
    """Where a file of the repository's `reports/` lies here."""
    file = REPOSITORY / "reports" / Path(path).name
    if not file.is_file():
        raise UserError(f"the bundle was made with {path}; {file} is not there: use the commit that made it")
    return str(file)


def run(jobs: Iterable[Job], folder: Path) -> None:
    """Run the commands within a folder that holds all that no job of them makes, each after those it rests on.

    Raises:
        UserError: one failed, or they rest on each other.
    """
    waiting = list(jobs)
    unmade = {path for job in waiting for path in job.outputs}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while waiting:
            ready = [job for job in waiting if unmade.isdisjoint(job.inputs)]
            if not ready:
                raise UserError(
                    f"the bundle's records of {waiting[0].outputs[0]} and others rest on each other"
                )
            list(pool.map(lambda job: _run(job, folder), ready))
            unmade -= {path for job in ready for path in job.outputs}
            waiting = [job for job in waiting if job not in ready]


def _run(job: Job, folder: Path) -> None:
    paths = filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH")))
    # -P: modules come from the repository and from what is installed, never from the folder.
    done = subprocess.run(
        [sys.executable, "-P", "-m", *job.command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise UserError(f"{job.outputs[0]}: cannot be drawn again:\n{done.stderr.strip()}")


def compared(jobs: Iterable[Job], files: Files, folder: Path) -> Iterator[tuple[str, bool]]:
    """Each file drawn again, and whether it equals the bundle's."""
    for path in sorted(path for job in jobs for path in job.outputs):
        again = folder / path
        same = path in files and again.is_file()
        yield path, same and _comparable(path, files[path]) == _comparable(path, again.read_bytes())


def _comparable(path: str, content: bytes) -> bytes:
    """All of a file; of the report all but where it was built."""
    return VERSIONS.sub(b"", content) if path.endswith(".html") else content


def unvouched(records: Iterable[Record], files: Files) -> Iterator[str]:
    """Those of the files that no job tells that it wrote as they are: a new list of the bundle may hide a change."""
    written = {file.path: file.sha256 for record in records for file in record.outputs}
    for path in sorted(files):
        if written.get(path) != hashlib.sha256(files[path]).hexdigest():
            yield path
