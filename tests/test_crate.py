"""The export of a study as an RO-Crate: valid, whole, and no bigger than it must be."""

import filecmp
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from requests import Request
from requests_cache import CachedRequest, CachedResponse, CachedSession
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings

from workflow_scripts.files import sha256
from workflow_scripts.jobs.record import (
    Attempt,
    Code,
    Record,
    described,
    record_path,
    write_record,
)
from workflow_scripts.provenance import crate
from workflow_scripts.provenance.results import METADATA, Results

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")

RO_CRATE = Path(__file__).with_name("ro-crate-1.1.jsonld")
"""What `https://w3id.org/ro/crate/1.1/context` serves, which is CC0."""
RUN_TERMS = (
    *("ParameterConnection", "ContainerImage", "DockerImage", "SIFImage", "connection", "sourceParameter"),
    *("targetParameter", "md5", "sha1", "sha256", "sha512", "environment", "registry", "tag"),
    *("containerImage", "resourceUsage"),
)
"""What `https://w3id.org/ro/terms/workflow-run/context` defines."""
PROFILES = ("workflow-run-crate-0.5", "provenance-run-crate-0.5")
ROOT = Path("results/smoke")
STATE = ROOT / "training/r/0-2/state.safetensors"
CODE = "workflow_scripts/training/train.py"
ANNOTATIONS = Path("datasets/instances_val.json")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The validator's cache of web pages with the contexts in it, so that it asks no network."""
    path = tmp_path_factory.mktemp("validator") / "cache"
    session = CachedSession(str(path), backend="sqlite")
    terms = {term: f"https://w3id.org/ro/terms/workflow-run#{term}" for term in RUN_TERMS}
    contexts = {
        "https://w3id.org/ro/crate/1.1/context": RO_CRATE.read_bytes(),
        "https://w3id.org/ro/terms/workflow-run/context": json.dumps({"@context": terms}).encode(),
    }
    for address, content in contexts.items():
        request = CachedRequest.from_request(session.prepare_request(Request("GET", address)))
        headers = {"Content-Type": "application/ld+json"}
        session.cache.save_response(
            CachedResponse(url=address, status_code=200, headers=headers, content=content, request=request)
        )
    session.close()
    return path


