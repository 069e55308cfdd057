"""The cost plan: exact iterations, hours and gigabytes that follow from the scale's costs."""

from typing import Any

import pandas as pd
import pytest

from tests.training import REPOSITORY
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.plan import Cost, as_text, plan, planned, seconds_expected


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
    weights = {"source": "https://example.org/r50.pth", "sha256": "0" * 64}
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


def test_time_follows_the_pixels_unless_costs_are_given_with_them() -> None:
    """Four times the pixels an image in half a batch: twice as long to train on, four times as long to detect in."""

    def seconds(**numbers: Any) -> list[float]:
        """An iteration of a detector, one of a classifier, and a checkpoint that detects, at `mini`."""
        study = compile_study({"scale": "mini", "experiments": ["fig1"], "numbers": numbers})
        found = []
        for recipe, rule in (
            ("coco-R50_GN-random-seed0", "train"),
            ("classification-R50_GN", "train"),
            ("coco-R50_GN-random-seed0", "detect"),
        ):
            name, segment = next(key for key in study.segments if key[0] == recipe)
            checkpoints = len(study.evaluated.get((name, segment, "single_scale"), ()))
            count = study.segments[name, segment].iterations if rule == "train" else checkpoints
            job = {"recipe": name, "segment": segment, "testing": "single_scale"}
            found.append((seconds_expected(study, rule, job) - study.scale.costs.start) / count)
        return found

    larger = {"image_sides": [128, 160], "longest_side": 260, "batch": 4}
    prices = {"iteration": {"R50": 3.0}, "classification": {"R50": 2.0}, "detection": {"R50": 5.0}}
    assert seconds() == pytest.approx([0.23, 0.075, 4])
    assert seconds(detection=larger) == pytest.approx([0.46, 0.075, 16])
    assert seconds(classification={"image_side": 64, "batch": 16}) == pytest.approx([0.23, 0.15, 4])
    assert seconds(detection=larger, costs=prices) == pytest.approx([3, 2, 5]), "of these images"


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


def test_a_study_of_less_data_takes_the_hours_that_were_measured_on_another_machine() -> None:
    """Of all large jobs; docs/results.md tells of that run."""
    measured = pd.read_csv(REPOSITORY / "docs/results/seconds-less-data.csv", index_col="job")
    large = ("pre-training", "training detectors", "detecting", "scoring")
    hours = measured[measured["part"].isin(large)]["seconds"].sum() / 3600
    found = plan(compile_study({"scale": "mini", "experiments": ["fig7", "fig8", "text_voc"]}))[-1]
    assert found.name == "all" and found.hours > 2
    assert found.hours == pytest.approx(hours, rel=0.25)


def test_published_weights_leave_no_pretraining(complete_data: dict[str, Any]) -> None:
    weights = {"source": "https://example.org/r50.pth", "sha256": "0" * 64}
    found = costs(complete_data, "fig1", pretraining={"fetch": {"R50_GN": weights}})
    assert found.keys() == {"fig1", "all"}
    assert found["all"].iterations == found["fig1"].iterations


def test_seeds_cost_the_same_each(complete_data: dict[str, Any]) -> None:
    one, three = (costs(complete_data, "fig1", seeds=seeds)["fig1"] for seeds in ([0], [0, 1, 2]))
    assert three.iterations == 3 * one.iterations
    assert three.gigabytes == pytest.approx(3 * one.gigabytes)


def test_the_report_is_told_the_hours_of_all_and_what_a_job_takes(complete_data: dict[str, Any]) -> None:
    """8 GPUs for a training as in the paper, on 2 machines twice as many; at the scales for CPUs, cores."""
    study = compile_study({"scale": "paper", "experiments": ["fig1"], "datasets": complete_data})
    told = planned(study)
    assert told["hours"] == pytest.approx(plan(study)[-1].hours, abs=1e-4)
    assert (told["device"], told["training"], told["evaluation"]) == ("GPU", 8, 1)
    numbers = {"resources": {"train": {"nodes": 2}}, "training": {"processes": 16}}
    two = {"scale": "paper", "experiments": ["fig1"], "datasets": complete_data, "numbers": numbers}
    assert planned(compile_study(two))["training"] == 16
    assert planned(compile_study({"scale": "smoke", "experiments": ["fig1"]}))["device"] == "core"


