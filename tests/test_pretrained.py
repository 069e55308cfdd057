"""Published weights: fetched by hash, converted to detectron2's names, and computing what they computed before."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_resnet_backbone
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet50

from tests.training import REPOSITORY
from workflow_scripts.detection.config import RGB_MEAN, RGB_STD, detectron2_config
from workflow_scripts.detection.models import build, load_backbone
from workflow_scripts.detection.pretrained import bgr_to_rgb, read_published
from workflow_scripts.detection.state import load_tensors
from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256
from workflow_scripts.study.config import PublishedWeights
from workflow_scripts.study.recipes import Recipe
from workflow_scripts.study.study import compile_study


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """The paper's R50 GN from pre-training; the data does not matter here."""
    here = str(REPOSITORY / "config.yaml")
    image_set = {"annotations": here, "images": str(REPOSITORY)}
    study = compile_study(
        {
            "scale": "paper",
            "experiments": ["fig1"],
            "datasets": {"coco": {"train": image_set, "val": image_set}},
            "pretraining": {"fetch": {"R50_GN": {"source": here, "sha256": "0" * 64}}},
        }
    )
    return next(recipe for recipe in study.recipes.values() if recipe.pretraining == "fetch")


@pytest.fixture(scope="module")
def published() -> nn.Module:
    """torchvision's ResNet-50 with GN, standing for a published one."""
    torch.manual_seed(0)
    return resnet50(norm_layer=lambda channels: nn.GroupNorm(32, channels)).eval()


def fetch(
    path: Path, folder: Path, digest: str | None = None, **fields: str
) -> subprocess.CompletedProcess[str]:
    weights = {"source": str(path), "sha256": digest or sha256(path), **fields}
    command = [sys.executable, "-m", "workflow_scripts.detection.pretrained", "fetched"]
    outputs = ["--backbone", str(folder / "backbone.safetensors"), "--summary", str(folder / "summary.json")]
    return subprocess.run(
        [*command, "--weights", json.dumps(weights), *outputs], cwd=REPOSITORY, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_fetched_weights_compute_the_same_features(recipe, published, tmp_path, name):
    weights = published.state_dict()
    torch.save(weights, tmp_path / name) if name.endswith(".pth") else save_file(weights, tmp_path / name)
    job = fetch(tmp_path / name, tmp_path / "out")
    assert job.returncode == 0, job.stderr
    assert json.loads((tmp_path / "out/summary.json").read_text())["kind"] == "fetch"
    backbone, _ = load_tensors(tmp_path / "out/backbone.safetensors")

    ours = build_resnet_backbone(detectron2_config(recipe, 80), ShapeSpec(channels=3)).eval()
    ours.load_state_dict(backbone)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        theirs = published.maxpool(published.relu(published.bn1(published.conv1(image))))
        for number in range(1, 5):
            theirs = getattr(published, f"layer{number}")(theirs)
        torch.testing.assert_close(ours(image)["res5"], theirs, rtol=1e-4, atol=1e-4)


def test_backbone_fits_the_detector_and_nothing_else(recipe, published, tmp_path):
    save_file(published.state_dict(), tmp_path / "w.safetensors")
    weights = PublishedWeights(source="w", sha256=sha256(tmp_path / "w.safetensors"))
    backbone = read_published(tmp_path / "w.safetensors", weights)
    model = build(recipe, 80, "cpu")
    load_backbone(recipe, model, backbone, "w.safetensors")
    loaded = model.state_dict()
    for name, value in backbone.items():
        assert torch.equal(loaded[f"backbone.bottom_up.{name}"], value), name

    for wrong in (
        {**backbone, "res6.weight": torch.zeros(1)},
        dict(list(backbone.items())[1:]),
        {**backbone, "stem.conv1.weight": torch.zeros(1)},
    ):
        with pytest.raises(UserError, match=r"w\.safetensors: does not fit the backbone"):
            load_backbone(recipe, model, wrong, "w.safetensors")


def test_weights_for_bgr_compute_the_same_from_rgb():
    convolution = torch.randn(4, 3, 3, 3)
    mean, std = torch.tensor(RGB_MEAN).view(3, 1, 1), torch.tensor(RGB_STD).view(3, 1, 1)
    rgb = torch.rand(1, 3, 8, 8) * 255
    from_bgr = nn.functional.conv2d((rgb - mean).flip(1), convolution)
    from_rgb = nn.functional.conv2d((rgb - mean) / std, bgr_to_rgb(convolution))
    torch.testing.assert_close(from_rgb, from_bgr, rtol=1e-4, atol=1e-2)


class Malice:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("hash", "found SHA-256"),
        ("code", "cannot be read as tensors alone"),
        ("absent", "cannot be fetched"),
    ],
)
def test_bad_weights_are_refused_with_one_message(tmp_path, case, message):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Malice()))
    source = tmp_path / "absent.pth" if case == "absent" else path
    job = fetch(source, tmp_path / "out", digest=sha256(path) if case == "code" else "0" * 64)
    assert job.returncode == 2
    assert message in job.stderr
    assert "Traceback" not in job.stderr
    assert "executed" not in job.stdout
    assert not list((tmp_path / "out").glob("*"))
