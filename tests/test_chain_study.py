"""A small study of real shape that ran through the rules: each number that it shows is that of the right checkpoint.

Twice: with trainings that only tell what they were told, and, slow, with real ones and every experiment. Detections are
planted in both (`chain/detect.py`), each checkpoint's with an AP of its own, since a few iterations detect nothing.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from tests.chain import arms, trained
from tests.chain.arms import BOTH, SEARCHED, Row
from tests.chain.detect import planted
from tests.chain.oracle import Oracle, Point, length
from tests.chain.study import SUBSETS, ChainStudy, ran, read, sha256
from workflow_scripts.figures import fig1, fig5, fig6, fig7, fig8
from workflow_scripts.figures.style import Style
from workflow_scripts.tables.tidy import read_evaluations, read_training

TOLD = ("fig1", "fig2", "fig6", "fig8", "table1", "text_voc")
TRAINED = ("fig1", "fig2", "fig5", "fig6", "fig7", "fig8", "table1", "table2", "table3", "text")
STANDINS = ("training/train", "training/backbone", "evaluation/detect")
BOX, MASK = ("bbox", "AP"), ("segm", "AP")
SIX = [(kind, metric) for kind in ("bbox", "segm") for metric in ("AP", "AP50", "AP75")]
QUOTED = {"keypoints R50 GN": [("keypoints", "AP")], "voc R101 GN": [("bbox", "AP50")], "coco X152 GN": [BOX, MASK]}


@pytest.fixture(scope="module", params=["told", pytest.param("trained", marks=pytest.mark.slow)])
def oracle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    experiments, standins = (TOLD, STANDINS) if request.param == "told" else (TRAINED, STANDINS[2:])
    with ran(tmp_path_factory.mktemp(request.param), standins, experiments=list(experiments)) as study:
        yield Oracle(study)


@pytest.fixture
def study(oracle: Oracle) -> ChainStudy:
    return oracle.study


def shown(oracle: Oracle, *names: str) -> list[str]:
    """Those of the experiments that the study shows; some are."""
    found = {each["name"] for each in read(oracle.study.results / "study.json")["experiments"]}
    return [name for name in names if name in found]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


# Detections


def test_each_checkpoint_is_detected_with_on_the_images_of_its_task(study: ChainStudy) -> None:
    """A dump is what the very weights of that recipe, segment and iteration find, on validation images alone."""
    dumps = sorted(study.results.glob("evaluation/*/*/*/*/detections.json"))
    for dump in dumps:
        recipe, segment, iteration, testing = dump.parent.relative_to(study.results / "evaluation").parts
        told = read(study.results / f"recipes/{recipe}.json")
        truths = {
            "coco": study.data / "coco/instances_val.json",
            "keypoints": study.data / "coco/person_keypoints_val.json",
            "voc": study.results / "data/voc/val.json",
        }[told["train_set"]]
        weights = study.results / f"training/{recipe}/{segment}/checkpoints/{iteration}.safetensors"
        found = planted(read(truths), told["detector"], weights.read_bytes(), testing == "test_aug")
        assert read(dump) == found, dump
    assert len(dumps) > 25


# Tables


def test_every_number_of_a_tidy_table_is_its_own_checkpoints(oracle: Oracle) -> None:
    """Which runs and iterations stand behind each figure and table, and their AP by pycocotools; VOC's by hand."""
    names = shown(oracle, *arms.EXPERIMENTS)
    assert {"fig1", "fig6", "table1"} <= set(names)
    for name in names:
        expected = {
            (*row, str(point.iteration)): point
            for row, points in arms.runs(oracle, name).items()
            for point in points
        }
        found = {}
        for row in rows(oracle.study.results / f"tables/{name}-evaluations.csv"):
            key = tuple(row[label] for label in (*Row._fields, "iteration"))
            metrics = oracle.metrics(expected[key])
            kind = row["iou_type"], row["metric"]
            if kind in metrics:
                assert float(row["value"]) == pytest.approx(metrics[kind], abs=1e-6), (name, row)
                assert oracle.study.checkout.folder / row["source"] == oracle.folder(expected[key]) / "metrics.json"
                found[(*key, *kind)] = row["value"]
        assert found.keys() == {(*key, *kind) for key, point in expected.items() for kind in oracle.metrics(point)}
        points = {*expected.values()}
        alike = len(points) - len({tuple(oracle.metrics(point).values()) for point in points})
        assert not alike, f"{name}: {alike} checkpoints have the values of another, and would not be missed"


