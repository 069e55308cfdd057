"""Advice from data to answer, through the rules, on a small set of real shape without pictures to pre-train on.

Trainings tell what they were told, and detections are planted, each checkpoint's with an AP of its own.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from tests.chain.data import TRAIN_IMAGES
from tests.chain.study import ChainStudy, ran, read
from tests.checkout import trained

STANDINS = ("training/train", "training/backbone", "evaluation/detect")
SEEDS = [3, 5]
LENGTHS = {"half": 16, "all": 24}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainStudy]:
    asked = {"experiments": ["advise"], "advice": {"minutes": 2.5, "seeds": SEEDS}}
    with ran(tmp_path_factory.mktemp("advice"), STANDINS, besides="classification", **asked) as found:
        yield found


def test_each_number_is_the_mean_of_its_seeds(study: ChainStudy) -> None:
    """Read from the metrics of each training by the names of its folders."""
    sizes = read(study.results / "advice/advice.json")["sizes"]
    assert [size["images"] for size in sizes] == [TRAIN_IMAGES // 2, TRAIN_IMAGES]
    for size, (share, length) in zip(sizes, LENGTHS.items(), strict=True):
        subset = "" if share == "all" else f"-{share}"
        for name in ("random", "pretrained"):
            assert size[name]["lengths"] == [length // 2, length]
            for end, iterations in zip(size[name]["ends"], size[name]["lengths"], strict=True):
                folders = [f"coco{subset}-R50_GN-{name}-seed{seed}" for seed in SEEDS]
                files = [
                    next((study.results / "evaluation" / each).glob(f"tail-0-*-{iterations}/*/metrics.json"))
                    for each in folders
                ]
                values = [read(file)["checkpoints"][-1]["metrics"]["bbox"]["AP"] for file in files]
                assert end["value"] == pytest.approx(np.mean(values))


def test_shares_are_nested_and_their_manifests_count_them(study: ChainStudy) -> None:
    data = study.results / "data"
    shares = {
        name: {image["id"] for image in read(data / f"shares-coco/instances_{name}.json")["images"]}
        for name in ("half", "quarter")
    }
    assert shares["quarter"] < shares["half"]
    assert (
        read(data / "shares-coco/manifest_half.json")["image_count"]
        == len(shares["half"])
        == TRAIN_IMAGES // 2
    )


def test_the_classifier_learns_the_objects_of_the_data(study: ChainStudy) -> None:
    counts = read(study.results / "data/crops.json")["train"]
    assert {name.partition("-")[0] for name in counts} == {"category", "background"}
    hashed = pd.read_csv(study.results / "data/images-classification-train.csv")
    assert len(hashed) == sum(counts.values())
    assert not (study.results / "world").exists()


def test_the_page_says_what_was_done_and_the_terminal_the_answer(study: ChainStudy) -> None:
    page = (study.results / "advise.html").read_text()
    assert "No answer: at the scale smoke" in page
    assert "objects of the training images themselves" in page
    assert "24 on all images, 16 on a half" in page


def test_the_classifier_is_trained_first(study: ChainStudy) -> None:
    """On two cores: one of them trains a detector until it can be; others may have been trained before its pictures."""
    before, _, after = study.told.partition("Training classification-R50_GN")
    before = before.rpartition("Hashing the images of classification-train")[2]
    assert before.count("Training coco-") <= 3 and after.count("Training coco-") >= 10


def test_nothing_is_done_twice(study: ChainStudy) -> None:
    assert study.checkout.jobs("advise") == {}


def test_costs_are_tried_on_all_images_and_on_the_classifiers(study: ChainStudy) -> None:
    """What they read is there; where nothing is, it is what those trainings wait for, and none of them."""
    assert study.checkout.jobs("costs") == {"costs": {"costs.yaml"}}
    jobs = study.checkout.jobs("costs", results="elsewhere")
    assert sorted(jobs["recipe"]) == [
        f"recipes/{name}.json" for name in ("classification-R50_GN", "coco-R50_GN-random-seed3")
    ]
    assert {"check_data", "check_models", "crops", "images"} <= jobs.keys()
    assert not {"train", "subsets", "shares"} & jobs.keys()


def test_one_more_seed_trains_nothing_of_the_others(study: ChainStudy) -> None:
    jobs = study.checkout.jobs("advise", advice={"minutes": 3.5, "seeds": [*SEEDS, 9]})
    assert {path.split("/")[1] for path in trained(jobs)} == {
        f"coco{subset}-R50_GN-{name}-seed9" for subset in ("", "-half") for name in ("random", "pretrained")
    }
