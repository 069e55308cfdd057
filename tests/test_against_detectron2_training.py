"""Training equals detectron2's: its `SimpleTrainer`, optimiser, rates and mapper, on its own configuration files.

`tests/detectron2_witness.py` says what the two sides share. The first 20 steps warm up, and drop the rate twice.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from detectron2.modeling import build_model
from torch import Tensor

from tests import detectron2_witness as witness
from tests.training import (
    TinyWorld,
    metrics,
    mixed_sizes,
    run,
    run_here,
    segment,
    tiny_recipe,
    tiny_world,
    training_command,
)
from workflow_scripts.models.build import build
from workflow_scripts.models.tensors import load_tensors, save_tensors
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.configuration.scales import TrainingNumbers, Warmup
from workflow_scripts.training.examples import detection_examples
from workflow_scripts.training.processes import Processes
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.sampler import GlobalBatches
from workflow_scripts.training.segment import train_segment

STEPS, DROPS, WARMUP = 20, (12, 17), 5
KEPT = (1, 6, 13, 20)
RATE, WARMUP_FACTOR, WEIGHT_DECAY = 0.01, 0.25, 0.01
"""The decay is strong: 20 steps show which weights it leaves alone."""
NARROW = {
    "MODEL.RESNETS.STEM_OUT_CHANNELS": 32,
    "MODEL.RESNETS.WIDTH_PER_GROUP": 32,
    "MODEL.RESNETS.RES2_OUT_CHANNELS": 32,
    "MODEL.FPN.OUT_CHANNELS": 32,
    "MODEL.ANCHOR_GENERATOR.SIZES": [[8], [12], [16], [24], [32]],
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": 64,
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": 32,
    "MODEL.ROI_BOX_HEAD.CONV_DIM": 32,
    "MODEL.ROI_BOX_HEAD.FC_DIM": 64,
    "MODEL.ROI_MASK_HEAD.CONV_DIM": 32,
    "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS": [32, 32],
}
"""The paper's R50 with FPN, and all of its layers, with fewer channels."""
NARROW_VGG = {
    "MODEL.ANCHOR_GENERATOR.SIZES": [[8, 16, 32]],
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": 64,
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": 32,
    "MODEL.ROI_BOX_HEAD.FC_DIM": 64,
}
ALL_PROPOSALS = {
    "MODEL.RPN.IN_FEATURES": ["p3", "p4", "p5", "p6"],
    "MODEL.ANCHOR_GENERATOR.SIZES": [[12], [16], [24], [32]],
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[1.0]],
    "MODEL.RPN.NMS_THRESH": 1.0,
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": 200,
    "MODEL.ROI_HEADS.POSITIVE_FRACTION": 1.0,
    "MODEL.RPN.SMOOTH_L1_BETA": 1.0,
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": 1.0,
}
"""85 proposals an image, and room for all of them. The box losses have no corner, at which rounding turns a sign."""
MODELS = {
    "mask_rcnn": ("mask_rcnn", "R50", "GN", NARROW),
    "cascade_mask_rcnn": ("cascade_mask_rcnn", "R50", "GN", {**NARROW, "MODEL.MASK_ON": False}),
    "keypoint_rcnn": ("keypoint_rcnn", "R50", "GN", NARROW),
    "faster_rcnn": ("faster_rcnn", "R50", "GN", NARROW),
    "fine_tuned": ("mask_rcnn", "R50", "GN", NARROW),
    "SyncBN": ("mask_rcnn", "R50", "SyncBN", {**NARROW, **ALL_PROPOSALS}),
    "VGG-16": ("faster_rcnn", "VGG-16", "", NARROW_VGG),
}
"""Detector, backbone, norm and sizes of each kind of the witness's models.

A cascade's masks are not detectron2's: `tests/test_cascade.py`.
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Both sides sum in one order, the training command's processes, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "2")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("square")
    tiny_world(folder)
    return folder


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures are square, wide and high."""
    folder = tmp_path_factory.mktemp("mixed")
    mixed_sizes(tiny_world(folder))
    return folder


