"""The bundle of a study: the same each time, refused where it was altered, and enough to draw all of it again."""

import filecmp
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import yaml

from tests.checkout import ROOT, Checkout
from workflow_scripts.errors import UserError
from workflow_scripts.jobs.record import ENDING, Record, read_record, write_record
from workflow_scripts.provenance import archive, bundle, redraw
from workflow_scripts.provenance.archive import LIST, Contents, pack, read
from workflow_scripts.provenance.results import Results

pytestmark = pytest.mark.slow
CONFIG = {"scale": "smoke", "experiments": ["fig1", "table2"], "schedules": ["2x"], "seeds": [0]}
RESULTS = Path("results/smoke")
TABLE = "results/smoke/tables/table2.csv"
METRICS = "results/smoke/evaluation/coco-R50_GN-random-seed0/trunk-0-2/single_scale/metrics.json"
FIGURE_RECORD = f"results/smoke/figures/fig1.png{ENDING}"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A small study that has run: a figure and a table."""
    checkout = Checkout.make(tmp_path_factory.mktemp("bundled"))
    (checkout.folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    checkout.snakemake("--profile", "profiles/local", "--quiet", "all")
    return checkout


@pytest.fixture(scope="module")
def made(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle."""
    path = tmp_path_factory.mktemp("made") / "bundle.tar.gz"
    done = run("make", str(RESULTS), "--output", str(path), folder=checkout.folder)
    assert done.returncode == 0, done.stderr
    return path


def run(
    *arguments: str, folder: Path, python: str = sys.executable, path: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command, as a person calls it."""
    return subprocess.run(
        [python, "-P", "-m", "workflow_scripts.provenance.bundle", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{path}".rstrip(os.pathsep)},
        capture_output=True,
        text=True,
    )


def listed_anew(made: Path, path: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """A bundle with other files and a list that agrees with them."""
    contents, files = read(made)
    changed = dict(files)
    change(changed)
    pack(contents, changed, path)
    return path


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """A bundle of any members, whatever a list says."""
    with tarfile.open(path, "w:gz") as file:
        for member, content in members:
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def members_of(made: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(made) as file:
        return [(member, file.extractfile(member).read()) for member in file]


def test_a_bundle_is_the_same_each_time(
    checkout: Checkout, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where it lies among the results, and its own job runs; its members carry no date and no owner."""
    monkeypatch.chdir(checkout.folder)
    inside = RESULTS / "bundle.tar.gz"
    inside.write_bytes(b"an older bundle")
    write_record(Path(f"{inside}{ENDING}"), read_record(Path(f"{TABLE}{ENDING}")))
    contents, files = bundle.make(Results.load(RESULTS), yaml.safe_dump(CONFIG), inside)
    pack(contents, files, tmp_path / "again.tar.gz")
    inside.unlink()
    Path(f"{inside}{ENDING}").unlink()
    assert filecmp.cmp(tmp_path / "again.tar.gz", made, shallow=False)
    with tarfile.open(made) as file:
        assert {(each.mtime, each.uid, each.gid, each.uname, each.mode) for each in file} == {
            (0, 0, 0, "", 0o644)
        }


def test_a_bundle_holds_what_was_found_and_nothing_heavy(checkout: Checkout, made: Path) -> None:
    contents, files = read(made)
    assert contents.scale == "smoke"
    assert yaml.safe_load(files["config.yaml"]) == CONFIG
    everything = {
        str(path.relative_to(checkout.folder))
        for path in checkout.results.rglob("*")
        if path.is_file() and "logs" not in path.parts
    }
    for ending in (
        *(ENDING, "metrics.json", "metrics.jsonl", "replicates.csv", ".png", ".pdf", ".tex", ".md", ".html"),
        *("study.json", "verdicts.json", "summary.json", "curve-single_scale.csv", "data/coco-train.json"),
    ):
        kept = {path for path in everything if path.endswith(ending)}
        assert kept and kept <= files.keys(), ending
    heavy = re.compile(r"safetensors$|detections\.json$|\.jpg$|instances_|data/images-.*csv$")
    assert not list(filter(heavy.search, files))
    assert made.stat().st_size < 1e6


def test_results_that_are_not_what_their_jobs_wrote_make_no_bundle(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout.folder)
    path = Path(METRICS)
    kept = path.read_bytes()
    path.write_bytes(kept + b" ")
    with pytest.raises(UserError, match=re.escape(METRICS)):
        bundle.make(Results.load(RESULTS), "", tmp_path / "bundle.tar.gz")
    path.write_bytes(kept)


def test_all_is_drawn_again_without_torch(made: Path, tmp_path: Path) -> None:
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent/sitecustomize.py").write_text(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'torchvision', 'detectron2', 'cv2', 'hotcoco'):\n"
        "            raise ModuleNotFoundError(f'no {name} here')\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    absent = str(tmp_path / "absent")
    probe = [sys.executable, "-c", "import torch"]
    assert subprocess.run(probe, env=os.environ | {"PYTHONPATH": absent}, capture_output=True).returncode
    drawn_again(made, tmp_path, path=absent)


def test_all_is_drawn_again_in_an_environment_of_its_own(made: Path, tmp_path: Path) -> None:
    """As on a machine that has nothing but Python, this repository and the few packages named for it."""
    python = tmp_path / "venv/bin/python"
    requirements = str(ROOT / "envs/requirements-redraw.txt")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", requirements], check=True
    )
    assert subprocess.run([str(python), "-c", "import torch"], capture_output=True).returncode
    drawn_again(made, tmp_path, python=str(python))


