"""What must hold whatever the numbers are: schedules cut into segments, splits and subsets of images, locks."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_scripts.data.split import parts_of
from workflow_scripts.data.subsets import parse_size, seeded_order
from workflow_scripts.errors import UserError
from workflow_scripts.study.compiled.recipes import MODELS, Training, detection_recipe
from workflow_scripts.study.compiled.schedules import (
    Decay,
    Schedule,
    ScheduleUnit,
    learning_rate,
    schedule_of,
    short_schedule,
)
from workflow_scripts.study.compiled.segments import Run, compile_run, shared_segments
from workflow_scripts.study.configuration.config import StudyConfig, read_scale
from workflow_scripts.study.configuration.scales import EvaluationNumbers, Warmup
from workflow_scripts.training.lock import _machine, _read, held

RECIPE = detection_recipe(
    Training(MODELS["R50_GN"], "random", "skip", 0),
    read_scale(StudyConfig(scale="smoke", experiments=("fig1",))),
)
UNITS = st.tuples(st.integers(1, 40), st.integers(2, 60), st.integers(1, 59)).filter(
    lambda drawn: drawn[2] < drawn[1]
)
EVALUATION = st.builds(
    EvaluationNumbers,
    trunk_period=st.integers(1, 50),
    tail_period=st.integers(1, 50),
    short_points=st.integers(1, 9),
    replicates=st.just(0),
)
IDS = st.sets(st.integers(0, 2**53), min_size=2, max_size=60)
SEEDS = st.integers(0, 2**31 - 1)
WARMUP = Warmup(iterations=7, factor=0.1)


def drawn_unit(numbers: tuple[int, int, int]) -> ScheduleUnit:
    a_unit, tail, second_tail = numbers
    return ScheduleUnit(iterations_per_x=a_unit, tail=tail, second_tail=second_tail)


def assert_a_chain(run: Run, schedule: Schedule) -> None:
    """Each segment goes on where the one before ends, to the schedule's end, which is evaluated."""
    before = None
    for segment in run.segments:
        assert segment.start == (before.stop if before else 0) < segment.stop
        assert segment.parent == ((before.recipe, before.name) if before else None)
        assert all(segment.start < point <= segment.stop for point in segment.evaluations)
        before = segment
    assert before is not None and before.stop == schedule.iterations == run.checkpoints("end")[0][1]


def assert_the_rates(run: Run, schedule: Schedule) -> None:
    """Those of the whole schedule, whichever segment trains an iteration."""
    whole = Decay(kind="steps", drops=(schedule.first_drop, schedule.second_drop))
    for segment in run.segments:
        for iteration in range(segment.start, segment.stop):
            rates = [learning_rate(1.0, WARMUP, decay, 0.1, iteration) for decay in (segment.decay, whole)]
            assert rates[0] == rates[1]


@given(UNITS, st.lists(st.integers(1, 400), min_size=1, max_size=4, unique=True), EVALUATION)
@settings(max_examples=150)
def test_schedules_of_a_recipe_are_chains_that_share_what_is_the_same(
    numbers: tuple[int, int, int], lengths: list[int], evaluation: EvaluationNumbers
) -> None:
    unit = drawn_unit(numbers)
    fitting = [each for each in lengths if unit.tail < each <= 100 * unit.iterations_per_x]
    runs = []
    for length in fitting:
        schedule = schedule_of(str(length), unit)
        runs.append(compile_run(RECIPE, schedule, unit, evaluation))
        assert_a_chain(runs[-1], schedule)
        assert_the_rates(runs[-1], schedule)
    shared = shared_segments(runs)
    assert all(shared[segment.recipe, segment.name] == segment for run in runs for segment in run.segments)


@given(st.integers(5, 500), UNITS, EVALUATION)
@settings(max_examples=100)
def test_short_schedules_are_chains(
    iterations: int, numbers: tuple[int, int, int], evaluation: EvaluationNumbers
) -> None:
    schedule = short_schedule("short", iterations)
    run = compile_run(RECIPE, schedule, drawn_unit(numbers), evaluation)
    assert_a_chain(run, schedule)
    assert_the_rates(run, schedule)


