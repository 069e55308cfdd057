"""Repairing a copy of an annotation file by stated rules, and that the check then passes."""

import json
from pathlib import Path
from typing import Any

import pytest
from pycocotools import mask as masks

from tests.checked import HEIGHT, WIDTH, Dataset, Json, Meant, box_as, run
from workflow_scripts.data.check import repair


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def one(dataset: Dataset, **fields: Any) -> Json | None:
    """The first annotation as it is repaired with these fields, None of which removes one; None if it is removed."""
    entry = dataset.train["annotations"][0]
    entry |= fields
    for name in [name for name, value in fields.items() if value is None]:
        del entry[name]
    content, _ = repair.repaired(dataset.train)
    return next((each for each in content["annotations"] if each["id"] == 2), None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"iscrowd": None}, {"iscrowd": 0}),
        ({"iscrowd": "1"}, {"iscrowd": 1}),
        ({"iscrowd": True}, {"iscrowd": 1}),
        ({"iscrowd": 0.0}, {"iscrowd": 0}),
        ({"iscrowd": "None"}, {"iscrowd": 0}),
        ({"iscrowd": "crowd"}, {"iscrowd": "crowd"}),
        ({"segmentation": [[1, 2], [5, 4, 25, 4, 25, 15]]}, {"segmentation": [[5, 4, 25, 4, 25, 15]]}),
        ({"bbox": None}, {"bbox": [5, 4, 20, 11]}),
        ({"bbox": [5, 4, 25, 15]}, {"bbox": [5, 4, 20, 11]}),
        ({"bbox": [-5, -4, 30, 19], "segmentation": []}, {"bbox": [0, 0, 25, 15]}),
        ({"bbox": [50, 30, 30, 30], "segmentation": []}, {"bbox": [50, 30, 10, 10]}),
        ({"bbox": [25, 4, -20, 11]}, {"bbox": [25, 4, -20, 11]}),
        ({"area": -1}, {"area": 220}),
        ({"area": None, "segmentation": []}, {"area": 220}),
        ({"area": "220"}, {"area": 220}),
        ({"area": 0, "segmentation": {"size": [40, 60], "counts": [100, 50, 2250]}}, {"area": 50}),
        ({"num_keypoints": 9}, {"num_keypoints": 2}),
        ({"bbox": ["a", 4, 20, 11]}, {"bbox": ["a", 4, 20, 11]}),
        ({"keypoints": 3}, {"keypoints": 3}),
    ],
)
def test_each_rule(dataset: Dataset, fields: Json, expected: Json) -> None:
    found = one(dataset, **fields)
    assert found is not None
    assert {name: found[name] for name in expected} == expected
    if "iscrowd" in expected:
        assert type(found["iscrowd"]) is type(expected["iscrowd"])


@pytest.mark.parametrize(
    "fields",
    [
        {"bbox": [5, 4, 0, 11]},
        {"bbox": [70, 4, 20, 11]},
        {"segmentation": [[5, 4, 25, 15]]},
        {"segmentation": [[5, 4, 25, 4, 25, 15, 1]]},
    ],
)
def test_what_shows_nothing_is_removed(dataset: Dataset, fields: Json) -> None:
    assert one(dataset, **fields) is None


@pytest.mark.parametrize("wrong", [0, -1, 5, "7", None])
def test_ids_are_numbered_anew_where_one_does_not_serve(dataset: Dataset, wrong: Any) -> None:
    """0, negative, another's, text, none; and where all serve, they stay."""
    assert [each["id"] for each in repair.repaired(dataset.train)[0]["annotations"]] == list(range(2, 10))
    dataset.train["annotations"][0]["id"] = wrong
    assert [each["id"] for each in repair.repaired(dataset.train)[0]["annotations"]] == list(range(1, 9))


def test_areas_are_those_of_coco_own_masks(dataset: Dataset) -> None:
    triangle = [[5.0, 4.0, 45.0, 4.0, 45.0, 30.0]]
    code = masks.merge(masks.frPyObjects(triangle, HEIGHT, WIDTH))
    found = one(dataset, area=None, segmentation=triangle, bbox=[5, 4, 40, 26])
    assert found is not None and found["area"] == masks.area(code) == masks.decode(code).sum()
    text = code | {"counts": code["counts"].decode()}
    found = one(dataset, area=0, segmentation=text)
    assert found is not None and found["area"] == masks.area(code)


