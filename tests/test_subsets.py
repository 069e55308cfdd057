"""Nested subsets of a COCO annotation file."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO

from workflow_scripts.data import subsets
from workflow_scripts.errors import UserError

SIZES = {"tiny": 3, "small": 10, "large": 25, "whole": None}


def dataset() -> dict[str, Any]:
    """40 images, every fourth without annotations, in no order; odd spacing is added by the fixture."""
    image_ids = [(17 * k) % 41 + 100 for k in range(1, 41)]
    annotated = [image_id for image_id in image_ids if image_id % 4]
    return {
        "info": {"year": 2017},
        "licenses": [{"id": 1, "name": "free é"}],
        "images": [
            {"file_name": f"{i}.jpg", "height": 4, "width": 6, "license": 1, "id": i} for i in image_ids
        ],
        "annotations": [
            {
                "segmentation": [[1.5, 2.25, 3e0, 4, 5.125, 6 + k]],
                "area": 0.1 * k,
                "iscrowd": 0,
                "image_id": annotated[7 * k % len(annotated)],
                "bbox": [1, 2, 3.50, 4],
                "category_id": 1 + k % 2,
                "id": 1000 - k,
            }
            for k in range(90)
        ],
        "categories": [{"id": 1, "name": "cat", "keypoints": ["nose"]}, {"id": 2, "name": "dog"}],
    }


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps(dataset(), separators=(" ,", ":\n"), ensure_ascii=False))
    return path


def draw(
    annotations: Path, folder: str = "drawn", seed: int = 0, **options: Any
) -> dict[str, dict[str, Any]]:
    """The parsed annotation file of each subset of SIZES."""
    output_dir = annotations.parent / folder
    subsets.write_subsets(annotations, SIZES, seed, output_dir, **options)
    return {name: json.loads((output_dir / f"instances_{name}.json").read_text()) for name in SIZES}


def image_ids(content: dict[str, Any]) -> set[int]:
    return {image["id"] for image in content["images"]}


def write_validation_file(annotations: Path, ids: list[int]) -> Path:
    path = annotations.parent / "instances_val.json"
    path.write_text(json.dumps({"images": [{"id": image_id} for image_id in ids], "annotations": []}))
    return path


def test_subsets_are_nested_and_of_the_sizes_asked_for(annotations: Path) -> None:
    drawn = draw(annotations)
    assert [len(content["images"]) for content in drawn.values()] == [3, 10, 25, 40]
    assert image_ids(drawn["tiny"]) < image_ids(drawn["small"]) < image_ids(drawn["large"])
    assert image_ids(drawn["large"]) < image_ids(drawn["whole"]) == image_ids(dataset())


def test_entries_are_those_of_the_original_in_its_order(annotations: Path) -> None:
    original = dataset()
    for content in draw(annotations).values():
        kept = image_ids(content)
        assert content == {
            **original,
            "images": [image for image in original["images"] if image["id"] in kept],
            "annotations": [entry for entry in original["annotations"] if entry["image_id"] in kept],
        }


def test_kept_entries_keep_their_bytes(annotations: Path) -> None:
    draw(annotations)
    original = annotations.read_bytes()
    written = (annotations.parent / "drawn" / "instances_tiny.json").read_bytes()
    entries = written[written.index(b'"annotations": [') + 16 : written.index(b'], "categories"')]
    assert entries.count(b"segmentation") > 1
    assert all(entry.strip(b"{} ,") in original for entry in entries.split(b"}, {"))


def test_pycocotools_loads_every_subset(annotations: Path) -> None:
    draw(annotations)
    for name, size in SIZES.items():
        loaded = COCO(annotations.parent / "drawn" / f"instances_{name}.json")
        assert len(loaded.getImgIds()) == (size or 40)
        assert set(loaded.imgToAnns) <= set(loaded.getImgIds())


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_images(annotations: Path) -> None:
    drawn, _, other = draw(annotations), draw(annotations, "again"), draw(annotations, "other", seed=1)
    for path in (annotations.parent / "drawn").iterdir():
        assert path.read_bytes() == (annotations.parent / "again" / path.name).read_bytes()
    assert image_ids(other["large"]) != image_ids(drawn["large"])


def test_the_choice_depends_on_the_ids_alone(annotations: Path) -> None:
    before = draw(annotations)
    content = dataset()
    content["images"].reverse()
    annotations.write_text(json.dumps(content))
    after = draw(annotations, "reversed")
    assert all(image_ids(after[name]) == image_ids(before[name]) for name in SIZES)


def test_the_order_never_changes() -> None:
    """Another order would silently change every subset of the study."""
    assert subsets.seeded_order(range(10), 0) == [1, 0, 4, 3, 5, 2, 8, 9, 7, 6]


def test_within_draws_all_subsets_from_the_shared_images(annotations: Path) -> None:
    shared = sorted(image_ids(dataset()))[5:35]
    drawn = draw(annotations, within=write_validation_file(annotations, [*shared, 9001, 9002]))
    assert image_ids(drawn["whole"]) == set(shared)
    assert image_ids(drawn["tiny"]) < image_ids(drawn["large"]) < set(shared)


def test_the_manifest_describes_the_file_and_its_origin(annotations: Path) -> None:
    draw(annotations, seed=4)
    within = write_validation_file(annotations, sorted(image_ids(dataset()))[:25])
    draw(annotations, "within", within=within)
    written = json.loads((annotations.parent / "drawn" / "manifest_small.json").read_text())
    path = annotations.parent / "drawn" / "instances_small.json"
    content = json.loads(path.read_text())
    assert written["file"] == "instances_small.json"
    assert written["sha256"] == subsets.sha256(path)
    assert written["image_count"] == len(content["images"])
    assert written["annotation_count"] == len(content["annotations"])
    assert written["seed"] == 4
    assert written["source"] == {"file": annotations.name, "sha256": subsets.sha256(annotations)}
    assert written["within"] is None
    written = json.loads((annotations.parent / "within" / "manifest_small.json").read_text())
    assert written["within"] == {"file": "instances_val.json", "sha256": subsets.sha256(within)}


def test_a_file_without_info_and_licenses_is_enough(annotations: Path) -> None:
    content = dataset()
    del content["info"], content["licenses"]
    annotations.write_text(json.dumps(content))
    assert set(draw(annotations)["small"]) == {"images", "annotations", "categories"}


def test_the_command_writes_what_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, annotations: Path) -> None:
    output_dir = annotations.parent / "drawn"
    arguments = ["--annotations", annotations, "--subsets", "3.5k=35", "all=all", "--seed", 0]
    monkeypatch.setattr(sys, "argv", ["subsets", *map(str, arguments), "--output-dir", str(output_dir)])
    subsets.main()
    assert sorted(path.name for path in output_dir.iterdir()) == [
        "instances_3.5k.json",
        "instances_all.json",
        "manifest_3.5k.json",
        "manifest_all.json",
    ]


def test_nothing_is_written_for_a_size_above_the_images_there_are(annotations: Path) -> None:
    within = write_validation_file(annotations, sorted(image_ids(dataset()))[:20])
    with pytest.raises(UserError, match=r"Subset large: 25 images wanted, but .* within .* has 20"):
        draw(annotations, within=within)
    with pytest.raises(UserError, match=r"Subset much: 41 images wanted, but .*instances_train.json has 40"):
        subsets.write_subsets(annotations, {"few": 2, "much": 41}, 0, annotations.parent / "drawn")
    assert not (annotations.parent / "drawn").exists()


def test_within_a_file_of_other_images_is_refused(annotations: Path) -> None:
    with pytest.raises(UserError, match=r"None of the 40 images of .* is among the 1 of .*instances_val"):
        draw(annotations, within=write_validation_file(annotations, [9001]))
    with pytest.raises(UserError, match=r"nothing.json: no such file"):
        draw(annotations, within=annotations.parent / "nothing.json")


def test_the_source_is_never_overwritten(annotations: Path) -> None:
    before = annotations.read_bytes()
    with pytest.raises(UserError, match=r"Subset train would overwrite .*instances_train.json"):
        subsets.write_subsets(annotations, {"few": 2, "train": 2}, 0, annotations.parent)
    assert annotations.read_bytes() == before
    assert list(annotations.parent.iterdir()) == [annotations]


def test_a_failed_write_leaves_no_part_of_a_file(monkeypatch: pytest.MonkeyPatch, annotations: Path) -> None:
    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        draw(annotations)
    assert list((annotations.parent / "drawn").iterdir()) == []


@pytest.mark.parametrize("text", ["1k", "1k=", "=3", "1k=0", "1k=-1", "1k=1.5", "a/b=3", "1k=none"])
def test_sizes_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--subsets .*: expected NAME=IMAGES"):
        subsets.parse_sizes([text])


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match="1k is given twice"):
        subsets.parse_sizes(["1k=1000", "1k=2000"])


def test_the_command_draws_the_sizes_from_the_seed_within_the_other_file(
    annotations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = write_validation_file(annotations, list(range(105, 130)))
    options = ["--subsets", "2k=2", "all=all", "--seed", "7", "--within", str(within)]
    folder = annotations.parent / "drawn"
    words = ["--annotations", str(annotations), *options, "--output-dir", str(folder)]
    monkeypatch.setattr(sys, "argv", ["subsets", *words])
    subsets.main()

    subsets.write_subsets(annotations, {"2k": 2, "all": None}, 7, annotations.parent / "expected", within)
    for name, size in (("2k", 2), ("all", 25)):
        drawn, expected = (
            annotations.parent / place / f"instances_{name}.json" for place in ("drawn", "expected")
        )
        assert drawn.read_bytes() == expected.read_bytes()
        ids = image_ids(json.loads(drawn.read_text()))
        assert len(ids) == size and ids <= set(range(105, 130))
        assert json.loads((folder / f"manifest_{name}.json").read_text())["seed"] == 7


def test_a_name_holds_letters_of_ascii() -> None:
    with pytest.raises(UserError, match="expected NAME=IMAGES"):
        subsets.parse_sizes(["é=3"])
