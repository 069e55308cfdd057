"""Schedules: lengths, drops and learning rates, against the paper's numbers (section 3)."""

import math

import pytest
from pydantic import ValidationError

from workflow_scripts.study.compiled.schedules import (
    Decay,
    ScheduleUnit,
    Warmup,
    learning_rate,
    schedule_of,
)

PAPER = ScheduleUnit(iterations_per_x=90_000, tail=60_000, second_tail=20_000)
WARMUP = Warmup(iterations=500, factor=1 / 3)


@pytest.mark.parametrize(
    ("name", "iterations", "first_drop", "second_drop"),
    [
        ("1x", 90_000, 30_000, 70_000),
        ("2x", 180_000, 120_000, 160_000),
        ("3x", 270_000, 210_000, 250_000),
        ("4x", 360_000, 300_000, 340_000),
        ("5x", 450_000, 390_000, 430_000),
        ("6x", 540_000, 480_000, 520_000),
        ("9x", 810_000, 750_000, 790_000),
        ("2.5x", 225_000, 165_000, 205_000),
        ("144000", 144_000, 84_000, 124_000),
    ],
)
def test_lengths_and_drops(name: str, iterations: int, first_drop: int, second_drop: int) -> None:
    schedule = schedule_of(name, PAPER)
    assert schedule.name == name
    assert schedule.iterations == iterations
    assert (schedule.first_drop, schedule.second_drop) == (first_drop, second_drop)


def test_multiple_is_rounded_to_whole_iterations() -> None:
    assert schedule_of("2.33x", ScheduleUnit(iterations_per_x=6, tail=4, second_tail=2)).iterations == 14


@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize(
    ("before_end", "factor"),
    [(60_001, 1.0), (60_000, 0.1), (20_001, 0.1), (20_000, 0.01), (1, 0.01)],
)
def test_rate_falls_in_the_last_60k_and_20k_whatever_k(k: int, before_end: int, factor: float) -> None:
    schedule = schedule_of(f"{k}x", PAPER)
    decay = Decay(kind="steps", drops=(schedule.first_drop, schedule.second_drop))
    rate = learning_rate(0.02, WARMUP, decay, 0.1, schedule.iterations - before_end)
    assert rate == pytest.approx(0.02 * factor)


@pytest.mark.parametrize(
    ("iteration", "share"),
    [(0, 1 / 3), (125, 1 / 2), (250, 2 / 3), (499, 1 - 2 / 3 / 500), (500, 1), (501, 1)],
)
def test_warmup_is_linear(iteration: int, share: float) -> None:
    assert learning_rate(0.02, WARMUP, Decay(kind="steps"), 0.1, iteration) == pytest.approx(0.02 * share)


def test_no_warmup_starts_at_the_base_rate() -> None:
    assert learning_rate(0.02, Warmup(iterations=0, factor=0), Decay(kind="steps"), 0.1, 0) == 0.02


@pytest.mark.parametrize(("iteration", "factor"), [(99, 1), (100, 0.02), (119, 0.02), (120, 0.0004)])
def test_decay_factor_is_the_recipes(iteration: int, factor: float) -> None:
    """Fig. 7, 35k images: base rate 0.04, decay factor 0.02."""
    decay = Decay(kind="steps", drops=(100, 120))
    assert learning_rate(0.04, Warmup(iterations=0, factor=0), decay, 0.02, iteration) == pytest.approx(
        0.04 * factor
    )


@pytest.mark.parametrize("k", [2, 4, 6])
def test_trunk_rate_is_that_of_every_longer_schedule(k: int) -> None:
    """What makes trunks shareable: without drops, the rate before the first drop is the same."""
    schedule = schedule_of(f"{k}x", PAPER)
    decay = Decay(kind="steps", drops=(schedule.first_drop, schedule.second_drop))
    for iteration in (0, 250, 5_000, schedule.first_drop - 1):
        whole = learning_rate(0.02, WARMUP, decay, 0.1, iteration)
        assert whole == learning_rate(0.02, WARMUP, Decay(kind="steps"), 0.1, iteration)


def test_cosine_falls_from_the_base_rate_to_zero() -> None:
    decay = Decay(kind="cosine", period=100)
    rates = [learning_rate(0.1, Warmup(iterations=0, factor=0), decay, 0.1, t) for t in range(101)]
    assert rates[0] == 0.1
    assert rates[50] == pytest.approx(0.05)
    assert math.isclose(rates[100], 0, abs_tol=1e-12)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("name", ["0x", "0", "0.5x", "60000", "0.6666x"])
def test_schedule_not_longer_than_its_tail_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"not longer than the tail of 60000.*longer schedule or shorten the tail"
    ):
        schedule_of(name, PAPER)


def test_shortest_schedule_has_one_iteration_of_trunk() -> None:
    assert schedule_of("60001", PAPER).first_drop == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "long",
        "x2",
        "2X",
        "-2x",
        "2 x",
        " 2x",
        "2x\n",
        "2.x",
        ".5x",
        "1e5",
        "1_0x",
        "infx",
        "nanx",
        "18k",
        "2.5",
        "٢x",
    ],
)
def test_what_is_no_schedule_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected a multiple such as 6x, or a number of iterations"):
        schedule_of(name, PAPER)


@pytest.mark.parametrize("second_tail", [60_000, 70_000])
def test_second_tail_lies_within_the_tail(second_tail: int) -> None:
    with pytest.raises(ValidationError, match="must be shorter than tail"):
        ScheduleUnit(iterations_per_x=90_000, tail=60_000, second_tail=second_tail)
