"""AP on resamples of the images: against COCO's and VOC's own code on images that really stand several times."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_coco_metrics import draw_detections, draw_truths, evaluate_with_pycocotools
from test_segments import scale_named

from workflow_scripts.data import voc
from workflow_scripts.evaluation import bootstrap, coco_metrics, evaluate, voc_metrics
from workflow_scripts.evaluation.coco_metrics import IouType
from workflow_scripts.study.compiled.recipes import MODELS, Detector, Training, detection_recipe

IOU_TYPES: tuple[IouType, ...] = ("bbox", "segm", "keypoints")


def write(folder: Path, truths: Any, detections: Any) -> tuple[Path, Path]:
    paths = folder / "annotations.json", folder / "detections.json"
    for path, content in zip(paths, (truths, detections), strict=True):
        path.write_text(json.dumps(content))
    return paths


def drawn_set(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Truths and detections without equal scores, whose order among copies of an image nothing defines."""
    rng = np.random.default_rng(seed)
    truths = draw_truths(rng)
    detections = draw_detections(rng, truths)
    for detection, score in zip(detections, rng.permutation(len(detections)), strict=True):
        detection["score"] = float(score + 1) / (len(detections) + 1)
    return truths, detections


def repeated(entries: list[dict[str, Any]], key: str, times: dict[int, int]) -> list[dict[str, Any]]:
    """The entries of each image as often as it was drawn, its copies under new ids."""
    return [entry | {key: 1000 * entry[key] + copy} for entry in entries for copy in range(times[entry[key]])]


def as_drawn(truths: dict[str, Any], detections: list[dict[str, Any]], weights: np.ndarray) -> Any:
    """The data set of a replicate, written out."""
    times = dict(zip(sorted(image["id"] for image in truths["images"]), weights.tolist(), strict=True))
    annotations = repeated(truths["annotations"], "image_id", times)
    numbered = [annotation | {"id": number} for number, annotation in enumerate(annotations, 1)]
    images = repeated(truths["images"], "id", times)
    return truths | {"images": images, "annotations": numbered}, repeated(detections, "image_id", times)


def values(table: pd.DataFrame, iou_type: str, replicate: int) -> dict[str, float]:
    rows = table[(table["iou_type"] == iou_type) & (table["replicate"] == replicate)]
    return dict(zip(rows["metric"], rows["value"], strict=True))


def test_every_image_once_gives_the_metrics_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "resamples", lambda ids, count, seed: np.ones((count, len(ids)), np.int32))
    for seed, an_image in ((0, 20), (1, 20), (2, 350)):
        rng = np.random.default_rng(seed)
        truths = draw_truths(rng)
        paths = write(tmp_path, truths, draw_detections(rng, truths, an_image))
        metrics = coco_metrics.evaluate(*paths, IOU_TYPES)
        table = bootstrap.replicates(*paths, IOU_TYPES, 1)
        for iou_type in IOU_TYPES:
            expected = {name: metrics[iou_type][name] for name in ("AP", "AP50", "AP75")}
            assert values(table, iou_type, 0) == pytest.approx(expected, abs=1e-9)


def test_a_replicate_is_pycocotools_on_the_images_it_drew(tmp_path: Path) -> None:
    truths, detections = drawn_set(0)
    count = bootstrap.CHUNK + 3
    table = bootstrap.replicates(*write(tmp_path, truths, detections), IOU_TYPES, count)
    weights = bootstrap.resamples([image["id"] for image in truths["images"]], count, 0)
    for replicate in (0, 1, count - 1):
        assert weights[replicate].max() > 1 and weights[replicate].min() == 0
        copied, found = as_drawn(truths, detections, weights[replicate])
        annotations, _ = write(tmp_path, copied, found)
        for iou_type in IOU_TYPES:
            expected = evaluate_with_pycocotools(annotations, found, iou_type)
            expected = {name: expected[name] for name in ("AP", "AP50", "AP75")}
            assert values(table, iou_type, replicate) == pytest.approx(expected, abs=1e-9)


