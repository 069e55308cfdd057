"""A wrong configuration as a person meets it, through Snakemake, and scales of one's own."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.configuration import GOOD, ROOT, assert_in_order, dry_run, message, snakemake
from tests.test_config import WRONG
from workflow_scripts.study.configuration import config as config_module

NO_SCALE = {
    "schedule: {": ["scales/own.yaml, line 1: expected YAML"],
    "": ["scales/own.yaml: schedule: missing; add it"],
    "- 1": ["scales/own.yaml: found [1], expected the keys of the other scales"],
    "schedule: {}\ncosts: {}\nschedule: {}": [
        "scales/own.yaml, line 3: expected YAML; schedule is given twice"
    ],
}


@pytest.mark.parametrize(("text", "parts"), NO_SCALE.items())
def test_scale_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, parts: list[str]
) -> None:
    (tmp_path / "own.yaml").write_text(text)
    monkeypatch.setattr(config_module, "SCALES", tmp_path)
    assert_in_order(message(scale="own"), parts)


def test_scale_without_a_backbone_that_the_models_need(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    numbers = yaml.safe_load((ROOT / "scales" / "smoke.yaml").read_text())
    numbers["backbones"] = {"R18": numbers["backbones"]["R50"]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(numbers))
    monkeypatch.setattr(config_module, "SCALES", tmp_path)
    assert_in_order(
        message(scale="own"),
        ["scales/own.yaml: backbones: found R18", "expected R50 among them for model R50_GN", "add its"],
    )


AS_A_USER = {name: WRONG[name] for name in ("unknown key", "no schedule", "unknown setting of the world")}


@pytest.mark.parametrize(("changes", "parts"), AS_A_USER.values(), ids=AS_A_USER)
def test_message_reaches_the_user_without_a_traceback(
    tmp_path: Path, changes: dict[str, Any], parts: list[str]
) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(GOOD | changes))
    found = dry_run(tmp_path)
    assert found.returncode != 0
    output = found.stdout + found.stderr
    assert_in_order(output, parts)
    assert "Traceback" not in output
    assert "workflow_scripts/" not in output


def test_a_user_is_told_which_file_and_which_target(tmp_path: Path, real_data: dict[str, Any]) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(GOOD))
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"datasets": {"coco": real_data["coco"]}}))
    found = dry_run(tmp_path, "--configfile", "my.yaml", "--", "fig6")
    assert found.returncode == 1
    assert "\nfig6: my.yaml: datasets.coco.keypoints: missing; " in found.stdout + found.stderr
    assert "Exception" not in found.stdout + found.stderr


def test_a_plan_is_made_before_there_is_data(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(GOOD | {"scale": "paper"}))
    found = snakemake(tmp_path, "--cores", "1", "plan", "--quiet", "all")
    assert found.returncode == 0, found.stderr
    assert_in_order(
        found.stdout,
        ["GPU hours", "Before it can run:\ndatasets.coco: missing; ", "\ndatasets.classification: missing"],
    )
    assert snakemake(tmp_path, "--dry-run", "plan", "fig1").returncode == 1


def test_shipped_config_is_right(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.yaml", tmp_path)
    found = dry_run(tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_mistake_is_told_once_however_quiet_snakemake_is(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(GOOD | {"scale": "huge"}))
    for options in (["--quiet", "all"], ["--quiet", "rules"], ["--quiet", "all", "--dry-run"]):
        found = snakemake(tmp_path, "plan", "--cores", "1", *options)
        assert found.returncode == 1
        assert (found.stdout + found.stderr).count("config.yaml: scale: found 'huge'") == 1
    (tmp_path / "config.yaml").write_text("scale: mini\nscale: smoke\n")
    found = snakemake(tmp_path, "plan", "--cores", "1", "--quiet", "all")
    assert (found.returncode, found.stderr.count("scale is given twice")) == (1, 1)