def cells(oracle: Oracle, name: str) -> dict[tuple[str, ...], float]:
    """What a table must hold of each initialisation: (model, setting, schedule, train set, subset, initialisation, …)."""
    found = {}
    every = arms.runs(oracle, name)
    if name == "table2":
        best = {each: max((r for r in every if r.initialisation == each), key=lambda r: oracle.box_ap(every[r][-1])) for each in BOTH}
        every = {row: every[row] for row in best.values()}
    for row, points in every.items():
        recipe = {"subset": "all"} | read(oracle.study.results / f"recipes/{points[-1].recipe}.json")
        point = max(points, key=oracle.box_ap) if recipe["subset"] == "3.5k" else points[-1]
        quoted = QUOTED.get(f"{recipe['train_set']} {row.model}", [BOX])
        kinds = {"table1": [BOX], "table2": SIX, "table3": SIX}.get(name, quoted)
        for kind in kinds:
            labels = (row.model, row.setting, recipe["train_set"], recipe["subset"], row.initialisation, row.schedule)
            found[(*labels, *kind)] = oracle.metrics(point)[kind]
    return found


def differences(found: dict[tuple[str, ...], float], by_schedule: bool) -> dict[tuple[str, ...], float]:
    """Random - pre-train of each pair."""
    pairs = {}
    for random, value in found.items():
        for pretrained, less in found.items():
            same = random[:4] + random[6:] == pretrained[:4] + pretrained[6:]
            if same and (random[4], pretrained[4]) == BOTH and (random[5] == pretrained[5] or not by_schedule):
                named = random[5] if random[5] == pretrained[5] else f"{random[5]} − {pretrained[5]}"
                pairs[(*random[:4], "difference", named, *random[6:])] = value - less
    return pairs


def test_finished_tables_hold_their_checkpoints_and_differences(oracle: Oracle) -> None:
    names = shown(oracle, "table1", "table2", "table3", "text", "text_voc")
    assert names
    labels = ("model", "setting", "train_set", "subset", "initialisation", "schedule", "iou_type", "metric")
    for name in names:
        expected = cells(oracle, name)
        expected |= differences(expected, by_schedule=name == "table1")
        table = rows(oracle.study.results / f"tables/{name}.csv")
        found = {tuple(row[label] for label in labels): float(row["value"]) for row in table if row["value"]}
        assert found == pytest.approx(expected, abs=1e-4), name


def test_a_search_takes_the_point_of_the_highest_ap(oracle: Oracle) -> None:
    files = [file for file in oracle.study.results.glob("search/*.json") if "record" not in file.name]
    assert files
    for file in files:
        subset, _, by = file.stem.rpartition("-R50_GN-")
        search = read(file)
        values = {point["decay_factor"]: point["value"] for point in search["points"]}
        schedule = f"{subset}-{by}"
        for decay, value in values.items():
            recipe = oracle.recipe(subset=subset, initialisation=by, decay_factor=decay)
            assert value == pytest.approx(oracle.box_ap(oracle.end(recipe, schedule)), abs=1e-6)
        assert search["chosen"] == f"lr1-decay{max(values, key=values.__getitem__):g}-side1"


# Figures


def initialisation_of(line: Any) -> str:
    (name,) = [each for each in BOTH if same_color(line.get_color(), getattr(Style().colours, each))]
    return name


def check_curves(axes: Axes, oracle: Oracle, every: arms.Runs, kind: tuple[str, str]) -> None:
    """Each schedule's line ends at its end, goes through its own points alone, and all lines go through all points."""
    points = {
        (row.initialisation, row.schedule): {(p.iteration, oracle.metrics(p)[kind]) for p in of_run}
        for row, of_run in every.items()
    }
    drawn: dict[str, set] = {name: set() for name, _ in points}
    for line in (line for line in axes.lines if line.get_marker() == "."):
        name, schedule = initialisation_of(line), str(line.get_label())
        own = sorted(points[name, schedule])
        shape = np.array(line.get_xydata())
        assert any(np.allclose(shape, own[first:], atol=1e-6) for first in range(len(own))), (name, schedule)
        drawn[name] |= {tuple(np.round(point, 4)) for point in shape}
    for name, found in drawn.items():
        every_point = set().union(*(some for (each, _), some in points.items() if each == name))
        assert found == {tuple(np.round(point, 4)) for point in every_point}


def drawn(oracle: Oracle, name: str, module: Any) -> Figure:
    """The figure that the study's own table gives."""
    return module.draw(read_evaluations(oracle.study.results / f"tables/{name}-evaluations.csv"), Style(), None)


