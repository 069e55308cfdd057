"""Export a study as one research object: a Workflow Run RO-Crate, as detailed as a Provenance Run Crate.

    python -m workflow_scripts.provenance.crate results/mini --output results/mini/crate      # a folder
    python -m workflow_scripts.provenance.crate results/mini --output mini.zip                # the same as one file

A crate holds the workflow, the records of all jobs, figures, tables, data manifests, and every result of up to 1 MB, in
the layout of the folder that the workflow ran in. Larger files, and what is no part of the results, such as the real
images, it names with size and SHA-256. Its `ro-crate-metadata.json` links each file to the job that wrote it and each
job to what it read and to the module that it ran. Run it in the folder that the workflow ran in.

Nothing in the records tells who the people are. Author and publisher are, unless named here, those whom LICENSE names.
A crate is dated by the end of the study's last job, so that one study makes one crate.

`rocrate-validator` (profile `provenance-run-crate-0.5`) finds all that is required, and of what is recommended all but
process-run-crate-0.5_5.1: software should be identified by a URL, while a workflow's file must lie in the crate. With
`--url`, or in a clone from the web, it says this of the Snakefile alone, else of the modules, too.
"""

import argparse
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from rocrate.model import ContextEntity, Entity
from rocrate.rocrate import ROCrate

from workflow_scripts.errors import UserError, command
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.environment import REPOSITORY, origin
from workflow_scripts.jobs.record import Record
from workflow_scripts.provenance.crate_files import Files
from workflow_scripts.provenance.crate_runs import Runs
from workflow_scripts.provenance.results import METADATA, Results

TERMS = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
PAPER = "Rethinking ImageNet Pre-training"


@dataclass(frozen=True)
class People:
    """Who answers for a crate; `author` is a person of the organization, or empty: the organization itself."""

    organization: str
    url: str | None = None
    author: str = ""


def crate_of(results: Results, people: People) -> tuple[ROCrate, Files, list[str]]:
    """The crate of a study, what became of its files, and the records of jobs that did not end, which it lacks.

    Raises:
        UserError: records were altered, or no job has ended.
    """
    if results.broken:
        names = ", ".join(sorted(results.broken)[:3])
        raise UserError(
            f"{names}: {len(results.broken)} record(s) cannot be read or were altered; make their files again, or ask "
            f"`python -m workflow_scripts.provenance.audit {results.root}` what is wrong"
        )
    jobs = {path: record for path, record in results.records.items() if _ended(record)}
    if not jobs:
        raise UserError(f"{results.root}: no job has ended; expected a study that has run")
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    files = Files(crate, results.root)
    files.add_workflow()
    _describe(crate, results.root.name, jobs, people)
    Runs(crate, files, crate.root_dataset["author"], people.url).add(results, jobs)
    return crate, files, sorted(set(results.records) - set(jobs))


def _ended(record: Record) -> bool:
    return bool(record.attempts) and record.attempts[-1].end is not None


def _describe(crate: ROCrate, scale: str, jobs: dict[str, Record], people: People) -> None:
    """The crate as a whole: what it is, of whom, under which licence, following which profiles."""
    root = crate.root_dataset
    root["name"] = f"Results of “{PAPER}”, regenerated at scale {scale}"
    root["description"] = (
        f"Figures, tables and report of a study that trains the detectors of “{PAPER}” (He, Girshick, Dollár) anew, "
        "with the workflow that made them, the record of every job, and the SHA-256 of every file."
    )
    root["datePublished"] = max(record.attempts[-1].end or "" for record in jobs.values())
    organization = crate.add(
        ContextEntity(
            crate,
            "#organization",
            {"@type": "Organization", "name": people.organization, "url": people.url or "./"},
        )
    )
    root["publisher"] = organization
    root["author"] = _author(crate, people, organization)
    licence = crate.get("LICENSE")
    licence._jsonld["@type"] = ["File", "CreativeWork"]
    licence["name"] = (REPOSITORY / "LICENSE").read_text().partition("\n")[0]
    licence["description"] = "The licence of the workflow and of its results."
    root["license"] = licence
    crate.get("README.md")["about"] = root
    root["conformsTo"] = [
        crate.add(
            ContextEntity(
                crate,
                address,
                {"@type": "CreativeWork", "name": name, "version": address.rpartition("/")[2]},
            )
        )
        for address, name in PROFILES.items()
    ]


def _author(crate: ROCrate, people: People, organization: Entity) -> Entity:
    if not people.author:
        return organization
    person = {"@type": "Person", "name": people.author, "affiliation": organization}
    return crate.add(ContextEntity(crate, "#author", person))


def write_crate(crate: ROCrate, output: Path) -> None:
    """Write a crate as a folder, or as a ZIP file where the name ends so, whole or not at all.

    Raises:
        UserError: `output` is there and is no crate.
    """
    zipped = output.suffix == ".zip"
    if output.is_dir() if zipped else (output.exists() and not (output / METADATA).exists()):
        raise UserError(f"{output}: is there already and is no crate; name another output, or move it away")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as name:
        made, old = Path(name) / "new", Path(name) / "old"
        crate.write(made)
        if zipped:
            _zip(made, output)
            return
        if output.exists():
            output.replace(old)
        made.replace(output)


def _zip(folder: Path, output: Path) -> None:
    """Archive a folder's files in order of name, without times: the same files make the same archive."""
    with (
        write_atomically(output) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(folder)))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)


def holders() -> str:
    """Whom LICENSE names."""
    lines = (REPOSITORY / "LICENSE").read_text().splitlines()
    return next(line.partition(")")[2].strip().lstrip("0123456789, -") for line in lines if "(c)" in line)


def address() -> str | None:
    """Where the repository was cloned from, if that is a page on the web."""
    url = origin() or ""
    return url.removesuffix(".git") if url.startswith(("http://", "https://")) and "@" not in url else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="the results of a scale, such as results/mini")
    parser.add_argument("--output", type=Path, required=True, help="the crate: a folder, or a .zip")
    parser.add_argument(
        "--author", default="", metavar="NAME", help="a person; without one, the organization"
    )
    parser.add_argument(
        "--organization",
        metavar="NAME",
        help="author and publisher, or the author's affiliation (default: the holders of LICENSE)",
    )
    parser.add_argument(
        "--url", help="page of the organization and the workflow (default: where the repository is from)"
    )
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    arguments = _arguments()
    people = People(arguments.organization or holders(), arguments.url or address(), author=arguments.author)
    results = Results.load(arguments.results)
    crate, files, left_out = crate_of(results, people)
    write_crate(crate, arguments.output)
    print(
        f"{arguments.output}: {len(results.records) - len(left_out):,} jobs; {files.copied:,} files of "
        f"{files.copied_bytes / 1e6:,.1f} MB copied, {files.described:,} described by their SHA-256"
    )
    for what, names in (
        ("job(s) left out that were killed or run", left_out),
        ("file(s) not copied that are gone", files.missing),
        ("file(s) not copied that are not what their job wrote or read", files.altered),
    ):
        if names:
            more = " and others" if len(names) > 5 else ""
            print(f"{len(names):,} {what}: {', '.join(names[:5])}{more}")


if __name__ == "__main__":
    command(main)
