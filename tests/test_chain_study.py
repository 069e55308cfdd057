"""A small study of real shape that ran through the rules: each number that it shows is that of the right checkpoint.

Twice: with trainings that only tell what they were told, and, slow, with real ones and every experiment. Detections are
planted in both (`chain/detect.py`), each checkpoint's with an AP of its own, since a few iterations detect nothing.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.chain import arms, tables, trained
from tests.chain.detect import planted
from tests.chain.drawing import check_curves, dots, drawn, initialisation_of
from tests.chain.oracle import Oracle, length
from tests.chain.study import SUBSETS, ChainStudy, ran, read, sha256
from tests.chain.tables import BOX, KEYPOINT, MASK, VOC, rows
from workflow_scripts.figures import fig1, fig5, fig6, fig7, fig8
from workflow_scripts.figures.style import Style
from workflow_scripts.tables.tidy import read_training
from workflow_scripts.training.sampler import GlobalBatches

TOLD = ("fig1", "fig2", "fig8", "table1", "text_voc")
TRAINED = ("fig1", "fig2", "fig5", "fig6", "fig7", "fig8", "table1", "table2", "table3", "text")
STANDINS = ("training/train", "training/backbone", "evaluation/detect")
REAL = pytest.mark.parametrize("oracle", [pytest.param("trained", marks=pytest.mark.slow)], indirect=True)


@pytest.fixture(scope="module", params=["told", pytest.param("trained", marks=pytest.mark.slow)])
def oracle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    experiments, standins = (TOLD, STANDINS) if request.param == "told" else (TRAINED, STANDINS[2:])
    with ran(tmp_path_factory.mktemp(request.param), standins, experiments=list(experiments)) as study:
        yield Oracle(study)


@pytest.fixture
def study(oracle: Oracle) -> ChainStudy:
    return oracle.study


def shown(oracle: Oracle, *names: str) -> list[str]:
    """Those of the experiments that the study shows."""
    found = {each["name"] for each in read(oracle.study.results / "study.json")["experiments"]}
    return [name for name in names if name in found]


# Detections and tables


def test_each_checkpoint_is_detected_with_on_the_images_of_its_task(study: ChainStudy) -> None:
    """A dump is what the weights of that recipe, segment and iteration find, on validation images alone."""
    dumps = sorted(study.results.glob("evaluation/*/*/*/detections/*.json"))
    for dump in dumps:
        recipe, segment, testing = dump.parents[1].relative_to(study.results / "evaluation").parts
        told = read(study.results / f"recipes/{recipe}.json")
        truths = {
            "coco": study.data / "coco/instances_val.json",
            "keypoints": study.data / "coco/person_keypoints_val.json",
            "voc": study.results / "data/voc/val.json",
        }[told["train_set"]]
        weights = f"results/smoke/training/{recipe}/{segment}/checkpoints/{dump.stem}.safetensors"
        found = planted(read(truths), told["detector"], weights, testing == "test_aug")
        assert read(dump) == found, dump
    assert len(dumps) > 15


def test_every_number_of_a_tidy_table_is_its_own_checkpoints(oracle: Oracle) -> None:
    """Which runs and iterations stand behind each figure and table, and their AP by pycocotools; VOC's by hand."""
    names = shown(oracle, *arms.EXPERIMENTS)
    assert {"fig1", "table1"} <= {*names}
    for name in names:
        expected = {
            (*row, str(point.iteration)): point
            for row, points in arms.runs(oracle, name).items()
            for point in points
        }
        found = set()
        for row in rows(oracle.study.results / f"tables/{name}-evaluations.csv"):
            key = tuple(row[label] for label in (*arms.Row._fields, "iteration"))
            point, kind = expected[key], (row["iou_type"], row["metric"])
            if kind in oracle.metrics(point):
                assert float(row["value"]) == pytest.approx(oracle.metrics(point)[kind], abs=1e-6), (
                    name,
                    row,
                )
                assert oracle.study.checkout.folder / row["source"] == oracle.folder(point) / "metrics.json"
                found.add((*key, *kind))
        assert found == {(*key, *kind) for key, point in expected.items() for kind in oracle.metrics(point)}
        points = {*expected.values()}
        alike = len(points) - len({tuple(oracle.metrics(point).values()) for point in points})
        assert not alike, f"{name}: {alike} checkpoints have the values of another, and would not be missed"