def job(rule: str, module: str, reads: list[Path | str], writes: dict[Path, str], **changes: Any) -> Path:
    """Write a job's outputs and its record, as if it had run for a minute."""
    for path, text in writes.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    attempt = Attempt("2026-01-01T00:00:00+00:00", "node1", "2026-01-01T00:01:00+00:00", 0)
    record = Record(
        rule=rule,
        settings={},
        command=["python", "-m", module, "--output", str(next(iter(writes)))],
        inputs=described(reads),
        outputs=described(writes),
        code=Code("0123abc", True, {}),
        versions={"python": "3.11.7", "snakemake": "9.27.1"},
        machine={},
        attempts=[attempt],
    )
    for name, value in changes.items():
        setattr(record, name, value)
    path = record_path(next(iter(writes)))
    write_record(path, record)
    return path


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the results of a study: real data, training, detections, a table, a figure, a report."""
    monkeypatch.chdir(tmp_path)
    Path("datasets").mkdir()
    ANNOTATIONS.write_text("{}")
    Path("workflow_scripts/training").mkdir(parents=True)
    Path(CODE).write_bytes((crate.REPOSITORY / CODE).read_bytes())
    settings = {"summary": {"scale": "smoke", "experiments": [{"name": "fig1"}], "schedules": {}}}
    job("study", "workflow_scripts.jobs.write", [], {ROOT / "study.json": "{}"}, settings=settings)
    manifest, metrics = ROOT / "data/coco-val.json", STATE.with_name("metrics.jsonl")
    job("manifest", "workflow_scripts.data.manifest", [ANNOTATIONS], {manifest: "{}"})
    job("train", "workflow_scripts.training.train", [manifest, CODE], {STATE: "0" * 1_000_001, metrics: "{}"})
    found = ROOT / "evaluation/r/0-2/2/detections.json"
    job("detect", "workflow_scripts.evaluation.detect", [STATE, ANNOTATIONS], {found: "[]"})
    table, figure = ROOT / "tables/fig1.csv", ROOT / "figures/fig 1.png"
    job("concatenate", "workflow_scripts.tables.concatenate", [found], {table: "a\n"})
    job(
        "figure", "workflow_scripts.figures.fig1", [table], {figure: "png", figure.with_suffix(".pdf"): "pdf"}
    )
    job("report", "workflow_scripts.report.build", [figure], {ROOT / "report.html": "<html>"})


Export = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Export:
    """Run the command; returns the entities by their identifiers."""

    def run(*arguments: str, output: str = "crate") -> dict[str, dict[str, Any]]:
        words = ["crate", str(ROOT), "--output", output, "--url", "https://example.org/study", *arguments]
        monkeypatch.setattr(sys, "argv", words)
        crate.main()
        text = (Path(output) / METADATA).read_text() if Path(output).is_dir() else _zipped(output)
        return {entity["@id"]: entity for entity in json.loads(text)["@graph"]}

    return run


def _zipped(path: str) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read(METADATA).decode()


def findings(path: str, profile: str, cache: Path) -> list[tuple[str, str]]:
    """Check and value of all that the validator finds, of what is required and what is recommended."""
    settings = ValidationSettings(
        rocrate_uri=path,
        profile_identifier=profile,
        requirement_severity=Severity.RECOMMENDED,
        cache_path=cache,
        offline=True,
    )
    issues = services.validate(settings).get_issues()
    return [(issue.check.identifier, str(issue.violatingPropertyValue)) for issue in issues]


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("arguments", [[], ["--author", "Ada Lovelace", "--organization", "A laboratory"]])
def test_validator_accepts_it(export: Export, cache: Path, profile: str, arguments: list[str]) -> None:
    """One recommendation contradicts a requirement: a workflow's identifier should be a URL, and its file in the crate.

    It is issue 51 of the validator. Nothing else is found.
    """
    export(*arguments)
    found = findings("crate", profile, cache)
    assert set(found) == {("process-run-crate-0.5_5.1", "file://crate/Snakefile")}


@pytest.mark.slow
def test_validator_is_listened_to(export: Export, cache: Path) -> None:
    export()
    Path("crate", STATE.with_name("metrics.jsonl")).unlink()
    assert "ro-crate-1.1" in {check.partition("_")[0] for check, _ in findings("crate", PROFILES[1], cache)}


def test_all_is_in_it(export: Export) -> None:
    """Each recorded file with its hash, and each job with what it read, wrote and ran."""
    entities = export()
    hashes = {(entity["name"], entity["sha256"]) for entity in entities.values() if "sha256" in entity}
    for path, record in Results.load(ROOT).records.items():
        assert {(file.path, file.sha256) for file in [*record.inputs, *record.outputs]} <= hashes
        assert (path, sha256(path)) in hashes
        action = entities[entities[quote(path)]["about"]["@id"]]
        assert _names(entities, action["object"] if record.inputs else []) == [f.path for f in record.inputs]
        assert _names(entities, action["result"]) == [file.path for file in record.outputs]
        assert _names(entities, action["instrument"]) == [record.command[2]]
    run = entities["#run"]
    assert _names(entities, run["object"]) == [str(ANNOTATIONS), "scale", "experiments", "schedules"]
    assert sorted(_names(entities, run["result"])) == [
        f"{ROOT}/{name}"
        for name in ("figures/fig 1.pdf", "figures/fig 1.png", "report.html", "tables/fig1.csv")
    ]


def _names(entities: dict[str, dict[str, Any]], references: Any) -> list[str]:
    references = references if isinstance(references, list) else [references]
    return [entities[reference["@id"]]["name"] for reference in references]


def test_small_files_are_copied_and_others_described(export: Export) -> None:
    entities = export()
    for entity in entities.values():
        if "sha256" in entity and not entity["@id"].startswith("#"):
            copied = Path("crate") / unquote(entity["@id"])
            assert (sha256(copied), str(copied.stat().st_size)) == (entity["sha256"], entity["contentSize"])
    state = entities[f"#{STATE}"]
    assert state["contentSize"] == "1000001" and "larger than 1 MB" in state["description"]
    assert "no part of the study" in entities[f"#{ANNOTATIONS}"]["description"]
    assert not (Path("crate") / STATE).exists() and not (Path("crate") / ANNOTATIONS).exists()
    assert {"Snakefile", "rules/train.smk", "scales/paper.yaml", "envs/requirements.txt", CODE} <= set(
        entities
    )


def test_data_is_copied_whatever_its_size(export: Export) -> None:
    images = ROOT / "data/images-coco-val.csv"
    job("images", "workflow_scripts.data.image_hashes", [], {images: "x" * 1_000_001})
    export()
    assert (Path("crate") / images).exists()


def test_missing_and_altered_files_are_named(export: Export, capsys: pytest.CaptureFixture) -> None:
    table, report = ROOT / "tables/fig1.csv", ROOT / "report.html"
    was = sha256(table)
    table.write_text("b\n")
    report.unlink()
    entities = export()
    assert "It was gone" in entities[f"#{report}"]["description"]
    assert "another version" in entities[f"#{table}"]["description"]
    assert entities[f"#{table}"]["sha256"] == was
    assert not (Path("crate") / table).exists()
    output = capsys.readouterr().out
    assert f"1 file(s) not copied that are gone: {report}\n" in output
    assert f"1 file(s) not copied that are not what their job wrote or read: {table}\n" in output


def test_code_that_is_no_longer_so_is_told_apart(export: Export) -> None:
    Path(CODE).write_text("earlier\n")
    job("train", "workflow_scripts.training.train", [CODE], {ROOT / "training/s/state.safetensors": "0"})
    entities = export()
    assert entities[CODE]["sha256"] == sha256(crate.REPOSITORY / CODE)
    assert entities[f"#{CODE}"]["sha256"] == sha256(CODE)


@pytest.mark.slow
def test_failed_jobs_are_in_it_and_unfinished_ones_are_not(
    export: Export, cache: Path, capsys: pytest.CaptureFixture
) -> None:
    start = "2026-01-01T00:00:00+00:00"
    failed = [Attempt(start, "node1"), Attempt(start, "node2", "2026-01-01T00:02:00+00:00", 1)]
    output = ROOT / "figures/fig2.png"
    job("figure", "workflow_scripts.figures.fig2", [], {output: ""}, attempts=failed, outputs=[])
    runs = ROOT / "figures/fig3.png"
    job("figure", "workflow_scripts.figures.fig3", [], {runs: ""}, attempts=[Attempt(start, "n")], outputs=[])
    entities = export()
    action = entities[f"#job/{output}"]
    assert (action["actionStatus"], action["error"]) == (crate_status("Failed"), "exit code 1")
    assert "attempt 2" in action["description"]
    assert entities["#run"]["actionStatus"] == crate_status("Failed")
    assert f"#job/{runs}" not in entities
    assert f"left out that were killed or run: {record_path(runs)}" in capsys.readouterr().out
    assert {check for check, _ in findings("crate", PROFILES[1], cache)} == {"process-run-crate-0.5_5.1"}


def crate_status(word: str) -> str:
    return f"http://schema.org/{word}ActionStatus"


def test_tools_in_several_versions(export: Export) -> None:
    code = Code("4567def", False, {})
    job("manifest", "workflow_scripts.data.manifest", [], {ROOT / "data/coco-train.json": "{}"}, code=code)
    entities = export()
    module = "https://example.org/study#workflow_scripts.data.manifest"
    assert {entities[module]["softwareVersion"], entities[f"{module}/2"]["softwareVersion"]} == {
        "commit 0123abc, with uncommitted changes",
        "commit 4567def",
    }
    assert entities["#step/manifest"]["workExample"] == [{"@id": module}, {"@id": f"{module}/2"}]


def test_same_study_same_crate(export: Export) -> None:
    assert export() == export(output="again")
    export(output="one.zip")
    export(output="two.zip")
    assert filecmp.cmp("one.zip", "two.zip", shallow=False)
    with zipfile.ZipFile("one.zip") as archive:
        files = {str(path.relative_to("crate")) for path in Path("crate").rglob("*") if path.is_file()}
        assert set(archive.namelist()) == files


def test_crate_within_the_results_is_replaced_and_no_part_of_the_next(export: Export) -> None:
    inside = str(ROOT / "crate")
    first = export(output=inside)
    (ROOT / "crate/stray").touch()
    assert export(output=inside) == first
    assert not (ROOT / "crate/stray").exists()
    assert len(Results.load(ROOT).records) == 7
    assert not list(ROOT.glob(".crate*"))


@pytest.mark.parametrize("output", ["datasets", "datasets/instances_val.json"])
def test_never_replaces_what_is_no_crate(export: Export, output: str) -> None:
    with pytest.raises(crate.UserError, match=f"{output}: is there already and is no crate"):
        export(output=output)
    assert ANNOTATIONS.read_text() == "{}"


def test_altered_record_is_refused(export: Export) -> None:
    record = record_path(STATE)
    record.write_text(record.read_text().replace("0123abc", "9999999"))
    with pytest.raises(crate.UserError, match=f"{record}: 1 record"):
        export()
    assert not Path("crate").exists()
