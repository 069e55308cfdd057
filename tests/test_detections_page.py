"""The page that shows detections side by side: panels, counts, differences, and what can be chosen."""

import json
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import pytest
from test_coco_metrics import draw_detections, draw_truths
from test_detections import OBJECTS_IN, REPORTS, SIDES, drawn_study, study_of

from tests.browser import chromium, visit
from workflow_scripts.errors import UserError
from workflow_scripts.evaluation import compare
from workflow_scripts.report import detections as section


def page(folder: Path, shown: dict[str, Any], table: pd.DataFrame) -> tuple[list[dict[str, Any]], str]:
    (folder / "coco.json").write_text(json.dumps(shown))
    table.to_csv(folder / "coco-differences.csv", index=False)
    files = [str(folder / "coco.json")], [str(folder / "coco-differences.csv")]
    sections = section.detection_sections(*files, folder / "report.html")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(REPORTS), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return sections, environment.get_template("parts/detections.html.j2").render(detections=sections)


def test_the_difference_is_paired_and_over_seeds(tmp_path: Path) -> None:
    """Two seeds of each: 3 against 1 on average, and replicates that move together."""
    rows = [
        ("random", "long", "all", "AP", 0, None, 2.0),
        ("random", "long", "all", "AP", 1, None, 4.0),
        ("pretrained", "long", "all", "AP", 0, None, 1.0),
        ("pretrained", "long", "all", "AP", 1, None, 1.0),
    ]
    for number in range(100):
        shift = number % 10
        rows += [("random", "long", "all", "AP", None, number, 3.0 + shift)]
        rows += [("pretrained", "long", "all", "AP", None, number, 1.0 + shift)]
    ((part,), columns) = section.differences(pd.DataFrame(rows, columns=section.COLUMNS)), section.COLUMNS
    assert columns == compare.COLUMNS
    found = part["rows"][0]["points"]["long"]
    assert found["difference"].value == pytest.approx(2)
    # The variance of the mean of 2 and 4 is 1; images add nothing to a difference that never changes.
    assert found["difference"].standard_error == pytest.approx(1)
    assert found["random"].standard_error > 2


def test_the_page_holds_every_panel_and_says_what_is_in_it(tmp_path: Path) -> None:
    shown, table, _ = drawn_study(tmp_path)
    sections, html = page(tmp_path, shown, table)
    assert html.count("<figure>") == 5 * OBJECTS_IN
    assert html.count("data:image/jpeg") == OBJECTS_IN
    for row in sections[0]["pictures"]:
        for panel in row["panels"]:
            assert f'Image {row["picture"].id}, {panel["title"]}: {panel["summary"]}"' in html
    assert [panel["title"] for panel in sections[0]["pictures"][0]["panels"]] == [
        "what is there",
        *["random init, 2x", "w/ pre-train, 2x", "random init, 6x", "w/ pre-train, 6x"],
    ]


def test_pictures_are_of_one_seed_and_counts_of_all(tmp_path: Path) -> None:
    shown, table, _ = drawn_study(tmp_path, sides=SIDES[:1], seeds=(0, 1))
    sections, html = page(tmp_path, shown, table)
    assert html.count("<figure>") == 2 * OBJECTS_IN
    of_seeds = [side["counts"] for side in shown["sides"]]
    assert of_seeds[0] != of_seeds[1]
    means = {kind: (of_seeds[0][kind] + of_seeds[1][kind]) / 2 for kind in of_seeds[0]}
    assert sections[0]["counts"] == {"short": {"random": means}}


def test_an_axis_ends_at_a_round_number() -> None:
    assert [section._round_up(value) for value in (0.3, 5, 5.1, 50, 50.1)] == [5, 5, 10, 50, 60]


