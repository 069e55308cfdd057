"""The documentation: every command and every piece of code in it is tried, every file that it names is there.

Commands that would take long are tried as far as they can be wrong: their options are read by the program that they
start, their targets looked up, their study compiled. `test_extend.py` applies the examples of docs/extend.md.
"""

import argparse
import json
import os
import re
import runpy
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import snakemake.cli
import snakemake.exceptions
import yaml

from tests import figures
from tests.checkout import ROOT
from tests.documentation import PAGES, Block, all_commands, blocks, commands, name_of, prose
from workflow_scripts.data.voc import read_split
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.experiments import ADVICE, Experiment, experiments
from workflow_scripts.study.compiled.recipes import MODELS
from workflow_scripts.study.compiled.requirements import unmet
from workflow_scripts.study.configuration.config import StudyConfig, read_config, read_scale
from workflow_scripts.study.configuration.scales import Scale

TRIED = {"make", "python", "snakemake"}
FOREIGN = {
    *(
        "bash",
        "cd",
        "conda",
        "git",
        "pip-compile",
        "pre-commit",
        "pytest",
        "python3.11",
        "rm",
        "sinfo",
        "source",
    ),
    *(".venv/bin/pip", ".venv/bin/python", "redraw/bin/pip"),
}
"""Programs that are not this project's; of their commands, files of the repository are looked up."""
A_FILE = re.compile(r"[\w./-]+\.(py|sh|txt|in|yaml)")
NUMBERS = {"detection", "subsets", "training", "resources", "backbones", "costs"} & set(Scale.model_fields)


class Parsed(BaseException):
    """The command line was read without an error."""


def study_of(*layers: Mapping[str, Any]) -> list[str]:
    """What is wrong with config.yaml under these layers, but for data that is not here."""
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    for layer in layers:
        values |= layer
    config = read_config(values)
    scale = read_scale(config)
    known = experiments(config.models) | {ADVICE: Experiment(ADVICE, "", ())}
    return [line for line in unmet(config, scale, known) if "datasets." not in line]


def test_every_kind_of_command_is_tried_somehow() -> None:
    kinds = {words[0] for page in PAGES for words in commands(page)}
    assert kinds - TRIED - FOREIGN == set()


@pytest.mark.parametrize("words", all_commands("make"), ids=" ".join)
def test_make_knows_its_targets_and_variables(words: tuple[str, ...]) -> None:
    ask = ["make", "--dry-run", "--always-make", *words[1:]]
    done = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" not in done.stdout, "of a target without a rule"
    set_here = {word.split("=")[0] for word in words if "=" in word}
    assert set_here <= set(re.findall(r"^(\w+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE))


def targets() -> set[str]:
    """The names that `snakemake NAME` knows: rules, and the figures and tables."""
    files = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    rules = re.findall(r"^rule (\w+):", "\n".join(file.read_text() for file in files), re.MULTILINE)
    return {*rules, *experiments(("R50_GN",)), ADVICE}


@pytest.mark.parametrize("words", all_commands("snakemake", besides="docs/extend.md"), ids=" ".join)
def test_snakemake_knows_its_options_targets_and_studies(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own parser reads the command with the profile; the study that results is compiled."""
    monkeypatch.chdir(ROOT)
    _, told = snakemake.cli.parse_args(list(words[1:]))
    assert set(told.targets) <= targets()
    changes = snakemake.cli.parse_config(told.config)
    assert study_of(changes) == []


@pytest.mark.parametrize("words", all_commands("python", "-m"), ids=" ".join)
def test_python_modules_know_their_options(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is run up to where it has read its command line; a job's sheet would give what is required besides."""
    module, given = words[2], list(words[3:])
    from_sheet = "--job" in given
    if from_sheet:
        del given[given.index("--job") : given.index("--job") + 2]
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *arguments: Any) -> None:
        for action in parser._actions if from_sheet else ():
            action.required = False
        parse(parser, *arguments)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", [module, *given])
    with pytest.raises(Parsed), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that the module was imported before
        runpy.run_module(module, run_name="__main__")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_in_other_programs_commands_are_there(page: Path) -> None:
    """Seen from the repository's folder, or from that of the page."""
    named = {
        word
        for words in commands(page)
        if words[0] in FOREIGN - {"rm"}
        for word in words[1:]
        if A_FILE.fullmatch(word)
    }
    assert {word for word in named if not any((at / word).exists() for at in (ROOT, page.parent))} == set()


def test_studies_in_yaml_are_studies() -> None:
    """Whole ones, parts of them, and parts of their `numbers`; a hash that is left out stands for any."""
    for block in blocks("yaml"):
        values = yaml.safe_load(block.text.replace("…", "0" * 64))
        if not values.keys() <= StudyConfig.model_fields.keys():
            assert values.keys() <= NUMBERS, name_of(block.page)
            values = {"numbers": values}
        assert study_of(values) == [], f"{name_of(block.page)}\n{block.text}"


LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]+))?\)")


