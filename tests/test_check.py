"""Checks of annotation files before any training: each kind of damage, and what is said of it."""

import gzip
import json
from pathlib import Path

import pytest

from tests.checked import (
    FIRST,
    HEIGHT,
    RUNS,
    WIDTH,
    Dataset,
    Meant,
    Spoil,
    box_as,
    categories,
    each,
    first,
    image,
    image_of,
    raw,
    run,
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def encoded(encoding: str) -> Spoil:
    def spoil(dataset: Dataset) -> None:
        dataset.train = json.dumps(dataset.train, ensure_ascii=False).encode(encoding)

    return spoil


ERRORS: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    # boxes
    "box reversed": (
        first(bbox=[25, 4, -20, 11]),
        (FIRST, "[25, 4, -20, 11]", "above 0", "Swap the corners"),
    ),
    "box upside down": (first(bbox=[5, 20, 20, -8]), (FIRST, "[5, 20, 20, -8]")),
    "box outside": (first(bbox=[70, 4, 20, 11]), (FIRST, "60 x 40", "within the image")),
    "box above": (first(bbox=[5, -30, 20, 11]), (FIRST, "[5, -30, 20, 11]", "60 x 40")),
    "box beside by its own width": (first(bbox=[-20, 4, 20, 11]), (FIRST, "60 x 40")),
    "boxes without height": (
        first(bbox=[5, 4, 20, 0]),
        (FIRST, "[5, 4, 20, 0]", "up to 1%", "as in detectron2"),
    ),
    "box of zeros": (first(bbox=[0, 0, 0, 0]), (FIRST, "[0, 0, 0, 0]", "up to 1%")),
    "box as corners, by its polygon": (first(bbox=[5, 4, 25, 15]), (FIRST, "[5, 4, 25, 15]", "x2 - x1")),
    "box as corners, by its area": (
        first(bbox=[5, 4, 25, 15], area=220, segmentation=[]),
        (FIRST, "[5, 4, 25, 15]", "x2 - x1"),
    ),
    "box elsewhere": (first(bbox=[40, 25, 15, 10]), (FIRST, "[40", "polygons", "up to 1%")),
    "box missing": (first(bbox=None), (FIRST, "bbox is missing", "[x, y, width, height]")),
    "box null": (raw("[5.0, 4.0, 20.0, 11.0]", "null"), ("annotations[0]", "image id 1", "$.bbox", "null")),
    "box empty list": (first(bbox=[]), ("annotations[0]", "length 4", "$.bbox")),
    "box of 3 numbers": (first(bbox=[1, 2, 3]), ("annotations[0]", "length 4", "$.bbox")),
    "box of 5 numbers": (first(bbox=[1, 2, 3, 4, 5]), ("annotations[0]", "length 4")),
    "box of strings": (first(bbox=["5", "4", "20", "11"]), ("annotations[0]", "got `str`", "$.bbox[0]")),
    "box as object": (first(bbox={"x": 1}), ("annotations[0]", "got `object`")),
    "box not finite": (raw("[5.0, 4.0", "[NaN, 4.0"), ("found NaN at byte", "record of id 2", "finite")),
    "box infinite": (raw("[5.0, 4.0", "[-Infinity, 4.0"), ("found Infinity", "record of id 2", "finite")),
    "box too large a number": (
        raw("[5.0, 4.0", "[1e400, 4.0"),
        ("annotations[0]", "out of range", "$.bbox[0]"),
    ),
    "box of 1e30": (first(bbox=[1e30, 4, 20, 11]), (FIRST, "1e+30", "60 x 40")),
    # polygons
    "polygon odd": (first(segmentation=[[5, 4, 25, 4, 25, 15, 5]]), (FIRST, "segmentation[0] has 7 numbers")),
    "polygon of 2 points": (first(segmentation=[[5, 4, 25, 15]]), (FIRST, "2 points", "up to 1%")),
    "polygon flat": (first(segmentation=[5, 4, 25, 4, 25, 15]), ("annotations[0]", "$.segmentation[0]")),
    "polygon of strings": (
        first(segmentation=[["5", "4", "25", "4", "25", "15"]]),
        ("annotations[0]", "got `str`", "$.segmentation[0][0]"),
    ),
    "polygon of points": (
        first(segmentation=[[[5, 4], [25, 4], [25, 15]]]),
        ("annotations[0]", "got `array`"),
    ),
    "polygon at 1e8": (first(segmentation=[[5, 4, 1e8, 4, 25, 15]]), (FIRST, "1e+08", "60 x 40", "crash")),
    "polygon at -1e8": (first(segmentation=[[5, -1e8, 25, 4, 25, 15]]), (FIRST, "-1e+08")),
    "polygon NaN": (raw("[[5.0, 4.0", "[[NaN, 4.0"), ("found NaN at byte", "record of id 2")),
    "polygons none": (first(segmentation=[]), (FIRST, "segmentation is []", "polygons")),
    "mask null": (raw('"segmentation": [[5.0', '"segmentation": null, "x": [[5.0'), (FIRST, "is None")),
    "mask missing": (first(segmentation=None), (FIRST, "segmentation is missing", "learns masks")),
    "mask missing in validation": (first("val", segmentation=None), ("annotation id 202", "missing")),
    "mask as text": (first(segmentation="5,4,25,4"), ("annotations[0]", "got `str`", "$.segmentation")),
    # run lengths
    "run lengths of another size": (
        first("val", segmentation=RUNS | {"size": [WIDTH, HEIGHT]}),
        ("annotation id 202", "[60, 40]", "40, 60"),
    ),
    "run lengths too short": (
        first("val", segmentation=RUNS | {"counts": [100, 50]}),
        ("add up to 150", "2400 pixels"),
    ),
    "run lengths negative": (
        first("val", segmentation=RUNS | {"counts": [100, -50, 2350]}),
        ("counts hold -50",),
    ),
    "run lengths without size": (first("val", segmentation={"counts": [2400]}), ("annotations[0]", "`size`")),
    "run lengths without counts": (first("val", segmentation={"size": [40, 60]}), ("`counts`",)),
    "run lengths of floats": (
        first("val", segmentation=RUNS | {"counts": [0.5]}),
        ("$.segmentation.counts[0]",),
    ),
    "run lengths garbage": (first("val", segmentation=RUNS | {"counts": "\x7f\x7f"}), ("compressed form",)),
    "run lengths not ASCII": (first("val", segmentation=RUNS | {"counts": "ü"}), ("not ASCII",)),
    "run lengths cut": (first("val", segmentation=RUNS | {"counts": "T3b1o"}), ("cut short",)),
    "run lengths without a pixel": (
        first("val", segmentation=RUNS | {"counts": [2400]}),
        ("cover no pixel", "1%"),
    ),
    # area, crowds
    "area missing": (first("val", area=None), ("annotation id 202", "area is missing", "data.check.repair")),
    "area negative": (first(area=-1), (FIRST, "area is -1")),
    "areas 0": (each("val", area=0), ("annotation id 202", "area is 0", "6 of 6 annotations", "up to 1%")),
    "area as text": (first(area="220"), ("annotations[0]", "got `str`", "$.area")),
    "area true": (first("val", area=True), ("annotations[0]", "got `bool`", "$.area")),
    "area false": (first(area=False), ("annotations[0]", "got `bool`", "$.area")),
    "area null": (raw('"area": 220.0', '"area": null'), ("annotations[0]", "`null`", "$.area")),
    "areas larger than boxes": (each(area=2400), ("area is 2400", "its box 20 x 11", "8 of 8")),
    "crowd missing": (first("val", iscrowd=None), ("annotation id 202", "iscrowd is missing", "repair", "0")),
    "crowd as text": (first(iscrowd="0"), ("annotations[0]", "iscrowd", "got `str`", "repair")),
    "crowd as boolean": (first("val", iscrowd=False), ("annotations[0]", "iscrowd", "got `bool`")),
    "crowd as float": (first("val", iscrowd=0.0), ("annotations[0]", "iscrowd", "got `float`")),
    "crowd 2": (first(iscrowd=2), (FIRST, "iscrowd is 2")),
    "crowds alone": (
        each(iscrowd=1),
        ("8 entries, all 8 are crowds: iscrowd is 1", "write iscrowd 0 for single objects"),
    ),
    # ids
    "annotation id negative": (first(id=-1), ("annotation id -1", "id is -1", "from 0 to 2^53")),
    "annotation id 2^70": (first(id=2**70), (f"id is {2**70}",)),
    "annotation id as text": (first(id="2"), ("annotations[0]", "got `str`", "$.id")),
    "annotation ids twice": (each(id=7), ("`annotations`: id 7 is there 8 times",)),
    "image id negative": (image(id=-4), ("image_id 1, the id of none", "Expected one of theirs")),
    "image id negative, without annotations": (
        lambda dataset: dataset.train["images"].append(dataset.train["images"][0] | {"id": -4}),
        ("image id -4", "id is -4"),
    ),
    "image id 2^70": (
        lambda dataset: dataset.train["images"].append(image_of(2**70, "more.png")),
        (f"image id {2**70} (more.png)", "from 0 to 2^53"),
    ),
    "image id beyond what a float tells apart": (
        lambda dataset: dataset.train["images"].append(image_of(2**53 + 1, "more.png")),
        (f"id is {2**53 + 1}", "from 0 to 2^53"),
    ),
    "image id true": (image(id=True), ("images[0]", "got `bool`", "$.id", "correct the export")),
    "image ids twice": (image(id=2), ("`images`: id 2 is there 2 times", "Expected each id once")),
    "image of an annotation unknown": (first(image_id=999), ("image_id 999, the id of none",)),
    "category unknown": (first(category_id=999), ("category_id 999, the id of none",)),
    "category id 2^70": (categories("train", (2**70, "a"), (4, "b")), (f"category id {2**70} ('a')", "2^53")),
    "category id true": (categories("train", (True, "a"), (4, "b")), ("categories", "got `bool`", "$[0].id")),
    "category ids twice": (
        categories("train", (3, "a"), (3, "b")),
        ("`categories`: id 3 is there 2 times", "Expected each id once; remove the copies"),
    ),
    "category names twice": (
        categories("train", (3, "a"), (4, "a")),
        (
            "`categories`: name 'a' is there 2 times, as ids 3, 4",
            "Expected each name once; remove id 4",
        ),
    ),
    "category names of two in use": (
        lambda dataset: dataset.train["categories"][1].update(name="person"),
        ("name 'person' is there 2 times, as ids 3, 4", "Expected each name once; remove the copies"),
    ),
    "category named like one without annotations": (
        lambda dataset: dataset.train["categories"].insert(0, {"id": 0, "name": "cat"}),
        ("name 'cat' is there 2 times, as ids 0, 4", "remove id 0, which has no annotation"),
    ),
    "category id negative": (categories("train", (-1, "a"), (4, "b")), ("category id -1 ('a')", "2^53")),
    # categories
    "categories none": (
        lambda dataset: [
            content.update(categories=[], annotations=[]) for content in (dataset.train, dataset.val)
        ],
        ("0 entries, no object", "no categories"),
    ),
    "category without a name": (categories("train", (3, " "), (4, "cat")), ("name is ' '",)),
    "other names": (
        categories("val", (3, "person"), (4, "dog")),
        ("val.json: category id 4", "'dog', in training 'cat'", "the same names"),
    ),
    "numbered the other way round": (
        categories("val", (3, "cat"), (4, "person")),
        ("category id 3", "'cat', in training 'person'", "2 of 2"),
    ),
    "a category less": (categories("val", (3, "person")), ("1 categories, in training 2",)),
    "a category more": (
        categories("val", (3, "person"), (4, "cat"), (5, "dog")),
        ("3 categories, in training 2",),
    ),
    # the file
    "no objects": (lambda dataset: dataset.train.update(annotations=[]), ("0 entries, no object",)),
    "a list": (lambda dataset: setattr(dataset, "train", []), ("Expected `object`, got `array`",)),
    "packed": (
        lambda dataset: setattr(dataset, "train", gzip.compress(json.dumps(dataset.train).encode())),
        ("It begins with b'\\x1f\\x8b", "Expected a COCO annotation file", "unpack it"),
    ),
    "pointer of Git LFS": (
        lambda dataset: setattr(dataset, "train", b"version https://git-lfs.github.com/spec/v1\n"),
        ("It begins with b'version https://'", "fetch it anew"),
    ),
    "empty file": (lambda dataset: setattr(dataset, "train", b""), ("train.json: the file is empty",)),
    "images of no annotation file": (
        lambda dataset: dataset.train.pop("images"),
        ("required field `images`",),
    ),
    "cut short": (raw("}]}", ""), ("not JSON", "cut short")),
    "nested": (raw('"keypoints": [6', f'"keypoints": {"[" * 100_000}[6'), ("nested too deeply",)),
    "byte order mark": (raw('{"images"', '\ufeff{"images"'), ("byte order mark",)),
    "UTF-16": (encoded("utf-16"), ("its text is UTF-16", "Save it as UTF-8")),
    "UTF-16 without a mark": (encoded("utf-16-le"), ("its text is UTF-16",)),
    "Latin-1": (
        lambda dataset: (image(file_name="B\u00e4r.png")(dataset), encoded("latin-1")(dataset)),
        ("images[0]: its text is not UTF-8", "Save it as UTF-8"),
    ),
    "Latin-1 categories": (
        lambda dataset: (
            categories("train", (3, "B\u00e4r"), (4, "b"))(dataset),
            encoded("latin-1")(dataset),
        ),
        ("categories: not JSON: its text is not UTF-8", "Save it as UTF-8"),
    ),
    # names
    "name leads out": (image(file_name="../train/train1.png"), ("'../train/train1.png'", "no two dots")),
    "name absolute": (image(file_name="/etc/passwd"), ("'/etc/passwd'", "below the folder")),
    "name of another drive": (image(file_name="C:\\a.png"), ("C:", "below the folder")),
    "name twice": (image(file_name="train2.png"), ("image id 2", "that of image id 1", "a file for each")),
    "name twice, written otherwise": (image(file_name="./x/../train2.png"), ("no two dots",)),
    "name twice, with a dot": (image(file_name="./train2.png"), ("that of image id 1",)),
    "name empty": (image(file_name=""), ("images[0]", "$.file_name")),
    "name of a folder": (image(file_name="."), ("it is a folder",)),
    "name with a null": (image(file_name="a\0b.png"), ("a\\x00b.png", "null")),
    "name over-long": (image(file_name="a" * 300 + ".png"), ("File name too long",)),
    "name with a line": (image(file_name="a\nb\x1b[31m.png"), ("(a\\nb\\x1b[31m.png)", "no such file")),
    "name in lower case": (image(file_name="TRAIN1.png"), ("no such file; there is train1.png",)),
    "width 0": (image(width=0), ("images[0]", "$.width")),
    "size other": (image(width=61), ("image id 1 (train1.png)", "61 x 40", "the picture is 60 x 40")),
    "sides swapped": (
        image(width=40, height=60),
        ("40 x 60", "the picture is 60 x 40.\n", "Correct width and height"),
    ),
}


