"""A configuration that leads nowhere, or that others refuse: results, weights, data, detectron2's keys, figures."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.configuration import GOOD, ROOT, WEIGHTS, assert_one_line, at, message, put
from workflow_scripts.errors import UserError
from workflow_scripts.study.compile import compile_study

WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
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


@pytest.mark.parametrize(("changes", "parts"), WRONG.values(), ids=WRONG)
def test_what_leads_nowhere_is_one_clear_line(changes: dict[str, Any], parts: list[str]) -> None:
    assert_one_line(changes, parts)


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