def anchors(page: Path) -> set[str]:
    """Where a link can lead within a page, as GitHub and MkDocs name headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(prose(page)):
        if "://" not in target:
            led = (page.parent / target) if target else page
            assert led.exists(), target
            assert not anchor or anchor in anchors(led), f"{target}#{anchor}"


def test_the_site_shows_every_page() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))


def test_messages_that_are_explained_are_printed_somewhere() -> None:
    files = [ROOT / "Makefile", *(ROOT / "workflow_scripts").rglob("*.py"), ROOT / "tests/conftest.py"]
    said = "\n".join(file.read_text() for file in files) + Path(snakemake.exceptions.__file__).read_text()
    page = (ROOT / "docs/troubleshooting.md").read_text()
    explained = re.findall(r"^\*\*`([^`]+)`", page, re.MULTILINE)
    assert explained
    assert [message for message in explained if message not in said and not _told_of(message, said)] == []


def _told_of(message: str, said: str) -> bool:
    """A kind of problem and its meaning stand apart in the code."""
    return all(part in said for part in message.split(": "))


def test_models_of_the_configuration_are_all_named_in_it() -> None:
    text = (ROOT / "config.yaml").read_text()
    compared = re.search(r"^models:.*of (.+)$", text, re.MULTILINE)
    assert compared
    assert set(compared[1].split(", ")) == {name for name in MODELS if name != "VGG-16"}


# Code


def run_code(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a block's code in a folder; returns what it names."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(compile(block.text, name_of(block.page), "exec"), names)
    return names


def test_every_piece_of_python_is_run_by_a_test() -> None:
    pages = {name_of(block.page) for block in blocks("python") if not block.title}
    assert pages == {"docs/data.md", "docs/one-figure.md", "docs/predictor.md"}


def test_a_figure_from_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tmp_path / "results/mini/tables"
    tables.mkdir(parents=True)
    rows = figures.evaluations()
    strict = rows.assign(metric="AP75", value=rows["value"] / 2)
    pd.concat([rows, strict]).to_csv(tables / "fig1-evaluations.csv", index=False)
    figures.intervals(rows).to_csv(tables / "fig1-intervals.csv", index=False)
    drawn, printed = blocks("python", "docs/one-figure.md")
    run_code(drawn, tmp_path, monkeypatch)
    assert (tmp_path / "mine.png").read_bytes().startswith(b"\x89PNG")
    run_code(printed, tmp_path, monkeypatch)
    assert "12.5" in capsys.readouterr().out, "half of 25, the end of random init's 3x"


def test_a_table_of_boxes_becomes_coco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pycocotools reads what is written."""
    from pycocotools.coco import COCO

    (tmp_path / "my").mkdir()
    lines = ("a.jpg,40,30,kite,1,2,10,20", "a.jpg,40,30,dog,5,6,7,8", "b.jpg,50,60,dog,0,0,9,9")
    header = "file,width,height,category,x,y,w,h"
    (tmp_path / "my/train.csv").write_text("\n".join([header, *lines]) + "\n")
    _, block = blocks("python", "docs/data.md")
    run_code(block, tmp_path, monkeypatch)
    coco = COCO(str(tmp_path / "my/train.json"))
    assert sorted((image["file_name"], image["height"]) for image in coco.dataset["images"]) == [
        ("a.jpg", 30),
        ("b.jpg", 60),
    ]
    names = {number: coco.cats[number]["name"] for number in coco.cats}
    (first, *_) = [coco.anns[number] for number in sorted(coco.anns)]
    assert (names[first["category_id"]], coco.imgs[first["image_id"]]["file_name"]) == ("kite", "a.jpg")
    assert (first["bbox"], first["area"], "segmentation" in first) == ([1, 2, 10, 20], 200, False)
    assert len(coco.getAnnIds(catIds=[n for n, name in names.items() if name == "dog"])) == 2


