"""Segments: what runs share, and that no schedule changes what another has trained."""

from collections.abc import Iterable

import pytest

from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.recipes import (
    MODELS,
    Recipe,
    Training,
    classification_recipe,
    detection_recipe,
)
from workflow_scripts.study.compiled.schedules import ScheduleUnit, schedule_of
from workflow_scripts.study.compiled.segments import (
    Run,
    classification_segment,
    compile_run,
    evaluation_points,
    iterations_planned,
    iterations_without_sharing,
    shared_segments,
    trunk_cuts,
)
from workflow_scripts.study.configuration.config import StudyConfig, read_scale
from workflow_scripts.study.configuration.scales import EvaluationNumbers, Scale
from workflow_scripts.study.layout.results import Layout

SCALES = ("smoke", "mini", "paper")
SCHEDULES = ("2x", "3x", "4x", "5x", "6x")


def scale_named(name: str) -> Scale:
    return read_scale(StudyConfig(scale=name, experiments=("fig1",)))


def recipe_at(scale: Scale, seed: int = 0) -> Recipe:
    return detection_recipe(Training(MODELS["R50_GN"], "random", "skip", seed), scale)


def runs_of(scale: Scale, schedules: Iterable[str], seed: int = 0) -> list[Run]:
    recipe = recipe_at(scale, seed)
    return [
        compile_run(recipe, schedule_of(name, scale.schedule), scale.schedule, scale.evaluation)
        for name in schedules
    ]


def test_five_schedules_cost_780k_iterations_instead_of_1800k() -> None:
    runs = runs_of(scale_named("paper"), SCHEDULES)
    assert iterations_planned(runs) == 780_000
    assert iterations_without_sharing(runs) == 1_800_000


def test_seeds_share_nothing() -> None:
    scale = scale_named("paper")
    runs = [run for seed in (0, 1) for run in runs_of(scale, SCHEDULES, seed)]
    assert iterations_planned(runs) == 2 * 780_000


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("schedule", [*SCHEDULES, "7x", "2.5x", "9x", "11x"])
def test_run_is_a_chain_from_nothing_to_its_end(name: str, schedule: str) -> None:
    scale = scale_named(name)
    (run,) = runs_of(scale, [schedule])
    first, last = run.segments[0], run.segments[-1]
    assert (first.start, first.parent) == (0, None)
    assert last.stop == run.schedule.iterations
    for parent, child in zip(run.segments, run.segments[1:], strict=False):
        assert child.parent == (parent.recipe, parent.name)
        assert child.start == parent.stop
    assert [segment.stage for segment in run.segments] == ["trunk"] * (len(run.segments) - 1) + ["tail"]
    assert last.start == run.schedule.first_drop
    assert last.decay.drops == (run.schedule.first_drop, run.schedule.second_drop)
    assert sum(segment.iterations for segment in run.segments) == run.schedule.iterations


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("schedule", [*SCHEDULES, "2.5x"])
def test_evaluations_lie_in_their_segment_and_end_with_the_run(name: str, schedule: str) -> None:
    (run,) = runs_of(scale_named(name), [schedule])
    for segment in run.segments:
        assert list(segment.evaluations) == sorted(set(segment.evaluations))
        assert all(segment.start < iteration <= segment.stop for iteration in segment.evaluations)
        assert segment.evaluations[-1] == segment.stop
    assert run.segments[-1].evaluations[-1] == run.schedule.iterations


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("more", ["1x", "2.5x", "7x", "11x", "explicit"])
def test_one_more_schedule_changes_no_segment(name: str, more: str) -> None:
    scale = scale_named(name)
    if more == "explicit":
        more = str(scale.schedule.tail + 1)
    before = shared_segments(runs_of(scale, SCHEDULES))
    after = shared_segments(runs_of(scale, [*SCHEDULES, more]))
    assert before.items() < after.items()


def test_7x_adds_its_tail_and_the_trunk_that_6x_lacks() -> None:
    scale = scale_named("paper")
    before = shared_segments(runs_of(scale, SCHEDULES))
    after = shared_segments(runs_of(scale, [*SCHEDULES, "7x"]))
    added = sorted(name for _, name in after.keys() - before.keys())
    assert added == ["tail-570000-610000-630000", "trunk-480000-570000"]


