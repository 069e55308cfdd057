"""The audit of a study: silent on what is whole, and it names each file that was altered, and how."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.checkout import Checkout
from workflow_scripts.errors import UserError
from workflow_scripts.jobs import environment
from workflow_scripts.jobs.record import ENDING, read_record
from workflow_scripts.provenance import audit

CONFIG = {"scale": "smoke", "experiments": ["fig7_left"], "seeds": [0]}
pytestmark = pytest.mark.slow
ROOT = Path("results/smoke")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A small study that has run: a subset, pre-training, training, and a figure."""
    checkout = Checkout.make(tmp_path_factory.mktemp("audited"))
    (checkout.folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    checkout.snakemake("bundle", "detectron2", "--profile", "profiles/local", "--quiet", "all")
    return checkout


@pytest.fixture(autouse=True)
def inside(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Audits run in the folder that the workflow ran in, with that checkout's code."""
    monkeypatch.chdir(checkout.folder)
    monkeypatch.setattr(environment, "REPOSITORY", checkout.folder)


def audited(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *arguments: str
) -> tuple[int, str]:
    """Exit code and output of the command."""
    monkeypatch.setattr(sys, "argv", ["audit", *arguments])
    with pytest.raises(SystemExit) as end:
        audit.main()
    return int(end.value.code), capsys.readouterr().out


Audit = Callable[..., set[tuple[str, str]]]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Audit:
    """Kind and path of each problem that an audit names."""

    def run(*arguments: str) -> set[tuple[str, str]]:
        code, output = audited(monkeypatch, capsys, *(arguments or (str(ROOT),)), "--json")
        named = {(each["kind"], each["path"]) for each in json.loads(output)["problems"]}
        assert code == bool(named)
        return named

    return run


@contextmanager
def altered(path: Path) -> Iterator[None]:
    """One bit of a file's middle is another, for a while."""
    kept = path.with_name(f".{path.name}.kept")
    shutil.copy2(path, kept)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    try:
        yield
    finally:
        shutil.copy2(kept, path)
        kept.unlink()


def one(pattern: str) -> Path:
    return sorted(ROOT.glob(pattern))[0]


def test_nothing_is_said_of_an_untouched_study(found: Audit) -> None:
    assert found() == set()
    assert found(str(ROOT), "--fast") == set()


ARTEFACTS = {
    "annotation file": "world/coco/annotations/instances_train.json",
    "image": "world/coco/train/*.jpg",
    "subset list": "data/subsets/instances_35k.json",
    "manifest": "data/coco-val.json",
    "hashes of images": "data/images-coco-train.csv",
    "recipe": "recipes/coco-*.json",
    "pre-trained weights": "pretraining/train/*/backbone.safetensors",
    "state": "training/coco-*/trunk-*/state.safetensors",
    "checkpoint": "training/coco-*/trunk-*/checkpoints/*.safetensors",
    "lines of metrics": "training/coco-*/trunk-*/metrics.jsonl",
    "detections": "evaluation/*/*/single_scale/detections/*.json",
    "metrics": "evaluation/*/*/single_scale/metrics.json",
    "replicates": "evaluation/*/*/single_scale/replicates.csv",
    "table of a run": "runs/*/*/curve-single_scale.csv",
    "tidy table": "tables/fig7_left-evaluations.csv",
    "figure": "figures/fig7_left.png",
    "configuration for detectron2": "detectron2/coco-*/*/config.yaml",
    "events of a training": "detectron2/coco-*/*/events.*",
    "report": "report.html",
    "bundle": "bundle.tar.gz",
}


@pytest.mark.parametrize("what", ARTEFACTS)
def test_a_changed_bit_is_named(found: Audit, what: str) -> None:
    path = one(ARTEFACTS[what])
    with altered(path):
        assert ("altered", str(path)) in found()
        assert {kind for kind, _ in found()} == {"altered"}


def test_problems_follow_the_verdict_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path = one(ARTEFACTS["metrics"])
    with altered(path):
        code, text = audited(monkeypatch, capsys, str(ROOT))
    assert code == 1
    verdict, problem = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    assert verdict.startswith(f"{ROOT}: 1 problem (1 altered). ")
    assert problem.startswith(
        "altered: the file is not what its job wrote. Bring back what the job wrote, or"
    )
    assert problem.endswith(f" {path} written by evaluate")


def test_an_altered_record_is_named(found: Audit) -> None:
    path = one(f"evaluation/*/*/single_scale/*{ENDING}")
    with altered(path):
        assert ("broken record", str(path)) in found()


@pytest.mark.parametrize("what", ["state", "metrics", "figure", "image"])
def test_a_file_that_is_gone_is_named(found: Audit, what: str) -> None:
    path = one(ARTEFACTS[what])
    kept = path.with_name(".kept")
    path.rename(kept)
    assert found() == {("missing", str(path))}
    kept.rename(path)


def test_a_record_that_is_gone_leaves_files_that_nothing_tells_of(found: Audit) -> None:
    path = one(f"evaluation/*/*/single_scale/metrics.json{ENDING}")
    kept = path.with_name(".kept")
    path.rename(kept)
    assert ("no record", str(path).removesuffix(ENDING)) in found()
    kept.rename(path)


def test_a_file_that_no_job_wrote_is_named(found: Audit) -> None:
    stray = ROOT / "tables/by_hand.csv"
    stray.write_text("a,b\n")
    assert found() == {("no record", str(stray))}
    stray.unlink()


def test_a_forged_record_contradicts_its_neighbours(found: Audit) -> None:
    """Someone alters metrics and makes their record tell of it: what was read from them tells otherwise."""
    from workflow_scripts.jobs.record import described, write_record

    path = one(ARTEFACTS["metrics"])
    file = Path(f"{path}{ENDING}")
    kept, kept_record = path.read_bytes(), file.read_bytes()
    status = path.stat()
    record = read_record(file)
    with altered(path):
        record.outputs = described([each.path for each in record.outputs])
        record.outputs = [
            type(each)(each.path, each.sha256, each.bytes, 0 if each.path == str(path) else each.modified)
            for each in record.outputs
        ]
        write_record(file, record)
        kinds = {kind for kind, _ in found()}
    file.write_bytes(kept_record)
    assert kinds == {"contradiction"}
    assert path.read_bytes() == kept and path.stat().st_mtime_ns == status.st_mtime_ns


def test_changed_code_is_named(checkout: Checkout, found: Audit) -> None:
    with checkout.edited("workflow_scripts/training/segment.py"):
        assert found() == {("code", "workflow_scripts/training/segment.py")}
    with checkout.edited("reports/captions.yaml"):
        assert found() == {("code", "reports/captions.yaml")}


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"figures": {"colours": {"random": "#000000"}}}, "figures/fig7_left.png"),
        ({"numbers": {"detection": {"base_lr": 0.02}}}, "training/coco-*/trunk-*/metrics.jsonl"),
        ({"subset_seed": 1}, "data/subsets/instances_35k.json"),
        ({"numbers": {"world": {"seed": 1}}}, "world/manifest.json"),
    ],
)
def test_a_changed_configuration_is_named(found: Audit, tmp_path: Path, change: dict, pattern: str) -> None:
    changed = tmp_path / "config.yaml"
    changed.write_text(yaml.safe_dump(CONFIG | change))
    named = found(str(ROOT), "--configfile", str(changed))
    assert ("configuration", str(one(pattern))) in named
    assert {kind for kind, _ in named} == {"configuration"}


