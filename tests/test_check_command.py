"""The command that checks data: no traceback, no torch, each kind on its page, and the miniature world passes."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checked import Dataset, first, run
from workflow_scripts.data import voc
from workflow_scripts.data.check import annotations, folders, geometry, images, nested, pictures, whole_file
from workflow_scripts.data.check import categories as categories_module
from workflow_scripts.data.check.findings import Kind
from workflow_scripts.data.world.__main__ import draw_world
from workflow_scripts.data.world.settings import Settings
from workflow_scripts.files import write_json

ROOT = Path(__file__).parents[1]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def test_the_command_ends_without_a_traceback(dataset: Dataset) -> None:
    first(bbox=[25, 4, -20, 11])(dataset)
    dataset.write()
    command = [sys.executable, "-m", "workflow_scripts.data.check", *dataset.arguments()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and done.stderr.startswith("Error: ")


def test_a_terminal_without_a_letter_of_a_name_shows_an_escape(dataset: Dataset) -> None:
    first(bbox=[25, 4, -20, 11])(dataset)
    dataset.image().rename(dataset.folder / "train/\u00e9.png")
    dataset.train["images"][0]["file_name"] = "\u00e9.png"
    dataset.write()
    command = [sys.executable, "-m", "workflow_scripts.data.check", *dataset.arguments()]
    ascii_alone = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=ascii_alone)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "image id 1 (\\xe9.png)" in done.stderr and "\\xe9.png" in done.stdout


def test_checks_need_no_torch() -> None:
    """It takes seconds to load, and a machine that only looks at data need not have it."""
    told = "import sys, workflow_scripts.data.check.__main__; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_page_lists_every_kind_with_what_becomes_of_it() -> None:
    modules = (annotations, categories_module, folders, geometry, images, nested, pictures, whole_file)
    kinds = {
        kind.name: kind for module in modules for kind in vars(module).values() if isinstance(kind, Kind)
    }
    sections = re.split("^## ", (ROOT / "docs/data-checks.md").read_text(), flags=re.MULTILINE)[1:4]
    listed = {
        name: (outcome, what, last)
        for outcome, section in zip(("error", "skipped", "note"), sections, strict=True)
        for name, what, last in re.findall(r"^\| `(.+?)` \| (.+?) \| (.+) \|$", section, re.MULTILINE)
    }
    assert listed == {
        name: (kind.outcome, kind.what, kind.expected if kind.outcome == "error" else kind.rule)
        for name, kind in kinds.items()
    }


WORLD = Settings(
    train_images=12,
    val_images=6,
    voc_train_images=8,
    voc_val_images=4,
    classification_images_per_class=1,
    classification_val_images_per_class=1,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("world")
    draw_world(WORLD, output)
    return output


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def voc_words(world: Path, output: Path) -> list[str]:
    """The annotation files of the world in VOC's layout, written, and the words that check them."""
    classes = None
    for split, name in (("train", "train"), ("val", "val")):
        folder = world / "voc/VOC2012"
        file = voc.coco_file(voc.read(folder, name), voc.common_folder([folder]), classes)
        classes = [(category["id"], category["name"]) for category in file["categories"]]
        write_json(output / f"voc-{split}.json", file)
    words = [f"--{split}-annotations={output}/voc-{split}.json" for split in ("train", "val")]
    return [*words, *(f"--{split}-images={world}/voc/VOC2012" for split in ("train", "val"))]


def coco_words(world: Path, name: str) -> list[str]:
    annotations = [
        f"--{split}-annotations={world}/coco/annotations/{name}_{split}.json" for split in ("train", "val")
    ]
    return [*annotations, *(f"--{split}-images={world}/coco/{split}" for split in ("train", "val"))]


@pytest.mark.parametrize("kind", ["instances", "person_keypoints", "voc", "classification"])
def test_the_miniature_world_passes_and_stays_as_it_is(
    world: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hashes(world)
    words: dict[str, Callable[[], list[str]]] = {
        "instances": lambda: [*coco_words(world, kind), "--needs", "masks"],
        "person_keypoints": lambda: [*coco_words(world, kind), "--needs", "keypoints"],
        "voc": lambda: voc_words(world, tmp_path),
        "classification": lambda: [f"--{split}={world}/classification/{split}" for split in ("train", "val")],
    }
    outputs = [f"--report={tmp_path}/check.json", f"--text={tmp_path}/check.txt"]
    assert run([*words[kind](), "--name", kind, *outputs], monkeypatch) == 0
    found = json.loads((tmp_path / "check.json").read_text())["found"]
    assert {entry["kind"] for entry in found} <= {"image-bare", "category-unused", "crowd"}
    assert hashes(world) == before
