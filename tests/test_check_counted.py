"""Checks of annotation files before any training: what passes, what is counted, keypoints and subsets."""

import json
from pathlib import Path

import pytest

from tests.checked import FIRST, RUNS, Dataset, Json, Spoil, categories, first, many, raw, report_of, run


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def test_clean_data_passes_without_a_finding(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_of(dataset, monkeypatch, "masks", "keypoints") == {}
    text = (dataset.folder / "check.txt").read_text()
    assert text in capsys.readouterr().out
    assert f"{dataset.folder}/train.json: 8 annotations, 2 categories, 4 images" in text
    assert "No errors" in text


def test_a_training_file_does_without_what_evaluation_alone_reads(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for entry in dataset.train["annotations"]:
        del entry["area"], entry["iscrowd"]
    assert report_of(dataset, monkeypatch, "masks") == {}


NOTES: dict[str, tuple[Spoil, str, int]] = {
    "id 0": (first(id=0), "id-zero", 1),
    "box beyond": (first(bbox=[-3, 4, 28, 11]), "box-beyond", 1),
    "polygon beyond": (first(segmentation=[[5, -8, 25, 4, 25, 15]]), "polygon-beyond", 1),
    "category unused": (
        lambda dataset: [
            content["categories"].append({"id": 9, "name": "dog"}) for content in (dataset.train, dataset.val)
        ],
        "category-unused",
        1,
    ),
    "image bare": (lambda dataset: dataset.train["annotations"].__delitem__(slice(0, 2)), "image-bare", 1),
    "box twice": (
        lambda dataset: dataset.train["annotations"].append(dataset.train["annotations"][0] | {"id": 99}),
        "annotation-twice",
        1,
    ),
    "other ids, same names": (categories("val", (7, "person"), (8, "cat")), "category-ids-differ", 1),
}


@pytest.mark.parametrize(("spoil", "kind", "count"), NOTES.values(), ids=NOTES.keys())
def test_what_harms_nothing_is_noted(
    dataset: Dataset, spoil: Spoil, kind: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(dataset)
    entry = report_of(dataset, monkeypatch)[kind]
    assert (entry["outcome"], entry["count"]) == ("note", count)
    assert entry["rule"] != "refused" and entry["examples"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("box-empty", {"bbox": [5, 4, 0, 11]}),
        ("polygon-short", {"segmentation": [[5, 4, 25, 15]]}),
        ("area-zero", {"area": 0}),
        ("area-large", {"area": 1000}),
        ("box-elsewhere", {"bbox": [40, 25, 15, 10], "area": 100}),
        ("keypoints-outside", {"keypoints": [70, 5, 2, 6, 6, 2] + [0, 0, 0] * 15}),
        ("mask-empty", {"iscrowd": 1, "segmentation": RUNS | {"counts": [2400]}}),
    ],
)
def test_a_few_are_skipped_and_counted_and_more_are_refused(
    dataset: Dataset,
    kind: str,
    fields: Json,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One in a hundred, the most of COCO's own kind of slips, and one more."""
    many(dataset.train, 200)
    for entry in dataset.train["annotations"][:2]:
        entry.update(fields)
    found = report_of(dataset, monkeypatch, "masks", "keypoints")[kind]
    assert (found["outcome"], found["count"], found["of"]) == ("skipped", 2, 200)
    dataset.train["annotations"][2].update(fields)
    dataset.write()
    capsys.readouterr()
    assert run(dataset.arguments(("masks", "keypoints")), monkeypatch) == 2
    assert "3 of 200 annotations" in capsys.readouterr().err


KEYPOINTS: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "missing": (first(keypoints=None), (FIRST, "keypoints are missing", "17 keypoints")),
    "short": (first(keypoints=[6, 5, 2]), (FIRST, "keypoints are of 3 numbers")),
    "null": (raw('"keypoints": [6', '"keypoints": null, "x": [6'), (FIRST, "keypoints are missing")),
    "text": (first(keypoints=["6"] * 51), ("annotations[0]", "got `str`", "$.keypoints[0]")),
    "visibility 3": (first(keypoints=[6, 5, 3] + [0] * 48), (FIRST, "visibility is 3")),
    "count 0": (first("val", num_keypoints=0), ("annotation id 202", "num_keypoints is 0, labelled are 2")),
    "count missing": (first("val", num_keypoints=None), ("num_keypoints is missing",)),
    "count null": (
        lambda dataset: dataset.val["annotations"][0].update(num_keypoints=None),
        ("num_keypoints is missing",),
    ),
    "another order": (
        lambda dataset: dataset.train["categories"][0]["keypoints"].reverse(),
        ("category id 3", "'right_ankle' in place 1, not 'nose'"),
    ),
    "16 names": (
        lambda dataset: dataset.val["categories"][0]["keypoints"].pop(),
        ("51 numbers", "16 keypoints"),
    ),
}


@pytest.mark.parametrize(("spoil", "parts"), KEYPOINTS.values(), ids=KEYPOINTS.keys())
def test_damaged_keypoints_are_refused_where_they_are_learned(
    dataset: Dataset,
    spoil: Spoil,
    parts: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(dataset)
    dataset.write()
    assert run(dataset.arguments(["keypoints"]), monkeypatch) == 2
    said = capsys.readouterr().err
    assert [part for part in parts if part not in said] == []


def test_subsets_of_more_images_than_there_are_are_refused_here(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not by the job that draws them, which comes after pre-training. Of 4 images 3 are within the other file."""
    dataset.write()
    assert run([*dataset.arguments(), "--subsets", "35k=5", "10k=4", "1k=50%"], monkeypatch) == 2
    said = capsys.readouterr().err
    assert "train.json: subset 35k: 5 images of 4." in said and "10k" not in said
    assert "numbers: {subsets: ...}" in said
    within = dataset.folder / "within.json"
    within.write_text(json.dumps(dataset.train | {"images": dataset.train["images"][1:]}))
    assert run([*dataset.arguments(), "--subsets", "10k=4", "--within", str(within)], monkeypatch) == 2
    assert f"4 images of 3 within {within}" in capsys.readouterr().err
    assert run([*dataset.arguments(), "--subsets", "35k=4", "10k=1"], monkeypatch) == 0


def test_boxes_alone_serve_a_detector_of_boxes(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (dataset.train, dataset.val):
        for entry in content["annotations"]:
            del entry["segmentation"], entry["keypoints"], entry["num_keypoints"]
    assert report_of(dataset, monkeypatch) == {}


def test_run_lengths_serve_evaluation(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset.val["annotations"][0]["segmentation"] = RUNS
    assert report_of(dataset, monkeypatch, "masks") == {}