PLENTY = 1e6
"""Gigabytes free."""


def told(complete_data: dict[str, Any], free: float = PLENTY, **changes: Any) -> list[str]:
    """The paragraphs of the plan, each on one line but for the table."""
    values = {"scale": "paper", "experiments": ["fig1"], "datasets": complete_data} | changes
    study = compile_study(values)
    text = as_text(study, plan(study), free)
    assert max(map(len, text.splitlines())) <= 80
    *paragraphs, table = text.split("\n\n")
    return [*(" ".join(paragraph.split()) for paragraph in paragraphs), table]


def test_the_verdict_comes_first_and_the_table_last(complete_data: dict[str, Any]) -> None:
    verdict, takes, table = told(complete_data)
    assert verdict == "paper, fig1, 1 seed: this study can run as it is."
    segments = 2 * (6 + 5)  # pieces of trunk, and tails; beside them, a classifier
    jobs = 3 * segments + 1
    assert f"in {jobs} large jobs (training, detection, evaluation; a run counts many short ones" in takes
    assert "for 2,060,400 iterations of training" in takes and "save 2,040,000 iterations." in takes
    lines = table.splitlines()
    assert "GPU hours" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["fig1", "pre-training", "all"]
    assert len({len(line) for line in lines}) == 1


def test_all_of_the_paper_fits_80_columns(complete_data: dict[str, Any]) -> None:
    names = [
        "fig1",
        "fig2",
        "fig5",
        "fig6",
        "fig7",
        "fig8",
        "table1",
        "table2",
        "table3",
        "text",
        "text_longer",
    ]
    assert told(complete_data, experiments=names, seeds=[0, 1, 2])[-1].count("\n") == len(names) + 2


def test_a_disk_that_is_too_small_is_the_verdict(complete_data: dict[str, Any]) -> None:
    everything = costs(complete_data, "fig1")["all"]
    enough, too_small = (told(complete_data, everything.peak + more)[0] for more in (0.1, -0.1))
    assert enough.endswith("can run as it is.")
    assert f"does not fit on the disk: it needs up to {everything.peak:,.0f} GB" in too_small


def test_what_is_temporary_goes(complete_data: dict[str, Any]) -> None:
    prices = {"megaparameters": {"R50": 1000.0}, "detections": 1.0}
    policy = {"checkpoints": "temporary", "detections": "temporary"}
    all_kept = costs(complete_data, "fig1", numbers={"costs": prices})["fig1"]
    found = costs(complete_data, "fig1", numbers={"costs": prices}, storage=policy)["fig1"]
    assert found.gigabytes == pytest.approx(2 * 4 * 2 * 11), (
        "the states of eleven segments of two initialisations"
    )
    assert found.peak == all_kept.peak == all_kept.gigabytes > found.gigabytes


def test_the_longest_training_is_counted_in_jobs(complete_data: dict[str, Any]) -> None:
    def paragraphs(**train: int) -> list[str]:
        numbers = {"costs": {"iteration": {"R50": 0.4}}, "resources": {"train": train}}
        weights = {"source": "https://example.org/r50.pth", "sha256": "0" * 64}
        return told(complete_data, numbers=numbers, pretraining={"fetch": {"R50_GN": weights}})

    verdict, takes, _ = paragraphs(runtime=240, retries=2)
    assert verdict.endswith("can run as it is.")
    assert "takes 10.0 h: 3 jobs of 4.0 h, each of which goes on from the one before." in takes
    assert paragraphs(runtime=700)[1].endswith("takes 10.0 h."), "one job"
    verdict = paragraphs(runtime=240, retries=1)[0]
    assert "takes 3 jobs, and a job is started again 1 time at most." in verdict
    assert verdict.endswith("raise resources.train.retries to 2 or more.")
