"""Is it still true? Every way in which results, records, code, data and configuration can have come apart."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from workflow_scripts.jobs import environment
from workflow_scripts.jobs.record import Record
from workflow_scripts.provenance.hashes import Hashes
from workflow_scripts.provenance.results import Results
from workflow_scripts.study.words import count


class Kind(NamedTuple):
    """A kind of problem: what it means, and what a person does about it."""

    meaning: str
    remedy: str


KINDS = {
    "altered": Kind(
        "the file is not what its job wrote",
        "Bring back what the job wrote, or remove the file and run Snakemake again.",
    ),
    "missing": Kind(
        "the file is gone",
        "Run Snakemake again, which makes what a job can make; bring back what none can.",
    ),
    "no record": Kind(
        "nothing tells how the file came to be",
        "Remove it. If a job is to make it, run Snakemake again.",
    ),
    "broken record": Kind(
        "the record was altered, or is not one",
        "Remove the file that the record tells of, and run Snakemake again.",
    ),
    "incomplete": Kind(
        "the job did not end well",
        "Run Snakemake again: the job is done again, and a training goes on.",
    ),
    "contradiction": Kind(
        "two records tell different things of one file",
        "Remove the file, which was made from another one than is there, and run Snakemake again.",
    ),
    "stale": Kind(
        "made from an input that was made anew since",
        "Run Snakemake again: what is older than its input is made again.",
    ),
    "data": Kind(
        "the data is not what it was made from",
        "Bring back the data, or make results from the new in another folder: `results` of config.yaml.",
    ),
    "code": Kind(
        "the code is not what it was made with",
        "Nothing, if the change is to no number. Else run Snakemake again; a training runs again only when "
        "the `version` of its recipe is raised.",
    ),
    "configuration": Kind(
        "the study now says otherwise",
        "Run Snakemake again, or audit with the configuration that these results are of: --configfile.",
    ),
    "mixed": Kind(
        "parts were made with different code, versions or machines",
        "Nothing, if that is known and makes no difference. Else make all results anew in another folder: "
        "`results` of config.yaml.",
    ),
    "scales": Kind(
        "results of several scales",
        "Remove what is of another scale than its folder, and run Snakemake again.",
    ),
}


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong with a file; `kind` is one of `KINDS`."""

    kind: str
    path: str
    what: str


Expected = Callable[[str, Mapping[str, str]], dict[str, Any]]
"""The settings of a rule's job in the study as it is now; KeyError where it has no such job."""


def problems(
    results: Results,
    records: Sequence[str],
    hashes: Hashes,
    expected: Expected | None,
    temporary: Callable[[str], bool] = lambda path: False,
) -> Iterator[Problem]:
    """All that is wrong with the jobs of `records`; with `expected`, also against the study as it is now.

    What is `temporary` may be gone.
    """
    chosen = {path: results.records[path] for path in records}
    for path, why in results.broken.items():
        yield Problem("broken record", path, why.removeprefix(f"{path}: "))
    for path, record in chosen.items():
        if not record.complete:
            end = record.attempts[-1].exit if record.attempts else None
            yield Problem("incomplete", path, "was killed or runs" if end is None else f"exit code {end}")
        yield from _outputs(record, hashes, temporary)
        yield from _inputs(results, record, hashes)
        if expected is not None:
            yield from _configuration(path, record, expected)
    yield from _code(chosen.values())
    yield from _mixed(chosen.values())


def _outputs(record: Record, hashes: Hashes, temporary: Callable[[str], bool]) -> Iterator[Problem]:
    for file in record.outputs:
        if not Path(file.path).exists():
            if not temporary(file.path):
                yield Problem("missing", file.path, f"written by {record.rule}")
        elif hashes.of(file) != file.sha256:
            yield Problem("altered", file.path, f"written by {record.rule}")


def _inputs(results: Results, record: Record, hashes: Hashes) -> Iterator[Problem]:
    made = record.outputs[0].path if record.outputs else record.rule
    for file in record.inputs:
        written = results.output(file.path)
        if written is not None:
            if written.sha256 != file.sha256:
                newer = written.modified > file.modified
                yield Problem(
                    "stale" if newer else "contradiction",
                    made,
                    f"read another {file.path} than its record tells of",
                )
        elif environment.module_of(file.path):
            continue  # `_code` looks at them
        elif Path(file.path).is_relative_to(results.root):
            yield Problem("no record", file.path, f"read by {record.rule}")
        elif not Path(file.path).exists():
            yield Problem("missing", file.path, f"read by {record.rule}")
        elif hashes.of(file) != file.sha256:
            yield Problem("data", file.path, f"changed since {record.rule} read it")


def _configuration(path: str, record: Record, expected: Expected) -> Iterator[Problem]:
    try:
        now = expected(record.rule, record.settings.get("wildcards", {}))
    except KeyError:
        return  # no part of the study any more, and not wrong
    changed = sorted(_differences(record.settings, now))
    if changed:
        yield Problem("configuration", record.outputs[0].path if record.outputs else path, "; ".join(changed))


def _differences(then: Any, now: Any, where: str = "") -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in then.keys() | now.keys():
            yield from _differences(then.get(key), now.get(key), f"{where}.{key}" if where else key)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for position, (old, new) in enumerate(zip(then, now, strict=True)):
            yield from _differences(old, new, f"{where}[{position}]")
    elif then != now:
        yield f"{where}: was {then!r}, is {now!r}"


def _code(records: Iterable[Record]) -> Iterator[Problem]:
    """One problem a module, however many results it made."""
    then: dict[str, set[str]] = defaultdict(set)
    users: dict[str, int] = defaultdict(int)
    for record in records:
        named = ((environment.module_of(file.path), file.sha256) for file in record.inputs)
        listed = {name: digest for name, digest in named if name}
        for module, digest in (record.code.modules | listed).items():
            then[module].add(digest)
            users[module] += 1
    hashes = Hashes()
    for module, digests in then.items():
        path = environment.REPOSITORY / module
        now = hashes.path(path) if path.exists() else None
        if digests != {now}:
            what = "gone" if now is None else "changed"
            yield Problem("code", module, f"{what} since {count(users[module], 'job')} used it")


def _mixed(records: Iterable[Record]) -> Iterator[Problem]:
    found: dict[str, dict[str, set[str]]] = {"mixed": defaultdict(set), "scales": defaultdict(set)}
    for record in records:
        found["scales"]["scale"].add(str(record.settings.get("scale")))
        if not record.complete:
            continue
        found["mixed"]["commit"].add(record.code.name)
        for name, version in record.versions.items():
            if version is not None:  # a job without a GPU tells none of cuDNN
                found["mixed"][f"version of {name}"].add(version)
        # A cluster's light jobs run on other machines than its trainings.
        found["mixed"][f"processor of rule {record.rule}"].add(str(record.machine.get("processor")))
        if record.machine.get("gpus"):
            found["mixed"]["GPU"].update(record.machine["gpus"])
    for kind, properties in found.items():
        for name, values in properties.items():
            if len(values) > 1:
                yield Problem(kind, name, ", ".join(sorted(values)))


def unrecorded(results: Results, covered: Callable[[Path], bool]) -> Iterator[Problem]:
    """Files below the results that no record tells of; `covered` are those that are told of otherwise."""
    for path in sorted(results.root.rglob("*")):
        if path.is_file() and results.producer(str(path)) is None and not covered(path):
            yield Problem("no record", str(path), "no job tells that it wrote it")
