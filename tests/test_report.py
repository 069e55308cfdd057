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
from workflow_scripts.report.sections import compare_recipes, flatten, recipe_groups

REPORTS = Path(__file__).parent.parent / "reports"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
FIGURES = [f"fig{number}.png" for number in (*range(1, 9), 99)]
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
run,recipe,train_set,subset,setting,model,initialisation,schedule,seed,segment,stage,iteration,iou_type,metric,value,source
coco-random/2x,coco-random,coco,all,baseline,R50 GN,random,2x,0,tail-120,tail,180,bbox,AP,36.84,results/180/metrics.json
coco-random/2x,coco-random,coco,all,baseline,R50 GN,random,2x,0,tail-120,tail,180,segm,AP,,results/180/metrics.json
"""
TRAINING = """\
run,recipe,train_set,subset,setting,model,initialisation,schedule,seed,iteration,learning_rate,loss,source
few/1k-random,few,coco,1k,own grid search,R50 GN,random,1k-random,0,20,0.02,2.5,r/metrics.jsonl
few/1k-random,few,coco,1k,own grid search,R50 GN,random,1k-random,0,1040,0.02,1.25,r/metrics.jsonl
"""
COUNTS = """\
quantity,initialisation,part,value,source,from
images,random,training,14400,counted,results/training/metrics.jsonl
images,pretrained,pre-training,128000000,declared,"Fig. 2, from the text"
"""
HEAD = (
    "train_set,subset,model,setting,initialisation,schedule,point,iteration,iou_type,metric,"
    "value,standard_deviation,seeds,converged,published,comparable,source\n"
)
TABLES = {
    "table1": """\
coco,all,R50 GN,baseline,random,2x,end,180,bbox,AP,36.84,,1,,36.8,sign,results/180/metrics.json
coco,all,R50 GN,baseline,pretrained,2x,end,180,bbox,AP,40.1,0.2,2,,40.3,sign,results/a.json; results/b.json
""",
    "table2": """\
coco,all,R50 GN,baseline,random,2x,end,180,bbox,AP,36.84,,1,,41.3,sign,results/180/metrics.json
coco,all,R50 GN,baseline,random,2x,end,180,segm,AP,33.1,,1,,36.6,sign,results/180/metrics.json
""",
    "table3": """\
coco,all,X152 GN,train aug,random,6x,end,540,bbox,AP,46.1,,1,,46.4,sign,results/540/metrics.json
coco,all,X152 GN,cascade + train aug,random,,end,,bbox,AP,,,,,48.6,sign,
""",
    "text": """\
