"""The report: one self-contained page with every figure, table, recipe and source of any part of a study."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.errors import UserError
from workflow_scripts.report import build
from workflow_scripts.report.sections import compare_recipes, flatten

REPORTS = Path(__file__).parent.parent / "reports"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
STUDY = {
    "scale": "mini",
    "notes": ["ResNet-18 stands for R50 <here>."],
    "experiments": [{"name": "fig1", "title": "Curves"}, {"name": "fig99", "title": "An untold figure"}],
    "iterations": {"planned": 780, "without_sharing": 1800},
    "schedules": {
        "10x": {"iterations": 900, "first_drop": 840, "second_drop": 880},
        "2x": {"iterations": 180, "first_drop": 120, "second_drop": 160},
    },
}
EVALUATIONS = """\
run,recipe,model,initialisation,schedule,seed,segment,stage,iteration,iou_type,metric,value,source
coco-random/2x,coco-random,R50 GN,random,2x,0,tail-120,tail,180,bbox,AP,36.84,results/180/metrics.json
coco-random/2x,coco-random,R50 GN,random,2x,0,tail-120,tail,180,segm,AP,,results/180/metrics.json
"""
COUNTS = """\
quantity,initialisation,part,value,source,from
images,random,training,14400,counted,results/training/metrics.jsonl
images,pretrained,pre-training,128000000,declared,"Fig. 2, from the text"
"""
TABLE = """\
model,initialisation,schedule,iteration,iou_type,metric,value,standard_deviation,seeds,published,comparable,source
R50 GN,random,2x,180,bbox,AP,36.84,,1,36.8,sign,results/180/metrics.json
R50 GN,pretrained,2x,180,bbox,AP,40.1,0.2,2,40.3,sign,results/a.json; results/b.json
"""


class Page(HTMLParser):
    """What the page loads, what it links to, and its ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.loads += [values[key] for key in ("src", "srcset", "data") if key in values]
        self.loads += [values["href"]] if tag in ("link", "base") else []
        self.links += [values["href"]] if tag == "a" else []
        self.ids += [values["id"]] if "id" in values else []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's outputs in the working folder."""
    monkeypatch.chdir(tmp_path)
    recipe = {
        "name": "coco-random-seed0",
        "initialisation": "random",
        "seed": 0,
        "batch": 8,
        "pretraining": "skip",
    }
    files: dict[str, str] = {
        "study.json": json.dumps(STUDY),
        "fig1-evaluations.csv": EVALUATIONS,
        "table1-counts.csv": COUNTS,
        "table1.csv": TABLE,
        "random0.json": json.dumps(recipe),
        "random1.json": json.dumps(recipe | {"name": "coco-random-seed1", "seed": 1}),
        "pretrained.json": json.dumps(recipe | {"initialisation": "pretrained", "pretraining": "train"}),
        "data/train/manifest.json": json.dumps(
            {"image_count": 2000, "sha256": "ab" * 32, "categories": ["c"] * 80}
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name in ("fig1.png", "fig99.png"):
        (tmp_path / name).write_bytes(PIXEL)
    return tmp_path


def report(monkeypatch: pytest.MonkeyPatch, output: str = "out/report.html", **inputs: list[str]) -> str:
    line = ["build", "--study", "study.json", "--output", output]
    line += ["--template", str(REPORTS / "report.html.j2"), "--captions", str(REPORTS / "captions.yaml")]
    for name, paths in inputs.items():
        line += [f"--{name}", *paths]
    monkeypatch.setattr(sys, "argv", line)
    build.main()
    return Path(output).read_text(encoding="utf-8")


def whole(monkeypatch: pytest.MonkeyPatch, output: str = "out/report.html") -> str:
    return report(
        monkeypatch,
        output,
        figures=["fig1.png", "fig99.png"],
        tables=["table1.csv"],
        sources=["fig1-evaluations.csv", "table1-counts.csv"],
        recipes=["random0.json", "random1.json", "pretrained.json"],
        manifests=["data/train/manifest.json"],
    )


def test_it_holds_everything_and_loads_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = whole(monkeypatch)
    page = Page(text)

    assert len(page.loads) == 2
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    assert not re.search(r"url\(|@import|<script|https?://", text)
    assert {"fig1", "fig99", "table1", "recipes", "sources", "data", "versions"} <= set(page.ids)
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    for expected in (
        "An untold figure",
        "learning curves of R50 GN",
        "ResNet-18 stands for R50 &lt;here&gt;.",
        "780\niterations instead of 1,800",
        "36.84",
        "128,000,000",
        "Fig. 2, from the text",
        "coco-random-seed0",
        "ab" * 32,
        "80 entries",
    ):
        assert expected in text


def test_values_link_to_the_files_they_were_read_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = Page(whole(monkeypatch)).links

    assert links.count("../results/180/metrics.json") == 2
    assert "../results/training/metrics.jsonl" in links
    assert "../data/train/manifest.json" in links
    assert "#sources-table1" in links


def test_the_scale_is_a_banner_and_published_values_are_marked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = whole(monkeypatch)
    (folder / "study.json").write_text(json.dumps(STUDY | {"scale": "paper", "notes": []}), encoding="utf-8")
    paper = whole(monkeypatch)

    assert "Mini scale." in mini
    assert "published †" in mini
    assert "at mini scale they are not comparable" in mini
    assert 'class="banner"' not in paper
    assert "Diamonds are the end points that the paper publishes" in paper


@pytest.mark.parametrize("inputs", [{}, {"figures": ["fig1.png"]}, {"tables": ["table1.csv"]}])
def test_a_part_of_a_study_is_enough(
    folder: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, list[str]]
) -> None:
    text = report(monkeypatch, **inputs)
    page = Page(text)

    assert "recipes" not in page.ids
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#") and link != "#sources")


def test_the_same_inputs_give_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert whole(monkeypatch) == whole(monkeypatch, "out/again.html")


def test_schedules_stand_in_the_order_of_their_length(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = report(monkeypatch)

    assert text.index('<th scope="row">2x</th>') < text.index('<th scope="row">10x</th>')


def test_recipes_are_compared_and_repetitions_share_a_column() -> None:
    shared: dict[str, Any] = {"batch": 8, "detectron2": {"MODEL": {"DEPTH": 18}}}
    compared = compare_recipes(
        {
            "a0": shared | {"name": "a0", "seed": 0, "pretraining": None},
            "a1": shared | {"name": "a1", "seed": 1, "pretraining": None},
            "b0": shared | {"name": "b0", "seed": 0, "pretraining": {"kind": "train"}},
        }
    )

    assert compared["columns"] == [["a0", "a1"], ["b0"]]
    assert compared["common"] == [("batch", "8"), ("detectron2.MODEL.DEPTH", "18")]
    assert compared["differing"] == [("seed", ["0, 1", "0"]), ("pretraining.kind", ["", "train"])]


def test_settings_are_written_for_people() -> None:
    assert flatten({"a": {"b": [1, 2]}, "c": 0.0001, "d": 118287, "e": True, "f": [[8], [16]], "g": []}) == {
        "a.b": "1, 2",
        "c": "0.0001",
        "d": "118,287",
        "e": "yes",
        "f": "8, 16",
    }


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ({"figures": ["fig7.png"]}, "fig7.png: no such figure"),
        ({"figures": ["fig1-evaluations.csv"]}, "fig1-evaluations.csv: not a PNG"),
        ({"tables": ["fig1-evaluations.csv"]}, "fig1-evaluations.csv: the column standard_deviation"),
        ({"sources": ["table1.csv"]}, "table1.csv: the column quantity"),
        ({"recipes": ["fig1-evaluations.csv"]}, "fig1-evaluations.csv: JSON is malformed"),
    ],
)
def test_a_bad_input_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, list[str]], found: str
) -> None:
    with pytest.raises(UserError, match=found):
        report(monkeypatch, **inputs)


