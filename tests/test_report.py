"""The report: one self-contained page with every figure, table, recipe and source of any part of a study."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.report import EVALUATIONS, FIGURES, REPORTS, STUDY, VERDICTS, report, whole, write_study
from workflow_scripts.errors import UserError
from workflow_scripts.report.inputs import read_captions
from workflow_scripts.report.sections import compare_recipes, flatten, recipe_groups
from workflow_scripts.tables.published import of_paper, read_published


class Page(HTMLParser):
    """What the page loads, what it links to, its ids, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.loads += [values[key] for key in ("src", "srcset", "data") if key in values]
        self.loads += [values["href"]] if tag in ("link", "base") else []
        self.links += [values["href"]] if tag == "a" and "href" in values else []
        self.ids += [values["id"]] if "id" in values else []
        self.open.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's outputs in the working folder."""
    monkeypatch.chdir(tmp_path)
    write_study(tmp_path)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "table1.csv").write_text(EVALUATIONS, encoding="utf-8")
    return tmp_path


def test_it_holds_everything_and_loads_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = whole(monkeypatch)
    page = Page(text)

    assert len(page.loads) == len(FIGURES)
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    assert not re.search(r"url\(|@import", text)
    names = [Path(name).stem for name in FIGURES]
    parts = ["answer", "fig1", "conclusions", "figures", *names[1:], "table1", "table2", "table3", "text"]
    parts += ["judgement", "cost", "glossary", "provenance"]
    folded = ["searches", "recipes", "schedules", "sources", "data", "versions"]
    aside = re.compile(r"sources-|picture-|main$|notes$|apart$")
    assert [name for name in page.ids if not aside.match(name)] == parts + folded
    contents = [link[1:] for link in page.links if link.startswith("#")][1:]
    listed = ["answer", "conclusions", *names, "table1", "table2", "table3", "text", *parts[-4:]]
    assert contents[: len(listed)] == listed
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    for expected in (
        "An untold figure",
        "learning curves of R50 GN",
        "ResNet-18 stands for R50 <here>.",
        "saved 1,020 of 1,800",
        "36.84",
        "128,000,000",
        "Fig. 2, from the text",
        "coco-random-seed0",
        "ab" * 32,
        "80 entries",
    ):
        assert expected in page.text


def test_the_answer_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with its interval, one figure, one table: of the model of the paper's first figure."""
    text = whole(monkeypatch)
    main = text[text.index("<main") :]
    sentence = (
        '<p class="headline">At 6x random init is within −1.8 to 1.1 AP of pre-training (R50 GN, box AP): trainings '
        "were still improving, so whether it catches up cannot be judged yet.</p>"
    )
    places = [
        main.index(part) for part in (sentence, '<figure id="fig1">', '<table class="claims">', "Mini scale.")
    ]
    assert places == sorted(places)
    assert main.index("</h1>") < places[0] < main.index("<h2>") < places[2]


