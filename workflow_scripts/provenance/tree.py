"""How did this come to be? The jobs behind a file as a readable tree, down to data and code."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePath

from workflow_scripts.jobs.environment import module_of
from workflow_scripts.jobs.record import Attempt, File, Record
from workflow_scripts.provenance.results import Results

Files = list[File]
SHOWN = 2
"""Of the inputs that one rule made, how many are shown before they are only counted."""


def lines(results: Results, record: str, everything: bool = False) -> Iterator[str]:
    """The tree of a job; what was shown above is not shown again, and of many alike the first few, unless asked for."""
    yield from _lines(results, record, results.records[record].outputs[:1], everything, set())


def _lines(results: Results, path: str, shown: Files, everything: bool, seen: set[str]) -> Iterator[str]:
    """The tree of the job with the record at `path`, of whose outputs those that were read are shown."""
    record = results.records[path]
    seen.add(path)
    yield from _job(record, shown)
    branches = [*_raw(results, record), *_made(results, path, everything)]
    for number, branch in enumerate(branches, 1):
        last = number == len(branches)
        fork, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
        first, *others = _branch(results, branch, everything, seen)
        yield f"{fork}{first}"
        yield from (f"{rest}{line}" for line in others)


def _branch(
    results: Results, branch: str | tuple[str, Files], everything: bool, seen: set[str]
) -> Iterator[str]:
    if isinstance(branch, str):
        yield branch
    elif branch[0] in seen:
        yield f"{_names(branch[1])}  (its job is above)"
    else:
        yield from _lines(results, *branch, everything, seen)


def _names(files: Files) -> str:
    """The first file's path, and the names of the others."""
    others = [PurePath(file.path).name for file in files[1:]]
    shown = others if len(others) <= SHOWN else [*others[:SHOWN], f"{len(others) - SHOWN} more"]
    return ", ".join([files[0].path, *shown])


def _job(record: Record, shown: Files) -> Iterator[str]:
    yield _names(shown) if shown else f"(no output of {record.rule})"
    attempt = record.attempts[-1]
    where = f"SLURM job {attempt.slurm_job} on {attempt.host}" if attempt.slurm_job else attempt.host
    commit = (record.code.commit or "no commit")[:10] + (
        " with uncommitted changes" if record.code.dirty else ""
    )
    yield f"   {record.rule}, {attempt.end or 'not ended'}, {where}, code {commit}"
    for file in shown[:1]:
        yield f"   {file.bytes:,} bytes, sha256 {file.sha256}"
    if len(record.attempts) > 1:
        yield f"   {len(record.attempts)} attempts: {'; '.join(map(_life, record.attempts))}"


def _life(attempt: Attempt) -> str:
    """One attempt in a few words."""
    notes = {key: value for note in attempt.notes for key, value in note.items()}
    start = f"from iteration {notes['start_iteration']}, " if "start_iteration" in notes else ""
    end = "killed" if attempt.exit is None else f"exit {attempt.exit}"
    job = f" as SLURM job {attempt.slurm_job}" if attempt.slurm_job else ""
    return f"{attempt.start}{job}: {start}{end}"


def _raw(results: Results, record: Record) -> Iterator[str]:
    """Inputs that no job wrote, but for code, of which the commit tells."""
    for file in record.inputs:
        if results.producer(file.path) is None and module_of(file.path) is None:
            yield f"{file.path}  {file.bytes:,} bytes, sha256 {file.sha256}"


def _made(results: Results, path: str, everything: bool) -> Iterator[str | tuple[str, Files]]:
    """Inputs that jobs wrote: the record of each job, and those of its files that were read."""
    read: dict[str, Files] = defaultdict(list)
    for file in results.records[path].inputs:
        producer = results.producer(file.path)
        if producer is not None:
            read[producer].append(file)
    by_rule: dict[str, list[str]] = defaultdict(list)
    for parent in read:
        by_rule[results.records[parent].rule].append(parent)
    for rule, parents in by_rule.items():
        shown = parents if everything or len(parents) <= SHOWN + 1 else parents[:SHOWN]
        for parent in shown:
            yield parent, read[parent]
        if len(parents) > len(shown):
            yield f"… and {len(parents) - len(shown)} more made by {rule} (--all shows them)"
