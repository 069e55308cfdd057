"""Two clean runs of a study tell the same."""

import filecmp
from pathlib import Path

import pytest
import yaml

from tests.checkout import Checkout
from workflow_scripts.models.tensors import read_metadata

SAME = (
    "tables/*",
    "runs/**/*.csv",
    "figures/*.png",
    "verdicts.json",
    "evaluation/**/*.json",
    "evaluation/**/*.csv",
)


@pytest.mark.slow
def test_two_runs_give_identical_tables_and_figures(tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        checkout = Checkout.make(tmp_path / name)
        study = {"scale": "smoke", "experiments": ["fig1", "table1"], "schedules": ["2x"]}
        (checkout.folder / "config.yaml").write_text(yaml.safe_dump(study))
        checkout.snakemake("--profile", "profiles/local", "--cores", "2", "--quiet", "all")
        results.append(checkout.results)
    compared = 0
    for pattern in SAME:
        files = [path for path in sorted(results[0].glob(pattern)) if not path.name.endswith(".record.json")]
        assert files, pattern
        for left in files:
            right = results[1] / left.relative_to(results[0])
            assert filecmp.cmp(left, right, shallow=False), left
            compared += 1
    assert compared > 20
    states = sorted(results[0].glob("training/*/*/state.safetensors"))
    assert states
    for left in states:
        right = results[1] / left.relative_to(results[0])
        assert read_metadata(left)["digest"] == read_metadata(right)["digest"], left