def recipe_of(kind: str, **changes: object) -> Recipe:
    """Ours, of a kind of the witness's models: rate, warm-up and decay are the test's, all else the study's."""
    detector, backbone, norm, sizes = MODELS[kind]
    own = {"MODEL.VGG.STAGE_CHANNELS": [4, 8, 16, 32, 32]} if kind == "VGG-16" else {}
    settings = {
        "batch": 2,
        "base_lr": RATE,
        "warmup": Warmup(iterations=WARMUP, factor=WARMUP_FACTOR),
        "weight_decay": WEIGHT_DECAY,
        "detectron2": {**sizes, **own},
    }
    return tiny_recipe(detector=detector, backbone=backbone, norm=norm, **{**settings, **changes})


def config_of(kind: str, world: TinyWorld, classes: int, recipe: Recipe) -> witness.CfgNode:
    """detectron2's, of the same sizes; momentum and decay factor are its defaults."""
    name = witness.registered(world.annotations, world.images, kind == "keypoint_rcnn")
    settings = {
        **MODELS[kind][-1],
        "MODEL.ROI_HEADS.NUM_CLASSES": classes,
        "INPUT.MIN_SIZE_TRAIN": recipe.image_sides,
        "INPUT.MAX_SIZE_TRAIN": recipe.longest_side,
        "DATASETS.TRAIN": (name,),
        "SOLVER.BASE_LR": RATE,
        "SOLVER.WARMUP_ITERS": WARMUP,
        "SOLVER.WARMUP_FACTOR": WARMUP_FACTOR,
        "SOLVER.WEIGHT_DECAY": WEIGHT_DECAY,
        "SOLVER.STEPS": DROPS,
        "SOLVER.MAX_ITER": STEPS,
    }
    return witness.detectron2s_config(kind, *(part for pair in settings.items() for part in pair))


def witnessed(
    kind: str,
    recipe: Recipe,
    world: TinyWorld,
    first: Mapping[str, Tensor],
    told: witness.Told,
    steps: int = STEPS,
) -> witness.Told:
    """detectron2's training from our first weights; the names of weights are ours."""
    examples = detection_examples(recipe, world.annotations, world.images)
    config = config_of(kind, world, len(examples.classes), recipe)
    model = build_model(config)
    names = witness.load_in_order(model, first)
    assert kind == "VGG-16" or all(name == other for name, other in names.items())
    batches = GlobalBatches(examples.wide, recipe.batch, recipe.seed)
    witness.train(config, model, [batches.indices(t).tolist() for t in range(steps)], recipe.seed, told)
    for done, weights in told.weights.items():
        told.weights[done] = {names[name]: tensor for name, tensor in weights.items()}
    return told


def check_lines(told: witness.Told, folder: Path, tolerance: float, steps: int = STEPS) -> None:
    """Lines of metrics of a folder are what the witness told."""
    lines = metrics(folder)
    assert [line["iteration"] for line in lines] == list(range(1, steps + 1))
    assert [line["learning_rate"] for line in lines] == pytest.approx(told.rates, rel=1e-6)
    for line, losses in zip(lines, told.losses, strict=True):
        found = {name: value for name, value in line.items() if name.startswith("loss_")}
        assert found == pytest.approx(losses, rel=tolerance, abs=tolerance), f"step {line['iteration']}"


def check_equal(told: witness.Told, folder: Path, tolerance: float, steps: int = STEPS) -> None:
    """Lines of metrics and checkpoints of a folder are what the witness told."""
    check_lines(told, folder, tolerance, steps)
    for done in told.keep:
        weights, _ = load_tensors(folder / f"checkpoints/{done}.safetensors")
        assert weights.keys() == told.weights[done].keys()
        for name in weights:
            expected = told.weights[done][name]
            assert torch.allclose(weights[name], expected, tolerance, tolerance), f"{name}, step {done}"


