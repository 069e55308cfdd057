"""The examples of docs/extend.md and docs/data.md, applied to a copy of the repository as a reader would, and run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests import figures
from tests.chain.data import write_data
from tests.checkout import ROOT, Checkout, trained
from tests.documentation import Block, blocks, commands

PAGE = "docs/extend.md"


def apply(block: Block, folder: Path) -> None:
    """Change a file as a `diff` block says, whose lines must stand in it once; or write the file that it is."""
    file = folder / block.title
    if block.language == "python":
        assert not file.exists()
        file.write_text(block.text)
        return
    lines = block.text.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] in f" {sign}") for sign in "-+")
    text = file.read_text()
    assert text.count(before) == 1, f"{block.title}: {text.count(before)} times\n{before}"
    file.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the repository with all examples applied."""
    checkout = Checkout.make(tmp_path_factory.mktemp("extended"))
    shutil.copy(ROOT / "config.yaml", checkout.folder)
    for block in (*blocks("python", PAGE), *blocks("diff", PAGE)):
        apply(block, checkout.folder)
    return checkout


@pytest.fixture(scope="module")
def jobs(extended: Checkout) -> dict[str, set[str]]:
    """Of the extended study at scale smoke."""
    return extended.jobs(
        scale="smoke", experiments=["fig1", "fig9", "table1"], models=["R50_GN", "RegNetX_SyncBN"]
    )


def python(folder: Path, code: str) -> str:
    """What code prints that imports the extended package."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


EXAMPLES = [words for words in commands(ROOT / PAGE) if words[0] == "snakemake"]


@pytest.mark.parametrize("words", EXAMPLES, ids=" ".join)
def test_commands_of_the_page_would_run(extended: Checkout, words: tuple[str, ...]) -> None:
    told = extended.snakemake(*words[1:], "--dry-run", "--quiet", "rules")
    assert "train" in told.stdout + told.stderr


def test_a_schedule_adds_what_it_lacks_and_nothing_else(extended: Checkout, jobs) -> None:
    """At 6 iterations to 1x and a tail of 4, 7x has 42 iterations and drops at 38 and 40."""
    tails = {path.split("/")[2] for path in trained(jobs) if "coco-R50_GN-random" in path}
    assert "tail-38-40-42" in tails
    trunks = sorted(int(name.split("-")[2]) for name in tails if name.startswith("trunk"))
    assert trunks == [2, 8, 14, 20, 26, 32, 38], "the trunk goes on from where 6x left it, at 32"


def test_a_figure_is_drawn_from_what_another_needs(jobs) -> None:
    assert {Path(path).stem for path in jobs["figure"]} == {"fig1", "fig9"}
    read_by_fig1 = {path for path in jobs["evaluate"] if "RegNetX" not in path}
    assert {path.split("/")[1] for path in read_by_fig1} == {
        f"coco-R50_GN-{name}-seed0" for name in ("random", "pretrained")
    }


def test_the_figure_draws_the_share_of_precise_boxes(extended: Checkout, tmp_path: Path) -> None:
    """AP75 is a quarter of AP50 everywhere."""
    rows = figures.evaluations()
    loose, strict = rows.assign(metric="AP50"), rows.assign(metric="AP75", value=rows["value"] / 4)
    pd.concat([loose, strict]).to_csv(tmp_path / "table.csv", index=False)
    table = tmp_path / "table.csv"
    rule = (ROOT / "rules/figures.smk").read_text()
    drawn = {ending: tmp_path / f"fig9.{ending}" for ending in re.findall(r"--(\w+) \{output", rule)}
    command = ["--table", str(table), "--published", "reports/published.yaml", "--scale", "smoke"]
    command += [word for ending, file in drawn.items() for word in (f"--{ending}", str(file))]
    done = subprocess.run(
        [sys.executable, "-m", "workflow_scripts.figures.fig9", *command],
        cwd=extended.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert all(file.stat().st_size > 1000 for file in drawn.values())
    code = (
        "from workflow_scripts.figures import fig9, style; from workflow_scripts.tables.tidy import read_evaluations;"
        f"table = read_evaluations({str(table)!r});"
        "axes, = fig9.draw(table, style.Style(), None).axes;"
        "print(len(axes.lines), {round(float(y), 6) for line in axes.lines for y in line.get_ydata()})"
    )
    lines, values = python(extended.folder, code).split(maxsplit=1)
    assert int(lines) >= 4, "two schedules, from two initialisations"
    assert values.strip() == "{25.0}"


def test_a_backbone_is_trained_pretrained_and_evaluated(jobs) -> None:
    recipes = {path.split("/")[1] for path in trained(jobs) if "RegNetX" in path}
    assert recipes == {
        "classification-RegNetX_SyncBN",
        "coco-RegNetX_SyncBN-random-seed0",
        "coco-RegNetX_SyncBN-pretrained-seed0",
    }
    assert any("RegNetX_SyncBN-pretrained" in path for path in jobs["evaluate"])


def test_the_backbone_is_torchvisions_and_starts_from_its_classifier(extended: Checkout) -> None:
    """Stages of as many weights as torchvision's RegNetX-400MF, but for the last, whose 384 channels of the paper
    torchvision makes 400; a detector takes over all of the classifier's.
    """
    code = """
