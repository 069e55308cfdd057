"""Detections side by side: which runs and images are shown, what is said of them, and what the page makes of it."""

import json
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
import pandas as pd
import pytest
from numpy.random import Generator
from PIL import Image
from test_bootstrap import voc_set
from test_coco_metrics import BARE_IMAGES, HEIGHT, IMAGES, WIDTH, draw_detections, draw_truths

from workflow_scripts.errors import UserError
from workflow_scripts.evaluation import bootstrap, coco_metrics, compare, pictures
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.layout.results import Layout

REPORTS = Path(__file__).parent.parent / "reports"
SIDES = [("random", "short"), ("pretrained", "short"), ("random", "long"), ("pretrained", "long")]
SCHEDULES = {"short": "2x", "long": "6x"}
OBJECTS_IN = IMAGES - BARE_IMAGES
"""Images that hold something, of those that the tests draw."""


# Which runs


def layout(*experiments: str, **changes: Any) -> Layout:
    study = {
        "scale": "smoke",
        "experiments": list(experiments),
        "schedules": ["3x", "2x", "6x"],
        "seeds": [4, 5],
    }
    return Layout(compile_study(study | changes))


def compared(of: Layout, train_set: str) -> set[tuple[str, str, str, int, str]]:
    runs = of.compared(train_set, lambda search: "lr1-decay0.1-side1")["runs"]
    return {
        tuple(run[name] for name in ("initialisation", "point", "schedule", "seed", "detections"))
        for run in runs
    }


def test_both_initialisations_at_the_shortest_schedule_and_at_the_end() -> None:
    """At smoke, 1x is 6 iterations, and the rate drops 4 and 2 before the end."""
    ends = {
        "2x": "tail-8-10-12/single_scale/detections/12.json",
        "6x": "tail-32-34-36/single_scale/detections/36.json",
    }
    expected = {
        (
            side,
            point,
            schedule,
            seed,
            f"results/smoke/evaluation/coco-R50_GN-{side}-seed{seed}/{ends[schedule]}",
        )
        for side, point in SIDES
        for schedule in [SCHEDULES[point]]
        for seed in (4, 5)
    }
    assert compared(layout("fig7", "fig1", "fig2"), "coco") == expected
    told = layout("fig7", "fig1", "fig2").compared("coco", lambda search: "lr1-decay0.1-side1")
    assert (told["setting"], told["subset"], told["seed"]) == ("baseline", "all", 4)


def test_a_single_schedule_is_the_end() -> None:
    runs = compared(layout("fig1", schedules=["2x"], seeds=[0]), "coco")
    assert {run[:3] for run in runs} == {("random", "long", "2x"), ("pretrained", "long", "2x")}


def test_lengths_are_compared_and_not_names() -> None:
    runs = compared(layout("fig1", schedules=["10x", "2x"], seeds=[0]), "coco")
    assert {run[1:3] for run in runs} == {("short", "2x"), ("long", "10x")}


def test_what_both_initialisations_train_goes_first() -> None:
    assert {run[0] for run in compared(layout("table3", "fig1"), "coco")} == {"random", "pretrained"}


def test_searches_are_asked_only_where_there_is_nothing_else() -> None:
    def not_yet(search: str) -> str:
        raise LookupError(search)

    assert layout("fig7_right", "fig1").compared("coco", not_yet)["subset"] == "all"
    with pytest.raises(LookupError):
        layout("fig7_right").compared("coco", not_yet)
    runs = compared(layout("fig7_right"), "coco")
    assert {run[1:3] for run in runs} == {("long", "10k-random"), ("long", "10k-pretrained")}


def test_without_the_other_initialisation_one_is_shown() -> None:
    runs = compared(layout("table3"), "coco")
    assert {run[0] for run in runs} == {"random"}


def test_schedules_of_their_own_are_shown_at_their_ends() -> None:
    runs = compared(layout("text_voc"), "voc")
    assert {run[:3] for run in runs} == {
        ("random", "long", "voc-random"),
        ("pretrained", "long", "voc-pretrained"),
    }


def test_each_training_set_that_is_evaluated_is_compared() -> None:
    found = layout("fig8", "fig6", "fig1", "text_voc")
    assert found.asked_comparisons(found.pictures) == [
        f"results/smoke/detections/{name}.json" for name in ("keypoints", "coco", "voc")
    ]
    assert layout("fig2", "fig8").asked_comparisons(found.pictures) == []


