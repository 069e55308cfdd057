"""The GPU kit on a CPU: a part that breaks loses no other, and a step that waits for the GPU is found.

`test_benchmarks.py` runs all of it.
"""

import json
import os
import signal
import subprocess
import time
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from benchmarks.gpu import __main__ as kit_main
from benchmarks.gpu import together
from benchmarks.gpu.kit import CLASSES, Kit, Row, draw_pictures
from benchmarks.gpu.rates import loading
from benchmarks.gpu.resuming import resumed
from benchmarks.gpu.steps import AS_TRAINED, group_of, relative_difference, step_times, their_config
from benchmarks.gpu.study import smoke
from benchmarks.gpu.waits import once_a_line, waiting_places, waits
from tests.training import TinyWorld, tiny_recipe, tiny_world
from workflow_scripts.models.build import build, build_optimizer
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.training import loop, segment
from workflow_scripts.training.draws import DrawsPerImage
from workflow_scripts.training.examples import Examples, classification_examples, detection_examples
from workflow_scripts.training.loop import Loop, Window
from workflow_scripts.training.processes import Processes, SampleCounts, diverge_together


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    draw_pictures(tmp_path, 4)
    return Kit("cpu", small=True, folder=tmp_path)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"))


def fails(kit):
    yield Row("fails", "before", 1.0)
    raise ValueError("of several\n  lines")


def dies(kit):
    yield Row("dies", "before", 2.0)
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(kit):
    yield Row("hangs", "before", float(subprocess.Popen(["sleep", "600"]).pid))
    time.sleep(600)


def goes_on(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def passes(kit):
    yield Row("passes", "found so far", float(len(kit.found)))


def test_a_part_that_breaks_is_a_row_and_loses_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit_main, "PARTS", {"fails": fails, "dies": dies, "passes": passes, "hangs": hangs})
    out = tmp_path / "rows.json"
    with pytest.raises(SystemExit) as ended:
        kit_main.main(["--device", "cpu", "--small", "--json", str(out), "--minutes", "0.05"])
    assert ended.value.code == 1
    rows = [(row["part"], row["what"], row["value"]) for row in json.loads(out.read_text())]
    assert not goes_on(int(rows[5][2]))
    assert rows == [
        ("fails", "before", 1.0),
        ("fails", "failed", "ValueError: of several lines"),
        ("dies", "before", 2.0),
        ("dies", "failed", f"ended with {-signal.SIGKILL}"),
        ("passes", "found so far", 4.0),
        ("hangs", "before", rows[5][2]),
        ("hangs", "failed", "the time was up"),
    ]
    with pytest.raises(SystemExit) as ended:
        kit_main.main(["--device", "cpu", "--small", "--without", "fails", "dies", "hangs"])
    assert ended.value.code == 0


def test_the_recipe_is_the_papers(tmp_path: Path) -> None:
    kit = Kit("cuda:0", small=False, folder=tmp_path)
    recipe = kit.recipe
    assert (recipe.image_sides, recipe.longest_side, recipe.norm) == ((800,), 1333, "GN")
    assert (recipe.initialisation, recipe.detector, recipe.batch) == ("random", "mask_rcnn", 2)
    assert recipe.base_lr == 0.02 * 2 / 16
    assert kit.scale.test_aug.image_sides[-1] == 1200


def of_a_step(recipe: Recipe, examples: Examples) -> Counter[str]:
    """Where a step of a training would wait for a GPU."""
    model = build(recipe, len(examples.classes), "cpu")
    processes = Processes(0, 1, "cpu")
    diverge_together(model, processes)
    trained = Loop(
        model,
        build_optimizer(recipe, model),
        [[examples[0, position, position] for position in range(4)]],
        lambda _: 0.001,
        DrawsPerImage(model, 0),
        SampleCounts(model),
        4,
        processes,
        1000,
    )
    with waits("cpu") as found:
        trained.train(0, 1, frozenset(), lambda line, seconds: None, lambda *_: None, lambda _: False)
    return found


def this_projects(found: Counter[str]) -> set[str]:
    ours = {where for where in found if where.startswith("workflow_scripts")}
    assert any(map(once_a_line, ours))
    return {where for where in ours if not once_a_line(where)}


@pytest.mark.parametrize("detector", ["mask_rcnn", "cascade_mask_rcnn", "faster_rcnn", "keypoint_rcnn"])
def test_nothing_of_this_project_waits_for_a_gpu_within_a_step(world: TinyWorld, detector: str) -> None:
    keypoints = detector == "keypoint_rcnn"
    recipe = tiny_recipe(experiment="fig6" if keypoints else "fig1", detector=detector)
    seen = replace(world, name="person_keypoints") if keypoints else world
    found = of_a_step(recipe, detection_examples(recipe, seen.annotations, seen.images))
    assert this_projects(found) == set()
    assert any(where.startswith("detectron2/modeling/matcher.py") for where in found)


def test_nothing_waits_for_a_gpu_within_a_classifiers_step(world: TinyWorld) -> None:
    recipe = tiny_recipe("classification")
    found = of_a_step(recipe, classification_examples(recipe, world.folder / "classification/train"))
    assert this_projects(found) == set()


