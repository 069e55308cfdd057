"""Whether a training has converged, told from its own curve, and what may be said of one that has not."""

from typing import Any

import numpy as np
import pytest

from tests.verdicts import (
    CASCADE,
    DEFAULT,
    LADDERS,
    SEARCHED,
    TEST,
    TRAIN,
    flat,
    judged,
    papers_numbers,
    run,
    table,
)
from workflow_scripts.report.comparisons import Arm, Results
from workflow_scripts.tables.convergence import LEAST_AP, SHARE, gain_per_doubling

AP = "bbox AP"


def rising(ap: float, share: float = 0.5) -> dict[int, dict[str, float]]:
    """A trunk that gains this share of `ap` in a doubling."""
    return {4: {AP: 0.9 * ap - share * ap}, 8: {AP: 0.9 * ap}}


def ladder(model: str, initialisation: str) -> list[dict[str, Any]]:
    return [
        row
        for times, ap in zip((2, 3, 4, 5, 6), LADDERS[model, initialisation], strict=True)
        for row in run(model, initialisation, f"{times}x", {90 * times: {AP: ap}})
    ]


# The gain


@pytest.mark.parametrize(("model", "initialisation"), LADDERS)
def test_the_papers_table_1_has_converged(model: str, initialisation: str) -> None:
    """By a line through its 3x to 6x."""
    ends = LADDERS[model, initialisation]
    expected = np.polyfit(np.log2([3, 4, 5, 6]), ends[1:], 1)[0]
    gain = gain_per_doubling(table(ladder(model, initialisation), spread=0.0), "6x")
    assert gain is not None and gain.converged
    assert (gain.value, gain.end) == pytest.approx((expected, ends[-1]))
    assert (gain.points, gain.along) == (4, "schedules")


@pytest.mark.parametrize(("model", "initialisation"), LADDERS)
def test_the_gain_that_is_told_at_3x_is_more_than_6x_brought(model: str, initialisation: str) -> None:
    """An upper bound: the paper's curves flatten. R50 from random init: 4.6 by the line, 1.8 in fact."""
    (_, at_3x, *_, at_6x) = LADDERS[model, initialisation]
    gain = gain_per_doubling(table(ladder(model, initialisation), spread=0.0), "3x")
    assert gain is not None and gain.value > at_6x - at_3x
    if (model, initialisation) == ("R50 GN", "random"):
        assert gain.value == pytest.approx((39.5 - 36.8) / np.log2(3 / 2))


def test_the_papers_r50_from_random_init_gains_four_percent() -> None:
    """By hand: 1.68 AP a doubling, between 0.27 and 3.09, of 41.3."""
    gain = gain_per_doubling(table(ladder("R50 GN", "random"), spread=0.0), "6x")
    assert gain is not None and gain.interval is not None
    assert (gain.value, gain.share, *gain.interval) == pytest.approx((1.68, 0.041, 0.27, 3.09), abs=0.01)


def test_a_single_training_is_told_by_the_second_half_of_its_trunk() -> None:
    """8 points more from 40 to 80 iterations; before and after the trunk, AP counts for nothing."""
    trunk = {10: {AP: 1.0}, 20: {AP: 2.0}, 40: {AP: 20.0}, 80: {AP: 28.0}}
    rows = table(run("R50 GN", "random", "6x", {100: {AP: 45.0}, 120: {AP: 50.0}}, trunk=trunk), spread=0.0)
    gain = gain_per_doubling(rows, "6x")
    assert gain is not None
    assert (gain.value, gain.interval, gain.end, gain.along) == (pytest.approx(8), None, 50, "trunk")


def test_seeds_are_averaged() -> None:
    rows = table(run("R50 GN", "random", "6x", {120: {AP: 50.0}}, trunk=flat(50)), spread=5.0)
    rows.loc[rows["seed"] == "0", "value"] += 3.0
    gain = gain_per_doubling(rows, "6x")
    assert gain is not None
    at = {iteration: rows.loc[rows["iteration"] == iteration, "value"].mean() for iteration in (2, 4, 120)}
    assert (gain.value, gain.end) == pytest.approx((at[4] - at[2], at[120]))


@pytest.mark.parametrize(
    ("share", "end", "converged"),
    [
        (SHARE - 0.01, 50.0, True),
        (SHARE + 0.01, 50.0, False),
        (0.0, LEAST_AP - 0.1, False),
        (-0.5, 50.0, True),
    ],
)
def test_converged_is_at_most_a_share_of_what_was_learned(share: float, end: float, converged: bool) -> None:
    gain = gain_per_doubling(
        table(run("R50 GN", "random", "6x", {12: {AP: end}}, trunk=rising(end, share)), spread=0.0), "6x"
    )
    assert gain is not None and gain.converged == converged


def test_too_few_checkpoints_tell_nothing() -> None:
    rows = table(run("R50 GN", "random", "6x", {12: {AP: 50.0}}, trunk={8: {AP: 30.0}}), spread=0.0)
    assert gain_per_doubling(rows, "6x") is None
    assert gain_per_doubling(rows, "9x") is None


