"""Audit results: how did this come to be, and is it still true?

    python -m workflow_scripts.provenance.audit results/mini                         # a whole folder
    python -m workflow_scripts.provenance.audit results/mini/figures/fig1.png        # one figure
    python -m workflow_scripts.provenance.audit results/mini/tables/table1.csv:3     # what one row rests on

Prints the verdict first, then every problem with any file on the way and what to do about it, then the jobs behind a
file as a tree. Exit code 0 without problems, 1 with. Files are hashed again; with `--fast`, a file whose size and time
are as recorded is not hashed again. Run it in the folder that the workflow ran in. Results are compared with
the study of config.yaml (`--configfile` and `--config` as they were given to Snakemake); without one that compiles,
with each other alone, which is said.
"""

import argparse
import csv
import json
import os
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from workflow_scripts.errors import UserError
from workflow_scripts.jobs.job import job
from workflow_scripts.jobs.record import File
from workflow_scripts.provenance.configuration import add_configuration, configured
from workflow_scripts.provenance.hashes import Hashes
from workflow_scripts.provenance.images import listed_images, wrong_images
from workflow_scripts.provenance.problems import KINDS, Expected, Problem, problems, unrecorded
from workflow_scripts.provenance.results import Results
from workflow_scripts.provenance.tree import lines as tree
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.study.settings import job_settings
from workflow_scripts.study.words import count

MOST_SHOWN = 3
"""Of several jobs that a target names, how many are shown as trees unless all are asked for."""
MOST_ALIKE = 20
"""Of problems of one kind, likewise."""
WIDTH = 80
"""Columns of a terminal."""


def audited(
    results: Results, targets: list[str], study: Study | None, hashes: Hashes, whole: bool
) -> list[Problem]:
    """All problems of the targets' records and of what they rest on, each once."""
    records = results.upstream(targets)
    hashes.prepare(file for path in records for file in _files(results, path))
    layout = Layout(study) if study else None
    expected: Expected | None = partial(job_settings, study, layout) if study and layout else None
    found = set(problems(results, records, hashes, expected, _temporary(study)))
    lists = [path for path in records if results.records[path].rule == "images"]
    for path in lists:
        found |= set(wrong_images(results.records[path], hashes.fast))
    if whole:
        found |= set(unrecorded(results, _covered(results, lists)))
    return sorted(found)


def _files(results: Results, path: str) -> Iterator[File]:
    record = results.records[path]
    yield from record.outputs
    yield from (file for file in record.inputs if results.output(file.path) is None)


def _temporary(study: Study | None) -> Callable[[str], bool]:
    """What the storage policy lets go."""
    if study is None:
        return lambda path: False
    names = {"states": "state.safetensors", "checkpoints": "/checkpoints/", "detections": "/detections/"}
    policy = study.config.storage.model_dump()
    gone = [name for kind, name in names.items() if policy[kind] == "temporary"]
    return lambda path: any(name in path for name in gone)


def _covered(results: Results, lists: list[str]) -> Callable[[Path], bool]:
    """Logs and the like, of which no result is made, exports, listed images, and what of a drawn world is not used."""
    aside = [results.root / name for name in ("jobs", "logs", "benchmarks", "crate.zip")] + results.crates
    aside += [
        Path(record.outputs[0].path).parent for record in results.records.values() if record.rule == "world"
    ]
    images = {str(path) for each in lists for path in listed_images(results.records[each])}

    def covered(path: Path) -> bool:
        hidden = any(part.startswith(".") for part in path.relative_to(results.root).parts)
        working = any(part.endswith((".progress", ".spare")) for part in path.parts) or ".lock" in path.name
        record = path.name.endswith((".record.json", ".record.notes"))
        return (
            hidden
            or working
            or record
            or str(path) in images
            or any(path.is_relative_to(each) for each in aside)
        )

    return covered


def targets_of(results: Results, target: str) -> list[str]:
    """Records of a file, of a folder, or of what a row of a CSV names as its source (`table.csv:3`).

    Raises:
        UserError: no record tells of it.
    """
    path, _, row = target.rpartition(":")
    if path.endswith(".csv") and row.isdigit():
        found = [record for source in _sources(Path(path), int(row)) for record in results.below(source)]
    else:
        found = list(results.below(str(Path(target))))
    if not found:
        raise UserError(
            f"{target}: no record below {results.root} tells of it; expected a result, or a row of a CSV"
        )
    return found