import json
import torch, yaml
from torchvision.models import regnet_x_400mf
from workflow_scripts.models.build import backbone_weights, build, load_backbone
from workflow_scripts.study.compile import compile_study

study = compile_study({"scale": "smoke", "experiments": ["table1"], "models": ["RegNetX_SyncBN"]})
recipes = study.recipes
classifier = build(recipes["classification-RegNetX_SyncBN"], 4, "cpu")
pretrained = recipes["coco-RegNetX_SyncBN-pretrained-seed0"]
detector = build(pretrained, 3, "cpu")
handed = backbone_weights(recipes["classification-RegNetX_SyncBN"], classifier.state_dict())
load_backbone(pretrained, detector, handed, "the classifier")
held = detector.state_dict()
names = [name for name in handed if "num_batches" not in name]
same = all(torch.equal(held["backbone.bottom_up." + name], handed[name]) for name in names)
count = lambda module: sum(weight.numel() for weight in module.parameters())
theirs = [count(stage) for stage in regnet_x_400mf(weights=None).trunk_output][:3]
ours = [count(getattr(classifier.backbone, f"s{number}")) for number in range(1, 4)]
images = [{"image": torch.zeros(3, 64, 64, dtype=torch.uint8), "height": 64, "width": 64}]
print(json.dumps([same, theirs == ours, len(detector.eval()(images)), sorted(detector.backbone.output_shape())]))
"""
    assert json.loads(python(extended.folder, code)) == [True, True, 1, ["p2", "p3", "p4"]]


def test_own_data_in_cocos_format_is_what_the_study_trains_on(tmp_path: Path) -> None:
    """The study of docs/data.md, on pictures of real shape."""
    checkout = Checkout.make(tmp_path / "checkout")
    shutil.copy(ROOT / "config.yaml", checkout.folder)
    coco = write_data(tmp_path / "drawn")["coco"]
    (checkout.folder / "my").mkdir()
    shutil.copytree(coco["train"]["images"], checkout.folder / "my/images")
    for split in ("train", "val"):
        shutil.copy(coco[split]["annotations"], checkout.folder / f"my/{split}.json")
    shutil.copytree(coco["val"]["images"], checkout.folder / "my/images", dirs_exist_ok=True)
    study, *_ = blocks("yaml", "docs/data.md")
    (checkout.folder / "my.yaml").write_text(study.text)
    manifest = "results/mini/data/coco-train.json"
    checkout.snakemake("--cores", "1", manifest, "--configfile", "my.yaml")
    made = json.loads((checkout.folder / manifest).read_text())
    assert made["image_count"] == 24