def test_what_waits_in_this_projects_part_is_found(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    assert next(row.value for row in waiting_places(kit)) == 0
    add = Window.add

    def impatient(window: Window, losses: dict, rate: float, batch: list) -> None:
        add(window, losses, rate, batch)
        float(losses["loss_cls"])

    impatient.__code__ = impatient.__code__.replace(co_filename=loop.__file__)
    monkeypatch.setattr(Window, "add", impatient)
    with pytest.raises(
        RuntimeError, match=r"part of a step waits .* workflow_scripts/training/loop.py:\d+ imp"
    ):
        list(waiting_places(kit))


def test_torchs_own_warnings_are_counted_by_place(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[object] = []
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    source = "def ask(what):\n    warnings.warn(what)\n"
    within = {"warnings": warnings}
    for file in (
        "/env/lib/site-packages/torch/_tensor.py",
        "/env/lib/site-packages/detectron2/structures/boxes.py",
    ):
        exec(compile(source.replace("ask", Path(file).stem), file, "exec"), within)
    exec(compile("def clip(what):\n    _tensor(what)", file, "exec"), within)
    shown = warnings.showwarning
    with waits("cuda:0") as found:
        for _ in range(3):
            within["clip"]("called a synchronizing CUDA operation (Triggered internally ...)")
        within["boxes"]("something else")
    assert found == {"detectron2/structures/boxes.py:2 clip": 3}
    assert modes == ["warn", 0] and warnings.showwarning is shown


def test_detectron2s_side_trains_as_the_recipe_says(kit: Kit) -> None:
    recipe, solver = kit.recipe, their_config(kit).SOLVER
    assert (recipe.base_lr, recipe.momentum) == (solver.BASE_LR, solver.MOMENTUM)
    assert (recipe.weight_decay, 0.0) == (solver.WEIGHT_DECAY, solver.WEIGHT_DECAY_NORM)
    assert (recipe.warmup.iterations, recipe.warmup.factor) == (solver.WARMUP_ITERS, solver.WARMUP_FACTOR)


def test_steps_of_different_work_are_not_compared(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gpu.steps.DrawsPerImage", lambda model, seed: DrawsPerImage(model, 1))
    with pytest.raises(RuntimeError, match="the first losses differ"):
        list(step_times(AS_TRAINED, kit))
    with pytest.raises(RuntimeError, match="the losses differ"):
        relative_difference({"loss_cls": 1.0}, {"loss_mask": 1.0})


@pytest.mark.parametrize(
    ("operator", "group"),
    [
        ("aten::cudnn_convolution", "convolution"),
        ("aten::convolution_backward", "convolution"),
        ("aten::native_group_norm_backward", "normalisation"),
        ("torchvision::_roi_align_backward", "RoIAlign"),
        ("torchvision::nms", "NMS"),
        ("aten::_fused_sgd_", "optimiser"),
        ("aten::addmm", "matrix products"),
        ("aten::sort", "the rest"),
    ],
)
def test_operators_fall_into_groups(operator: str, group: str) -> None:
    assert group_of(operator) == group


def test_the_loader_is_held_against_a_step(kit: Kit) -> None:
    kit.found.append(Row("step", f"{AS_TRAINED}: ours", 0.25, "s"))
    assert list(loading(kit))[-1].value == 8.0  # two images in a quarter of a second


def test_a_training_with_other_draws_is_found(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = iter(range(100))
    monkeypatch.setattr(segment, "DrawsPerImage", lambda model, seed: DrawsPerImage(model, next(seeds)))
    rows = resumed(kit)
    with pytest.raises(RuntimeError, match="once more: other anchors"):
        for row in rows:
            if row.what.endswith("images equal"):
                assert row.value == 100  # augmentation has a seed of its own


def test_processes_with_other_batches_are_found(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(words: list[str]) -> None:
        output = Path(words[words.index("--output") + 1])
        told = {"processes": 2, "backend": "gloo", "seconds": 1.0, "images": ["another"] * 12}
        output.write_text(json.dumps(told))

    monkeypatch.setattr(together, "start_here", start)
    with pytest.raises(RuntimeError, match="other batches than one process"):
        list(together.together(kit))


@pytest.mark.parametrize(("device", "code"), [("cuda:0", 0), ("cpu", 0), ("cuda:0", 1)])
def test_a_study_must_pass_and_train_on_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, code: int
) -> None:
    def snakemake(command: list[str], cwd: Path, **_: object) -> subprocess.CompletedProcess[str]:
        assert "--dry-run" not in command and "gpu=8" in command
        results = cwd / "results/smoke"
        results.mkdir(parents=True)
        (results / "report.html").touch()
        for number, notes in enumerate(({"notes": [{"start_iteration": 0}, {"device": device}]}, {})):
            (results / f"{number}.record.json").write_text(json.dumps({"attempts": [notes]}))
        return subprocess.CompletedProcess(command, code, "", "")

    monkeypatch.setattr(subprocess, "run", snakemake)
    rows = smoke(Kit("cuda:0", small=False, folder=tmp_path))
    if device == "cuda:0" and code == 0:
        assert [row.value for row in rows][1:] == [2, "cuda:0"]
    else:
        with pytest.raises(RuntimeError, match="snakemake ended with 1" if code else "trained elsewhere"):
            list(rows)


def test_pictures_hold_what_their_annotations_say(kit: Kit) -> None:
    told = json.loads(kit.annotations.read_text())
    assert len(told["images"]) == 4 and len(told["categories"]) == CLASSES
    for annotation in told["annotations"]:
        left, top, width, height = annotation["bbox"]
        (polygon,) = annotation["segmentation"]
        assert (left, top) == (min(polygon[::2]), min(polygon[1::2]))
        assert left >= 0 and top >= 0 and left + width <= 640 and top + height <= 480
    assert len(kit.examples) == 4
