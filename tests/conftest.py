"""Fixtures that several test modules share."""

from pathlib import Path
from typing import Any

import pytest

import workflow_scripts.models  # noqa: F401 - makes detectron2 importable in every test module


@pytest.fixture
def real_data(tmp_path: Path) -> dict[str, Any]:
    """The `datasets` of a config whose files and folders exist, and are empty."""

    def path(name: str, folder: bool = False) -> str:
        found = tmp_path / "data" / name
        found.parent.mkdir(parents=True, exist_ok=True)
        if folder:
            found.mkdir()
        else:
            found.touch()
        return str(found)

    return {
        "coco": {
            "train": {
                "annotations": path("instances_train2017.json"),
                "images": path("train2017", folder=True),
            },
            "val": {"annotations": path("instances_val2017.json"), "images": path("val2017", folder=True)},
        },
        "classification": {
            "train": path("imagenet_train", folder=True),
            "val": path("imagenet_val", folder=True),
        },
    }


@pytest.fixture
def complete_data(real_data: dict[str, Any]) -> dict[str, Any]:
    """`real_data` with all that any experiment asks for."""
    coco, folder = real_data["coco"], real_data["classification"]["train"]
    keypoints = {split: coco[split]["annotations"] for split in ("train", "val")}
    part = {"folder": folder, "split": "train"}
    return real_data | {"coco": coco | {"keypoints": keypoints}, "voc": {"train": [part], "val": part}}