def _sources(path: Path, row: int) -> list[str]:
    """What a row's number was read from; rows are counted as an editor counts lines, the header being the first."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a table ({error}); name a CSV of the results") from None
    if not 2 <= row <= len(found) + 1:
        raise UserError(f"{path}:{row}: expected a row from 2 to {len(found) + 1}")
    numbers = found[row - 2]
    named = numbers.get("from", numbers.get("source"))  # the `source` of counts says how they were made
    if named is None:
        raise UserError(f"{path}: its rows name no source of their own; audit the file, without a row")
    sources = [source for source in named.split("; ") if source]
    if not sources:
        raise UserError(f"{path}:{row}: its value was not measured here: it names no source")
    return sources


def found_at(target: str) -> tuple[Results, str]:
    """The results that a target belongs to, and its name as records write it: relative, unless theirs are absolute.

    Raises:
        UserError: as `results_of`; or records name files from the folder that the workflow ran in, and it is not this.
    """
    name = os.path.relpath(target) if os.path.isabs(target) else os.path.normpath(target)
    results = results_of(name)
    if any(os.path.isabs(file.path) for record in results.records.values() for file in record.outputs):
        name = os.path.abspath(name)
        return results_of(name), name
    if name.startswith(os.pardir):
        raise UserError(
            f"{target}: it lies outside of this folder, and its records name files from the folder that the workflow "
            "ran in: go there, and name it from there"
        )
    return results, name


def results_of(target: str) -> Results:
    """The results of the scale that a target belongs to: the nearest folder above with a study in it.

    Raises:
        UserError: there is none.
    """
    path = Path(target.rpartition(":")[0] if ".csv:" in target else target)
    for folder in (path, *path.parents):
        if (folder / "study.json").exists() or (folder / "recipes").is_dir():
            return Results.load(folder)
    raise UserError(f"{target}: found no results around it; expected results/<scale> or something in it")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", help="a file, a row of a CSV (file.csv:3), or a folder of results")
    parser.add_argument(
        "--fast", action="store_true", help="do not hash again what has the size and time of its record"
    )
    parser.add_argument("--json", action="store_true", help="print problems as JSON")
    parser.add_argument("--all", action="store_true", help="show all of many inputs or problems alike")
    add_configuration(parser)
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    arguments = _arguments()
    results, target = found_at(arguments.target)
    whole = Path(target) == results.root
    targets = list(results.records) if whole else targets_of(results, target)
    study, why_not = None, ""
    try:
        study = _study_of(results, arguments)
    except UserError as error:
        why_not = str(error)
    hashes = Hashes(arguments.fast)
    found = audited(results, targets, study, hashes, whole)
    if arguments.json:
        print(json.dumps({"target": arguments.target, "problems": [vars(each) for each in found]}, indent=1))
    else:
        print(verdict(arguments.target, len(results.upstream(targets)), hashes, found, why_not))
        print("".join(f"\n{paragraph}\n" for paragraph in told(found, arguments.all)), end="")
        if not whole:
            _print_jobs(results, targets, arguments.all)
    raise SystemExit(1 if found else 0)


def _study_of(results: Results, arguments: argparse.Namespace) -> Study:
    """The study that the results are of, as it is configured now.

    Raises:
        UserError: it does not compile, or is one of other results.
    """
    study = compile_study(configured(arguments), planning=True)
    root = Path(Layout(study).root)
    if root.resolve() != results.root.resolve():
        raise UserError(
            f"the configuration is that of {root}; name that of {results.root} with --configfile or --config"
        )
    return study


def verdict(target: str, records: int, hashes: Hashes, found: list[Problem], why_not: str) -> str:
    """Whether there are problems and of which kinds, and what was looked at; `why_not`: why not at the study."""
    counts = Counter(problem.kind for problem in found)
    kinds = ", ".join(f"{counts[kind]:,} {kind}" for kind in KINDS if counts[kind])
    problems = f"{count(len(found), 'problem')} ({kinds})" if found else "no problem"
    hashed = f"{count(hashes.files, 'file')} of {hashes.bytes / 1e9:,.2f} GB hashed"
    believed = f", {hashes.believed:,} left unhashed, by size and time" if hashes.fast else ""
    lines = [f"{target}: {problems}. {count(records, 'job')}, {hashed}{believed}."]
    lines += [f"Not compared with the study as it is now: {why_not}"] if why_not else []
    return "\n".join(map(_wrapped, lines))


def told(found: list[Problem], everything: bool = False) -> Iterator[str]:
    """A paragraph for each kind of problem: what it means, what to do, and where it is, the first of many."""
    for name, kind in KINDS.items():
        where = [
            f"  {problem.path}\n{_wrapped(problem.what, '      ')}"
            for problem in found
            if problem.kind == name
        ]
        if where:
            shown = where if everything else where[:MOST_ALIKE]
            more = [f"  and {len(where) - len(shown):,} more (--all shows them)"] * (len(where) > len(shown))
            yield "\n".join([_wrapped(f"{name}: {kind.meaning}. {kind.remedy}"), *shown, *more])


def _print_jobs(results: Results, targets: list[str], everything: bool) -> None:
    for target in targets[: None if everything else MOST_SHOWN]:
        print("\n" + "\n".join(tree(results, target, everything)))
    if len(targets) > MOST_SHOWN and not everything:
        print(f"\nand {count(len(targets) - MOST_SHOWN, 'more job')} (--all shows them)")


def _wrapped(text: str, indent: str = "") -> str:
    """No wider than a terminal, but for words that are, such as paths."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


if __name__ == "__main__":
    job(main)