def test_a_category_that_was_not_drawn_is_left_out(tmp_path: Path) -> None:
    """One image holds category 2, found; another category 5, missed: the mean is over what was drawn."""
    truths, _ = drawn_set(0)
    box = {"bbox": [10, 10, 50, 50], "area": 2500, "iscrowd": 0}
    truths["annotations"] = [
        {"id": 1, "image_id": 1, "category_id": 2, **box},
        {"id": 2, "image_id": 2, "category_id": 5, **box},
    ]
    found = [{"image_id": 1, "category_id": 2, "score": 0.9, "bbox": box["bbox"]}]
    paths = write(tmp_path, truths, found)
    weights = bootstrap.resamples([image["id"] for image in truths["images"]], 200, 0)
    table = bootstrap.replicates(*paths, ("bbox",), 200)
    expected = {(True, False): 100.0, (True, True): 50.0, (False, True): 0.0}
    drawn = [expected.get((bool(row[0]), bool(row[1])), np.nan) for row in weights]
    assert len(set(map(str, drawn))) == 4
    np.testing.assert_allclose(table.loc[table["metric"] == "AP", "value"], drawn)


def test_without_truths_there_is_nothing_to_resample(tmp_path: Path) -> None:
    truths, detections = drawn_set(0)
    truths["annotations"] = []
    for found in ([], detections):
        assert bootstrap.replicates(*write(tmp_path, truths, found), IOU_TYPES, 3).empty


def test_draws_depend_on_seed_replicate_and_images_alone() -> None:
    ids = list(range(50))
    weights = bootstrap.resamples(ids, 20, 3)
    assert (weights.sum(axis=1) == len(ids)).all()
    np.testing.assert_array_equal(bootstrap.resamples(ids[::-1], 5, 3), weights[:5])
    assert not (bootstrap.resamples(ids, 20, 4) == weights).all(axis=1).any()
    assert len(np.unique(weights, axis=0)) == 20


def test_replicates_of_two_detectors_are_paired(tmp_path: Path) -> None:
    """Two nearly equal detectors: images move both alike, their difference little."""
    truths, detections = drawn_set(1)
    first = bootstrap.replicates(*write(tmp_path, truths, detections), ("bbox",), 50)["value"]
    fewer = [each for number, each in enumerate(detections) if number % 20]
    second = bootstrap.replicates(*write(tmp_path, truths, fewer), ("bbox",), 50)["value"]
    assert first.std() > 3 * (first - second).std() > 0


# VOC