def drawn_again(made: Path, folder: Path, **how: str) -> None:
    """Every figure and table is, and is equal; the report's section on versions is where it was built."""
    _, files = read(made)
    done = run("redraw", str(made), "--output", "again", folder=folder, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    drawn = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("equal ")}
    assert drawn == {
        path
        for path in files
        if re.search(r"/(figures|tables|runs)/|/(study|verdicts)\.json|html", path)
        and not path.endswith(ENDING)
    }
    for path in drawn - {"results/smoke/report.html"}:
        assert (folder / "again/redrawn" / path).read_bytes() == files[path], path


def test_requirements_of_redrawing_are_those_of_the_workflow() -> None:
    def pinned(name: str) -> dict[str, str]:
        """By package, its version and hashes."""
        text = (ROOT / "envs" / name).read_text()
        found = re.findall(r"^([a-z0-9-]+)(==\S+(?: \\\n    --hash=\S+)+)", text, re.MULTILINE)
        return dict(found)

    few, all_of_them = pinned("requirements-redraw.txt"), pinned("requirements.txt")
    assert {"matplotlib", "pandas"} <= few.keys()
    assert few.items() <= all_of_them.items()


@pytest.mark.parametrize("name", [TABLE, METRICS, FIGURE_RECORD, "config.yaml", LIST])
def test_an_altered_member_is_named(made: Path, tmp_path: Path, name: str) -> None:
    changed = [
        (member, flipped(content) if member.name == name else content) for member, content in members_of(made)
    ]
    path = packed(tmp_path / "bundle.tar.gz", *changed)
    done = run("redraw", str(path), "--output", "again", folder=tmp_path)
    assert done.returncode == 2
    assert name in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "again").exists()


def flipped(content: bytes, at: float = 0.5) -> bytes:
    """One bit is another."""
    changed = bytearray(content)
    changed[int(at * (len(changed) - 1))] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("at", [0, 0.001, 0.1, 0.5, 0.9, 0.99999, 1])
def test_a_changed_bit_of_the_archive_is_found(made: Path, tmp_path: Path, at: float) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(flipped(made.read_bytes(), at))
    with pytest.raises(UserError, match=re.escape(str(path))):
        read(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", gzip.compress(b""), gzip.compress(b"text" * 1000)],
    ids=["empty", "zip", "nothing compressed", "text compressed"],  # a compressed file tells the time
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="expected a bundle"):
        read(path)


def test_a_member_left_out_is_named(made: Path, tmp_path: Path) -> None:
    rest = [each for each in members_of(made) if each[0].name != TABLE]
    with pytest.raises(UserError, match=re.escape(TABLE)):
        read(packed(tmp_path / "bundle.tar.gz", *rest))


def link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (link("results/smoke/link", "/etc", tarfile.SYMTYPE), "no plain file"),
        (link("results/smoke/link", TABLE, tarfile.LNKTYPE), "no plain file"),
        (link("results/smoke/pipe", "", tarfile.FIFOTYPE), "no plain file"),
        ((tarfile.TarInfo("results/smoke/unlisted.csv"), b"a"), "not listed"),
        ((tarfile.TarInfo(TABLE), b"a"), "twice"),
    ],
    ids=["symbolic link", "hard link", "pipe", "unlisted", "twice"],
)
def test_an_evil_member_is_refused(
    made: Path, tmp_path: Path, extra: tuple[tarfile.TarInfo, bytes], why: str
) -> None:
    with pytest.raises(UserError, match=why):
        read(packed(tmp_path / "bundle.tar.gz", *members_of(made), extra))


@pytest.mark.parametrize("name", ["/tmp/evil.csv", "../evil.csv", "results/smoke/../../../evil.csv"])
def test_a_member_that_would_lie_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    """Though it is listed."""
    path = tmp_path / "bundle.tar.gz"
    pack(Contents("smoke", [], str(RESULTS), []), {name: b"evil"}, path)
    with pytest.raises(UserError, match="outside"):
        read(path)