def test_a_raised_recipe_version_is_named(found: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    from workflow_scripts.study.compiled.recipes import Recipe

    dump = Recipe.model_dump
    monkeypatch.setattr(Recipe, "model_dump", lambda self, **options: dump(self, **options) | {"version": 2})
    assert {kind for kind, _ in found()} == {"configuration"}
    assert ("configuration", str(one("training/coco-*/trunk-*/metrics.jsonl"))) in found()


def test_a_mixed_study_is_named(found: Audit) -> None:
    from workflow_scripts.jobs.record import write_record

    file = Path(f"{one(ARTEFACTS['detections']).parent}{ENDING}")
    kept = file.read_bytes()
    record = read_record(file)
    record.versions["torch"] = "1.0"
    record.settings["scale"] = "mini"
    write_record(file, record)
    named = found()
    file.write_bytes(kept)
    assert ("mixed", "version of torch") in named
    assert ("scales", "scale") in named


def test_the_tree_goes_down_to_images_and_pretraining(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    code, text = audited(monkeypatch, capsys, str(ROOT / "figures/fig7_left.png"))
    assert code == 0
    for name in (
        "tables/fig7_left-evaluations.csv",
        "metrics.json",
        "single_scale/detections",
        "state.safetensors",
        "backbone.safetensors",
        "images-coco-train.csv",
        "images-classification-train.csv",
        "instances_35k.json",
        "world/manifest.json",
    ):
        assert name in text, name
    assert text.startswith(f"{ROOT}/figures/fig7_left.png: no problem. "), "the verdict comes first"


def test_a_row_leads_to_what_its_number_was_read_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    table = ROOT / "tables/fig7_left-evaluations.csv"
    source = table.read_text().splitlines()[2].rsplit(",", 1)[1]
    code, text = audited(monkeypatch, capsys, f"{table}:3")
    assert code == 0
    verdict, tree = text.split("\n\n", 1)
    assert "no problem" in verdict and tree.startswith(f"{source}\n")


def test_a_figure_is_not_blamed_for_what_it_does_not_rest_on(found: Audit) -> None:
    with altered(ROOT / "report.html"):
        assert found(str(ROOT / "figures/fig7_left.png")) == set()


def test_fast_hashes_nothing_of_the_same_size_and_time_and_says_so(
    found: Audit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path = one(ARTEFACTS["state"])
    with altered(path):
        os.utime(path, (time.time() + 3600, time.time() + 3600))
        assert found(str(ROOT), "--fast") == {("altered", str(path))}, "its time is another"
    _, text = audited(monkeypatch, capsys, str(ROOT), "--fast")
    assert "left unhashed, by size and time" in " ".join(text.split())


@pytest.mark.parametrize("target", [ROOT, ROOT / "figures/fig7_left.pdf"])
def test_a_target_may_be_named_from_the_root_of_the_disk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, target: Path
) -> None:
    code, text = audited(monkeypatch, capsys, str(target.absolute()), "--json")
    assert (code, json.loads(text)["problems"]) == (0, [])


def test_a_table_that_is_not_there_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["audit", f"{ROOT}/tables/none.csv:3"])
    with pytest.raises(UserError, match=r"none\.csv: cannot be read as a table"):
        audit.main()


def test_nothing_is_called_without_record_from_another_folder(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["audit", str(checkout.folder / ROOT)])
    with pytest.raises(
        UserError, match="records name files from the folder that the workflow ran in: go there"
    ):
        audit.main()


def test_a_change_that_is_no_yaml_is_one_clear_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["audit", str(ROOT), "--config", "models=[R50"])
    with pytest.raises(SystemExit) as end:
        audit.main()
    assert end.value.code == 2
    assert "found models=[R50, expected KEY=VALUE" in capsys.readouterr().err


def test_results_are_not_compared_with_the_study_of_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    code, text = audited(monkeypatch, capsys, str(ROOT), "--config", "scale=mini")
    assert code == 0
    told = "Not compared with the study as it is now: the configuration is that of results/mini"
    assert told in " ".join(text.split())