def test_finished_tables_hold_their_checkpoints_and_differences(oracle: Oracle) -> None:
    names = shown(oracle, "table1", "table2", "table3", "text", "text_voc")
    assert len(names) > 1
    for name in names:
        assert tables.found(oracle, name) == pytest.approx(tables.expected(oracle, name), abs=1e-4), name


def test_a_search_takes_the_point_of_the_highest_ap(oracle: Oracle) -> None:
    files = [file for file in oracle.study.results.glob("search/*.json") if "record" not in file.name]
    chosen_first = []
    for file in files:
        subset, _, by = file.stem.rpartition("-R50_GN-")
        search = read(file)
        values = {point["decay_factor"]: point["value"] for point in search["points"]}
        for decay, value in values.items():
            recipe = oracle.recipe(subset=subset, initialisation=by, decay_factor=decay)
            assert value == pytest.approx(oracle.box_ap(oracle.end(recipe, f"{subset}-{by}")), abs=1e-6)
        assert search["chosen"] == f"lr1-decay{max(values, key=values.__getitem__):g}-side1"
        chosen_first.append(search["chosen"] == search["points"][0]["point"])
    assert not all(chosen_first), "else it might have taken the first"


def test_intervals_of_verdicts_are_those_of_their_replicates(oracle: Oracle) -> None:
    """The shortest and the longest schedule of R50, and VOC: by the spread of differences, image by image."""
    evidence = [
        each for verdict in read(oracle.study.results / "verdicts.json") for each in verdict["evidence"]
    ]
    random, pretrained = (oracle.recipe(initialisation=name) for name in arms.BOTH)
    pairs = {
        f"R50 GN, box AP, {schedule}": ([oracle.end(random, schedule), oracle.end(pretrained, schedule)], BOX)
        for schedule in ("2x", "6x" if shown(oracle, "fig5") else "3x")
    }
    voc = [points[-1] for points in arms.runs(oracle, "text_voc").values()]
    lengths = "after 9 iterations against 6"
    pairs[f"R101 GN, PASCAL VOC, train aug, box AP50, end, {lengths}"] = (voc, VOC)
    for what, ((one, other), kind) in pairs.items():
        (found,) = (each for each in evidence if each["what"].startswith(f"{what}: random − pre-train"))
        resampled = tables.replicates(oracle, one, kind) - tables.replicates(oracle, other, kind)
        assert len(resampled) == 120
        value = oracle.metrics(one)[kind] - oracle.metrics(other)[kind]
        half = 1.959964 * resampled.std(ddof=1)
        expected = [value, value - half, value + half]
        assert [found["value"], found["low"], found["high"]] == pytest.approx(expected, abs=2e-3), what


# Figures


def test_curves_are_those_of_their_initialisation_and_schedule(oracle: Oracle) -> None:
    modules = {"fig1": (fig1, BOX), "fig6": (fig6, KEYPOINT)}
    for name in shown(oracle, *modules):
        module, kind = modules[name]
        (axes,) = drawn(oracle, name, module).axes
        check_curves(axes, oracle, arms.runs(oracle, name), kind)


def test_losses_are_those_of_the_chain_of_segments(oracle: Oracle) -> None:
    table = read_training(oracle.study.results / "tables/fig8-training.csv")
    lines = fig8.draw(table, Style(), None).axes[0].lines
    faint = {initialisation_of(line): line for line in lines if line.get_alpha()}
    for row, points in arms.searched(oracle, "1k").items():
        chain = list(dict.fromkeys((point.recipe, point.segment) for point in points))
        told = [line for part in chain for line in trained.metrics(oracle.study, *part)]
        assert np.allclose(
            faint[row.initialisation].get_xydata(), [[x["iteration"], x["loss"]] for x in told]
        )
        assert told[-1]["iteration"] == length(row.schedule)[2]


