"""A wrong configuration: one message, which names the file and the field, what was found and what is expected."""

from typing import Any

import pytest

from tests.configuration import GOOD, WEIGHTS, assert_one_line, message
from workflow_scripts.errors import UserError
from workflow_scripts.study.compile import compile_study

VOC_SPLIT = {"folder": "voc", "split": "train"}

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
        ["config.yaml: schedules: expected a list, such as [a, b]; found '2x'"],
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
        ["scales/smoke.yaml with `numbers`", "training: expected the keys log_period, ", "found 5"],
    ),
    "one folder where a list belongs": (
        {"datasets": {"voc": {"train": VOC_SPLIT, "val": VOC_SPLIT}}},
        ["config.yaml: datasets.voc.train: expected a list, such as [a, b]; found {'folder': 'voc'"],
    ),
    "a path where a folder and its list belong": (
        {"datasets": {"voc": {"train": ["voc"], "val": VOC_SPLIT}}},
        [
            "config.yaml: datasets.voc.train.0: expected the keys folder, split, each with its value; found 'voc'"
        ],
    ),
    "keys where there are none": (
        {"numbers": {"subsets": [3]}},
        ["subsets: expected keys with values, such as {a: 1}; found [3]"],
    ),
    "a path that Snakemake fills in": (
        {"datasets": {"voc": {"train": [VOC_SPLIT], "val": VOC_SPLIT | {"folder": "my/{voc}"}}}},
        [
            "datasets.voc.val.folder: expected a path without { and }, which Snakemake fills in; found 'my/{voc}'"
        ],
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
        ["config.yaml: numbers: expected keys with values", "found [1]"],
    ),
}


@pytest.mark.parametrize(("changes", "parts"), WRONG.values(), ids=WRONG)
def test_wrong_config_is_one_clear_line(changes: dict[str, Any], parts: list[str]) -> None:
    assert_one_line(changes, parts)


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


@pytest.mark.parametrize("name", ["2.0x", "02x", "2.00x"])
def test_a_schedule_has_one_name(name: str) -> None:
    assert list(compile_study(GOOD | {"schedules": [name]}).schedules) == list(
        compile_study(GOOD | {"schedules": ["2x"]}).schedules
    )


def test_a_number_as_text_is_that_number() -> None:
    """YAML reads 1e-2 as text, and Snakemake's --config all numbers within braces."""
    text = compile_study(GOOD | {"numbers": {"detection": {"base_lr": "1e-2", "batch": "4"}}}).scale.detection
    assert (text.base_lr, text.batch) == (0.01, 4)