def test_schedule_on_the_grid_adds_its_tail_alone() -> None:
    scale = scale_named("paper")
    before = shared_segments(runs_of(scale, ["2x", "6x"]))
    after = shared_segments(runs_of(scale, ["2x", "4x", "6x"]))
    assert [name for _, name in after.keys() - before.keys()] == ["tail-300000-340000-360000"]


@pytest.mark.parametrize("name", SCALES)
def test_name_tells_all_that_a_segment_is(name: str) -> None:
    """Whichever runs ask for it: one recipe never has two segments of one name."""
    scale = scale_named(name)
    names = [*SCHEDULES, "1x", "2.5x", "3.5x", "7x", str(scale.schedule.tail + 1)]
    segments = [segment for run in runs_of(scale, names) for segment in run.segments]
    assert len({segment.name for segment in segments}) == len(set(segments))


def test_two_names_of_one_length_share_every_segment() -> None:
    by_multiple, by_iterations = runs_of(scale_named("paper"), ["2x", "180000"])
    assert by_multiple.segments == by_iterations.segments


@pytest.mark.parametrize(
    ("branch", "cuts"),
    [
        (120_000, [30_000, 120_000]),
        (210_000, [30_000, 120_000, 210_000]),
        (30_000, [30_000]),
        (20_000, [20_000]),
        (165_000, [30_000, 120_000, 165_000]),
    ],
)
def test_trunk_is_cut_at_the_first_drops_of_whole_multiples(branch: int, cuts: list[int]) -> None:
    unit = ScheduleUnit(iterations_per_x=90_000, tail=60_000, second_tail=20_000)
    assert trunk_cuts(branch, unit) == cuts


def test_tail_longer_than_1x_moves_the_grid_to_the_first_multiple_that_has_a_trunk() -> None:
    unit = ScheduleUnit(iterations_per_x=10, tail=25, second_tail=5)
    assert trunk_cuts(schedule_of("5x", unit).first_drop, unit) == [5, 15, 25]
    whole_tail = ScheduleUnit(iterations_per_x=10, tail=20, second_tail=5)
    assert trunk_cuts(schedule_of("4x", whole_tail).first_drop, whole_tail) == [10, 20]


@pytest.mark.parametrize(
    ("start", "stop", "period", "points"),
    [
        (0, 10, 5, (5, 10)),
        (0, 10, 4, (2, 6, 10)),
        (0, 3, 10, (3,)),
        (10, 20, 10, (20,)),
        (9, 20, 10, (10, 20)),
    ],
)
def test_evaluation_points_count_back_from_the_end(
    start: int, stop: int, period: int, points: tuple[int, ...]
) -> None:
    assert evaluation_points(start, stop, period) == points


def test_periods_differ_in_trunk_and_tail() -> None:
    unit = ScheduleUnit(iterations_per_x=90_000, tail=60_000, second_tail=20_000)
    recipe = recipe_at(scale_named("paper"))
    evaluation = EvaluationNumbers(trunk_period=30_000, tail_period=20_000, short_points=5, replicates=0)
    run = compile_run(recipe, schedule_of("2x", unit), unit, evaluation)
    assert [segment.evaluations for segment in run.segments] == [
        (30_000,),
        (60_000, 90_000, 120_000),
        (140_000, 160_000, 180_000),
    ]


def test_classifier_is_one_cosine_from_nothing() -> None:
    scale = scale_named("paper")
    iterations = scale.classification.iterations
    segment = classification_segment(classification_recipe(MODELS["R50_GN"], scale), iterations)
    assert (segment.name, segment.parent) == (f"cosine-0-{iterations}", None)
    assert (segment.start, segment.stop, segment.decay.period) == (0, iterations, iterations)


def test_first_segments_of_pretrained_runs_read_their_models_backbone_and_others_none() -> None:
    study = compile_study({"scale": "smoke", "experiments": ["fig1"]})
    layout = Layout(study)
    begun = set()
    for (recipe, name), segment in study.segments.items():
        model = study.recipes[recipe].model
        begins = study.recipes[recipe].initialisation == "pretrained" and segment.start == 0
        expected = f"results/smoke/pretraining/train/{model}/backbone.safetensors" if begins else None
        assert layout.training_inputs(recipe, name).get("backbone") == expected, (recipe, name)
        begun |= {model} if begins else set()
    assert begun == MODELS.keys()
