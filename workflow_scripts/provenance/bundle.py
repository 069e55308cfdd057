"""One small archive of all that a study found, and its figures and tables drawn again from it.

    python -m workflow_scripts.provenance.bundle make results/mini --output results/mini/bundle.tar.gz
    python -m workflow_scripts.provenance.bundle redraw bundle.tar.gz --output again

`make` packs records, configuration, recipes, data manifests, metrics, tables, searches, verdicts, figures and the
report; no weights, images or detections. Run it in the folder that the workflow ran in.

`redraw` checks the bundle against its own list, unpacks it to OUTPUT/bundle, and in OUTPUT/redrawn runs the recorded
commands again that lead from metrics to tables, figures and the report, with this repository's code; needed are the
packages of envs/requirements-redraw.txt and neither torch nor any other file. It then compares byte for byte, the
report but for its section on versions. Exit code 0 if all is equal, 1 if not, 2 where the bundle was altered.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256
from workflow_scripts.jobs import environment
from workflow_scripts.jobs.job import job
from workflow_scripts.jobs.record import ENDING, Record, read_record, record_path
from workflow_scripts.provenance.archive import Contents, Files, is_below, pack, read
from workflow_scripts.provenance.configuration import add_configuration, configured
from workflow_scripts.provenance.redraw import REDRAWN, compared, jobs_of, run, unvouched
from workflow_scripts.provenance.results import Results

KEPT = frozenset(("recipe", "manifest", "evaluate"))
"""Rules whose outputs are in the bundle, beside those that it redraws and what these read."""
CONFIGURATION = "config.yaml"


def make(results: Results, configured: str, output: Path) -> tuple[Contents, Files]:
    """The bundle of results, without a bundle that lies among them.

    Raises:
        UserError: a record or a file is not what its job wrote, or a file has no record.
    """
    if not is_below(str(results.root), "."):
        raise UserError(
            f"{results.root}: expected results within the folder that the workflow ran in: go there"
        )
    if results.broken:
        raise UserError("; ".join(results.broken.values()))
    own = str(record_path(output))
    done = {path: each for path, each in results.records.items() if each.complete and path != own}
    wanted = dict.fromkeys(path for each in done.values() for path in _wanted(results, each))
    for path in wanted:
        written = results.output(path)
        if written is None or not Path(path).is_file() or sha256(path) != written.sha256:
            raise UserError(
                f"{path}: it is gone, not what its job wrote, or no job made it; audit {results.root}, in the "
                "folder that the workflow ran in"
            )
    files = {path: Path(path).read_bytes() for path in (*done, *wanted)}
    commits = {each.code.name for each in done.values()}
    contents = Contents(results.root.name, sorted(commits), str(results.root), [])
    return contents, {**files, CONFIGURATION: configured.encode()}


def _wanted(results: Results, record: Record) -> Iterator[str]:
    """What the bundle keeps of what a job read and wrote."""
    below = [file.path for file in record.inputs if is_below(file.path, str(results.root))]
    outputs = [file.path for file in record.outputs]
    if record.rule in REDRAWN:
        yield from below
    if record.rule in REDRAWN | KEPT:
        yield from outputs
    yield from (path for path in outputs if path.endswith("/metrics.jsonl"))


def redraw(bundle: Path, folder: Path) -> bool:
    """Draw a bundle again, print how each file compares, and tell whether all are equal.

    Raises:
        UserError: the bundle was altered, the folder is not empty, or a command failed.
    """
    contents, files = read(bundle)
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise UserError(f"{folder}: it is no empty folder; name another with --output")
    given, again = folder / "bundle", folder / "redrawn"
    _write(files, given)
    records = [read_record(given / path) for path in files if path.endswith(ENDING)]
    jobs = jobs_of(records, contents.results)
    if not jobs:
        raise UserError(
            f"{bundle}: it holds no record of a figure or table, so there is nothing to draw again"
        )
    drawn = {path for job in jobs for path in job.outputs}
    kept = {path: content for path, content in files.items() if path not in drawn}
    _write(kept, again)
    run(jobs, again)
    found = list(compared(jobs, files, again))
    for path, same in found:
        print(f"{'equal' if same else 'differs'}  {path}")
    told = {path: kept[path] for path in kept if path != CONFIGURATION and not path.endswith(ENDING)}
    forged = list(unvouched(records, told))
    for path in forged:
        print(f"differs  {path} from what its job wrote, or no record mentions it")
    different = sum(not same for _, same in found) + len(forged)
    print(f"{len(found)} files drawn again, {different} differ" if different else f"{len(found)} files equal")
    if different:
        print(f"Made with the code of {', '.join(contents.commits)}; drawn again with {_here(records)}.")
    return not different


def _write(files: Files, folder: Path) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _here(records: list[Record]) -> str:
    """The commit here, and versions that are not those of the records."""
    now = environment.versions()
    then = [record.versions for record in records if record.rule in REDRAWN]
    others = [
        f"{name} {now[name]} instead of {', '.join(sorted(was))}"
        for name in ("python", "numpy", "pandas", "matplotlib", "seaborn")
        if (was := {str(each.get(name)) for each in then}) != {now.get(name)}
    ]
    return ", ".join([str(environment.commit()), *others])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True)
    making = commands.add_parser("make", help="pack results")
    making.add_argument("results", type=Path, help="results of a scale, such as results/mini")
    making.add_argument("--output", type=Path, required=True, help="output: .tar.gz")
    add_configuration(making)
    redrawing = commands.add_parser("redraw", help="draw figures and tables again and compare")
    redrawing.add_argument("bundle", type=Path, help="a bundle")
    redrawing.add_argument("--output", type=Path, required=True, help="output: folder, new or empty")
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    arguments = _arguments()
    if arguments.what == "redraw":
        raise SystemExit(0 if redraw(arguments.bundle, arguments.output) else 1)
    root = Path(os.path.relpath(arguments.results))
    output = Path(os.path.relpath(arguments.output))
    contents, files = make(Results.load(root), yaml.safe_dump(configured(arguments)), output)
    pack(contents, files, output)
    print(f"{output}: {len(files):,} files, {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    job(main)