coco,3.5k,R50 GN,re-searched hyper-parameters,random,3.5k-random,peak,40,bbox,AP,8.8,,1,,9.3,sign,r/40.json
coco,3.5k,R50 GN,re-searched hyper-parameters,pretrained,3.5k-pretrained,peak,30,bbox,AP,15.5,,1,,16,sign,r/30.json
coco,3.5k,R50 GN,re-searched hyper-parameters,difference,,peak,,bbox,AP,-6.7,,1,,-6.7,sign,r/40.json; r/30.json
""",
}
SEARCH = {
    "search": "10k-R50_GN-pretrained",
    "subset": "10k",
    "model": "R50 GN",
    "initialisation": "pretrained",
    "schedule": "10k-pretrained",
    "seed": 0,
    "metric": "bbox AP",
    "chosen": "high",
    "points": [
        {"point": "low", "recipe": "r-low", "base_lr": 0.02, "decay_factor": 0.1, "image_sides": [800]}
        | {"value": None, "source": "results/low/metrics.json"},
        {"point": "high", "recipe": "r-high", "base_lr": 0.04, "decay_factor": 0.02}
        | {"image_sides": [512, 656, 800], "value": 25.125, "source": "results/high/metrics.json"},
    ],
}
VERDICTS = [
    {"number": 2, "conclusion": "It <needs> more iterations.", "verdict": "not judged", "why": "All climb."},
    {
        "number": 1,
        "conclusion": "Training from random init is possible.",
        "verdict": "shown",
        "why": "R50 GN reaches 36.8.",
        "evidence": [
            {"what": "R50 GN 2x", "value": -1.25, "low": -2.0, "high": 0.5, "method": "3 seeds"}
            | {"expects": "behind: below 0.0", "outcome": "undecided", "reason": ""}
            | {"sources": ["results/180/metrics.json", "results/evidence/metrics.json"]},
            {"what": "alone", "value": None, "low": None, "high": None, "method": "", "sources": []},
        ],
    },
]


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
        "fig8-training.csv": TRAINING,
        "search.json": json.dumps(SEARCH),
        "verdicts.json": json.dumps(VERDICTS),
        "random0.json": json.dumps(recipe),
        "random1.json": json.dumps(recipe | {"name": "coco-random-seed1", "seed": 1}),
        "pretrained.json": json.dumps(
            recipe | {"name": "coco-pretrained-seed0", "initialisation": "pretrained", "pretraining": "train"}
        ),
        "few.json": json.dumps(
            recipe | {"name": "few", "label": "R50 GN", "train_set": "coco", "subset": "1k"}
        ),
        "data/train/manifest.json": json.dumps(
            {"image_count": 2000, "sha256": "ab" * 32, "categories": ["c"] * 80}
        ),
    }
    files |= {f"{name}.csv": HEAD + rows for name, rows in TABLES.items()}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "table1.csv").write_text(EVALUATIONS, encoding="utf-8")
    for name in FIGURES:
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
        figures=FIGURES[::-1],
        tables=["text.csv", "table3.csv", "table1.csv", "table2.csv"],
        searches=["search.json"],
        verdicts=["verdicts.json"],
        sources=["fig1-evaluations.csv", "fig8-training.csv", "table1-counts.csv"],
        recipes=["random0.json", "random1.json", "pretrained.json", "few.json"],
        manifests=["data/train/manifest.json"],
    )


def test_it_holds_everything_and_loads_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = whole(monkeypatch)
    page = Page(text)

    assert len(page.loads) == len(FIGURES)
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    assert not re.search(r"url\(|@import|<script|https?://", text)
    parts = ["conclusions", *(Path(name).stem for name in FIGURES), "table1", "table2", "table3", "text"]
    parts += ["searches", "recipes", "schedules", "sources", "data", "versions"]
    assert [name for name in page.ids if not name.startswith("sources-")] == parts
    assert [link[1:] for link in page.links if link.startswith("#")][: len(parts)] == parts
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

    assert links.count("../results/180/metrics.json") == 5
    assert "../results/training/metrics.jsonl" in links
    assert "../data/train/manifest.json" in links
    assert "#sources-table1" in links
    assert "../r/metrics.jsonl" in links
    assert "../results/high/metrics.json" in links
    assert "../results/evidence/metrics.json" in links
    assert "../few.json" in links


def test_verdicts_stand_by_number_with_their_evidence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = whole(monkeypatch)

    assert "<dt>1 shown</dt>" in text and "<dt>1 not judged</dt>" in text and "<dt>0" not in text
    assert text.index("1. Training from random init") < text.index("2. It &lt;needs&gt; more iterations.")
    assert '<span class="verdict shown">✓ shown</span>' in text
    assert '<span class="verdict not-judged">? not judged</span>' in text
    told = "R50 GN 2x: <strong>−1.25</strong> (−2.00 to 0.50): <strong>undecided</strong> (behind: below 0.0), 3 seeds"
    assert f"{told}\n" in text
    assert "alone: <strong>–</strong>\n" in text
    assert "conclusions" not in Page(report(monkeypatch)).ids


def test_a_search_shows_every_point_and_marks_the_winner(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = report(monkeypatch, searches=["search.json"])

    assert "10k subset, R50 GN, w/ pre-train" in text
    assert "chosen: rate 0.04, factor 0.02, side 512 to 800" in text
    low, high = re.findall(r"<tr[^>]*><td class=\"number\">0\.0.*?</tr>", text)
    assert "chosen" not in low
    assert '<td>800</td><td class="number"><a href="../results/low/metrics.json">–</a>' in low
    assert high.startswith('<tr class="chosen">')
    assert '<a href="../results/high/metrics.json">25.12</a></td><td>chosen</td>' in high


def test_a_caption_speaks_of_its_own_schedules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = report(monkeypatch, figures=["fig1.png"], sources=["fig1-evaluations.csv"])

    assert "for the schedules 2x\n" in text or "for the schedules 2x " in text


def test_recipes_are_grouped_by_model_and_images() -> None:
    few = {"label": "R50 GN", "train_set": "coco", "subset": "1k"}
    groups = recipe_groups({"a": few, "b": few | {"subset": "all"}, "c": few | {"seed": 1}})

    assert {title: list(group) for title, group in groups.items()} == {
        "R50 GN, coco, 1k subset": ["a", "c"],
        "R50 GN, coco": ["b"],
    }


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
        ({"figures": ["fig9.png"]}, "fig9.png: no such figure"),
        ({"figures": ["fig1-evaluations.csv"]}, "fig1-evaluations.csv: not a PNG"),
        ({"tables": ["fig1-evaluations.csv"]}, "fig1-evaluations.csv: no table of the report"),
        ({"tables": ["odd/table1.csv"]}, "odd/table1.csv: the column point, standard_deviation"),
        ({"searches": ["study.json"]}, "study.json: Object missing required field `search`"),
        ({"verdicts": ["study.json"]}, "study.json: Expected `array`"),
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


@pytest.mark.needs_chromium
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