def test_a_caption_that_names_an_unknown_fact_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = "scales: {}\ncaptions:\n  fig1: {title: '{{ modells }}'}\n"
    (folder / "captions.yaml").write_text(bad, encoding="utf-8")

    with pytest.raises(UserError, match=r"caption of fig1 does not render: 'modells' is undefined"):
        report(monkeypatch, captions=["captions.yaml"], figures=["fig1.png"])


@pytest.mark.parametrize("width", [1200, 500])
def test_a_browser_shows_the_figure_within_the_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    colour = (200, 30, 160)
    Image.new("RGB", (1400, 700), colour).save("fig1.png")
    whole(monkeypatch)
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    offline = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    page = (folder / "out/report.html").as_uri()
    screen = [
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},2000",
        "--screenshot=page.png",
        page,
    ]
    subprocess.run(["chromium", *switches, *offline, *screen], check=True, capture_output=True, timeout=120)

    picture = np.asarray(Image.open("page.png").convert("RGB"))
    rows, columns = (picture == colour).all(axis=2).nonzero()
    assert picture.shape[1] == width
    assert columns.min() > 0
    assert columns.max() < width - 1
    assert columns.max() - columns.min() > width / 2
    assert (rows.max() - rows.min()) / (columns.max() - columns.min()) == pytest.approx(0.5, abs=0.02)
