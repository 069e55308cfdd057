"""The cost plan: exact iterations, hours and gigabytes that follow from the scale's costs."""

from typing import Any

import pandas as pd
import pytest

from tests.training import REPOSITORY
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.plan import Cost, as_text, plan


def costs(complete_data: dict[str, Any], *experiments: str, **changes: Any) -> dict[str, Cost]:
    values = {"scale": "paper", "experiments": experiments, "datasets": complete_data} | changes
    return {cost.name: cost for cost in plan(compile_study(values))}


def test_iterations_and_what_sharing_saves(complete_data: dict[str, Any]) -> None:
    found = costs(complete_data, "fig1", "table1", "fig6")
    assert (found["fig1"].iterations, found["fig1"].saved) == (1_560_000, 2_040_000)
    assert found["table1"].iterations == found["fig1"].iterations
    assert found["pre-training"].iterations == 500_400
    assert found["all"].iterations == 1_560_000 + 660_000 + 500_400, "table1's runs are fig1's"


def test_hours_and_gigabytes_follow_from_the_costs(complete_data: dict[str, Any]) -> None:
    prices = {
        "iteration": {"R50": 0.36},
        "detection": {"R50": 0.0},
        "scoring": 0.0,
        "start": 0.0,
        "megaparameters": {"R50": 1000.0},
        "detections": 0.0,
    }
    found = costs(complete_data, "fig1", numbers={"costs": prices, "resources": {"train": {"gpu": 8}}})
    assert found["fig1"].hours == pytest.approx(1_560_000 * 0.36 * 8 / 3600)
    segments = 6 + 5  # the trunk to 480k in six pieces, and five tails
    checkpoints = 480 // 30 + 5 * 60 // 10
    assert found["fig1"].gigabytes == pytest.approx(2 * 4 * (2 * segments + checkpoints))


def test_jobs_start_and_checkpoints_are_evaluated_in_the_time_that_is_planned(
    complete_data: dict[str, Any],
) -> None:
    """Both initialisations of 2x: two pieces of trunk, evaluated once and twice, and a tail, evaluated six times."""
    prices = {"iteration": {"R50": 0.0}, "detection": {"R50": 100.0}, "scoring": 7.0, "start": 20.0}
    weights = {"source": "r50.pth", "sha256": "0" * 64}
    found = costs(
        complete_data,
        "fig1",
        schedules=["2x"],
        pretraining={"fetch": {"R50_GN": weights}},
        numbers={"costs": prices, "resources": {"train": {"gpu": 8}}},
    )["fig1"]
    segments, checkpoints = 2 * 3, 2 * (1 + 3 + 6)
    assert found.jobs == 3 * segments
    seconds = segments * 20 * 8 + segments * 20 + checkpoints * 100
    assert found.hours == pytest.approx(seconds / 3600), "scoring takes no GPU"


def test_mini_takes_the_hours_that_were_measured() -> None:
    """The scale's costs follow from this measurement of its main job, on the machine of docs/results.md."""
    measured = pd.read_csv(REPOSITORY / "docs/results/seconds.csv", index_col="job")["seconds"] / 3600
    study = compile_study({"scale": "mini", "experiments": ["fig1"]})
    planned = {cost.name: cost.hours for cost in plan(study)}
    found = {"fig1": 0.0, "pre-training": 0.0}
    for recipe, segment in study.segments:
        jobs = [f"training/{recipe}/{segment}"]
        jobs += [f"evaluation/{recipe}/{segment}/single_scale-{rule}" for rule in ("detect", "evaluate")]
        part = "pre-training" if recipe.startswith("classification") else "fig1"
        found[part] += measured.reindex(jobs).sum()
    assert found["fig1"] > 0.5
    for name, hours in found.items():
        assert planned[name] == pytest.approx(hours, rel=0.25), name


def test_published_weights_leave_no_pretraining(complete_data: dict[str, Any]) -> None:
    weights = {"source": "r50.pth", "sha256": "0" * 64}
    found = costs(complete_data, "fig1", pretraining={"fetch": {"R50_GN": weights}})
    assert found.keys() == {"fig1", "all"}
    assert found["all"].iterations == found["fig1"].iterations


def test_seeds_cost_the_same_each(complete_data: dict[str, Any]) -> None:
    one, three = (costs(complete_data, "fig1", seeds=seeds)["fig1"] for seeds in ([0], [0, 1, 2]))
    assert three.iterations == 3 * one.iterations
    assert three.gigabytes == pytest.approx(3 * one.gigabytes)


def test_text_has_a_line_for_each(complete_data: dict[str, Any]) -> None:
    study = compile_study({"scale": "paper", "experiments": ["fig1"], "datasets": complete_data})
    lines = as_text(study, plan(study)).splitlines()
    assert "GPU hours" in lines[1]
    assert [line.split()[0] for line in lines[2:-1]] == ["fig1", "pre-training", "all"]
    assert len({len(line) for line in lines[1:-1]}) == 1


def test_what_is_temporary_goes(complete_data: dict[str, Any]) -> None:
    prices = {"megaparameters": {"R50": 1000.0}, "detections": 1.0}
    policy = {"checkpoints": "temporary", "detections": "temporary"}
    all_kept = costs(complete_data, "fig1", numbers={"costs": prices})["fig1"]
    found = costs(complete_data, "fig1", numbers={"costs": prices}, storage=policy)["fig1"]
    assert found.gigabytes == pytest.approx(2 * 4 * 2 * 11), (
        "the states of eleven segments of two initialisations"
    )
    assert found.peak == all_kept.peak == all_kept.gigabytes > found.gigabytes


def test_the_longest_segment_is_counted_in_jobs(complete_data: dict[str, Any]) -> None:
    def last_line(**train: int) -> str:
        numbers = {"costs": {"iteration": {"R50": 0.4}}, "resources": {"train": train}}
        values = {"scale": "paper", "experiments": ["fig1"], "datasets": complete_data, "numbers": numbers}
        weights = {"source": "r50.pth", "sha256": "0" * 64}
        study = compile_study(values | {"pretraining": {"fetch": {"R50_GN": weights}}})
        return as_text(study, plan(study)).splitlines()[-1]

    assert "takes 10.0 h: 3 job(s) of 4 h" in last_line(runtime=240)
    assert "raise" not in last_line(runtime=240, retries=2)
    assert last_line(runtime=240, retries=1).endswith("raise numbers.resources.train.retries to 2 or more")