def test_figures_are_drawn_from_their_own_tables(oracle: Oracle) -> None:
    for name in shown(oracle, "fig1", "fig2", "fig5", "fig6", "fig7", "fig8"):
        kind = {"fig2": "counts", "fig8": "training"}.get(name, "evaluations")
        command = read(oracle.study.results / f"figures/{name}.png.record.json")["command"]
        assert command[command.index("--table") + 1] == f"results/smoke/tables/{name}-{kind}.csv"
        assert command[2] == f"workflow_scripts.figures.{name}"


def test_counts_are_sums_over_all_of_training(study: ChainStudy) -> None:
    """Of 2x after pre-training, of that pre-training, and of 6x: every line of every segment."""
    runs = {
        ("pretrained", "pre-training"): [("classification-R50_GN", "cosine-0-6")],
        ("pretrained", "fine-tuning"): trained.chain("coco-R50_GN-pretrained-seed0", "2x"),
        ("random", "training"): trained.chain("coco-R50_GN-random-seed0", "6x"),
    }
    found = rows(study.results / "tables/fig2-counts.csv")
    counted = {(row["initialisation"], row["part"], row["quantity"]): int(row["value"]) for row in found}
    assert {row["source"] for row in found} == {"counted"}
    assert counted == {
        (*run, quantity): sum(line[quantity] for part in chain for line in trained.metrics(study, *part))
        for run, chain in runs.items()
        for quantity in ("images", "instances", "pixels")
    }


@REAL
def test_curves_of_less_data_stand_in_their_panels(oracle: Oracle) -> None:
    panels: list[arms.Runs] = [{}, {}, {}]
    for row, points in arms.runs(oracle, "fig7").items():
        panels[0 if row.setting != arms.SEARCHED else 1 if row.schedule == "6x" else 2][row] = points
    for axes, panel in zip(drawn(oracle, "fig7", fig7).axes, panels, strict=True):
        check_curves(axes, oracle, panel, BOX)


@REAL
def test_dots_of_enhanced_baselines_are_those_of_their_row_and_colour(oracle: Oracle) -> None:
    grid = iter(drawn(oracle, "fig5", fig5).axes)
    for model in ("R50 GN", "R101 GN"):
        for kind in (BOX, MASK):
            expected = {
                (row.setting, row.initialisation): oracle.metrics(points[-1])[kind]
                for row, points in arms.runs(oracle, "fig5").items()
                if row.model == model
            }
            assert dots(next(grid), arms.FOUR) == pytest.approx(expected, abs=1e-4)


# What trainings were told


def test_subsets_are_nested_within_val2014_and_hold_no_validation_image(study: ChainStudy) -> None:
    def ids(path: Path) -> set[int]:
        return {image["id"] for image in read(path)["images"]}

    names = ("instances_train", "instances_val", "val2014")
    train, val, listed = (ids(study.data / f"coco/{name}.json") for name in names)
    subsets = {name: study.results / f"data/subsets/instances_{name}.json" for name in ("35k", *SUBSETS)}
    of = {name: ids(path) for name, path in subsets.items()}
    assert of["35k"] == train & listed
    assert {name: len(of[name]) for name in SUBSETS} == SUBSETS
    assert of["1k"] < of["3.5k"] < of["10k"] < of["35k"] < train
    assert val <= listed and not val & of["35k"]
    for name, path in subsets.items():
        annotations = read(study.data / "coco/instances_train.json")["annotations"]
        assert read(path)["annotations"] == [each for each in annotations if each["image_id"] in of[name]]


def test_each_training_reads_its_own_images_and_starts_where_it_must(study: ChainStudy) -> None:
    """Annotations of its task and subset, the state at which it goes on, or a pre-trained backbone, or nothing."""
    states = sorted(study.results.glob("training/*/*/state.safetensors"))
    assert len(states) > 20
    for state in states:
        told = trained.words(state)
        recipe = read(study.results / f"recipes/{state.parts[-3]}.json")
        assert told.get("--annotations") == trained.annotations(study, recipe), state
        assert told["--images"] == trained.images(study, recipe), state
        assert told.get("--backbone") == trained.backbone(recipe, state.parent.name), state
        assert told.get("--parent") == trained.parent(recipe, state.parent.name), state
        read_by = {each["path"]: each["sha256"] for each in trained.record(state)["inputs"]}
        for name in ("--annotations", "--parent", "--backbone"):
            if name in told:
                assert read_by[told[name]] == sha256(study.checkout.folder / told[name]), (state, name)