def test_a_polygon_far_away_is_not_drawn(dataset: Dataset) -> None:
    found = one(dataset, area=0, bbox=[5, 4, 20, 11], segmentation=[[5, 4, 1e8, 4, 25, 15]])
    assert found is not None and found["area"] == 220


def words(dataset: Dataset, output: str = "repaired.json") -> list[str]:
    return ["--annotations", str(dataset.folder / "train.json"), "--output", str(dataset.folder / output)]


def test_a_repaired_file_passes_the_check(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for entry in (*dataset.train["annotations"], *dataset.val["annotations"]):
        del entry["iscrowd"], entry["area"]
        x, y, width, height = entry["bbox"]
        entry |= {"bbox": [x, y, x + width, y + height], "id": 0}
    for entry in dataset.train["annotations"]:
        entry["id"] = 0
    dataset.write()
    before = (dataset.folder / "train.json").read_bytes()
    assert run(words(dataset), monkeypatch, repair.main) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:-1] == [
        "area: 8 repaired",
        "box-corners: 8 repaired",
        "id: 8 repaired",
        "iscrowd-missing: 8 repaired",
    ]
    assert (dataset.folder / "train.json").read_bytes() == before
    (dataset.folder / "train.json").write_bytes((dataset.folder / "repaired.json").read_bytes())
    val = [word.replace("train.json", "val.json") for word in words(dataset, "val-repaired.json")]
    assert run(val, monkeypatch, repair.main) == 0
    (dataset.folder / "val.json").write_bytes((dataset.folder / "val-repaired.json").read_bytes())
    assert run(dataset.arguments(), monkeypatch) == 0
    report = json.loads((dataset.folder / "check.json").read_text())
    assert report["found"] == []


AREAS: dict[str, Any] = {
    "missing": lambda box: None,
    "zero": lambda box: 0,
    "of the last two numbers": lambda box: box[2] * box[3],
    "of a mask": lambda box: 57,
}


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("meant", ["corners", "centres", "fractions"])
def test_boxes_that_are_all_meant_otherwise_become_cocos_and_are_never_cut(
    dataset: Dataset, meant: Meant, area: str
) -> None:
    expected = [entry["bbox"] for entry in dataset.train["annotations"]]
    for entry in dataset.train["annotations"]:
        box = box_as(meant, entry["bbox"])
        entry |= {"bbox": box, "segmentation": [], "area": AREAS[area](box)}
    content, counts = repair.repaired(dataset.train)
    assert [entry["bbox"] for entry in content["annotations"]] == [pytest.approx(box) for box in expected]
    assert counts[f"box-{meant}"] == 8
    assert counts["box-beyond"] == 0
    for entry in content["annotations"]:
        width, height = entry["bbox"][2:]
        assert entry["area"] == (
            57 if area == "of a mask" and meant != "fractions" else pytest.approx(width * height)
        )


def test_fractions_of_corners_and_their_polygons(dataset: Dataset) -> None:
    before = [(entry["bbox"], entry["segmentation"]) for entry in dataset.train["annotations"]]
    for entry in dataset.train["annotations"]:
        x, y, width, height = box_as("fractions", entry["bbox"])
        polygon = [place / (HEIGHT if k % 2 else WIDTH) for k, place in enumerate(entry["segmentation"][0])]
        entry |= {"bbox": [x, y, x + width, y + height], "segmentation": [polygon]}
    content, counts = repair.repaired(dataset.train)
    found = [(entry["bbox"], entry["segmentation"][0]) for entry in content["annotations"]]
    assert found == [(pytest.approx(box), pytest.approx(polygons[0])) for box, polygons in before]
    assert (counts["box-fractions"], counts["box-corners"]) == (8, 8)