@pytest.mark.parametrize(
    "kind",
    [
        "mask_rcnn",
        "faster_rcnn",
        "VGG-16",
        pytest.param("cascade_mask_rcnn", marks=pytest.mark.slow),
        pytest.param("keypoint_rcnn", marks=pytest.mark.slow),
    ],
)
def test_first_steps_are_those_of_detectron2s_trainer(kind: str, mixed: Path, tmp_path: Path) -> None:
    world = TinyWorld(mixed, "person_keypoints" if kind == "keypoint_rcnn" else "instances")
    recipe = recipe_of(kind)
    examples = detection_examples(recipe, world.annotations, world.images)
    first = build(recipe, len(examples.classes), "cpu").state_dict()
    numbers = TrainingNumbers(log_period=1, save_period=STEPS, workers=0)
    part = segment(0, STEPS, DROPS, evaluations=KEPT)
    train_segment(recipe, part, examples, numbers, Progress(tmp_path), Processes(0, 1, "cpu"))
    check_equal(witnessed(kind, recipe, world, first, witness.Told(KEPT)), tmp_path, 1e-6)


@pytest.mark.slow
def test_each_step_with_syncbn_in_two_processes_is_that_of_batchnorm_on_the_whole_batch(
    square: Path, tmp_path: Path
) -> None:
    """The witness is one process with torch's BatchNorm. The two sum in another order, which grows to percents in a few
    steps, so it makes each step from our weights of the step before, and all proposals are learned from: none is
    suppressed or drawn. Rounding turns some ReLUs: on three kinds of processors, the two changes of a tensor of weights
    lay up to 6% of their length apart. Pictures have one size, for a process pads to its own largest.
    """
    recipe = recipe_of("SyncBN", batch=4, image_sides=(64,))
    first = build(recipe, 10, "cpu").state_dict()
    every = range(1, STEPS + 1)
    part = segment(0, STEPS, DROPS, evaluations=tuple(every))
    options = ("--log-period", "1", "--processes", "2")
    done = run(training_command(tmp_path, recipe, part, TinyWorld(square), *options))
    assert done.returncode == 0, done.stderr

    def ours(step: int) -> Mapping[str, Tensor]:
        return load_tensors(tmp_path / f"checkpoints/{step}.safetensors")[0]

    told = witnessed("SyncBN", recipe, TinyWorld(square), first, witness.Told(every, ours))
    check_lines(told, tmp_path, 1e-5)
    before = first
    for step in every:
        weights = ours(step)
        for name, expected in told.weights[step].items():
            # The naive SyncBN counts no batches, and its running variance is the biased one.
            if not name.endswith(("num_batches_tracked", "running_var")):
                apart, change = (weights[name] - expected).norm(), (expected - before[name]).norm()
                assert apart < 0.2 * change + 1e-6 * expected.norm() + 1e-9, f"{name}, step {step}"
        before = weights


def test_a_pretrained_run_starts_from_the_backbone_it_is_given(mixed: Path, tmp_path: Path) -> None:
    """And freezes its first stages: as detectron2 does by the file of its fine-tuned model."""
    world, steps = TinyWorld(mixed), 2
    recipe = recipe_of("fine_tuned", initialisation="pretrained", freeze_at=2)
    first = build(recipe, 10, "cpu").state_dict()
    other = build(recipe.model_copy(update={"seed": 7}), 10, "cpu").state_dict()
    prefix = "backbone.bottom_up."
    backbone = {name: tensor for name, tensor in other.items() if name.startswith(prefix)}
    file = tmp_path / "backbone.safetensors"
    save_tensors(file, {name.removeprefix(prefix): tensor for name, tensor in backbone.items()}, {})
    part = segment(0, steps, evaluations=(1, steps))
    run_here(training_command(tmp_path, recipe, part, world, "--log-period", "1", "--backbone", str(file)))
    told = witnessed("fine_tuned", recipe, world, first | backbone, witness.Told((1, steps)), steps)
    check_equal(told, tmp_path, 1e-6, steps=steps)
    stem, later = (f"{prefix}{name}.weight" for name in ("stem.conv1", "res3.0.conv1"))
    assert torch.equal(told.weights[steps][stem], backbone[stem])
    assert not torch.equal(told.weights[steps][later], backbone[later])
