"""Published weights: fetched by hash, fitting the models that start from them, and computing what they did before.

`test_layouts.py` holds each publisher's names, `test_pickles.py` the pickles that some use.
"""

import errno
import functools
import http.server
import json
import pickle
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_resnet_backbone
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet50, vgg16

from tests.training import REPOSITORY, tiny_recipe
from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256
from workflow_scripts.models import published as fetching
from workflow_scripts.models.build import build, build_optimizer, load_backbone
from workflow_scripts.models.config import RGB_MEAN, RGB_STD, detectron2_config
from workflow_scripts.models.layouts import our_names
from workflow_scripts.models.published import bgr_to_rgb, read_published
from workflow_scripts.models.tensors import load_tensors
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.configuration.config import PublishedWeights
from workflow_scripts.training import backbone as measuring
from workflow_scripts.training.state import capture, write_state


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """The paper's R50 GN from pre-training; the data does not matter here."""
    here, other = str(REPOSITORY / "config.yaml"), str(REPOSITORY / "README.md")
    sets = [{"annotations": file, "images": str(REPOSITORY)} for file in (here, other)]
    study = compile_study(
        {
            "scale": "paper",
            "experiments": ["fig1"],
            "datasets": {"coco": dict(zip(("train", "val"), sets, strict=True))},
            "pretraining": {"fetch": {"R50_GN": {"source": here, "sha256": "0" * 64}}},
        }
    )
    return next(recipe for recipe in study.recipes.values() if recipe.pretraining == "fetch")