@pytest.mark.parametrize("segmentation", [[[]], [[5, 4, 25, 15]], [[5, 4, 25]]])
def test_boxes_stay_where_no_annotation_has_a_mask(dataset: Dataset, segmentation: Any) -> None:
    for entry in dataset.train["annotations"]:
        entry["segmentation"] = segmentation
    content, counts = repair.repaired(dataset.train)
    assert [entry["segmentation"] for entry in content["annotations"]] == [[]] * 8
    assert (counts["polygon"], counts["polygon-none"]) == (8, 0)

    dataset.train["annotations"][0]["segmentation"] = [[5, 4, 25, 4, 25, 15]]
    content, counts = repair.repaired(dataset.train)
    assert [entry["id"] for entry in content["annotations"]] == [2]
    assert counts["polygon-none"] == 7


def test_coordinates_that_are_no_list_of_polygons_become_one(dataset: Dataset) -> None:
    (polygon,) = dataset.train["annotations"][0]["segmentation"]
    dataset.train["annotations"][0]["segmentation"] = polygon
    content, counts = repair.repaired(dataset.train)
    assert content["annotations"][0]["segmentation"] == [polygon]
    assert counts["polygon-flat"] == 1


@pytest.mark.parametrize("empty", ["", {}])
def test_segmentations_that_hold_nothing_go(dataset: Dataset, empty: Any) -> None:
    dataset.train["annotations"][0]["segmentation"] = empty
    content, counts = repair.repaired(dataset.train)
    assert "segmentation" not in content["annotations"][0]
    assert len(content["annotations"]) == 8 and counts["segmentation-empty"] == 1


def test_numbers_that_are_not_whole_become_so(dataset: Dataset) -> None:
    expected = json.loads(json.dumps(dataset.train))
    for image in dataset.train["images"]:
        image |= {"id": str(image["id"]), "width": float(image["width"])}
    for entry in dataset.train["annotations"]:
        entry |= {"image_id": str(entry["image_id"]), "category_id": float(entry["category_id"])}
    content, counts = repair.repaired(dataset.train)
    assert content == expected
    assert +counts == {"whole-number": 2 * 4 + 2 * 8}
    numbers = [image[name] for image in content["images"] for name in ("id", "width")]
    assert {type(number) for number in numbers} == {int}


def test_what_could_not_be_repaired_is_not_counted(dataset: Dataset) -> None:
    """The keypoints are no list, which is found after the flag and the polygons."""
    given = dataset.train["annotations"][0]
    del given["iscrowd"]
    given |= {"segmentation": [[5, 4, 9, 9], [5, 4, 25, 4, 25, 15]], "keypoints": 5}
    content, counts = repair.repaired(dataset.train)
    assert content["annotations"][0] == given
    assert not +counts


def test_what_needs_no_repair_is_said(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset.train["annotations"][0]["iscrowd"] = 2
    dataset.write()
    assert run(words(dataset), monkeypatch, repair.main) == 0
    assert capsys.readouterr().out.startswith("No rule found anything to repair.\n")


def test_what_needs_no_repair_stays(dataset: Dataset) -> None:
    content, counts = repair.repaired(dataset.train)
    assert content == dataset.train and not +counts


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[1]", "found no lists of images, annotations and categories"),
        ("{", "found no lists"),
        (
            '{"images": [{"id": [1]}], "annotations": [], "categories": []}',
            "images[0]: id is [1]. Expected whole",
        ),
        (
            '{"images": [{"id": 1, "height": 4}], "annotations": [], "categories": []}',
            "images[0]: width is None",
        ),
        (
            '{"images": [{"id": 1, "width": 6.5, "height": 4}], "annotations": [], "categories": []}',
            "images[0]: width is 6.5",
        ),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}',
            "train.json: `categories`: name 'a' is",
        ),
        ('{"images": [], "annotations": [3], "categories": []}', "found no lists"),
        ('{"images": [], "annotations": [{"id": NaN}], "categories": []}', "found NaN"),
        ("[" * 100_000, "found no lists"),
        (None, "No such file"),
    ],
)
def test_what_cannot_be_repaired_is_refused(
    dataset: Dataset,
    text: str | None,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if text is not None:
        (dataset.folder / "train.json").write_text(text)
    assert run(words(dataset), monkeypatch, repair.main) == 2
    assert part in capsys.readouterr().err
    assert not (dataset.folder / "repaired.json").exists()


def test_the_file_itself_is_not_written_over(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset.write()
    assert run(words(dataset, "train.json"), monkeypatch, repair.main) == 2
    assert "the file to repair" in capsys.readouterr().err
