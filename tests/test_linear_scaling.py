"""The linear scaling rule: rates and iterations follow the batch, visibly and only when asked."""

from typing import Any

import pytest

from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.summary import notes, sharing


def study(data: dict[str, Any], **changes: Any) -> Study:
    return compile_study({"scale": "paper", "experiments": ["fig1"], "datasets": data} | changes)


def test_half_the_batch_learns_at_half_the_rate_for_twice_as_long(complete_data: dict[str, Any]) -> None:
    usual = study(complete_data)
    halved = study(complete_data, linear_scaling=True, numbers={"detection": {"batch": 8}})
    recipe, half = (each.needed_runs(["fig1"])[0].recipe for each in (usual, halved))
    assert (half.batch, half.base_lr, half.warmup.iterations) == (8, recipe.base_lr / 2, 1000)
    assert half.decay_factor == recipe.decay_factor
    for name, schedule in usual.schedules.items():
        longer = halved.schedules[name]
        assert longer.iterations == 2 * schedule.iterations
        drops = (2 * schedule.first_drop, 2 * schedule.second_drop)
        assert (longer.first_drop, longer.second_drop) == pytest.approx(drops, abs=1), "rounded once"
    points = [
        [at for _, at in each.needed_runs(["fig1"])[0].checkpoints("curve")] for each in (usual, halved)
    ]
    assert points[1] == [2 * at for at in points[0]]
    assert halved.scale.classification == usual.scale.classification


def test_classification_follows_its_own_batch(complete_data: dict[str, Any]) -> None:
    usual = study(complete_data).scale
    doubled = study(complete_data, linear_scaling=True, numbers={"classification": {"batch": 512}}).scale
    assert doubled.classification.base_lr == 2 * usual.classification.base_lr
    assert doubled.classification.iterations == usual.classification.iterations // 2
    assert doubled.detection == usual.detection


def test_nothing_follows_a_batch_unless_asked(complete_data: dict[str, Any]) -> None:
    changed = study(complete_data, numbers={"detection": {"batch": 8}}).scale
    usual = study(complete_data).scale
    assert changed.detection == usual.detection.model_copy(update={"batch": 8})
    assert changed.schedule == usual.schedule


def test_it_is_said_in_the_terminal_and_in_the_report(complete_data: dict[str, Any]) -> None:
    halved = study(complete_data, linear_scaling=True, numbers={"detection": {"batch": 8}})
    said = "detectors train on batches of 8 at a base rate of 0.01 with 180,000 iterations to 1x"
    assert said in sharing(halved)
    assert any(said in note for note in notes(halved))
    assert "linear scaling" not in sharing(study(complete_data))


@pytest.mark.parametrize("batch", [8, 32])
def test_the_amount_of_images_stays(complete_data: dict[str, Any], batch: int) -> None:
    runs = study(complete_data, linear_scaling=True, numbers={"detection": {"batch": batch}}).runs
    usual = study(complete_data).runs
    for key, run in usual.items():
        assert runs[key].schedule.iterations * batch == run.schedule.iterations * 16