@given(st.integers(2, 100), st.integers(1, 300), EVALUATION)
@settings(max_examples=100)
def test_a_run_leaves_another_recipes_trunk_once(
    multiple: int, switch: int, evaluation: EvaluationNumbers
) -> None:
    unit = ScheduleUnit(iterations_per_x=9, tail=6, second_tail=2)
    other = RECIPE.model_copy(update={"name": "other"})
    schedule = schedule_of(f"{multiple}x", unit)
    run = compile_run(RECIPE, schedule, unit, evaluation, trunk=other, switch=switch / 9)
    assert_a_chain(run, schedule)
    fork = schedule.iterations - switch
    own = [segment for segment in run.segments if segment.recipe == RECIPE.name]
    assert own and own == list(run.segments[-len(own) :])
    if 0 < fork <= schedule.first_drop:
        assert own[0].start == fork


@given(st.text(max_size=40) | st.from_regex(r"\A\d{1,30}(\.\d{1,5})?x?\Z"))
def test_any_text_is_a_schedule_or_is_refused(text: str) -> None:
    unit = ScheduleUnit(iterations_per_x=9, tail=6, second_tail=2)
    try:
        found = schedule_of(text, unit)
    except ValueError:
        return
    assert unit.tail < found.iterations <= 900
    assert found.iterations - found.first_drop == unit.tail


@given(IDS, st.floats(0.001, 0.999), SEEDS)
def test_a_split_puts_each_image_in_one_part(ids: set[int], validation: float, seed: int) -> None:
    try:
        parts = parts_of(sorted(ids), validation, seed)
    except UserError as error:
        assert round(len(ids) * validation) in (0, len(ids)) and "Change the fraction" in str(error)
        return
    assert parts["train"] | parts["val"] == ids
    assert not parts["train"] & parts["val"]
    assert len(parts["val"]) == round(len(ids) * validation)
    assert parts == parts_of(sorted(ids, reverse=True), validation, seed)


@given(IDS, st.integers(0, 2**53), SEEDS)
def test_subsets_are_nested_and_another_image_changes_no_order(ids: set[int], more: int, seed: int) -> None:
    """A subset is the first images of an order, in which any two stand as they do without the others."""
    order = seeded_order(ids, seed)
    assert sorted(order) == sorted(ids)
    assert [each for each in seeded_order(ids | {more}, seed) if each in ids] == order


@given(st.text(max_size=20) | st.from_regex(r"\A[\w.-]{1,5}=[\d.]{1,6}%?\Z"))
def test_any_text_is_a_subset_or_is_refused(text: str) -> None:
    try:
        name, size = parse_size(text)
    except UserError as error:
        assert "expected NAME=IMAGES" in str(error)
        return
    assert text.startswith(f"{name}=") and name
    assert size is None or size >= 1 if not isinstance(size, float) else 0 < size <= 1


GOOD = {"token": "a", "machine": "another", "pid": 1, "started": 0.0, "job": "b"}
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_subnormal=False)
    | st.text(max_size=3)
    | st.just([])
    | st.just({})
)


@given(
    st.binary(max_size=40)
    | st.builds(lambda *pair: json.dumps(GOOD | dict([pair])).encode(), st.sampled_from(sorted(GOOD)), ODD)
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_lock_names_an_owner_or_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lock"
    path.write_bytes(content)
    owner = _read(path)
    assert owner is None or (not owner.gone and owner.started < float("inf"))


@pytest.mark.parametrize(
    "changed", [{"pid": 2**70}, {"pid": 0}, {"pid": "1"}, {"started": "now"}, {"token": 3}]
)
def test_a_lock_of_other_types_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, object]
) -> None:
    monkeypatch.setattr("workflow_scripts.training.lock.POLL", 0.01)
    monkeypatch.setattr("workflow_scripts.training.lock.SETTLE", 0.0)
    path = tmp_path / "lock"
    path.write_text(json.dumps(GOOD | {"machine": _machine()} | changed))
    os.utime(path, (0, 0))
    with held(path) as own:
        assert not own.taken_over
