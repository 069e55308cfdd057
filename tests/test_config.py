"""A wrong configuration: one message, which names the file and the field, what was found and what is expected."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_scripts.errors import UserError
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.configuration import config as config_module

ROOT = Path(__file__).parents[1]
GOOD = {"scale": "smoke", "experiments": ["fig1", "fig2", "table1", "table2"]}
WEIGHTS = {"source": "weights.pth", "sha256": "0" * 64}

# What is wrong, and what its message must say, in this order: file, field, found, expected.
WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown key": (
        {"seed": [0]},
        ["config.yaml: seed: unknown key", "expected one of: scale, experiments,", "seeds"],
    ),
    "unknown key within": (
        {"pretraining": {"fetch": {"R50_GN": WEIGHTS | {"md5": "0"}}}},
        ["config.yaml: pretraining.fetch.R50_GN.md5: unknown key", "source, sha256, layout, colours"],
    ),
    "unknown scale": (
        {"scale": "huge"},
        ["config.yaml: scale: found 'huge'", "expected one of: mini, paper, smoke"],
    ),
    "processes that machines cannot share": (
        {
            "numbers": {
                "training": {"processes": 3},
                "detection": {"batch": 3},
                "classification": {"batch": 9},
                "resources": {"train": {"nodes": 2}},
            }
        },
        ["training.processes: found 3, expected a multiple of resources.train.nodes (2)"],
    ),
    "GPUs that nothing would use": (
        {"numbers": {"resources": {"train": {"gpu": 2}}}},
        ["training.processes: found 1, expected one for each of the 2 GPUs of resources.train"],
    ),
    "batch that processes cannot share": (
        {"numbers": {"training": {"processes": 3}, "classification": {"batch": 9}}},
        ["detection.batch: found 2 images, expected a multiple of training.processes (3)"],
    ),
    "detectron2 setting that nothing reads": (
        {"numbers": {"detection": {"detectron2": {"SOLVER.BASE_LR": 1}}}},
        ["detection.detectron2: found SOLVER.BASE_LR", "expected keys of MODEL"],
    ),
    "subset without its number": (
        {"experiments": ["fig8"], "numbers": {"subsets": {"10k": 8}}},
        ["subsets: 1k is missing; add its number of images"],
    ),
    "short schedule of nothing": (
        {"numbers": {"short_schedules": {"1k-random": 0}}},
        ["short_schedules.1k-random", "found 0"],
    ),
    "unknown experiment": (
        {"experiments": ["fig1", "fig77"]},
        [
            "config.yaml: experiments: found fig77",
            "expected names from: fig1, fig2, fig3, fig4, fig5, fig6, fig7, fig7_left, fig7_middle, fig7_right, fig8",
        ],
    ),
    "no experiment": (
        {"experiments": []},
        ["config.yaml: experiments:", "expected at least one", "found []"],
    ),
    "experiment twice": (
        {"experiments": ["fig1", "fig1"]},
        ["config.yaml: experiments: listed twice: fig1", "found ['fig1', 'fig1']"],
    ),
    "unknown model": (
        {"models": ["R51_GN"]},
        ["config.yaml: models: found R51_GN", "expected names from: R50_GN"],
    ),
    "weights of an unknown model": (
        {"pretraining": {"fetch": {"R51_GN": WEIGHTS}}},
        ["config.yaml: pretraining.fetch: found R51_GN", "expected names from: R50_GN"],
    ),
    "schedule shorter than its tail": (
        {"schedules": ["2x", "0.5x"]},
        ["config.yaml: schedules: found '0.5x'", "not longer than the tail", "ask for a longer schedule"],
    ),
    "tail longer than an experiment's own schedule": (
        {"schedules": ["999x"], "numbers": {"schedule": {"tail": 500}}},
        ["scales/smoke.yaml with `numbers` of config.yaml: schedule: found '2x'", "shorten the tail"],
    ),
    "no schedule": (
        {"schedules": ["long"]},
        ["config.yaml: schedules: found 'long'", "expected a multiple such as 6x, or a number of iterations"],
    ),
    "endless schedule": (
        {"schedules": ["infx"]},
        ["config.yaml: schedules: found 'infx'", "expected a multiple"],
    ),
    "schedules not a list": (
        {"schedules": "2x"},
        ["config.yaml: schedules: Input should be a valid tuple", "found '2x'"],
    ),
    "seed twice": ({"seeds": [0, 1, 0]}, ["config.yaml: seeds: listed twice: 0", "found [0, 1, 0]"]),
    "seed no number": (
        {"seeds": ["a"]},
        ["config.yaml: seeds.0: Input should be a valid integer", "found 'a'"],
    ),
    "bad sha256": (
        {"pretraining": {"fetch": {"R50_GN": WEIGHTS | {"sha256": "abc"}}}},
        ["config.yaml: pretraining.fetch.R50_GN.sha256:", "expected 64 hexadecimal digits", "found 'abc'"],
    ),
    "unknown layout": (
        {"pretraining": {"fetch": {"R50_GN": WEIGHTS | {"layout": "caffe"}}}},
        [
            "config.yaml: pretraining.fetch.R50_GN.layout:",
            "'mmdetection', 'detectron2' or 'detectron'",
            "found 'caffe'",
        ],
    ),
    "colours that no network of the layout reads": (
        {"pretraining": {"fetch": {"R50_GN": WEIGHTS | {"layout": "detectron"}}}},
        ["config.yaml: pretraining.fetch.R50_GN: layout detectron with colours rgb", "expected bgr"],
    ),
    "weights of another architecture": (
        {"pretraining": {"fetch": {"R50_SyncBN": WEIGHTS | {"stride_in_1x1": True}}}},
        [
            "config.yaml: pretraining.fetch.R50_SyncBN.stride_in_1x1: found true",
            "expected false, as R50_SyncBN is built",
            "numbers: {backbones: {R50: {MODEL.RESNETS.STRIDE_IN_1X1: true}}}",
        ],
    ),
    "an architecture of other weights": (
        {
            "pretraining": {"fetch": {"R50_SyncBN": WEIGHTS}},
            "numbers": {"backbones": {"R50": {"MODEL.RESNETS.STRIDE_IN_1X1": True}}},
        },
        ["pretraining.fetch.R50_SyncBN.stride_in_1x1: found false", "expected true, as R50_SyncBN is built"],
    ),
    "no results folder": ({"results": ""}, ["config.yaml: results:", "at least 1 character", "found ''"]),
    "unknown number": (
        {"numbers": {"detection": {"learning_rate": 1}}},
        [
            "scales/smoke.yaml with `numbers` of config.yaml: detection.learning_rate: unknown key",
            "expected one of: image_sides, longest_side, base_lr",
        ],
    ),
    "number of a wrong type": (
        {"numbers": {"detection": {"batch": "many"}}},
        [
            "scales/smoke.yaml with `numbers`",
            "detection.batch: Input should be a valid integer",
            "found 'many'",
        ],
    ),
    "number out of range": (
        {"numbers": {"detection": {"base_lr": -1}}},
        ["scales/smoke.yaml with `numbers`", "detection.base_lr: Input should be greater than 0", "found -1"],
    ),
    "a number where a section belongs": (
        {"numbers": {"training": 5}},
        ["scales/smoke.yaml with `numbers`", "training: Input should be a valid dictionary", "found 5"],
    ),
    "nested tails": (
        {"numbers": {"schedule": {"second_tail": 400}}},
        ["scales/smoke.yaml with `numbers`", "schedule: second_tail (400) must be shorter than tail"],
    ),
    "saving between lines of metrics": (
        {"numbers": {"training": {"log_period": 20, "save_period": 30}}},
        ["scales/smoke.yaml with `numbers`", "training.save_period: found 30", "multiple of log_period (20)"],
    ),
    "unknown setting of the world": (
        {"numbers": {"world": {"colour": 1}}},
        [
            "scales/smoke.yaml with `numbers` of config.yaml: world.colour: unknown key",
            "expected one of: seed, image_size",
        ],
    ),
    "world too small to draw": (
        {"numbers": {"world": {"image_size": 4}}},
        ["scales/smoke.yaml with `numbers`", "world.image_size:", "greater than or equal to", "found 4"],
    ),
    "subset larger than the drawn world": (
        {"numbers": {"subsets": {"35k": 35_000}}},
        [
            "scales/smoke.yaml with `numbers`",
            "subsets.35k: found 35000",
            "expected at most",
            "world.train_images",
        ],
    ),
    "subset of nothing": (
        {"numbers": {"subsets": {"1k": 0}}},
        ["scales/smoke.yaml with `numbers`", "subsets.1k: Input should be greater than 0", "found 0"],
    ),
    "subset no file can be called": (
        {"numbers": {"subsets": {"1 k/": 1}}},
        ["scales/smoke.yaml with `numbers`", "subsets.1 k/.", "should match pattern", "found '1 k/'"],
    ),
}


def message(**changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        compile_study(GOOD | changes)
    return str(caught.value)


def assert_in_order(text: str, parts: list[str]) -> None:
    position = 0
    for part in parts:
        assert part in text[position:], f"{part!r} is missing after {text[:position]!r} in {text!r}"
        position = text.index(part, position)


@pytest.mark.parametrize(("changes", "parts"), WRONG.values(), ids=WRONG)
def test_wrong_config_is_one_clear_line(changes: dict[str, Any], parts: list[str]) -> None:
    found = message(**changes)
    assert "\n" not in found
    assert_in_order(found, parts)


@pytest.mark.parametrize("key", ["scale", "experiments"])
def test_missing_key(key: str) -> None:
    with pytest.raises(UserError, match=f"^config.yaml: {key}: missing; add it$"):
        compile_study({name: value for name, value in GOOD.items() if name != key})


def test_each_mistake_has_its_line() -> None:
    found = message(seeds=["a"], colour="red").splitlines()
    assert [line.split(": ")[1] for line in found] == ["seeds.0", "colour"]
    found = message(models=["R51_GN"], experiments=["fig77"]).splitlines()
    assert [line.split(": ")[1] for line in found] == ["experiments", "models"]


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("coco.train.annotations", "file"),
        ("coco.train.images", "folder"),
        ("coco.val.annotations", "file"),
        ("coco.val.images", "folder"),
        ("coco.val2014_annotations", "file"),
        ("classification.train", "folder"),
        ("classification.val", "folder"),
    ],
)
@pytest.mark.parametrize("found", ["nothing", "the other kind"])
def test_path_that_is_not_there(
    real_data: dict[str, Any], tmp_path: Path, field: str, kind: str, found: str
) -> None:
    path = tmp_path / "wrong"
    if found == "the other kind":
        path.mkdir() if kind == "file" else path.touch()
    *sections, last = field.split(".")
    section = real_data
    for name in sections:
        section = section[name]
    section[last] = str(path)
    assert message(scale="paper", datasets=real_data) == (
        f"config.yaml: datasets.{field}: found {str(path)!r}, expected a {kind} that exists; correct the path"
    )


def test_paper_without_data_says_which_it_needs(real_data: dict[str, Any]) -> None:
    both = message(scale="paper").splitlines()
    assert [line.split(": ")[1:3] for line in both] == [
        ["datasets.coco", "missing; scale paper trains on real data"],
        ["datasets.classification", "missing; scale paper pre-trains R50_GN on real data"],
    ]
    without_classes = {"coco": real_data["coco"]}
    assert message(scale="paper", datasets=without_classes) == both[1]


def test_unfinished_data_set(real_data: dict[str, Any]) -> None:
    del real_data["coco"]["val"]["images"]
    assert message(datasets=real_data) == "config.yaml: datasets.coco.val.images: missing; add it"


def test_subsets_of_real_data_are_not_measured_against_the_world(real_data: dict[str, Any]) -> None:
    assert compile_study(GOOD | {"datasets": real_data, "numbers": {"subsets": {"35k": 35_000}}})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("schedule: {", ["scales/own.yaml: expected YAML", "line 1"]),
        ("", ["scales/own.yaml: found None, expected the keys of the other scales"]),
        ("- 1", ["scales/own.yaml: found [1], expected the keys of the other scales"]),
    ],
)
def test_scale_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, parts: list[str]
) -> None:
    (tmp_path / "own.yaml").write_text(text)
    monkeypatch.setattr(config_module, "SCALES", tmp_path)
    assert_in_order(message(scale="own"), parts)


def test_scale_without_a_backbone_that_the_models_need(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    numbers = yaml.safe_load((ROOT / "scales" / "smoke.yaml").read_text())
    numbers["backbones"] = {"R18": numbers["backbones"]["R50"]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(numbers))
    monkeypatch.setattr(config_module, "SCALES", tmp_path)
    assert_in_order(
        message(scale="own"),
        ["scales/own.yaml: backbones: found R18", "expected R50 among them for model R50_GN", "add its"],
    )


AS_A_USER = {name: WRONG[name] for name in ("unknown key", "no schedule", "unknown setting of the world")}


@pytest.mark.parametrize(("changes", "parts"), AS_A_USER.values(), ids=AS_A_USER)
def test_message_reaches_the_user_without_a_traceback(
    tmp_path: Path, changes: dict[str, Any], parts: list[str]
) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(GOOD | changes))
    found = dry_run(tmp_path)
    assert found.returncode != 0
    output = found.stdout + found.stderr
    assert_in_order(output, parts)
    assert "Traceback" not in output
    assert "workflow_scripts/" not in output


def test_shipped_config_is_right(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.yaml", tmp_path)
    found = dry_run(tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_mistake_is_told_once_however_quiet_snakemake_is(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(GOOD | {"scale": "huge"}))
    for options in (["--quiet", "all"], ["--quiet", "rules"], ["--quiet", "all", "--dry-run"]):
        found = snakemake(tmp_path, "plan", "--cores", "1", *options)
        assert found.returncode == 1
        assert (found.stdout + found.stderr).count("config.yaml: scale: found 'huge'") == 1


def dry_run(folder: Path) -> subprocess.CompletedProcess[str]:
    """`snakemake -n` with the config.yaml of `folder`."""
    return snakemake(folder, "--dry-run", "--quiet")


def snakemake(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A call with the config.yaml of `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