def test_image_lists_are_written_for_a_folder_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my/voc/Annotations").mkdir(parents=True)
    for number in range(11):
        (tmp_path / f"my/voc/Annotations/day {number:02}.xml").touch()
    block, _ = blocks("python", "docs/data.md")
    run_code(block, tmp_path, monkeypatch)
    val, train = (read_split(tmp_path / "my/voc", split) for split in ("val", "train"))
    assert val == ["day 00", "day 05", "day 10"]
    assert sorted(val + train) == [f"day {number:02}" for number in range(11)]


@pytest.mark.parametrize("block", blocks("yaml", "docs/data.md"), ids=lambda block: block.text[:40])
def test_lines_for_own_data_are_a_study(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the files are that they name."""
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "voc/Annotations", "voc/JPEGImages", "pictures/train", "pictures/val"):
        (tmp_path / "my" / folder).mkdir(parents=True)
    for part in ("train", "val", "all"):
        (tmp_path / f"my/{part}.json").touch()
        image_list = tmp_path / f"my/voc/ImageSets/Main/{part}.txt"
        image_list.parent.mkdir(parents=True, exist_ok=True)
        image_list.write_text(f"{part}_1\n")
    usual = yaml.safe_load((ROOT / "config.yaml").read_text())
    compile_study(usual | yaml.safe_load(block.text))


def test_a_checkpoint_in_detectron2s_predictor(tmp_path: Path) -> None:
    """It detects what the workflow's own detection does, on a picture and with weights of a real study's places."""
    from tests.training import tiny_recipe, tiny_world
    from workflow_scripts.evaluation.detect import detect
    from workflow_scripts.models.build import build
    from workflow_scripts.models.tensors import save_tensors

    results = tmp_path / "results/mini"
    world = tiny_world(results / "world")
    name = "coco-R50_GN-random-seed0"
    threshold = {"MODEL.ROI_HEADS.SCORE_THRESH_TEST": 0.0}
    recipe = tiny_recipe()
    recipe = recipe.model_copy(update={"name": name, "detectron2": {**recipe.detectron2, **threshold}})
    (results / "recipes").mkdir()
    (results / f"recipes/{name}.json").write_text(recipe.model_dump_json())
    checkpoints = results / f"training/{name}/tail-2-4-6/checkpoints"
    checkpoints.mkdir(parents=True)
    for iteration, seed in ((3, 1), (10, 0)):
        weights = build(recipe.model_copy(update={"seed": seed}), 10, "cpu").state_dict()
        save_tensors(checkpoints / f"{iteration}.safetensors", weights, {})

    (block,) = blocks("python", "docs/predictor.md")
    text = block.text.replace("SCORE_THRESH_TEST = 0.5", "SCORE_THRESH_TEST = 0.0")
    assert text != block.text
    told = "json.dump([instances.scores.tolist(), instances.pred_boxes.tensor.tolist()], open('found.json', 'w'))"
    # On its own: what this process has imported must not help.
    done = subprocess.run(
        [sys.executable, "-c", f"{text}\n{told}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    scores, boxes = json.loads((tmp_path / "found.json").read_text())

    dumped = detect(recipe, checkpoints / "10.safetensors", world.val_annotations, world.val_images, "cpu")
    first = [result for result in dumped if result["image_id"] == min(each["image_id"] for each in dumped)]
    assert len(boxes) == len(first) > 0
    assert scores == pytest.approx([result["score"] for result in first], abs=1e-5)
    corners = [(x, y, x + w, y + h) for x, y, w, h in (result["bbox"] for result in first)]
    assert boxes == [pytest.approx(corner, abs=1e-2) for corner in corners]
    assert (tmp_path / "detections.png").read_bytes().startswith(b"\x89PNG")