def test_curves_are_those_of_their_initialisation_and_schedule(oracle: Oracle) -> None:
    for name, module, kind in (("fig1", fig1, BOX), ("fig6", fig6, ("keypoints", "AP"))):
        (axes,) = drawn(oracle, name, module).axes
        check_curves(axes, oracle, arms.runs(oracle, name), kind)


def test_curves_of_less_data_stand_in_their_panels(oracle: Oracle) -> None:
    for _ in shown(oracle, "fig7"):
        every = arms.runs(oracle, "fig7")
        panels: list[arms.Runs] = [{}, {}, {}]
        for row, points in every.items():
            panels[0 if row.setting != SEARCHED else 1 if row.schedule == "6x" else 2][row] = points
        for axes, panel in zip(drawn(oracle, "fig7", fig7).axes, panels, strict=True):
            check_curves(axes, oracle, panel, BOX)


def test_dots_of_enhanced_baselines_are_those_of_their_row_and_colour(oracle: Oracle) -> None:
    for _ in shown(oracle, "fig5"):
        grid = iter(drawn(oracle, "fig5", fig5).axes)
        for model in ("R50 GN", "R101 GN"):
            for kind in (BOX, MASK):
                dots = [line for line in next(grid).lines if line.get_marker() == "o"]
                found = {
                    (fig5.SETTINGS[round(float(dot.get_ydata()[0]))], initialisation_of(dot)): dot.get_xdata()[0]
                    for dot in dots
                }
                expected = {
                    (row.setting, row.initialisation): oracle.metrics(points[-1])[kind]
                    for row, points in arms.runs(oracle, "fig5").items()
                    if row.model == model
                }
                assert found == pytest.approx(expected, abs=1e-4)


def test_losses_are_those_of_the_chain_of_segments(oracle: Oracle) -> None:
    table = read_training(oracle.study.results / "tables/fig8-training.csv")
    faint = {initialisation_of(line): line for line in fig8.draw(table, Style(), None).axes[0].lines if line.get_alpha()}
    for row, points in arms.searched(oracle, "1k").items():
        chain = list(dict.fromkeys((point.recipe, point.segment) for point in points))
        lines = [line for part in chain for line in trained.metrics(oracle.study, *part)]
        expected = [[line["iteration"], line["loss"]] for line in lines]
        assert np.allclose(faint[row.initialisation].get_xydata(), expected), row
        assert expected[-1][0] == length(row.schedule)[2]


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


# Verdicts


def replicates(oracle: Oracle, point: Point, kind: tuple[str, str]) -> np.ndarray:
    found = rows(oracle.folder(point) / "replicates.csv")
    return np.array([float(row["value"]) for row in found if (row["iou_type"], row["metric"]) == kind])


def test_intervals_of_verdicts_are_those_of_their_replicates(oracle: Oracle) -> None:
    """The shortest and the longest schedule of Fig. 1, and VOC: percentiles of differences, image by image."""
    verdicts = read(oracle.study.results / "verdicts.json")
    evidence = [each for verdict in verdicts for each in verdict["evidence"]]
    ends = {row: points[-1] for row, points in arms.runs(oracle, "fig1").items()}
    pairs = {
        f"R50 GN, box AP, {schedule}": ([p for row, p in ends.items() if row.schedule == schedule], BOX)
        for schedule in ("2x", "3x")
    }
    voc = [points[-1] for points in arms.runs(oracle, "text_voc").values()]
    pairs["R101 GN, PASCAL VOC, train aug, box AP50, end"] = (voc, ("bbox", "AP50"))
    for what, ((random, pretrained), kind) in pairs.items():
        (found,) = [each for each in evidence if each["what"].startswith(f"{what}: random − pre-train")]
        resampled = replicates(oracle, random, kind) - replicates(oracle, pretrained, kind)
        assert len(resampled) == 120
        difference = oracle.metrics(random)[kind] - oracle.metrics(pretrained)[kind]
        expected = [difference, *np.quantile(resampled, [0.025, 0.975])]
        assert [found["value"], found["low"], found["high"]] == pytest.approx(expected, abs=2e-3), what
        assert found["low"] < found["high"]


# What trainings were told


def test_subsets_are_nested_within_val2014_and_hold_no_validation_image(study: ChainStudy) -> None:
    def ids(path: Path) -> set[int]:
        return {image["id"] for image in read(path)["images"]}

    train, val, listed = (ids(study.data / f"coco/{name}.json") for name in ("instances_train", "instances_val", "val2014"))
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
    assert len(states) > 25
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
