"""What a training draws depends on its seed, the iteration and the image's place in the batch, and on nothing else."""

from types import SimpleNamespace

import pytest
import torch

from tests.training import TinyWorld, tiny_recipe, tiny_world
from workflow_scripts.training.draws import DrawsPerImage
from workflow_scripts.training.examples import Examples, classification_examples, detection_examples


def draws(seed: int, iteration: int, first: int, images: int = 4, what: str = "anchors") -> list[float]:
    """What a detector's sampler would draw for each image of a batch."""
    model = SimpleNamespace(
        proposal_generator=SimpleNamespace(_subsample_labels=lambda: torch.rand(()).item()),
        roi_heads=SimpleNamespace(_sample_proposals=lambda: torch.rand(()).item()),
    )
    per_image = DrawsPerImage(model, seed)
    per_image.begin(iteration, first)
    anchors = [model.proposal_generator._subsample_labels() for _ in range(images)]
    proposals = [model.roi_heads._sample_proposals() for _ in range(images)]
    return anchors if what == "anchors" else proposals


@pytest.mark.parametrize("what", ["anchors", "proposals"])
def test_samples_of_an_image_are_its_own_whichever_process_draws_them(what: str) -> None:
    batch = draws(seed=3, iteration=5, first=0, what=what)
    assert len(set(batch)) == 4
    assert draws(seed=3, iteration=5, first=0, what=what) == batch
    assert draws(seed=3, iteration=5, first=2, images=2, what=what) == batch[2:]


@pytest.mark.parametrize("other", [{"seed": 4}, {"iteration": 6}, {"what": "proposals"}])
def test_samples_of_another_seed_iteration_or_head_are_others(other: dict) -> None:
    same = {"seed": 3, "iteration": 5, "first": 0}
    assert not set(draws(**same)) & set(draws(**(same | other)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(params=["detection", "classification"])
def examples(request: pytest.FixtureRequest, world: TinyWorld):
    """The examples of a seed."""

    def of(seed: int) -> Examples:
        if request.param == "classification":
            recipe = tiny_recipe("classification").model_copy(update={"seed": seed})
            return classification_examples(recipe, world.folder / "classification/train")
        recipe = tiny_recipe().model_copy(update={"seed": seed})
        return detection_examples(recipe, world.annotations, world.images)

    return of


def test_pictures_are_changed_by_seed_iteration_and_place(examples) -> None:
    """Of one picture 24 times: flips and crops that are drawn anew agree in all of them once in 16 million times."""

    def seen(seed: int, iterations: range, position: int) -> list[torch.Tensor]:
        return [examples(seed)[(iteration, position, 0)]["image"] for iteration in iterations]

    def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
        return all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(one, other, strict=True))

    usual = seen(0, range(24), 0)
    assert equal(usual, seen(0, range(24), 0))
    assert not equal(usual, seen(1, range(24), 0))
    assert not equal(usual, seen(0, range(24), 1))
    assert not equal(usual, [usual[0]] * 24)
