"""A cascade from a plain detector's state: what is kept, what is new, and exact continuation."""

import pytest
import torch
from detectron2.utils.events import EventStorage
from torch import nn

from tests.training import TinyWorld, metrics, run, segment, tiny_recipe, tiny_world, training_command
from workflow_scripts.errors import UserError
from workflow_scripts.models.build import build
from workflow_scripts.models.fork import forked
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.examples import Examples, detection_examples
from workflow_scripts.training.processes import Processes, SampleCounts
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.segment import train_segment
from workflow_scripts.training.state import State, load_state, write_state

NEW = ("roi_heads.box_head.1.", "roi_heads.box_head.2.", "roi_heads.box_predictor.0.bbox_pred.")
NEW += ("roi_heads.box_predictor.1.", "roi_heads.box_predictor.2.")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def cascade() -> Recipe:
    return tiny_recipe(detector="cascade_mask_rcnn")


@pytest.fixture(scope="module")
def examples(cascade: Recipe, world: TinyWorld) -> Examples:
    return detection_examples(cascade, world.annotations, world.images)


@pytest.fixture(scope="module")
def plain(examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> State:
    """Mask R-CNN's state after four iterations."""
    return train(tiny_recipe(), 0, 4, examples, tmp_path_factory.mktemp("plain"))


def train(recipe: Recipe, start: int, stop: int, examples: Examples, folder, parent: State | None = None):
    file, part = None, segment(start, stop)
    if parent is not None:
        part = part.model_copy(update={"parent": tuple(parent.of.split("/"))})
        folder.mkdir(exist_ok=True)
        file = folder / "parent.safetensors"
        write_state(file, parent)
    numbers = TrainingNumbers(log_period=2, save_period=4, workers=0)
    alone = Processes(rank=0, count=1, device="cpu")
    return train_segment(recipe, part, examples, numbers, Progress(folder / "progress"), alone, file)


def fork_of(state: State, model: nn.Module, source: str = "parent") -> State:
    return State(state.iteration, *forked(state.weights, state.momentum, model, source))


def assert_same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name, tensor in left.items() if not torch.equal(tensor, right[name])] == []


def test_a_plain_state_becomes_a_cascade(cascade, examples, plain):
    model = build(cascade, len(examples.classes), "cpu")
    fork = fork_of(plain, model)
    assert fork.weights.keys() == model.state_dict().keys()
    assert fork.momentum.keys() == {name for name, _ in model.named_parameters()}
    untouched = build(cascade, len(examples.classes), "cpu").state_dict()
    for name, weight in fork.weights.items():
        if name.startswith(NEW):
            assert torch.equal(weight, untouched[name]), name
            assert not fork.momentum[name].any(), name
        else:
            before = name.replace("box_head.0.", "box_head.").replace("box_predictor.0.", "box_predictor.")
            assert torch.equal(weight, plain.weights[before]), name
            assert torch.equal(fork.momentum[name], plain.momentum[before]), name
    assert any(name.startswith("roi_heads.box_head.0.") for name in fork.weights)


def test_a_state_that_fits_is_unchanged(examples, plain):
    fork = fork_of(plain, build(tiny_recipe(), len(examples.classes), "cpu"))
    assert fork.weights is plain.weights
    assert fork.momentum is plain.momentum


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda name, weight: None if name.startswith("backbone.") else weight, "backbone."),
        (lambda name, weight: weight[:1] if name.startswith("proposal_") else weight, "proposal_generator."),
        (lambda name, weight: weight[:-1] if "cls_score" in name else weight, "box_predictor.0.cls_score"),
    ],
)
def test_a_parent_that_lacks_more_than_a_cascade_adds_is_refused(cascade, examples, plain, damage, named):
    weights = {name: damage(name, weight) for name, weight in plain.weights.items()}
    weights = {name: weight for name, weight in weights.items() if weight is not None}
    model = build(cascade, len(examples.classes), "cpu")
    with pytest.raises(UserError, match=rf"parent\.safetensors: found a state of another model.*{named}"):
        forked(weights, plain.momentum, model, "parent.safetensors")


def test_a_cascade_does_not_become_plain(cascade, examples, plain):
    fork = fork_of(plain, build(cascade, len(examples.classes), "cpu"))
    with pytest.raises(UserError, match="found a state of another model"):
        fork_of(fork, build(tiny_recipe(), len(examples.classes), "cpu"))


def test_a_fork_continues_bit_for_bit(cascade, examples, plain, tmp_path):
    straight = train(cascade, 4, 10, examples, tmp_path / "straight", plain)
    first = train(cascade, 4, 7, examples, tmp_path / "first", plain)
    cut = train(cascade, 7, 10, examples, tmp_path / "second", first)
    # As if killed after the save at 8: only the progress folder is left.
    train(cascade, 4, 8, examples, tmp_path / "killed", plain)
    resumed = train(cascade, 4, 10, examples, tmp_path / "killed", plain)
    for state in (cut, resumed):
        assert_same(state.weights, straight.weights)
        assert_same(state.momentum, straight.momentum)
    assert not torch.equal(straight.weights["roi_heads.box_head.1.fc1.weight"], _weight(cascade, examples))
    assert [line["iteration"] for line in metrics(tmp_path / "killed/progress")] == [6, 8, 10]


def _weight(recipe: Recipe, examples: Examples) -> torch.Tensor:
    """A weight of the cascade's second stage before training."""
    return build(recipe, len(examples.classes), "cpu").state_dict()["roi_heads.box_head.1.fc1.weight"]


def test_the_command_forks_and_two_processes_agree(world, tmp_path, plain):
    # Pictures of one size: detectron2 pads a process's batch to its largest picture.
    recipe = tiny_recipe(detector="cascade_mask_rcnn", image_sides=(48,))
    parent = tmp_path / "parent.safetensors"
    write_state(parent, plain)
    options = ("--log-period", "1", "--parent", str(parent))
    one = run(training_command(tmp_path / "one", recipe, segment(4, 7), world, *options))
    two = run(training_command(tmp_path / "two", recipe, segment(4, 7), world, *options, "--processes", "2"))
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    left, right = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    names = [f"{name}_stage{stage}" for name in ("loss_cls", "loss_box_reg") for stage in range(3)]
    assert len(left) == len(right) == 3
    for alone, shared in zip(left, right, strict=True):
        for name in (*names, "loss_mask", "loss_rpn_cls"):
            assert shared[name] == pytest.approx(alone[name], rel=1e-3, abs=1e-5), name
    weights = [load_state(tmp_path / name / "state.safetensors").weights for name in ("one", "two")]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_each_stage_of_a_cascade_counts_its_own_proposals(cascade, examples):
    model = build(cascade, len(examples.classes), "cpu")
    heads, seen = model.roi_heads, []
    with torch.no_grad():
        heads.box_predictor[0].bbox_pred.bias[0] = 10  # a whole width to the right: many leave the picture
    label = heads._match_and_label_boxes
    heads._match_and_label_boxes = lambda *args: seen.append(sum(map(len, args[0]))) or label(*args)
    counts = SampleCounts(model)
    with EventStorage():
        losses = model([examples[(0, position, position)] for position in range(2)])
    assert {name for name in losses if not name.startswith("loss_rpn")} == counts.of.keys()
    assert [counts.of[f"loss_cls_stage{stage}"] for stage in (1, 2)] == seen
    assert 0 < seen[0] < counts.of["loss_box_reg_stage0"]
    assert (
        counts.of["loss_mask"] == 0
    )  # so far right, no box is an object's: of the last stage, nothing is foreground