# Which images


def test_images_are_in_the_order_of_their_hashes() -> None:
    """SHA-256 of "1", "2" and "3" begin with 6b, d4 and 4e."""
    assert pictures.chosen_images([1, 2, 3]) == [3, 1, 2]
    assert pictures.chosen_images([2, 3, 1], 2) == [3, 1]


def test_sizes_are_cocos() -> None:
    assert [pictures.size(area) for area in (0, 1024, 1025, 9216, 9217)] == [
        *["small"] * 2,
        *["medium"] * 2,
        "large",
    ]


# What is said


def study_of(
    folder: Path, detector: str, truths: Any, found: dict[tuple[str, str, int], Any]
) -> tuple[Path, str]:
    """Annotations, pictures and detections, and what tells of them."""
    (folder / "annotations.json").write_text(json.dumps(truths))
    rng = np.random.default_rng(0)
    for image in truths["images"]:
        path = folder / "images" / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(path, "PNG")
    runs = []
    for (side, point, seed), detections in found.items():
        path = folder / f"{side}-{point}-{seed}" / "9.json"
        path.parent.mkdir()
        path.write_text(json.dumps(detections))
        labels = {"initialisation": side, "point": point, "schedule": SCHEDULES[point], "iteration": 9}
        runs.append({**labels, "seed": seed, "detections": str(path)})
    labels = {"train_set": "coco", "model": "R50 GN", "subset": "all", "setting": "baseline", "seed": 0}
    return folder / "annotations.json", json.dumps({**labels, "detector": detector, "runs": runs})


def drawn_study(
    folder: Path, detector: str = "mask_rcnn", sides: Any = SIDES, seeds: Any = (0,)
) -> tuple[dict[str, Any], pd.DataFrame, Path]:
    rng: Generator = np.random.default_rng(0)
    truths = draw_truths(rng)
    found = {(*side, seed): draw_detections(rng, truths) for seed in seeds for side in sides}
    annotations, told = study_of(folder, detector, truths, found)
    shown, table = compare.compare(compare._compared(told), annotations, folder / "images", None, 20)
    return shown, table, annotations


def value(table: pd.DataFrame, side: tuple[str, str], part: str, name: str) -> pd.DataFrame:
    return table[
        (table["initialisation"] == side[0])
        & (table["point"] == side[1])
        & (table["part"] == part)
        & (table["name"] == name)
    ]


@pytest.mark.parametrize(("detector", "iou_type"), [("mask_rcnn", "bbox"), ("keypoint_rcnn", "keypoints")])
def test_values_are_those_of_evaluation_and_replicates_are_means_over_seeds(
    tmp_path: Path, detector: str, iou_type: coco_metrics.IouType
) -> None:
    side = ("random", "short")
    _, table, annotations = drawn_study(tmp_path, detector, [side], seeds=(0, 1))
    dumps = [tmp_path / f"random-short-{seed}" / "9.json" for seed in (0, 1)]
    metrics = [coco_metrics.evaluate(annotations, dump, [iou_type])[iou_type] for dump in dumps]
    named = {("all", "AP"): "AP", ("size", "medium"): "APm", ("size", "large"): "APl"}
    if iou_type == "bbox":
        named[("size", "small")] = "APs"
    for (part, name), metric in named.items():
        rows = value(table, side, part, name)
        of_seeds = rows[rows["replicate"].isna()]
        assert of_seeds["seed"].tolist() == [0, 1]
        assert of_seeds["value"].tolist() == pytest.approx([each[metric] for each in metrics])
    for name in ("thing 2", "thing 5"):
        rows = value(table, side, "category", name)
        expected = [each["per_category"][name] for each in metrics]
        assert rows[rows["replicate"].isna()]["value"].tolist() == pytest.approx(expected)
    replicates = value(table, side, "all", "AP").dropna(subset="replicate")["value"].tolist()
    of_each = [bootstrap.replicates(annotations, dump, [iou_type], 20) for dump in dumps]
    expected = sum(each[each["metric"] == "AP"]["value"].to_numpy() for each in of_each) / 2
    assert replicates == pytest.approx(expected.tolist())
    assert set(table["part"]) == {"all", "category", "size", "kind"}
    assert "thing 9" not in set(table["name"])  # no truth is of it