def voc_set(folder: Path, seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A VOC folder with difficult objects and detections on whole pixels, as its annotations are."""
    rng = np.random.default_rng(seed)
    (folder / "ImageSets/Main").mkdir(parents=True)
    images, detections = [], []
    for number in range(8):
        objects = []
        for _ in range(4):
            x, y = (int(value) for value in rng.integers(1, 100, 2))
            box = (x, y, x + int(rng.integers(20, 60)), y + int(rng.integers(20, 60)))
            name = str(rng.choice(["cat", "dog"]))
            objects.append(voc.Object(name, box, difficult=bool(rng.random() < 0.3)))
            for _ in range(3):
                left, top, right, bottom = (int(value) for value in box + rng.integers(-8, 9, 4))
                size = max(right - left + 1, 5), max(bottom - top + 1, 5)
                category = int(rng.integers(1, 3)) if rng.random() < 0.2 else 1 + (name == "dog")
                detections.append(
                    {"image_id": number + 1, "category_id": category, "bbox": [left - 1, top - 1, *size]}
                )
        images.append(voc.Image(str(folder / f"JPEGImages/{number}.jpg"), "", 200, 200, objects))
    (folder / "ImageSets/Main/val.txt").write_text("\n".join(str(number) for number in range(8)))
    for detection, score in zip(detections, rng.permutation(900)[: len(detections)], strict=True):
        detection["score"] = (int(score) + 1) / 1000  # detectron2 writes three digits
    return voc.coco_file(images, str(folder / "JPEGImages")), detections


def test_voc_is_scored_as_detectron2_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "resamples", lambda ids, count, seed: np.ones((count, len(ids)), np.int32))
    for seed, year in enumerate((2007, 2012, 2012)):
        folder = tmp_path / f"{seed}-VOC{year}"
        paths = write(tmp_path, *voc_set(folder, seed))
        expected = voc_metrics.evaluate_voc(*paths, folder, "val")["bbox"]["AP50"]
        table = bootstrap.replicates(*paths, ("bbox",), 1, voc_year=year)
        assert 20 < expected < 95
        assert table["metric"].tolist() == ["AP50"]
        assert table["value"].tolist() == pytest.approx([expected], abs=1e-9)


def test_a_voc_replicate_is_voc_on_the_images_it_drew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truths, detections = voc_set(tmp_path / "voc", 0)
    table = bootstrap.replicates(*write(tmp_path, truths, detections), ("bbox",), 3, voc_year=2012)
    weights = bootstrap.resamples([image["id"] for image in truths["images"]], 3, 0)
    monkeypatch.setattr(bootstrap, "resamples", lambda ids, count, seed: np.ones((count, len(ids)), np.int32))
    for replicate in range(3):
        paths = write(tmp_path, *as_drawn(truths, detections, weights[replicate]))
        once = bootstrap.replicates(*paths, ("bbox",), 1, voc_year=2012)
        assert table["value"][replicate] == pytest.approx(once["value"][0], abs=1e-9)


# Command line


def run(
    monkeypatch: pytest.MonkeyPatch, folder: Path, content: Any, detector: Detector, *more: str
) -> tuple[dict[str, Any], list[str]]:
    """Two checkpoints: one with these detections, and a later one with every second of them."""
    truths, detections = content
    annotations, path = write(folder, truths, detections)
    found = folder / "detections"
    found.mkdir()
    path.rename(found / "30.json")
    (found / "60.json").write_text(json.dumps(detections[::2]))
    training = Training(MODELS["R50_GN"], "random", "skip", 0, detector)
    recipe = detection_recipe(training, scale_named("smoke"))
    (folder / "recipe.json").write_text(recipe.model_dump_json())
    line = ["evaluate", "--segment", "trunk-0-90", "--stage", "trunk", "--iterations", "30", "60", *more]
    line += ["--recipe", str(folder / "recipe.json"), "--annotations", str(annotations)]
    line += ["--detections", str(found)]
    outputs = folder / "metrics.json", folder / "replicates.csv"
    line += ["--metrics", str(outputs[0]), "--replicates", str(outputs[1])]
    monkeypatch.setattr(sys, "argv", line)
    evaluate.main()
    return json.loads(outputs[0].read_text()), outputs[1].read_text().splitlines()


@pytest.mark.parametrize("detector", ["mask_rcnn", "cascade_mask_rcnn"])
def test_the_command_writes_metrics_and_replicates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detector: Detector
) -> None:
    options = ["--replicate-count", "2", "--testing", "test_aug"]
    metrics, lines = run(monkeypatch, tmp_path, drawn_set(0), detector, *options)
    assert metrics["testing"] == "test_aug"
    assert [checkpoint["iteration"] for checkpoint in metrics["checkpoints"]] == [30, 60]
    assert [list(checkpoint["metrics"]) for checkpoint in metrics["checkpoints"]] == [["bbox", "segm"]] * 2
    assert lines[0] == "iteration,replicate,iou_type,metric,value"
    assert [line.rsplit(",", 1)[0] for line in lines[1:4]] == [
        "30,0,bbox,AP",
        "30,0,bbox,AP50",
        "30,0,bbox,AP75",
    ]
    assert len(lines) == 1 + 2 * 2 * 2 * 3
    for checkpoint in metrics["checkpoints"]:
        files = tmp_path / "annotations.json", tmp_path / f"detections/{checkpoint['iteration']}.json"
        assert checkpoint["metrics"] == evaluate.evaluate(*files, ("bbox", "segm"))
    first, second = ([line for line in lines[1:] if line.startswith(start)] for start in ("30,", "60,"))
    assert [line.partition(",")[2] for line in first] != [line.partition(",")[2] for line in second]
    assert all(len(line.rsplit(".", 1)[1]) == 4 for line in lines[1:])


def test_no_replicates_leave_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, lines = run(monkeypatch, tmp_path, drawn_set(0), "faster_rcnn", "--replicate-count", "0")
    assert metrics["testing"] == "single_scale"
    assert [list(checkpoint["metrics"]) for checkpoint in metrics["checkpoints"]] == [["bbox"]] * 2
    assert lines == ["iteration,replicate,iou_type,metric,value"]


def test_the_command_scores_voc_by_its_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "voc"
    content = voc_set(folder, 0)
    metrics, lines = run(monkeypatch, tmp_path, content, "faster_rcnn", "--voc", str(folder), "val")
    for checkpoint in metrics["checkpoints"]:
        files = tmp_path / "annotations.json", tmp_path / f"detections/{checkpoint['iteration']}.json"
        assert checkpoint["metrics"] == voc_metrics.evaluate_voc(*files, folder, "val")
    assert {line.rsplit(",", 1)[0].split(",", 2)[2] for line in lines[1:]} == {"bbox,AP50"}
