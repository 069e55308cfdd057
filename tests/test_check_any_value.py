"""Any JSON at any place of a good annotation file: it is refused with one message, or trained and evaluated on."""

import contextlib
import copy
import io
import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools import mask as masks

from tests.checked import HEIGHT, WIDTH, Dataset, Json, box_as
from tests.training import tiny_recipe
from workflow_scripts.data import coco
from workflow_scripts.data.check import __main__ as check
from workflow_scripts.data.check import fit, repair
from workflow_scripts.errors import UserError
from workflow_scripts.evaluation.coco_metrics import evaluate
from workflow_scripts.evaluation.evaluate import IOU_TYPES
from workflow_scripts.training.examples import detection_examples

Place = tuple[str | int, ...]

RECIPES = {
    "": tiny_recipe().model_copy(update={"detector": "faster_rcnn"}),
    "masks": tiny_recipe(),
    "keypoints": tiny_recipe(experiment="fig6"),
}
"""What is trained, by what the check is told that it needs."""
ODD = [-1, 0, 1, 3, 101, 2**53, 2**53 + 1, 2**63, 2**70, 0.5, 1e8, 1e300]
ODD += ["", ".", "..", "/", "a\0b", "\ud800", "x" * 300, "train2.png", "../train/train1.png"]
NUMBER = st.integers() | st.floats(
    allow_subnormal=False
)  # which tests of trainings turn off in their processes
LEAF = st.none() | st.booleans() | NUMBER | st.text(max_size=6) | st.sampled_from(ODD)
VALUE = st.recursive(
    LEAF,
    lambda value: st.lists(value, max_size=4) | st.dictionaries(st.text(max_size=4), value, max_size=3),
    max_leaves=6,
)


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """The way to each value of a JSON value; of long lists, to the first nine."""
    yield here
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for name, each in inner:
            if not isinstance(name, int) or name < 9:
                yield from places(each, (*here, name))


def changed(content: Json, place: Place, value: Any, gone: bool) -> Any:
    """A copy with another value at a place, or without what is there."""
    if not place:
        return value
    content = copy.deepcopy(content)
    at: Any = content
    for name in place[:-1]:
        at = at[name]
    if gone:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    return content


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return Dataset(tmp_path_factory.mktemp("any"))


@pytest.mark.parametrize("split", ["train", "val"])
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(data=st.data(), value=VALUE, gone=st.booleans(), need=st.sampled_from(sorted(RECIPES)))
def test_what_the_check_accepts_can_be_trained_and_evaluated_on(
    dataset: Dataset, split: str, data: st.DataObject, value: Any, gone: bool, need: str
) -> None:
    good = getattr(dataset, split)
    place = data.draw(st.sampled_from(list(places(good))))
    for name in ("train", "val"):
        content = changed(good, place, value, gone) if name == split else getattr(dataset, name)
        (dataset.folder / f"{name}.json").write_text(json.dumps(content))
    if accepted(dataset, need):
        train_on(dataset, need)
        evaluate_on(dataset, need)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data(), value=VALUE, gone=st.booleans(), fractions=st.booleans())
def test_repair_writes_a_file_that_can_be_read_or_refuses(
    dataset: Dataset, data: st.DataObject, value: Any, gone: bool, fractions: bool
) -> None:
    good = copy.deepcopy(dataset.train)
    if fractions:
        for entry in good["annotations"]:
            entry["bbox"] = box_as("fractions", entry["bbox"])
    place = data.draw(st.sampled_from(list(places(good))))
    given_file, output = dataset.folder / "given.json", dataset.folder / "repaired.json"
    given_file.write_text(json.dumps(changed(good, place, value, gone)))
    output.unlink(missing_ok=True)
    words = ["repair", "--annotations", str(given_file), "--output", str(output)]
    with mock.patch("sys.argv", words), contextlib.redirect_stdout(io.StringIO()):
        try:
            repair.main()
        except UserError as error:
            assert str(error).startswith(str(given_file)) and "xpected" in str(error)
            assert not output.exists()
        else:
            coco.read(output)


def accepted(dataset: Dataset, need: str) -> bool:
    """Whether the check accepts a data set; it says why not, and writes nothing then."""
    (dataset.folder / "check.json").unlink(missing_ok=True)
    words = ["check", *dataset.arguments([need] if need else [])]
    with mock.patch("sys.argv", words), contextlib.redirect_stdout(io.StringIO()):
        try:
            check.main()
        except UserError as error:
            assert str(error).startswith(str(dataset.folder)) and "xpected" in str(error)
            assert not (dataset.folder / "check.json").exists()
            return False
    return True


def train_on(dataset: Dataset, need: str) -> None:
    """Read all that a training would, with the targets of its heads."""
    file = dataset.folder / "train.json"
    fit.read_boxes(fit.coco.read(file))
    examples = detection_examples(RECIPES[need], file, dataset.folder / "train")
    for number in range(len(examples)):
        objects = examples[0, 0, number]["instances"]
        boxes = objects.gt_boxes.tensor
        assert len(boxes) and boxes.isfinite().all() and (objects.gt_boxes.area() > 0).all()
        if need == "masks":
            assert len(objects.gt_masks.crop_and_resize(boxes, 14)) == len(boxes)
        if need == "keypoints":
            objects.gt_keypoints.to_heatmap(boxes, 14)


def evaluate_on(dataset: Dataset, need: str) -> None:
    """Score one detection of each category in each image."""
    content = json.loads((dataset.folder / "val.json").read_text())
    mask = masks.encode(np.asfortranarray(np.ones((HEIGHT, WIDTH), np.uint8)))
    shape = {"bbox": [5, 4, 20, 11], "keypoints": [6, 5, 1] * 17}
    shape["segmentation"] = mask | {"counts": mask["counts"].decode()}
    found = [
        {"image_id": image["id"], "category_id": category["id"], "score": 0.5, **shape}
        for image in content["images"]
        for category in content["categories"]
    ]
    (dataset.folder / "found.json").write_text(json.dumps(found))
    metrics = evaluate(
        dataset.folder / "val.json", dataset.folder / "found.json", IOU_TYPES[RECIPES[need].detector]
    )
    assert all(values["AP"] is not None for values in metrics.values())