def test_voc_is_compared_by_its_own_rules(tmp_path: Path) -> None:
    truths, found = voc_set(tmp_path / "voc", 0)
    for image in truths["images"]:
        image["file_name"] = Path(image["file_name"]).name
    for truth in truths["annotations"]:
        truth["difficult"] = int(truth["difficult"] or truth["image_id"] == 1)
    found = [each for each in found if each["image_id"] > 4]
    annotations, told = study_of(tmp_path, "faster_rcnn", truths, {("random", "long", 0): found})
    shown, table = compare.compare(compare._compared(told), annotations, tmp_path / "images", 2012, 5)
    ours = table[(table["part"] == "all") & table["replicate"].notna()]["value"]
    dump = tmp_path / "random-long-0" / "9.json"
    expected = bootstrap.replicates(annotations, dump, ("bbox",), 5, voc_year=2012)["value"]
    assert ours.tolist() == pytest.approx(expected.tolist())
    assert set(table["part"]) == {"all", "category", "kind"}
    difficult = sum(truth["difficult"] for truth in truths["annotations"])
    assert difficult > 0
    assert shown["truths"] == sum(len(each["items"]) for each in shown["pictures"])
    assert shown["truths"] == len(truths["annotations"]) - difficult
    assert {each["id"] for each in shown["pictures"]} == set(range(2, 9)), "all in the first is difficult"
    (side,) = shown["sides"]
    missed = [
        (int(image), item["category"], item["box"])
        for image, items in side["items"].items()
        for item in items
        if item["kind"] == "missed"
    ]
    wanted = [
        (truth["image_id"], truth["category_id"], truth["bbox"])
        for truth in truths["annotations"]
        if not truth["difficult"]
    ]
    assert missed and all(each in wanted for each in missed)


def test_pictures_hold_what_scores_enough_and_what_is_missed(tmp_path: Path) -> None:
    """Images with something to find. Every object is right at most once, and else missed or some error's; crowds are
    no objects."""
    shown, _, annotations = drawn_study(tmp_path)
    assert [each["id"] for each in shown["pictures"]] == pictures.chosen_images(range(1, 1 + OBJECTS_IN))
    crowds = sum(truth["iscrowd"] for truth in json.loads(annotations.read_text())["annotations"])
    assert crowds and shown["truths"] == len(json.loads(annotations.read_text())["annotations"]) - crowds
    for side in shown["sides"]:
        dump = json.loads(Path(side["detections"]).read_text())
        items = [item for of_image in side["items"].values() for item in of_image]
        drawn = [item for item in items if item["kind"] != "missed"]
        kept = [each["image_id"] <= OBJECTS_IN for each in dump if each["score"] >= pictures.SHOWN]
        assert len(drawn) == sum(kept)
        assert all(item["mask"].startswith("M") and len(item["points"]) == 17 for item in drawn)
        kinds = [item["kind"] for item in items] + ["background"] * (len(kept) - sum(kept))
        assert {kind: kinds.count(kind) for kind in side["counts"]} == side["counts"]
        assert side["counts"]["right"] + side["counts"]["missed"] <= shown["truths"]


def test_an_outline_follows_its_mask() -> None:
    """A rectangle as run lengths and as a polygon: the same corners to within a pixel."""
    image = pictures.coco.Image(id=1, height=60, width=80, file_name="")
    mask = np.zeros((60, 80), dtype=np.uint8, order="F")
    mask[20:40, 10:50] = 1
    run_lengths = hotcoco.mask.encode(mask)
    for segmentation in (run_lengths, [[10, 20, 50, 20, 50, 40, 10, 40]]):
        path = pictures._path(pictures._outlines(segmentation), image)
        assert path.count("M") == 1 and path.endswith("z")
        points = [tuple(map(float, point.split(","))) for point in path[1:-1].split()]
        corners = [(10, 20), (50, 20), (50, 40), (10, 40)]
        assert len(points) == 4
        assert all(min(abs(x - a) + abs(y - b) for a, b in points) <= 1 for x, y in corners)


def test_a_picture_that_is_no_picture_is_named(tmp_path: Path) -> None:
    truths = draw_truths(np.random.default_rng(0))
    annotations, told = study_of(tmp_path, "mask_rcnn", truths, {("random", "long", 0): []})
    (tmp_path / "images" / "3").write_text("not one")
    with pytest.raises(UserError, match="images/3: cannot be read as a picture"):
        compare.compare(compare._compared(told), annotations, tmp_path / "images", None, 0)
