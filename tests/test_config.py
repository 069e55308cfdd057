"""A wrong configuration: one message, which names the file and the field, what was found and what is expected."""

import shutil
import subprocess
import sys
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_scripts.errors import UserError
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.configuration import config as config_module

ROOT = Path(__file__).parents[1]
GOOD = {"scale": "smoke", "experiments": ["fig1", "fig2", "table1", "table2"]}
WEIGHTS = {"source": "https://example.org/weights.pth", "sha256": "0" * 64}

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
        {"schedules": ["99x"], "numbers": {"schedule": {"tail": 500}}},
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
    "true for a number": (
        {"numbers": {"detection": {"base_lr": True}}},
        ["scales/smoke.yaml with `numbers`", "detection.base_lr: expected a number, not true", "found True"],
    ),
    "true for a seed": ({"seeds": [True]}, ["config.yaml: seeds.0: expected a number", "found True"]),
    "true for a cost": (
        {"numbers": {"costs": {"iteration": {"R50": False}}}},
        ["costs.iteration.R50: expected a number", "found False"],
    ),
    "true for a schedule": ({"schedules": [True]}, ["config.yaml: schedules.0:", "found True"]),
    "seed of the classifier": (
        {"seeds": [-1]},
        ["config.yaml: seeds.0: Input should be greater than or equal to 0", "found -1"],
    ),
    "seed that no generator takes": ({"subset_seed": 2**31}, ["config.yaml: subset_seed:", "less than"]),
    "seeds for a year": (
        {"seeds": list(range(10_000))},
        ["config.yaml: seeds: 10,000 of them", "expected 100 at most", "found [0, 1, 2", " ..."],
    ),
    "iterations of another scale": (
        {"schedules": [18000]},
        ["config.yaml: schedules: found '18000'", "expected 100x at most, which is 600 iterations"],
    ),
    "schedule without an end": (
        {"schedules": ["9" * 400]},
        ["config.yaml: schedules.0:", "at most 40 characters", "found '999", " ..."],
    ),
    "schedule in two spellings": (
        {"schedules": ["2x", "2.0x"]},
        ["config.yaml: schedules: listed twice: 2x", "found ['2x', '2.0x']"],
    ),
    "schedule in x and in iterations": (
        {"schedules": ["2x", 12]},
        ["config.yaml: schedules: found 2x and 12, which are both 12 iterations", "remove one"],
    ),
    "infinite rate": (
        {"numbers": {"detection": {"base_lr": float("inf")}}},
        ["detection.base_lr: Input should be a finite number", "found inf"],
    ),
    "infinite rate as text": (
        {"numbers": {"detection": {"base_lr": "inf"}}},
        ["detection.base_lr: Input should be a finite number", "found 'inf'"],
    ),
    "astronomic rate": (
        {"numbers": {"classification": {"base_lr": 1e30}}},
        ["classification.base_lr: Input should be less than or equal to", "found 1e+30"],
    ),
    "astronomic decay": (
        {"numbers": {"detection": {"weight_decay": 2}}},
        ["detection.weight_decay: Input should be less than or equal to 1", "found 2"],
    ),
    "astronomic images": (
        {"numbers": {"detection": {"image_sides": [64, 10**9]}}},
        ["detection.image_sides.1: Input should be less than or equal to 10000", "found 1000000000"],
    ),
    "sides that no image reaches": (
        {"numbers": {"detection": {"image_sides": [64, 128]}}},
        ["detection: longest_side (64) is shorter than a shorter side, 128 of image_sides"],
    ),
    "astronomic batch": (
        {"numbers": {"detection": {"batch": 10**9}}},
        ["detection.batch: Input should be less than or equal to 100000", "found 1000000000"],
    ),
    "astronomic replicates": (
        {"numbers": {"evaluation": {"replicates": 10**9}}},
        ["evaluation.replicates: Input should be less than or equal to 10000"],
    ),
    "astronomic workers": (
        {"numbers": {"training": {"workers": 10**6}}},
        ["training.workers: Input should be less than or equal to 256", "found 1000000"],
    ),
    "job without an end": (
        {"numbers": {"resources": {"train": {"runtime": 10**12}}}},
        ["resources.train.runtime: Input should be less than or equal to", "found 1000000000000"],
    ),
    "negative cost": (
        {"numbers": {"costs": {"cascade": -1}}},
        ["costs.cascade: Input should be greater than or equal to 0", "found -1"],
    ),
    "evaluations without number": (
        {"numbers": {"schedule": {"iterations_per_x": 10**8}, "evaluation": {"trunk_period": 1}}},
        [
            "scales/smoke.yaml with `numbers` of config.yaml: evaluation.trunk_period: 1 iterations make 100,000,000"
        ],
    ),
    "grid without an end": (
        {"numbers": {"search": {"base_lr": list(range(1, 300))}}},
        ["search: 598 combinations, each of which is a training; expected 200 at most"],
    ),
    "point of a grid twice": (
        {"numbers": {"search": {"base_lr": [1, 1.0]}}},
        ["search: base_lr: a value is listed twice"],
    ),
    "astronomic world": (
        {"numbers": {"world": {"image_size": 10**6}}},
        ["world.image_size: Input should be less than or equal to 4096", "found 1000000"],
    ),
    "subset called as the whole": (
        {"numbers": {"subsets": {"all": 4}}},
        ["subsets.all", "`all` is the whole training set"],
    ),
    "subset that leads out of its folder": (
        {"numbers": {"subsets": {"..": 4}}},
        ["subsets...", "should match pattern", "found '..'"],
    ),
    "scale by a path": (
        {"scale": "../scales/smoke"},
        ["config.yaml: scale: found '../scales/smoke'", "expected one of: mini, paper, smoke"],
    ),
    "not a mapping at all": (
        {"numbers": [1]},
        ["config.yaml: numbers: Input should be a valid dict", "found [1]"],
    ),
    "results in the working folder": (
        {"results": "."},
        ["config.yaml: results: found '.', the working folder", "expected a folder for results alone"],
    ),
    "results in the folder above": (
        {"results": ".."},
        ["config.yaml: results: found '..', the working folder"],
    ),
    "results at the root": ({"results": "/"}, ["config.yaml: results: found '/', the working folder"]),
    "results at home": (
        {"results": "~/x"},
        ["config.yaml: results: expected a path written out: nothing replaces ~", "found '~/x'"],
    ),
    "results with a line break": (
        {"results": "a\nb"},
        ["config.yaml: results: expected a path without line breaks", r"found 'a\nb'"],
    ),
    "results with a wildcard": (
        {"results": "runs/{x}"},
        ["config.yaml: results: expected a path without { and }", "found 'runs/{x}'"],
    ),
    "results in no file system": (
        {"results": "/proc/study"},
        [
            "config.yaml: results: found '/proc/study', where no files can be kept",
            "expected a folder on a disk",
        ],
    ),
    "results in a file": (
        {"results": f"{ROOT}/README.md/x"},
        ["config.yaml: results: found", f"but {ROOT}/README.md is a file", "expected a folder"],
    ),
    "results over-long": (
        {"results": "x" * 256},
        ["config.yaml: results: expected at most 1000 bytes, and 255 to a name", "found 'xxx", " ..."],
    ),
    "results over the workflow's code": (
        {"results": f"{ROOT}/rules/mine"},
        ["config.yaml: results: found", "rules/mine', a folder of the workflow itself", "for results alone"],
    ),
    "results over the repository": ({"results": f"{ROOT}/.git"}, [".git', a folder of the workflow itself"]),
    "results by a variable": (
        {"results": "$HOME/x"},
        [
            "config.yaml: results: expected a path written out: nothing replaces ~ or variables",
            "found '$HOME/x'",
        ],
    ),
    "results with a space at its end": (
        {"results": "results "},
        ["config.yaml: results: expected a path without spaces at its ends; found 'results '"],
    ),
    "results like an option": (
        {"results": "-x"},
        ["config.yaml: results: expected a path that no command takes for an option", "found '-x'"],
    ),
    "results on a server": (
        {"results": "s3://bucket/x"},
        ["config.yaml: results: expected a folder, not a URL; found 's3://bucket/x'"],
    ),
    "scale by another name": (
        {"numbers": {"name": "../../x"}},
        [
            "scales/smoke.yaml with `numbers` of config.yaml: name: unknown key",
            "called as its file: remove it",
        ],
    ),
    "schedules without number": (
        {"schedules": [f"{2 + each / 1000}x" for each in range(5000)]},
        ["config.yaml: schedules: ", "at most 50 items", "not 5000; found ['2.0x'", " ..."],
    ),
    "split by an impossible seed": (
        {
            "datasets": {
                "coco": {"annotations": "x", "images": "x", "validation": 0.2, "seed": 2**70},
            }
        },
        ["config.yaml: datasets.coco.seed: ", "less than 2147483648"],
    ),
    "true for minutes": ({"advice": {"minutes": True}}, ["config.yaml: advice.minutes: expected a number"]),
    "advice of one seed twice": (
        {"advice": {"seeds": [0, 0]}},
        ["config.yaml: advice.seeds: listed twice: 0; expected each once; found [0, 0]"],
    ),
    "annotations over-long": (
        {"datasets": {"coco": {"annotations": "x" * 5000, "images": "docs", "validation": 0.2}}},
        ["config.yaml: datasets.coco.annotations: found 'xxx", "expected a file that exists"],
    ),
    "weights over-long": (
        {"pretraining": {"fetch": {"R50_GN": WEIGHTS | {"source": "x" * 5000}}}},
        ["config.yaml: pretraining.fetch.R50_GN.source: found 'xxx", "expected a file that exists, or a URL"],
    ),
    "weights that are not there": (
        {"pretraining": {"fetch": {"R50_GN": WEIGHTS | {"source": "nowhere.pkl"}}}},
        [
            "config.yaml: pretraining.fetch.R50_GN.source: found 'nowhere.pkl'",
            "expected a file that exists, or a URL; correct the path",
        ],
    ),
    "weights from an impossible URL": (
        {"pretraining": {"fetch": {"R50_GN": WEIGHTS | {"source": "htp://example.org/x"}}}},
        [
            "pretraining.fetch.R50_GN.source: found 'htp://example.org/x'",
            "a URL that begins with http, https",
        ],
    ),
    **{
        f"weights from {source}": (
            {"pretraining": {"fetch": {"R50_GN": WEIGHTS | {"source": source}}}},
            [f"pretraining.fetch.R50_GN.source: found {source!r}, expected a URL with a host and a path"],
        )
        for source in (
            "http://",
            "https:///w.pkl",
            "http://[::1/w",
            "http://a:99999/w",
            "http://a b/w",
            "ftp://a",
        )
    },
    "masks against the detector": (
        {"numbers": {"detection": {"detectron2": {"MODEL.MASK_ON": False}}}},
        ["detection.detectron2.MODEL.MASK_ON: found False, expected no value", "coco: {masks: false}"],
    ),
    "weights that would be ignored": (
        {"numbers": {"backbones": {"R50": {"MODEL.WEIGHTS": "x.pkl"}}}},
        ["backbones.R50.MODEL.WEIGHTS: found 'x.pkl', expected no value", "under pretraining.fetch"],
    ),
    "classes against the data": (
        {"numbers": {"heads": {"mask_rcnn": {"MODEL.ROI_HEADS.NUM_CLASSES": 3}}}},
        ["heads.mask_rcnn.MODEL.ROI_HEADS.NUM_CLASSES: found 3, expected no value", "how many categories"],
    ),
    "detectron2 setting of no section": (
        {"numbers": {"detection": {"detectron2": {"MODEL": {"MASK_ON": False}}}}},
        ["detection.detectron2: found MODEL, which nothing", "expected keys of MODEL, such as"],
    ),
    "detectron2 setting that does not exist": (
        {"numbers": {"backbones": {"R50": {"MODEL.RESNETS.DEPHT": 18}}}},
        [
            "backbones.R50.MODEL.RESNETS.DEPHT: found 18",
            "(Non-existent key: MODEL.RESNETS.DEPHT)",
            "correct the key",
        ],
    ),
    "detectron2 setting of a wrong type": (
        {"numbers": {"detection": {"detectron2": {"MODEL.FPN.OUT_CHANNELS": "many"}}}},
        [
            "detection.detectron2.MODEL.FPN.OUT_CHANNELS: found 'many'",
            "Type mismatch",
            "correct the key or its value",
        ],
    ),
    "detectron2 setting below one that is no section": (
        {"numbers": {"detection": {"detectron2": {"MODEL.RPN.NMS_THRESH.X": 1}}}},
        ["detection.detectron2.MODEL.RPN.NMS_THRESH.X: found 1", "correct the key or its value"],
    ),
    "detectron2 section as a value": (
        {"numbers": {"heads": {"mask_rcnn": {"MODEL.RPN": {"NMS_THRESH": 0.5}}}}},
        ["heads.mask_rcnn.MODEL.RPN: found {'NMS_THRESH': 0.5}", "no section: write each of its keys"],
    ),
    "value in place of a detectron2 section": (
        {"numbers": {"heads": {"mask_rcnn": {"MODEL.RPN": 1}}}},
        ["heads.mask_rcnn.MODEL.RPN: found 1", "Type mismatch", "correct the key or its value"],
    ),
    "detectron2 setting that is not finite": (
        {"numbers": {"detection": {"detectron2": {"MODEL.RPN.NMS_THRESH": float("nan")}}}},
        ["detection.detectron2.MODEL.RPN.NMS_THRESH: found nan", "finite numbers"],
    ),
    **{
        f"anchors {sizes}": (
            {"numbers": {"detection": {"detectron2": {"MODEL.ANCHOR_GENERATOR.SIZES": sizes}}}},
            [
                f"MODEL.ANCHOR_GENERATOR.SIZES: found {sizes}",
                "sizes in pixels above 0, in a list for each level",
            ],
        )
        for sizes in ([], [[]], [["a"]], [[0]], [[-8], [16]], [[True]])
    },
    "backbone that no model has": (
        {"numbers": {"backbones": {"R5O": {}}}},
        [
            "scales/smoke.yaml with `numbers` of config.yaml: backbones: found R5O, expected names from: R101, R50"
        ],
    ),
    "head that no detector has": (
        {"numbers": {"heads": {"mask": {}}}},
        ["heads: found mask, expected names from: cascade_mask_rcnn, faster_rcnn, keypoint_rcnn, mask_rcnn"],
    ),
    "colour of no name": (
        {"figures": {"colours": {"random": "bluish"}}},
        ["config.yaml: figures: colours.random is 'bluish'; expected a colour such as"],
    ),
    "colour that shows nothing": (
        {"figures": {"colours": {"random": "None"}}},
        ["config.yaml: figures: colours.random is 'None'; expected a colour"],
    ),
    "one colour for both": (
        {"figures": {"colours": {"random": "teal", "pretrained": "teal"}}},
        ["config.yaml: figures: colours.random and colours.pretrained are both 'teal'; expected two"],
    ),
    "figure of a wall": (
        {"figures": {"width": 1e9}},
        ["config.yaml: figures: width is 1000000000.0; expected 2 to 40"],
    ),
    "dots without number": (
        {"figures": {"dpi": 10**9}},
        ["config.yaml: figures: dpi is", "expected 50 to 1200"],
    ),
    "style that no figure has": (
        {"figures": {"colour": "teal"}},
        ["config.yaml: figures:", "`colour`", "expected any of colours, width, font_size, dpi"],
    ),
    "style of a wrong type": (
        {"figures": {"dpi": "many"}},
        ["config.yaml: figures:", "Expected `int`", "`$.dpi`", "found {'dpi': 'many'}"],
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
    found = message(seeds=[-1, "a"]).splitlines()
    assert [line.split(": ")[1] for line in found] == ["seeds.0", "seeds.1"]
    (line,) = message(numbers={"detection": {"image_sides": [0]}}).splitlines()  # and not that there is none
    assert ": detection.image_sides.0: " in line
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
    put(real_data, field, str(path))
    assert message(scale="paper", datasets=real_data) == (
        f"config.yaml: datasets.{field}: found {str(path)!r}, expected a {kind} that exists; correct the path"
    )


def at(values: dict[str, Any], field: str) -> Any:
    return reduce(getitem, field.split("."), values)


def put(values: dict[str, Any], field: str, value: Any) -> None:
    section, _, last = field.rpartition(".")
    at(values, section)[last] = value


def test_paper_without_data_says_which_it_needs(real_data: dict[str, Any]) -> None:
    both = message(scale="paper").splitlines()
    assert [line.split(": ")[1:3] for line in both] == [
        ["datasets.coco", "missing; scale paper trains on real data"],
        ["datasets.classification", "missing; scale paper pre-trains R50_GN on real data"],
    ]
    without_classes = {"coco": real_data["coco"]}
    assert message(scale="paper", datasets=without_classes) == both[1]


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("coco.val.annotations", "coco.train.annotations"),
        ("coco.keypoints.val", "coco.keypoints.train"),
        ("classification.val", "classification.train"),
    ],
)
def test_a_set_is_not_trained_and_evaluated_on(
    real_data: dict[str, Any], tmp_path: Path, field: str, other: str
) -> None:
    real_data["coco"]["keypoints"] = {
        "train": str(tmp_path / "people.json"),
        "val": real_data["coco"]["val"]["annotations"],
    }
    (tmp_path / "people.json").touch()
    train = at(real_data, other)
    same = tmp_path / "the-same"
    same.symlink_to(train)
    put(real_data, field, str(same))

    assert message(datasets=real_data) == (
        f"config.yaml: datasets.{field}: found {str(same)!r}, which is trained on, too; expected another set: what a "
        "model has learned by heart says nothing of it"
    )