@pytest.mark.parametrize(("spoil", "parts"), ERRORS.values(), ids=ERRORS.keys())
def test_damage_is_refused_with_one_message(
    dataset: Dataset,
    spoil: Spoil,
    parts: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(dataset)
    dataset.write()
    before = sorted(dataset.folder.rglob("*"))
    assert run(dataset.arguments(), monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and said.count("Error") == 1
    assert str(dataset.folder) in said
    assert [part for part in parts if part not in said] == []
    assert sorted(dataset.folder.rglob("*")) == before, "nothing is written"


def test_all_errors_are_listed_and_the_others_counted(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first(bbox=[25, 4, -20, 11])(dataset)
    each("val", area=-3)(dataset)
    dataset.write()
    assert run(dataset.arguments(), monkeypatch) == 2
    said = capsys.readouterr()
    assert "Also 6 of 6 annotations: negative areas, first annotation id 202 of image id 101" in said.err
    for number in (202, 203, 204, 205, 206):
        assert f"annotation id {number} of image" in said.out
    assert "and 1 more" in said.out


@pytest.mark.parametrize(
    ("meant", "parts"),
    [
        ("corners", ("all 8 boxes fit their images as corners", "Write x2 - x1", "8 of 8 annotations: ")),
        ("centres", ("all 8 boxes fit their images by their centres", "Subtract half of the width")),
        ("fractions", ("all 8 boxes lie within 1 pixel", "Multiply x and width by the image's width")),
    ],
)
def test_boxes_that_are_all_meant_otherwise_are_told_without_polygons_or_areas(
    dataset: Dataset,
    meant: Meant,
    parts: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for entry in dataset.train["annotations"]:
        entry |= {"bbox": box_as(meant, entry["bbox"]), "segmentation": []}
        del entry["area"]
    dataset.write()
    assert run(dataset.arguments(needs=()), monkeypatch) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts)


def test_annotations_that_cannot_be_read_are_not_told_as_missing(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for entry in dataset.train["annotations"]:
        entry["area"] = None
    dataset.write()
    assert run(dataset.arguments(), monkeypatch) == 2
    said = capsys.readouterr().err
    assert "$.area" in said
    assert "no image holds an object" not in said