@pytest.fixture(scope="module")
def published() -> nn.Module:
    """torchvision's ResNet-50 with GN, standing for a published one."""
    torch.manual_seed(0)
    return resnet50(norm_layer=lambda channels: nn.GroupNorm(32, channels)).eval()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Runs the command in this process; returns the folder of what it wrote."""

    def command(module: ModuleType, *arguments: object) -> Path:
        folder = tmp_path / "out"
        outputs = ("--backbone", folder / "backbone.safetensors", "--summary", folder / "summary.json")
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, (*arguments, *outputs))])
        module.main()
        return folder

    return command


def weights(path: Path, digest: str | None = None) -> str:
    return json.dumps({"source": str(path), "sha256": digest or sha256(path)})


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors", "safetensors?download=1"])
def test_fetched_weights_compute_the_same_features(recipe, published, tmp_path, command, name):
    save = torch.save if name.endswith("pth") else save_file
    save(published.state_dict(), tmp_path / name)
    folder = command(fetching, "--weights", weights(tmp_path / name), "--model", "R50_GN")
    assert json.loads((folder / "summary.json").read_text())["kind"] == "fetch"
    assert len(list(folder.iterdir())) == 2
    backbone, said = load_tensors(folder / "backbone.safetensors")
    assert said == {"source": str(tmp_path / name)}

    ours = build_resnet_backbone(detectron2_config(recipe, 80), ShapeSpec(channels=3)).eval()
    ours.load_state_dict(backbone)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        theirs = published.maxpool(published.relu(published.bn1(published.conv1(image))))
        for number in range(1, 5):
            theirs = getattr(published, f"layer{number}")(theirs)
        torch.testing.assert_close(ours(image)["res5"], theirs, rtol=1e-4, atol=1e-4)


def test_weights_of_another_network_are_refused_when_they_are_fetched(recipe, published, tmp_path, command):
    path = tmp_path / "published.safetensors"
    save_file(published.state_dict(), path)
    shallow = recipe.model_copy(
        update={"detectron2": {"MODEL.RESNETS.DEPTH": 18, "MODEL.RESNETS.RES2_OUT_CHANNELS": 64}}
    )
    given = ("--weights", weights(path), "--model", "R50_GN", "--recipes")
    with pytest.raises(UserError, match=f"^{path}: does not fit the backbone of recipe {recipe.name}: "):
        command(fetching, *given, json.dumps({"R50_GN": shallow.model_dump()}))
    assert not (tmp_path / "out" / "backbone.safetensors").exists()
    assert (command(fetching, *given, json.dumps({"R50_GN": recipe.model_dump()})) / "summary.json").is_file()


def test_weights_come_from_a_server(tmp_path):
    (tmp_path / "served").write_bytes(b"weights" * 100_000)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    )
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fetching.fetch(f"http://127.0.0.1:{server.server_port}/served", tmp_path / "fetched")
        with pytest.raises(UserError, match=r"absent: cannot be fetched .*404"):
            fetching.fetch(f"http://127.0.0.1:{server.server_port}/absent", tmp_path / "none")
        server.shutdown()
    assert (tmp_path / "fetched").read_bytes() == (tmp_path / "served").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"served", "fetched"}


class Broken(http.server.BaseHTTPRequestHandler):
    """Answers with what is no HTTP, or with a chunk that is none."""

    def do_GET(self):
        chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        self.wfile.write(chunk if self.path == "/chunk" else b"NONSENSE\r\n")

    def log_message(self, *_):
        pass


def test_broken_servers_and_impossible_urls_are_told(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port
        urls = [
            f"http://127.0.0.1:{port}/status",
            f"http://127.0.0.1:{port}/chunk",
            "http://[::1",
            "http://a b/",
        ]
        for url in [*urls, f"http://127.0.0.1:{10**6}/"]:
            with pytest.raises(
                UserError, match=rf"^{re.escape(url)}: cannot be fetched \(.+\); correct pretraining"
            ):
                fetching.fetch(url, tmp_path / "fetched")
        server.shutdown()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_no_fault_of_the_source(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    (tmp_path / "w").touch()
    monkeypatch.setattr(fetching.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        fetching.fetch(str(tmp_path / "w"), tmp_path / "fetched")


@pytest.mark.parametrize("given", ["{", "{}", '{"source": "x", "sha256": 3}'])
def test_a_wrong_description_of_weights_is_one_message(command, given):
    with pytest.raises(UserError, match=r"^--weights: .*expected an entry of pretraining.fetch as JSON$"):
        command(fetching, "--weights", given, "--model", "R50_GN")


def test_backbone_fits_the_detector_and_nothing_else(recipe, published, tmp_path):
    save_file(published.state_dict(), tmp_path / "w.safetensors")
    published_weights = PublishedWeights(source="w", sha256=sha256(tmp_path / "w.safetensors"))
    backbone = read_published(tmp_path / "w.safetensors", published_weights, "R50_GN")
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


@pytest.mark.slow
def test_torchvision_vgg_16_computes_the_same_up_to_fc7(recipe):
    torch.manual_seed(0)
    published = vgg16().eval()
    renamed = our_names(published.state_dict(), "torchvision", "vgg16")
    vgg = {"backbone": "VGG-16", "norm": "", "detectron2": {}}
    as_classifier = {"task": "classification", "detector": "classifier", "image_sides": (96,)}
    ours = build(recipe.model_copy(update={**vgg, **as_classifier}), 2, "cpu").eval()
    load_backbone(recipe.model_copy(update={**vgg, **as_classifier}), ours, renamed, "vgg16")
    image = torch.randn(1, 3, 96, 64)
    with torch.no_grad():
        theirs = published.avgpool(published.features(image)).flatten(1)
        theirs = published.classifier[:6](theirs)
        torch.testing.assert_close(ours.head(ours.pool(ours.backbone(image)["vgg"])), theirs)

        detector_recipe = recipe.model_copy(update={**vgg, "detector": "faster_rcnn"})
        detector = build(detector_recipe, 2, "cpu").eval()
        load_backbone(detector_recipe, detector, renamed, "vgg16")
        pooled = published.features[:30](image)
        torch.testing.assert_close(detector.backbone(image)["vgg"], pooled)
        rois = torch.randn(2, 512, 7, 7)
        torch.testing.assert_close(
            detector.roi_heads.box_head(rois), published.classifier[:6](rois.flatten(1))
        )


@pytest.mark.parametrize(
    ("first", "other", "model"),
    [("conv1.weight", "bn1.weight", "R50_GN"), ("features.0.weight", "features.2.weight", "VGG-16")],
)
def test_first_convolution_of_either_architecture_is_converted_from_bgr(tmp_path, first, other, model):
    path, convolution = tmp_path / "w", torch.randn(4, 3, 3, 3)
    save_file({first: convolution, other: torch.ones(3, 3, 3, 3)}, path)
    published = PublishedWeights(source="w", sha256=sha256(path), colours="bgr")
    found = read_published(path, published, model)
    converted, untouched = sorted(found.values(), key=len, reverse=True)
    assert torch.equal(converted, bgr_to_rgb(convolution))
    assert torch.equal(untouched, torch.ones(3, 3, 3, 3))


def test_batchnorms_without_a_counter_fit(recipe, tmp_path):
    path = tmp_path / "w.pth"
    old = {k: v for k, v in resnet50().state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save({"state_dict": old, "epoch": 90}, path)
    backbone = read_published(path, PublishedWeights(source="w", sha256=sha256(path)), "R50_SyncBN")
    syncbn = recipe.model_copy(update={"norm": "SyncBN"})
    model = build(syncbn, 80, "cpu")
    load_backbone(syncbn, model, backbone, "w")
    mean = model.backbone.bottom_up.res2[0].conv1.norm.running_mean
    assert torch.equal(mean, old["layer1.0.bn1.running_mean"])


def test_an_architecture_may_be_changed_for_weights_that_halve_in_the_first_convolution(recipe):
    """As detectron2's `Misc/mask_rcnn_R_50_FPN_3x_syncbn.yaml`, which starts from MSRA's ResNet-50."""
    source = {
        "source": "https://example.org/R-50.pkl",
        "sha256": "0" * 64,
        "layout": "detectron",
        "colours": "bgr",
    }
    study = compile_study(
        {
            "scale": "smoke",
            "experiments": ["fig4"],
            "pretraining": {"fetch": {"R50_SyncBN": {**source, "stride_in_1x1": True}}},
            "numbers": {"backbones": {"R50": {"MODEL.RESNETS.STRIDE_IN_1X1": True}}},
        }
    )
    found = [recipe for recipe in study.recipes.values() if recipe.model == "R50_SyncBN"]
    assert {recipe.initialisation for recipe in found} == {"random", "pretrained"}
    for each in found:
        of_depth_50 = each.model_copy(update={"detectron2": each.detectron2 | recipe.detectron2})
        block = build(of_depth_50, 2, "cpu").backbone.bottom_up.res3[0]
        assert (block.conv1.stride, block.conv2.stride) == ((2, 2), (1, 1))


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


CODE = pickle.dumps(Malice(), protocol=2)
BAD = {
    "not what was hashed": (b"", "found SHA-256"),
    "code": (CODE, "cannot be read as tensors alone (found __builtin__.print, expected"),
    "code in torch's file": (Malice(), "cannot be read as tensors alone (UnpicklingError)"),
    "torn safetensors": (b"\x99\0\0\0\0\0\0\0{", "cannot be read as tensors alone"),
    "a list": ([torch.zeros(1)], "found a list, expected tensors by name"),
    "a number among tensors": ({"w": torch.zeros(1), "epoch": 3}, "found a int at 'epoch'"),
    "absent": (None, "cannot be fetched"),
    "not a number": (
        {"conv1.weight": torch.tensor([0.0, torch.nan])},
        "found numbers that are not finite at",
    ),
    "infinite": ({"conv1.weight": torch.tensor([torch.inf])}, "found numbers that are not finite at"),
    "whole numbers": ({"conv1.weight": torch.ones(2, dtype=torch.int8)}, "found int8 at"),
    "complex": ({"conv1.weight": torch.ones(2, dtype=torch.complex64)}, "found complex64 at"),
    "sparse": ({"conv1.weight": torch.eye(2).to_sparse()}, "found sparse_coo at"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_weights_are_refused_with_one_message(tmp_path, capsys, command, case):
    content, message = BAD[case]
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    digest = sha256(path) if content else "0" * 64
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: .*{re.escape(message)}"):
        command(fetching, "--weights", weights(path, digest), "--model", "R50_GN")
    assert "executed" not in capsys.readouterr().out
    assert not list((tmp_path / "out").iterdir())


def test_nothing_is_read_of_a_file_with_another_hash(tmp_path):
    (tmp_path / "w.pkl").write_bytes(CODE)
    digest = sha256(tmp_path / "w.pkl")
    with pytest.raises(UserError, match=f"^w: found SHA-256 {digest}, expected {'0' * 64}"):
        read_published(tmp_path / "w.pkl", PublishedWeights(source="w", sha256="0" * 64), "R50_GN")


RED, BLUE = (230, 30, 20), (20, 40, 220)


def to_measure(folder: Path, recipe: Recipe, model: nn.Module) -> tuple:
    """Options that name a classifier, written into `folder`, and the pictures in its `val`."""
    (folder / "recipe.json").write_text(recipe.model_dump_json())
    write_state(folder / "state", capture(model, build_optimizer(recipe, model), 0))
    return ("--recipe", folder / "recipe.json", "--val", folder / "val", "--state", folder / "state")


def told_by_colour(recipe: Recipe) -> nn.Module:
    """A classifier whose last layer says class 0 of what is rather red, and class 1 of what is rather blue."""
    model = build(recipe, 2, "cpu").eval()
    side = recipe.image_sides[0]
    colours = torch.tensor([RED, BLUE], dtype=torch.uint8).view(2, 3, 1, 1).expand(2, 3, side, side)
    features = []
    hook = model.linear.register_forward_pre_hook(lambda _layer, given: features.append(given[0]))
    with torch.no_grad():
        model.logits(colours)
        hook.remove()
        red, blue = features[0]
        model.linear.weight.copy_(torch.stack([red - blue, blue - red]))
        model.linear.bias.copy_(-model.linear.weight @ (red + blue) / 2)
    return model


def test_classifiers_accuracy_is_the_share_of_pictures_that_it_tells_right(tmp_path, command):
    """Of 32 pictures of the first class 24 are red, of 40 of the second 32 blue: 7 of 9 are right."""
    pictures = {"circle": [RED, RED, BLUE, RED] * 8, "square": [BLUE, BLUE, RED, BLUE, BLUE] * 8}
    for name, colours in pictures.items():
        (tmp_path / "val" / name).mkdir(parents=True)
        for number, colour in enumerate(colours):
            Image.new("RGB", (40, 50), colour).save(tmp_path / "val" / name / f"{number}.png")
    recipe = tiny_recipe("classification")
    model = told_by_colour(recipe)
    arguments = to_measure(tmp_path, recipe, model)
    summary = json.loads((command(measuring, *arguments) / "summary.json").read_text())
    top1 = pytest.approx(100 * 7 / 9)
    assert summary == {"kind": "train", "recipe": recipe.name, "classes": 2, "top1": top1}
    backbone, said = load_tensors(tmp_path / "out/backbone.safetensors")
    assert said == {"source": recipe.name}
    ours = model.backbone.state_dict()
    assert backbone.keys() == ours.keys()
    assert all(torch.equal(backbone[name], weight) for name, weight in ours.items())


def test_classifier_is_not_measured_on_other_classes_than_its_own(tmp_path, command):
    for name in ("circle", "square"):
        (tmp_path / "val" / name).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(tmp_path / "val" / name / "0.png")
    recipe = tiny_recipe("classification")
    arguments = to_measure(tmp_path, recipe, build(recipe, 3, "cpu"))
    with pytest.raises(UserError, match=r"val: found 2 classes \(folders\), expected the 3"):
        command(measuring, *arguments)
    assert not (tmp_path / "out").exists()