@pytest.mark.parametrize("detector", ["faster_rcnn", "keypoint_rcnn"])
def test_one_initialisation_without_masks_is_no_difference(tmp_path: Path, detector: str) -> None:
    truths = draw_truths(np.random.default_rng(0))
    found = [
        {
            name: each[name]
            for name in (
                "image_id",
                "category_id",
                "score",
                "bbox",
                *(["keypoints"] if detector == "keypoint_rcnn" else []),
            )
        }
        for each in draw_detections(np.random.default_rng(1), truths)
    ]
    annotations, told = study_of(tmp_path, detector, truths, {("random", "long", 0): found})
    shown, table = compare.compare(compare._compared(told), annotations, tmp_path / "images", None, 0)
    _, html = page(tmp_path, shown, table)
    assert "random − pre-train" not in html
    assert "Only random init was trained" in html
    assert html.count("<figure>") == 2 * OBJECTS_IN
    assert ("<circle" in html) == (detector == "keypoint_rcnn" or bool(truths["annotations"][0]["keypoints"]))


def test_names_of_categories_are_text(tmp_path: Path) -> None:
    """Each stands in a title, in a list to choose from and, of an error, beside its box."""
    shown, table, _ = drawn_study(tmp_path)
    evil = "<img src=x onerror=alert(1)>\"'</title>"
    shown["categories"] = dict.fromkeys(shown["categories"], evil)
    _, html = page(tmp_path, shown, table.replace({"name": {"thing 2": evil}}))
    assert (
        "<img src=x" not in html
        and html.count("&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&lt;/title&gt;") > 9
    )


@pytest.mark.needs_chromium
def test_filters_show_the_pictures_that_hold_what_is_asked_for(tmp_path: Path) -> None:
    """Pictures of a kind of error and a category in one object; what else is in them is dimmed."""
    shown, table, _ = drawn_study(tmp_path)
    _, html = page(tmp_path, shown, table)
    (tmp_path / "report.html").write_text(f"<!doctype html><meta charset=utf-8><main>{html}</main>")
    category = next(name for name, text in shown["categories"].items() if text == "thing 2")
    wanted = [
        each["id"]
        for each in shown["pictures"]
        if any(
            (item["kind"], str(item["category"])) == ("duplicate", category)
            for side in shown["sides"]
            for item in side["items"][str(each["id"])]
        )
    ]
    assert 0 < len(wanted) < OBJECTS_IN
    with chromium() as browser, visit(browser, (tmp_path / "report.html").as_uri()) as visited:
        opened = visited.page
        assert opened.locator(".row:visible").count() == 6
        opened.get_by_label("Error", exact=True).select_option("duplicate")
        opened.get_by_label("Category", exact=True).select_option(category)
        visible = opened.locator(".row:visible")
        names = [visible.nth(number).get_attribute("aria-label") for number in range(visible.count())]
        assert names == [f"Image {image}" for image in wanted]
        assert opened.locator("output").inner_text() == f"{len(wanted)} of {OBJECTS_IN} images"
        clear = opened.locator(".row .item:not(.dim)").evaluate_all(
            "items => items.map(each => each.dataset.kind)"
        )
        assert set(clear) == {"duplicate"}
        opened.get_by_label("Error", exact=True).select_option("")
        opened.get_by_label("Category", exact=True).select_option("")
        assert opened.locator(".row:visible").count() == OBJECTS_IN
        assert opened.locator(".dim").count() == 0
        assert visited.complaints == []


def test_words_of_a_picture() -> None:
    kinds = ["missed", "right", "right", "localisation"]
    assert section.summary([{"kind": kind} for kind in kinds]) == "2 right, 1 bad box, 1 missed"
    assert section.summary([]) == "nothing"


def test_a_malformed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_text("{}")
    (tmp_path / "coco.csv").write_text("point,value\n")
    with pytest.raises(UserError, match=r"coco\.json: .*train_set"):
        section.read_pictures(tmp_path / "coco.json")
    with pytest.raises(UserError, match=r"coco\.csv: lacks initialisation, part, name, seed, replicate"):
        section.read_differences(tmp_path / "coco.csv")
    with pytest.raises(UserError, match="no such"):
        section.read_differences(tmp_path / "other.csv")
