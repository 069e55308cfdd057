"""Fixtures that several test modules share, and the leaving out of tests that cannot run on this machine."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import workflow_scripts.models  # noqa: F401 - makes detectron2 importable in every test module
from tests import system

# What was drawn once is drawn again, however slow the machine: a test says the same of the same code each time. Whoever
# looks for more draws anew, with --hypothesis-profile=hunt.
settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("hunt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")

LEFT_OUT = pytest.StashKey[dict[str, list[str]]]()
"""The names of tests, by what they need and why it is missing."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = {}


@pytest.hookimpl(trylast=True)  # of those that -m and -k have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need what this machine lacks; on CI they stay, and fail."""
    if system.on_ci():
        return
    unmet = {f"needs_{name}": reason for name, need in system.NEEDS.items() if (reason := need.unmet())}
    for marker, reason in unmet.items():
        left_out = [item for item in items if item.get_closest_marker(marker)]
        if left_out:
            config.stash[LEFT_OUT][reason] = [item.nodeid for item in left_out]
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With several processes, each knows all tests, and the one that reports knows what they tell it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[LEFT_OUT].update(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[LEFT_OUT]:
        terminalreporter.section("left out")
    for reason, names in config.stash[LEFT_OUT].items():
        terminalreporter.write_line(f"These tests need {reason}")
        for name in names:
            terminalreporter.write_line(f"  {name}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB: room for one state of a tiny training and what is written beside it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


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


@pytest.fixture
def given_data(complete_data: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """`complete_data` with files of keypoints of their own."""
    keypoints = {split: str(tmp_path / f"keypoints_{split}.json") for split in ("train", "val")}
    for path in keypoints.values():
        Path(path).touch()
    return complete_data | {"coco": complete_data["coco"] | {"keypoints": keypoints}}