# What trainings did


@REAL
def test_pre_trained_runs_start_from_their_backbone_and_random_ones_do_not(study: ChainStudy) -> None:
    """After a first segment frozen stages are what was handed over, and all is nearer to it than a random init's."""
    compared = []
    for first in study.results.glob("training/*_GN-pretrained*/trunk-0-*/state.safetensors"):
        recipe = read(study.results / f"recipes/{first.parts[-3]}.json")
        held = trained.handed_over(study, recipe)
        other = recipe["name"].replace("pretrained", "random").replace("cascade-", "")
        others = [*study.results.glob(f"training/{other}/trunk-0-*/state.safetensors")]
        if not others:  # as on 35k images with the usual hyper-parameters
            continue
        pretrained, random = load_file(first), load_file(others[0])
        frozen = [name for name in held if re.search(r"bottom_up\.(stem|res2)\.", name)]
        assert len(frozen) > 10
        assert all(torch.equal(pretrained[name], held[name]) for name in frozen), first
        near, far = (
            sum(float((own[n] - held[n]).square().sum()) for n in held) for own in (pretrained, random)
        )
        assert near < 0.01 * far, first
        compared.append(recipe["label"])
    assert {*compared} == {"R50 GN", "R101 GN", "X152 GN"} and len(compared) > 7


@REAL
def test_rates_drop_where_they_must(study: ChainStudy) -> None:
    """Of every line of every segment, by hand: warm-up, drops, the factor of a decay, a cosine for classifiers."""
    seen = set()
    for file in study.results.glob("training/*/*/metrics.jsonl"):
        recipe, segment = file.parts[-3:-1]
        for line in trained.metrics(study, recipe, segment):
            expected = trained.rate(recipe, segment, line["iteration"] - 1)
            assert line["learning_rate"] == pytest.approx(expected), (recipe, segment, line["iteration"])
            seen.add(f"{expected:.3g}")
    assert {"0.01", "0.001", "0.0001", "0.0002", "4e-06", "0.02", "0.004"} <= seen


@REAL
def test_weights_move_by_the_rate(study: ChainStudy) -> None:
    """From one state, two iterations at a decay of 0.1 and of 0.02 move the weights in proportion to their rates."""
    names = [f"coco-10k-R50_GN-pretrained{decay}-seed0" for decay in ("", "-decay0.02")]
    start = load_file(study.results / f"training/{names[0]}/trunk-0-4/state.safetensors")
    weights = [each for each in start if each.startswith("weights/roi_heads.") and each.endswith("weight")]
    moved = []
    for name in names:
        end = load_file(study.results / f"training/{name}/tail-4-5-6/state.safetensors")
        moved.append(sum(float((end[each] - start[each]).square().sum()) for each in weights) ** 0.5)
    assert moved[0] / moved[1] == pytest.approx((0.1 + 0.01) / (0.02 + 0.0004), rel=0.15)


@REAL
def test_images_instances_and_pixels_are_those_of_the_images_drawn(study: ChainStudy) -> None:
    """Of 6x from random init: objects but for crowds, and sizes after scaling, of each image that the sampler drew."""
    truth = read(study.data / "coco/instances_train.json")
    objects = Counter(each["image_id"] for each in truth["annotations"] if not each["iscrowd"])
    images = [image for image in truth["images"] if objects[image["id"]]]
    order = GlobalBatches([image["width"] > image["height"] for image in images], 2, 0)
    begun = 0
    for part in trained.chain("coco-R50_GN-random-seed0", "6x"):
        for line in trained.metrics(study, *part):
            shown = [images[index] for t in range(begun, line["iteration"]) for index in order.indices(t)]
            assert line["images"] == len(shown)
            assert line["instances"] == sum(objects[image["id"]] for image in shown)
            assert line["pixels"] == sum(
                trained.pixels(image["width"], image["height"], 64) for image in shown
            )
            begun = line["iteration"]
    assert begun == length("6x")[2]
    for quantity, each in (("images", 1), ("instances", 1), ("pixels", 32**2)):
        lines = trained.metrics(study, "classification-R50_GN", "cosine-0-6")
        assert sum(line[quantity] for line in lines) == 6 * 8 * each