def test_what_is_tested_with_augmentation_is_told_by_the_same_training_without() -> None:
    labels = ("R50 GN", "random", "9x")
    rows = run(*labels, {12: {AP: 50.0}}, setting=TEST, trained_as=CASCADE)
    rows += run(*labels, {12: {AP: 48.0}}, setting=CASCADE, trunk=rising(48.0))
    rows += run(*labels, {12: {AP: 48.0}}, setting=TRAIN, trunk=flat(48.0))
    results = Results([table(rows, spread=0.0)], ())
    gain = results.gain(Arm("coco", "all", TEST, "R50 GN"), "random", "9x")
    assert gain is not None and (gain.value, gain.end) == (pytest.approx(24), 48.0)


# Verdicts


def one_of(number: int, what: str, rows: list[dict[str, Any]], seeds: int = 3) -> dict[str, Any]:
    """A verdict's evidence on one comparison."""
    evidence = judged(table(rows, seeds=seeds))[number - 1]["evidence"]
    (found,) = (each for each in evidence if each["what"].startswith(what))
    return found


def pair(
    subset: str, random: tuple[float, Any], pretrained: tuple[float, Any], setting: str = SEARCHED
) -> list:
    """Both initialisations: AP at the end, and the trunk."""
    return [
        row
        for name, (ap, trunk) in (("random", random), ("pretrained", pretrained))
        for row in run(
            "R50 GN", name, f"{subset}-{name}", {12: {AP: ap}}, "coco", subset, setting, trunk=trunk
        )
    ]


def test_no_worse_than_what_was_cut_short_is_not_judged() -> None:
    """As a miniature once had it: AP 16.9 from random init, and 4.5 from a pre-training that had just begun to rise."""
    found = one_of(4, "R50 GN, 10k subset", pair("10k", (16.9, flat(16.9)), (4.5, rising(4.5, 0.9))))
    assert found["outcome"] == "not judged"
    assert found["reason"] == (
        "w/ pre-train has not converged: twice the length would add up to 4.0 to its 4.5"
    )
    record = judged(table(pair("10k", (16.9, flat(16.9)), (4.5, rising(4.5, 0.9)))))[3]
    assert record["verdict"] == "not judged" and "Not judged: R50 GN, 10k subset" in record["why"]


def test_worse_than_pretraining_where_random_init_was_cut_short_is_not_judged() -> None:
    found = one_of(4, "R50 GN, 1k subset", pair("1k", (2.0, rising(2.0)), (9.0, flat(9.0))))
    assert (found["outcome"], found["reason"][:33]) == ("not judged", "random init has not converged: tw")


@pytest.mark.parametrize(
    ("subset", "random", "pretrained", "outcome"),
    [
        ("10k", (20.0, rising(20.0)), (15.0, flat(15.0)), "holds"),
        ("10k", (10.0, flat(10.0)), (15.0, rising(15.0)), "fails"),
        ("1k", (2.0, flat(2.0)), (9.0, rising(9.0)), "holds"),
        ("1k", (12.0, rising(12.0)), (9.0, flat(9.0)), "fails"),
    ],
)
def test_whoever_is_found_behind_must_have_converged_and_the_other_need_not(
    subset: str, random: tuple[float, Any], pretrained: tuple[float, Any], outcome: str
) -> None:
    assert one_of(4, f"R50 GN, {subset} subset", pair(subset, random, pretrained))["outcome"] == outcome


def test_an_interval_that_straddles_is_not_judged_where_one_has_not_converged() -> None:
    for trunk, outcome in ((flat(15.0), "undecided"), (rising(15.0), "not judged")):
        rows = table(pair("10k", (14.9, flat(14.9)), (15.0, trunk)), spread=3.0)
        (found,) = (each for each in judged(rows)[3]["evidence"] if "10k" in each["what"])
        assert found["outcome"] == outcome


def test_behind_at_the_shortest_schedule_needs_no_convergence() -> None:
    rows = [row for row in papers_numbers() if row["setting"] == "baseline" and row["model"] == "R50 GN"]
    found = one_of(2, "R50 GN, box AP, 2x", [row for row in rows if row["train_set"] == "coco"])
    assert (found["outcome"], found["reason"]) == ("holds", "")


def test_a_curve_that_rises_still_does_not_refute_overfitting() -> None:
    for trunk, outcome in ((rising(30.0), "not judged"), (flat(30.0), "fails")):
        rows = run("R50 GN", "pretrained", "2x", {60: {AP: 25.0}}, "coco", "35k", DEFAULT, trunk=flat(25.0))
        rows += run("R50 GN", "pretrained", "6x", {180: {AP: 30.0}}, "coco", "35k", DEFAULT, trunk=trunk)
        assert one_of(6, "R50 GN, 35k subset", rows)["outcome"] == outcome


def test_nothing_is_judged_of_trainings_that_learned_nothing() -> None:
    found = one_of(4, "R50 GN, 1k subset", pair("1k", (0.001, flat(0.001)), (0.004, flat(0.004))))
    assert found["outcome"] == "not judged"
    assert "has not learned" in found["reason"]