def test_a_bundle_that_unpacks_to_too_much_is_refused(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LIMIT", 100_000)
    with pytest.raises(UserError, match="more than 100,000 bytes"):
        read(made)


@pytest.mark.parametrize(
    "command",
    [
        ["python", "-m", "os", "--help"],
        ["python", "-c", "print()"],
        ["python", "-m"],
        ["sh", "-c", "true"],
        ["python", "-m", "workflow_scripts.tables.table2", "--csv", "/tmp/evil.csv"],
        ["python", "-m", "workflow_scripts.tables.table2", "--csv=../evil.csv"],
        ["python", "-m", "workflow_scripts.tables.table2", "--table", "http://localhost/evil.csv"],
        ["python", "-m", "workflow_scripts.report.build", "--template", "results/smoke/evil.j2"],
        ["python", "-m", "workflow_scripts.report.build", "--template=results/smoke/evil.j2"],
        ["python", "-m", "workflow_scripts.report.build", "--temp", "results/smoke/evil.j2"],
        ["python", "-m", "workflow_scripts.report.build", "--captions", "results/smoke/evil.yaml"],
        ["python", "-m", "workflow_scripts.jobs.write", "--job", "results/smoke/jobs/evil.json"],
    ],
)
def test_a_bundle_runs_no_other_commands(made: Path, tmp_path: Path, command: list[str]) -> None:
    def change(files: dict[str, bytes]) -> None:
        record = msgspec.json.decode(files[FIGURE_RECORD], type=Record)
        record.command = command
        write_record(tmp_path / "record.json", record)
        files[FIGURE_RECORD] = (tmp_path / "record.json").read_bytes()

    path = listed_anew(made, tmp_path / "bundle.tar.gz", change)
    with pytest.raises(UserError, match=r"figures/fig1\.png"):
        bundle.redraw(path, tmp_path / "again")


def test_a_folder_with_something_in_it_is_left_alone(made: Path, tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    with pytest.raises(UserError, match="no empty folder"):
        bundle.redraw(made, tmp_path)


def test_what_was_changed_and_listed_anew_differs(made: Path, tmp_path: Path) -> None:
    """A table is found by drawing it again, metrics by their record and by all that was made of them."""

    def change(files: dict[str, bytes]) -> None:
        files[TABLE] = flipped(files[TABLE])
        files[METRICS] = files[METRICS].replace(b'"AP": ', b'"AP": 1', 1)

    path = listed_anew(made, tmp_path / "bundle.tar.gz", change)
    done = run("redraw", str(path), "--output", "again", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    verdicts = dict(reversed(line.split()[:2]) for line in done.stdout.splitlines())
    assert verdicts[TABLE] == verdicts[METRICS] == "differs"
    assert verdicts["results/smoke/tables/fig1-evaluations.csv"] == "differs"
    assert verdicts["results/smoke/tables/table2.md"] == "equal"
    assert verdicts["results/smoke/study.json"] == "equal"


def test_what_no_record_tells_of_is_not_called_equal(made: Path, tmp_path: Path) -> None:
    """A figure without its record cannot be drawn again; the report, which would show it, is left out, too."""

    def change(files: dict[str, bytes]) -> None:
        for path in (FIGURE_RECORD, f"results/smoke/report.html{ENDING}", "results/smoke/report.html"):
            del files[path]

    path = listed_anew(made, tmp_path / "bundle.tar.gz", change)
    done = run("redraw", str(path), "--output", "again", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "differs  results/smoke/figures/fig1.png" in done.stdout


def test_a_bundle_of_nothing_to_draw_is_refused(made: Path, tmp_path: Path) -> None:
    path = listed_anew(
        made,
        tmp_path / "bundle.tar.gz",
        lambda files: [files.pop(path) for path in list(files) if path.endswith(ENDING)],
    )
    with pytest.raises(UserError, match="nothing to draw"):
        bundle.redraw(path, tmp_path / "again")


def test_a_job_that_fails_is_named(made: Path, tmp_path: Path) -> None:
    path = listed_anew(made, tmp_path / "bundle.tar.gz", lambda files: files.update({METRICS: b"not JSON"}))
    with pytest.raises(UserError, match=r"runs/.*cannot be drawn again"):
        bundle.redraw(path, tmp_path / "again")


def test_what_was_read_of_the_repository_is_read_of_this_one(made: Path) -> None:
    """From whichever folder the workflow ran in: a record names it relative to that."""
    record = msgspec.json.decode(read(made)[1][FIGURE_RECORD], type=Record)
    text = msgspec.json.encode(record).replace(b'"reports/', b'"../elsewhere/reports/')
    (job,) = redraw.jobs_of([msgspec.json.decode(text, type=Record)], str(RESULTS))
    assert str(ROOT / "reports/published.yaml") in job.command


def test_snakemakes_report_shows_figures_tables_and_the_report(checkout: Checkout) -> None:
    checkout.snakemake("--profile", "profiles/local", "--report", "report.zip")
    with zipfile.ZipFile(checkout.folder / "report.zip") as file:
        shown = {Path(name).name for name in file.namelist() if "/data/" in name}
        index = file.read("report/report.html").decode()
    assert shown == {"fig1.png", "table2.csv", "report.html"}
    results = json.loads(re.search(r"var results = (\{.*?\});?\n", index)[1])
    told = {name: (found["labels"], found["caption"]) for name, found in results.items()}
    assert told["results/smoke/figures/fig1.png"][0] == {"name": "Fig. 1: learning curves of R50 GN"}
    assert "for the schedules 2x overlaid" in told["results/smoke/figures/fig1.png"][1]
    assert told[TABLE][0] == {"name": "Table 2: boxes and masks at the best schedule"}
    assert "the answer" in told["results/smoke/report.html"][1]
