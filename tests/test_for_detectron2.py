"""What detectron2's users find of a study: configurations that build the same models, and events without seams."""

import json
import struct
from pathlib import Path

import pytest
import torch
import yaml
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import build_model
from detectron2.solver import build_lr_scheduler
from tensorboardX.proto.event_pb2 import Event
from torch import nn

from workflow_scripts.models.build import build
from workflow_scripts.models.vgg import add_vgg_config
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.schedules import learning_rate
from workflow_scripts.study.compiled.segments import Run
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.layout.exports import exported_files, exported_runs
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.training.for_detectron2 import (
    EVENTS,
    Exported,
    as_yaml,
    export,
    run_config,
    scalars,
    write_events,
)

CLASSES = 7
"""No scale's number."""


def study(*experiments: str, **changes: object) -> Study:
    return compile_study({"scale": "smoke", "experiments": list(experiments), **changes})


def a_run(experiment: str) -> Run:
    """The last of an experiment's runs: of Fig. 5 one that ends as a cascade."""
    return study(experiment).needed_runs([experiment])[-1]


def read_by_detectron2(path: Path, vgg: bool = False) -> CfgNode:
    config = get_cfg()
    if vgg:
        add_vgg_config(config)
    config.merge_from_file(str(path))
    return config


@pytest.mark.parametrize(
    ("experiment", "needs"),
    [
        ("fig1", ["MODEL.BACKBONE.NAME"]),
        ("fig6", ["MODEL.BACKBONE.NAME"]),
        ("fig5", ["MODEL.BACKBONE.NAME", "MODEL.ROI_HEADS.NAME"]),
        ("text_vgg", ["MODEL.BACKBONE.NAME", "MODEL.ROI_BOX_HEAD.NAME"]),
    ],
)
def test_detectron2_builds_the_same_model_from_the_file(
    tmp_path: Path, experiment: str, needs: list[str]
) -> None:
    run = a_run(experiment)
    path = tmp_path / "config.yaml"
    path.write_text(as_yaml(run_config(run.recipe, run.schedule, CLASSES)))
    config = read_by_detectron2(path, vgg=experiment == "text_vgg")
    dumped = run_config(run.recipe, run.schedule, CLASSES).dump()
    assert yaml.safe_load(config.dump()) == yaml.safe_load(dumped)
    found, expected = (
        model.state_dict() for model in (build_model(config), build(run.recipe, CLASSES, "cpu"))
    )
    assert {name: value.shape for name, value in found.items()} == {
        name: value.shape for name, value in expected.items()
    }
    for need in needs:
        assert need in path.read_text().splitlines()[1], "it says what of this project it needs"


def test_detectron2_alone_builds_what_it_knows(tmp_path: Path) -> None:
    """The paper's parts, thin: no module of this project is needed."""
    (run, *_) = study("fig1").needed_runs(["fig1"])
    thin = {
        "MODEL.RESNETS.DEPTH": 18,
        "MODEL.RESNETS.RES2_OUT_CHANNELS": 64,
        "MODEL.FPN.OUT_CHANNELS": 32,
        "MODEL.ROI_BOX_HEAD.CONV_DIM": 32,
        "MODEL.ROI_BOX_HEAD.FC_DIM": 32,
        "MODEL.ROI_MASK_HEAD.CONV_DIM": 32,
    }
    text = as_yaml(run_config(run.recipe.model_copy(update={"detectron2": thin}), run.schedule, CLASSES))
    assert "workflow_scripts" not in text
    path = tmp_path / "config.yaml"
    path.write_text(text)
    parts = {type(part).__module__ for part in build_model(read_by_detectron2(path)).modules()}
    assert not [name for name in parts if name.startswith("workflow_scripts.")]


def test_detectron2s_scheduler_gives_every_rate_of_the_run() -> None:
    run = a_run("fig1")
    config = run_config(run.recipe, run.schedule, CLASSES)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=config.SOLVER.BASE_LR)
    scheduler = build_lr_scheduler(config, optimizer)
    for segment in run.segments:
        for iteration in range(segment.start, segment.stop):
            recipe = run.recipe
            rate = learning_rate(recipe.base_lr, recipe.warmup, segment.decay, recipe.decay_factor, iteration)
            scheduler.last_epoch = iteration
            assert scheduler.get_lr() == pytest.approx([rate])
    assert run.segments[-1].stop == config.SOLVER.MAX_ITER


def test_the_optimiser_is_the_recipes() -> None:
    run = a_run("fig1")
    recipe = run.recipe.model_copy(update={"batch": 3, "momentum": 0.75, "weight_decay": 0.0005})
    solver = run_config(recipe, run.schedule, CLASSES).SOLVER
    assert (solver.IMS_PER_BATCH, solver.MOMENTUM) == (3, 0.75)
    assert (solver.WEIGHT_DECAY, solver.WEIGHT_DECAY_NORM) == (0.0005, 0.0)


def crc32c(data: bytes) -> int:
    """Castagnoli's, bit by bit; of `123456789` it is E3069283 (RFC 3720)."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    """As TensorFlow's record files have it: rotated right by 15 bits, plus a constant."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_events(path: Path) -> list[tuple[int, dict[str, float]]]:
    """Steps and scalars of a file of events: length, its checksum, an event, its checksum, and so on."""
    content, found = path.read_bytes(), []
    while content:
        length, checksum = struct.unpack("<QI", content[:12])
        data = content[12 : 12 + length]
        assert checksum == masked(content[:8])
        assert struct.unpack("<I", content[12 + length : 16 + length]) == (masked(data),)
        event = Event.FromString(data)
        assert event.file_version == ("" if found else "brain.Event:2")
        found.append((event.step, {value.tag: value.simple_value for value in event.summary.value}))
        content = content[16 + length :]
    assert found[0] == (0, {}), "the first event tells the format's version"
    return found[1:]


