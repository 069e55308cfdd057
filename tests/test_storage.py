"""What the storage policy calls temporary goes once it is of no more use, and is not made again."""

from pathlib import Path

import pytest
import yaml

from tests.checkout import Checkout


@pytest.mark.slow
def test_temporary_files_go_and_results_stay(tmp_path: Path) -> None:
    checkout = Checkout.make(tmp_path)
    policy = dict.fromkeys(("states", "checkpoints", "detections"), "temporary")
    study = {"scale": "smoke", "experiments": ["fig1"], "schedules": ["2x"], "storage": policy}
    (checkout.folder / "config.yaml").write_text(yaml.safe_dump(study))
    checkout.snakemake("--profile", "profiles/local", "--quiet", "all")
    assert (checkout.results / "report.html").exists()
    assert list(checkout.results.glob("evaluation/**/metrics.json"))
    for gone in ("training/**/state.safetensors", "training/**/checkpoints", "evaluation/**/detections"):
        assert not list(checkout.results.glob(gone)), gone
    assert checkout.jobs() == {}