def test_claims_are_told_in_words_of_the_paper(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Page(whole(monkeypatch)).text

    assert text.index("1. Training from random init") < text.index("2. It <needs> more")
    assert "R50 GN, box AP, 2x: 3.5 behind pre-training (2.7 to 4.3 behind)" in text
    assert (
        "R50 GN, box AP, 6x: 0.4 behind pre-training (1.8 behind to 1.1 ahead) ; random init has not converged"
        in text
    )
    assert "R50 is 3.5 AP behind at 2x (36.8 against 40.3)" in text, "the paper's numbers"
    assert not re.search(r"(above|below) −?\d\.\d+(?! )|needs to be|random − pre-train: ", text)


def test_every_word_of_a_verdict_is_told_apart_and_explained(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = whole(monkeypatch)
    words = re.findall(
        r'<dt><span class="verdict ([\w-]+)"><span aria-hidden="true">(.)</span> ([\w ]+)</span></dt>', text
    )

    assert [word for *_, word in words] == [
        "shown",
        "indicated",
        "undecided",
        "not judged",
        "not run",
        "indicated against",
        "contradicted",
    ]
    assert len({mark for _, mark, word in words if word in ("undecided", "not judged", "not run")}) == 3
    assert "Not trained: runs on 10k images." in text
    (folder / "verdicts.json").write_text(json.dumps(VERDICTS[:1]), encoding="utf-8")
    assert len(re.findall(r"<dt><span", report(monkeypatch, verdicts=["verdicts.json"]))) == 1, (
        "only what this study has"
    )
    assert "conclusions" not in Page(report(monkeypatch)).ids


def test_a_claim_shows_three_comparisons_and_all_where_it_is_judged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = whole(monkeypatch)
    claims, judged = text.index('id="conclusions"'), text.index('id="judgement"')

    assert "both are possible" in text[claims:judged] and "2 more comparisons" in text[claims:judged]
    shown = re.findall(r"R\d+ GN, mask AP", text[claims:judged])
    assert shown == [f"R{depth} GN, mask AP" for depth in (53, 50, 51)], "what does not hold comes first"
    assert text[judged:].count("1.2 ahead of pre-training (0.5 to 2.0 ahead)") == 5
    assert "alone: <strong>not measured</strong>" in text[judged:]


def test_the_papers_numbers_are_the_published_ones() -> None:
    """Each value of a claim stands in published.yaml; each difference is one of two values there, side by side."""
    published = set(of_paper(read_published(REPORTS / "published.yaml"))["value"])
    claims = read_captions(REPORTS / "captions.yaml").claims
    assert sorted(claims) == list(range(1, 9))
    values = {float(value) for text in claims.values() for value in re.findall(r"\d+\.\d", text)}
    differences = {0.1, 0.2, 0.4, 1.0, 3.5}
    assert values - differences <= published
    compared = r"(\d\.\d) (?:AP )?(?:behind|ahead)[^(;]*\((\d+\.\d) against (\d+\.\d)\)"
    found = [numbers for text in claims.values() for numbers in re.findall(compared, text)]
    assert len(found) == 4
    for stated, ours, theirs in found:
        assert abs(float(ours) - float(theirs)) == pytest.approx(float(stated))


def test_values_link_to_the_files_they_were_read_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = Page(whole(monkeypatch)).links

    assert links.count("../results/180/metrics.json") == 4
    assert "../results/training/metrics.jsonl" in links
    assert "../data/train/manifest.json" in links
    assert "#sources-table1" in links
    assert "../r/metrics.jsonl" in links
    assert "../results/high/metrics.json" in links
    assert "../results/evidence/metrics.json" in links
    assert "../few.json" in links


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
    assert '<a href="../results/high/metrics.json">25.12</a> chosen</td>' in high


def test_a_caption_speaks_of_its_own_schedules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = report(monkeypatch, figures=FIGURES[:1], sources=["fig1-evaluations.csv"])

    assert "for the schedules 2x\n" in text or "for the schedules 2x " in text


def test_a_caption_says_how_many_images_its_subsets_hold(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"10k": "170 training images", "1k": "0.85% of the training images"}
    (folder / "study.json").write_text(json.dumps(STUDY | {"subsets": told}), encoding="utf-8")
    text = report(monkeypatch, figures=["figures/fig8.png", FIGURES[0]], sources=["fig8-training.csv"])

    assert "Here 1k is 0.85% of the training images." in text
    assert "170" not in text


def test_recipes_are_grouped_by_model_and_images() -> None:
    few = {"label": "R50 GN", "train_set": "coco", "subset": "1k"}
    groups = recipe_groups({"a": few, "b": few | {"subset": "all"}, "c": few | {"seed": 1}})

    assert {title: list(group) for title, group in groups.items()} == {
        "R50 GN, coco, 1k subset": ["a", "c"],
        "R50 GN, coco": ["b"],
    }


def test_the_scale_is_told_and_published_values_are_marked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = whole(monkeypatch)
    (folder / "study.json").write_text(json.dumps(STUDY | {"scale": "paper", "notes": []}), encoding="utf-8")
    paper = whole(monkeypatch)

    assert "Mini scale." in mini
    assert "published †" in mini
    assert "at mini scale they are not comparable" in mini
    assert "ResNet-18" not in paper and "Mini scale" not in paper
    assert "Diamonds are the end points that the paper publishes" in paper


def test_where_ap_means_nothing_no_claim_is_told_in_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "study.json").write_text(json.dumps(STUDY | {"scale": "smoke"}), encoding="utf-8")
    text = whole(monkeypatch)
    told = text[text.index('<p class="headline">') : text.index('id="judgement"')]

    assert "No answer to the paper&#39;s question" in told
    assert "pre-training (" not in told and told.count("At this scale AP means nothing.") == 2


@pytest.mark.parametrize("inputs", [{}, {"figures": FIGURES[1:2]}, {"tables": ["table1.csv"]}])
def test_a_part_of_a_study_is_enough(
    folder: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, list[str]]
) -> None:
    text = report(monkeypatch, **inputs)
    page = Page(text)

    assert not {"recipes", "cost", "judgement"} & set(page.ids)
    assert page.text.count("Fig. 2: images") == len(inputs.get("figures", []))
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))


def test_the_same_inputs_give_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = whole(monkeypatch)
    (folder / "out/report.html").unlink()
    assert whole(monkeypatch) == first


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
        ({"figures": ["fig9.png"]}, "fig9.png: no such file"),
        ({"figures": ["study.json"]}, "study.json: no file of a figure"),
        ({"figures": ["fig1-evaluations.csv"]}, "fig1-evaluations.csv: not a picture that a page shows"),
        ({"figures": ["odd/fig1.png"]}, "fig1.png: not a PNG"),
        ({"planned": ["{}"]}, "--planned {}: Object missing required field `hours`"),
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
    (folder / "odd" / "fig1.png").write_text("GIF89a", encoding="utf-8")
    with pytest.raises(UserError, match=found):
        report(monkeypatch, **inputs)


def test_a_caption_that_names_an_unknown_fact_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = "scales: {}\ncaptions:\n  fig1: {title: '{{ modells }}'}\n"
    (folder / "captions.yaml").write_text(bad, encoding="utf-8")

    with pytest.raises(UserError, match=r"caption of fig1 does not render: 'modells' is undefined"):
        report(monkeypatch, captions=["captions.yaml"], figures=FIGURES[:1])
