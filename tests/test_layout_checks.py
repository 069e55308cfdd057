"""What is checked before any training, and what waits for it."""

from typing import Any

from tests.smoke_layout import (
    DATA,
    DRAWN,
    EXPERIMENTS,
    PRETRAINED,
    RANDOM,
    VOC,
    WORLD,
    layout,
    raw,
)


def test_what_is_told_of_a_data_set_to_check() -> None:
    scenes = {
        "train_images": f"{WORLD}/coco/train",
        "val_images": f"{WORLD}/coco/val",
        "train_annotations": f"{WORLD}/coco/annotations/instances_train.json",
        "val_annotations": f"{WORLD}/coco/annotations/instances_val.json",
    }
    people = {name: path.replace("instances", "person_keypoints") for name, path in scenes.items()}
    voc = {
        "train_images": f"{WORLD}/voc",
        "val_images": f"{WORLD}/voc/VOC2012",
        "train_annotations": f"{DATA}/voc/train.json",
        "val_annotations": f"{DATA}/voc/val.json",
    }
    pictures = {split: f"{WORLD}/classification/{split}" for split in ("train", "val")}
    assert DRAWN.checked_options("coco") == scenes | {"needs": ["masks"]}
    assert DRAWN.checked_options("keypoints") == people | {"needs": ["keypoints"]}
    assert DRAWN.checked_options("voc") == voc | {"needs": []}
    assert DRAWN.checked_options("classification") == pictures


def test_what_is_there_before_a_check(given_data: dict[str, Any]) -> None:
    world = {"world": f"{WORLD}/manifest.json"}
    assert DRAWN.checked_inputs("classification") == world
    assert DRAWN.checked_inputs("keypoints") == world | {
        f"{split}_annotations": f"{WORLD}/coco/annotations/person_keypoints_{split}.json"
        for split in ("train", "val")
    }
    real = layout(datasets=given_data)
    assert real.checked_inputs("classification") == {}
    assert real.checked_inputs("coco") == {
        f"{split}_annotations": raw(given_data["coco"][split]["annotations"]) for split in ("train", "val")
    }
    assert real.checked_inputs("voc") == {
        f"{split}_annotations": f"{DATA}/voc/{split}.json" for split in ("train", "val")
    }


def test_a_report_is_of_the_paths_that_were_checked(given_data: dict[str, Any]) -> None:
    real = layout(datasets=given_data)
    mine = {
        each.check_of("coco", each.check) for each in (DRAWN, real, layout(seeds=[0, 1], schedules=["3x"]))
    }
    assert len(mine) == 2
    assert all(path.startswith(f"{DATA}/check-coco-") and path.startswith(DRAWN.checks) for path in mine)
    text = DRAWN.check_of("coco", DRAWN.check_text)
    assert text == DRAWN.check_of("coco", DRAWN.check).removesuffix(".json") + ".txt"


def test_detectors_wait_for_the_check_of_their_data_and_pretraining_for_all_that_is_given(
    given_data: dict[str, Any],
) -> None:
    coco, voc, classes = (DRAWN.check_of(name, DRAWN.check) for name in ("coco", "voc", "classification"))
    models = DRAWN.models_of(DRAWN.models_check)
    assert DRAWN.checks_before(RANDOM) == DRAWN.checks_before(PRETRAINED) == [coco, models]
    assert DRAWN.checks_before(VOC) == [voc, models]
    assert DRAWN.checks_before("classification-R50_GN") == [classes, models]
    assert layout("fig1").asked_checks("{checked}") == ["classification", "coco"]

    def waits(*names: str) -> list[str]:
        datasets = {name: given_data[name] for name in names}
        real = layout(*EXPERIMENTS, *(["fig6"] if "coco" in names else []), datasets=datasets)
        found = real.checks_before("classification-R50_GN")
        sets = {
            real.check_of(name, real.check): name for name in ("coco", "keypoints", "voc", "classification")
        }
        return [sets[path] for path in found[:-1]]

    assert waits("coco", "voc", "classification") == [
        *("classification", "coco", "voc", "keypoints"),
    ]
    assert waits("voc") == ["classification", "voc"], "what pictures there are is cut out of the given ones"


def test_each_model_is_tried_once_and_anew_where_its_settings_change() -> None:
    def tried(*experiments: str, **changes: Any) -> tuple[list[tuple[str, str]], str]:
        found = layout(*experiments, **changes)
        recipes = found.tried_models.values()
        return sorted((each.detector, each.model) for each in recipes), found.models_of(found.models_check)

    usual = tried("fig1")
    both = [("mask_rcnn", "R50_GN")] * 2  # with and without frozen layers
    assert usual[0] == [("classifier", "R50_GN"), *both]
    assert tried("fig1", seeds=[3, 4], schedules=["3x"]) == usual
    assert tried("fig1", numbers={"detection": {"base_lr": 0.5, "batch": 2}}) == usual
    assert tried("fig1", numbers={"detection": {"freeze_at": 0}})[0] == [("classifier", "R50_GN"), both[0]]
    other = tried("fig1", numbers={"detection": {"detectron2": {"MODEL.RPN.NMS_THRESH": 0.5}}})
    assert other[0] == usual[0] and other[1] != usual[1]
    cascades = tried("fig5")[0]
    assert {detector for detector, _ in cascades} == {"classifier", "mask_rcnn", "cascade_mask_rcnn"}


def test_numbers_of_images_to_draw_are_checked_where_a_subset_is_asked_for(
    given_data: dict[str, Any],
) -> None:
    """Shares of the data always fit; the world's numbers are compared when the configuration is read."""
    numbers = {"subsets": {"35k": 30, "10k": 9, "3.5k": 8, "1k": 3}}

    def drawn(*experiments: str, **changes: Any) -> Any:
        options = layout(*experiments, **changes).checked_options("coco")
        return options.get("subsets"), options.get("within")

    assert drawn("fig8", datasets=given_data, numbers=numbers)[0] == ["35k=30", "10k=9", "3.5k=8", "1k=3"]
    assert drawn("fig8", datasets=given_data) == (None, None)
    assert drawn("fig1", datasets=given_data, numbers=numbers) == (None, None)
    assert drawn("fig8") == (None, None)
    given_data["coco"]["val2014_annotations"] = given_data["coco"]["val"]["annotations"]
    expected = (["10k=9", "3.5k=8", "1k=3"], given_data["coco"]["val"]["annotations"])
    assert drawn("fig8", datasets=given_data, numbers=numbers) == expected