def test_detectron2s_keys_are_asked_without_importing_it() -> None:
    """Each job reads the configuration: it may not take seconds."""
    code = (
        "import sys; from workflow_scripts.study.configuration.detectron2_keys import refused;"
        "assert not refused('MODEL.VGG.STAGE_DEPTHS', [1]) and not refused('MODEL.RPN.NMS_THRESH', 0.5);"
        "assert refused('MODEL.RPN.NMS', 0.5); assert not {'torch', 'detectron2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("name", ["2.0x", "02x", "2.00x"])
def test_a_schedule_has_one_name(name: str) -> None:
    assert list(compile_study(GOOD | {"schedules": [name]}).schedules) == list(
        compile_study(GOOD | {"schedules": ["2x"]}).schedules
    )


def test_a_number_as_text_is_that_number() -> None:
    """YAML reads 1e-2 as text, and Snakemake's --config all numbers within braces."""
    text = compile_study(GOOD | {"numbers": {"detection": {"base_lr": "1e-2", "batch": "4"}}}).scale.detection
    assert (text.base_lr, text.batch) == (0.01, 4)


def test_results_may_lie_elsewhere(tmp_path: Path) -> None:
    for place in ("my results", "../study", "/dev/shm/study", str(tmp_path / "not" / "there")):
        assert compile_study(GOOD | {"results": place}).config.results == place


def test_a_plan_needs_no_data(real_data: dict[str, Any]) -> None:
    put(real_data, "coco.train.annotations", "not-there.json")
    fetched = {"pretraining": {"fetch": {"R50_GN": WEIGHTS | {"source": "not-there.pth"}}}}
    for datasets in ({}, real_data):
        values = GOOD | {"scale": "paper", "datasets": datasets} | fetched
        with pytest.raises(UserError, match="datasets"):
            compile_study(values)
        assert compile_study(values, planning=True).segments


def test_unfinished_data_set(real_data: dict[str, Any]) -> None:
    del real_data["coco"]["val"]["images"]
    assert message(datasets=real_data) == "config.yaml: datasets.coco.val.images: missing; add it"


def test_subsets_of_real_data_are_not_measured_against_the_world(real_data: dict[str, Any]) -> None:
    assert compile_study(GOOD | {"datasets": real_data, "numbers": {"subsets": {"35k": 35_000}}})


NO_SCALE = {
    "schedule: {": ["scales/own.yaml, line 1: expected YAML"],
    "": ["scales/own.yaml: schedule: missing; add it"],
    "- 1": ["scales/own.yaml: found [1], expected the keys of the other scales"],
    "schedule: {}\ncosts: {}\nschedule: {}": [
        "scales/own.yaml, line 3: expected YAML; schedule is given twice"
    ],
}


@pytest.mark.parametrize(("text", "parts"), NO_SCALE.items())
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


def test_a_user_is_told_which_file_and_which_target(tmp_path: Path, real_data: dict[str, Any]) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(GOOD))
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"datasets": {"coco": real_data["coco"]}}))
    found = dry_run(tmp_path, "--configfile", "my.yaml", "--", "fig6")
    assert found.returncode == 1
    assert "\nfig6: my.yaml: datasets.coco.keypoints: missing; " in found.stdout + found.stderr
    assert "Exception" not in found.stdout + found.stderr


def test_a_plan_is_made_before_there_is_data(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(GOOD | {"scale": "paper"}))
    found = snakemake(tmp_path, "--cores", "1", "plan", "--quiet", "all")
    assert found.returncode == 0, found.stderr
    assert_in_order(
        found.stdout,
        ["GPU hours", "Before it can run:\ndatasets.coco: missing; ", "\ndatasets.classification: missing"],
    )
    assert snakemake(tmp_path, "--dry-run", "plan", "fig1").returncode == 1


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
    (tmp_path / "config.yaml").write_text("scale: mini\nscale: smoke\n")
    found = snakemake(tmp_path, "plan", "--cores", "1", "--quiet", "all")
    assert (found.returncode, found.stderr.count("scale is given twice")) == (1, 1)


def dry_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`snakemake -n` with the config.yaml of `folder`."""
    return snakemake(folder, "--dry-run", "--quiet", *arguments)


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