def lines(path: Path, *iterations: int, **changes: float) -> Path:
    usual = {"loss": 2.5, "loss_cls": 1.5, "loss_mask": 1.0, "learning_rate": 0.5, "images": 8}
    text = "".join(json.dumps({"iteration": at, **usual, **changes}) + "\n" for at in iterations)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def evaluation(path: Path, metrics: dict[int, dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoints = [{"iteration": at, "metrics": values} for at, values in metrics.items()]
    path.write_text(json.dumps({"checkpoints": checkpoints}))
    return path


def test_events_follow_a_run_over_its_segments_under_detectron2s_names(tmp_path: Path) -> None:
    assert crc32c(b"123456789") == 0xE3069283
    trunk = lines(tmp_path / "trunk.jsonl", 10, 20)
    tail = lines(tmp_path / "tail.jsonl", 30, loss=0.25, learning_rate=0.125)
    ap = {"bbox": {"AP": 12.5, "APl": None, "per_category": {"mug": 4.0}}, "segm": {"AP": 8.0}}
    evaluated = evaluation(tmp_path / "metrics.json", {20: ap, 30: {"bbox": {"AP": 16.0}}})
    write_events(tmp_path / EVENTS, scalars([trunk, tail], [evaluated]))
    trained = {"total_loss": 2.5, "loss_cls": 1.5, "loss_mask": 1.0, "lr": 0.5}
    assert read_events(tmp_path / EVENTS) == [
        (9, trained),
        (19, trained | {"bbox/AP": 12.5, "bbox/AP-mug": 4.0, "segm/AP": 8.0}),
        (29, trained | {"total_loss": 0.25, "lr": 0.125, "bbox/AP": 16.0}),
    ]


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    found = scalars([lines(tmp_path / "a.jsonl", 10, loss=float("nan"))], [])
    assert "total_loss" not in found[0][1] and found[0][1]["loss_cls"] == 1.5


def test_a_run_and_a_classifier_have_folders(tmp_path: Path) -> None:
    run = a_run("fig1")
    recipe, manifest = tmp_path / "recipe.json", tmp_path / "coco-train.json"
    recipe.write_text(run.recipe.model_dump_json())
    manifest.write_text(json.dumps({"categories": ["a", "b", "c"]}))
    metrics = [str(lines(tmp_path / "a.jsonl", 10))]
    detector = Exported(str(recipe), run.schedule.model_dump(), str(manifest), metrics, [])
    export(detector, tmp_path / "out")
    folder = tmp_path / "out" / run.recipe.name / run.schedule.name
    assert read_by_detectron2(folder / "config.yaml").MODEL.ROI_HEADS.NUM_CLASSES == 3
    first = (folder / EVENTS).read_bytes()
    assert read_by_detectron2(folder / "config.yaml").INPUT.MASK_FORMAT == "polygon"
    manifest.write_text(json.dumps({"categories": ["a", "b", "c"], "mask_format": "bitmask"}))
    export(detector, tmp_path / "again")
    again = tmp_path / "again" / folder.relative_to(tmp_path / "out")
    assert (again / EVENTS).read_bytes() == first
    assert read_by_detectron2(again / "config.yaml").INPUT.MASK_FORMAT == "bitmask"
    classifier = study("fig1").recipes["classification-R50_GN"]
    recipe.write_text(classifier.model_dump_json())
    export(Exported(str(recipe), None, None, metrics, []), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / classifier.name).iterdir()] == [EVENTS]


def test_each_asked_training_is_told_with_its_files_and_no_others() -> None:
    asked = study("table1", "fig8", "fig7_right", schedules=["2x", "3x"])
    layout = Layout(asked)
    found = exported_runs(asked, layout, asked.first_point)
    named = {(Path(each["recipe"]).stem, (each["schedule"] or {}).get("name")): each for each in found}
    assert len(named) == len(found)
    assert named.keys() == {("classification-R50_GN", None)} | {
        (run.recipe.name, run.schedule.name)
        for run in asked.needed_runs(["table1", "fig8", "fig7_right"], asked.first_point)
    }
    random = named["coco-R50_GN-random-seed0", "3x"]
    run = asked.runs["coco-R50_GN-random-seed0", "3x"]
    assert [Path(path).parent.name for path in random["metrics"]] == [each.name for each in run.segments]
    assert [Path(path).parts[-3:-1] for path in random["evaluations"]] == [
        (run.segments[-1].name, "single_scale")
    ], "Table 1 reads the end alone"
    assert not [path for each in found for path in each["evaluations"] if each["schedule"] is None]
    searched = asked.searches[asked.searches_of("fig7_right")[0]].runs
    assert {(each.recipe.name, each.schedule.name) for each in searched.values()} <= named.keys()
    files = exported_files(found)
    assert len(files) == len(set(files)) and {random["recipe"], random["manifest"]} <= set(files)


def test_what_was_found_with_test_augmentation_is_another_metric_and_left_out() -> None:
    asked = study("table3")
    found = exported_runs(asked, Layout(asked), asked.first_point)
    paths = [path for each in found for path in each["evaluations"]]
    assert paths and {Path(path).parts[-2] for path in paths} == {"single_scale"}
    assert any(testing == "test_aug" for _, _, testing in asked.evaluated)
