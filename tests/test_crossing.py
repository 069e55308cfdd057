"""Lines through differences: their intervals, and where they meet zero, against values worked out otherwise."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from workflow_scripts.report.crossing import Line, difference_line
from workflow_scripts.report.intervals import MIN_REPLICATES

LINE = Line(2.0, 1.0, np.array([[0.04, 0.01], [0.01, 0.02]]), 10)


def test_the_interval_of_a_line_follows_from_its_covariance() -> None:
    at = LINE.at(-1.0)
    half = stats.t.ppf(0.975, 10) * math.sqrt(0.04 - 2 * 0.01 + 0.02)
    assert (at.value, at.low, at.high) == pytest.approx((1.0, 1.0 - half, 1.0 + half))


def test_the_crossing_is_where_the_lines_own_interval_ends_to_hold_zero() -> None:
    found = LINE.crossing()
    assert found is not None
    assert found.value == -2.0
    low = optimize.brentq(lambda x: LINE.at(x).high, -6, -2)
    high = optimize.brentq(lambda x: LINE.at(x).low, -2, 4)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_without_a_sure_slope_there_is_no_crossing() -> None:
    flat = Line(2.0, 0.2, np.array([[0.04, 0.0], [0.0, 0.02]]), 10)
    assert flat.crossing() is None


def test_the_line_is_that_of_least_squares_through_the_differences() -> None:
    places, first, second = groups_of_seeds(4, on_a_line=False)
    fit = stats.linregress(places, first.mean(axis=1) - second.mean(axis=1))
    line = difference_line(places, first, second, np.empty((4, 0)))
    assert (line.at_zero, line.slope) == pytest.approx((fit.intercept, fit.slope))


def test_each_group_varies_as_its_own_seeds_do() -> None:
    places, first, second = groups_of_seeds(3, on_a_line=True)
    line = difference_line(places, first, second, np.empty((3, 0)))
    # At x = 0 the line through -2, -1, 0 is -1/6, 1/3 and 5/6 of the differences; its slope -1/2, 0 and 1/2.
    at_zero, slope = np.array([-1 / 6, 1 / 3, 5 / 6]), np.array([-1 / 2, 0, 1 / 2])
    squares = [first.var(axis=1, ddof=1) / 4, second.var(axis=1, ddof=1) / 4]
    variance = squares[0] + squares[1]
    assert line.covariance[0, 0] == pytest.approx((at_zero**2 * variance).sum())
    assert line.covariance[1, 1] == pytest.approx((slope**2 * variance).sum())
    assert line.covariance[0, 1] == pytest.approx((at_zero * slope * variance).sum())
    parts = np.concatenate([at_zero**2 * each for each in squares])
    assert line.freedom == pytest.approx(line.covariance[0, 0] ** 2 / (parts**2 / 3).sum())


def test_groups_that_are_not_on_a_line_widen_it() -> None:
    places, first, second = groups_of_seeds(3, on_a_line=True)
    straight = difference_line(places, first, second, np.empty((3, 0)))
    bent = first + np.array([[0.0], [9.0], [0.0]])
    line = difference_line(places, bent, second, np.empty((3, 0)))
    # What tells a bend is the sum of the outer two less twice the middle one, here -18.
    variance = (first.var(axis=1, ddof=1) + second.var(axis=1, ddof=1)) / 4
    ratio = 18**2 / (np.array([1, 4, 1]) * variance).sum()
    assert ratio > 1
    assert line.covariance == pytest.approx(straight.covariance * ratio)
    slightly = first + np.array([[0.0], [0.1], [0.0]])
    assert difference_line(places, slightly, second, np.empty((3, 0))).covariance == pytest.approx(
        straight.covariance
    )


def groups_of_seeds(groups: int, *, on_a_line: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places up to 0, and four seeds of both sides at each, which vary the more the nearer they are to 0."""
    draw = np.random.default_rng(0)
    places = np.arange(1.0 - groups, 1.0)
    first, second = draw.normal(0, 1, (2, groups, 4)) * np.arange(1.0, groups + 1)[:, None]
    if on_a_line:
        first -= (first.mean(axis=1) - second.mean(axis=1) - 2 - 3 * places)[:, None]
    return places, first, second


def test_too_few_resamples_of_the_images_are_left_out_as_of_any_interval() -> None:
    places, values = np.array([0.0, 1.0]), np.array([[1.0, 2.0], [3.0, 5.0]])
    replicates = np.random.default_rng(0).normal(size=(2, MIN_REPLICATES))
    without, few, all_of_them = (
        difference_line(places, values, values / 2, replicates[:, :number])
        for number in (0, MIN_REPLICATES - 1, MIN_REPLICATES)
    )
    assert np.array_equal(few.covariance, without.covariance)
    assert all_of_them.covariance[0, 0] > without.covariance[0, 0]


def test_images_add_to_the_variance_and_to_the_degrees_of_freedom() -> None:
    draw = np.random.default_rng(0)
    places = np.array([-1.0, 0.0])
    first, second = draw.normal(10, 1, (2, 2, 3))
    alone = difference_line(places, first, second, np.empty((2, 0)))
    resampled = np.tile([[1.0, -1.0, 1.0, -1.0], [3.0, 3.0, -3.0, -3.0]], MIN_REPLICATES // 4)
    both = difference_line(places, first, second, resampled)
    assert (both.covariance - alone.covariance)[0, 0] == pytest.approx(resampled[1].var(ddof=1))
    assert both.freedom == pytest.approx(
        alone.freedom * (both.covariance[0, 0] / alone.covariance[0, 0]) ** 2
    )


@pytest.mark.parametrize(
    ("spreads", "bend", "least_crossed"),
    [
        pytest.param((0.7, 0.7, 0.7), 0.0, 0.93, id="a line"),
        pytest.param((0.4, 0.6, 1.2), 0.0, 0.93, id="seeds vary unequally"),
        pytest.param((0.7, 0.7), 0.0, 0.93, id="two numbers of images"),
        pytest.param((0.7, 0.7, 0.7), 1.0, 0.8, id="a bend"),
        pytest.param((0.4, 0.6, 1.2), 1.0, 0.8, id="a bend, and seeds vary unequally"),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    spreads: tuple[float, ...], bend: float, least_crossed: float
) -> None:
    """1,000 studies of a known course, seeds and images by chance: 93% and more are 95%, by three deviations.

    spreads: how much three seeds vary at each number of images. bend: how far the middle one is from a line. A line
    that is not true still holds its end, and loses some of the places where the course meets 0.
    """
    groups = len(spreads)
    draw = np.random.default_rng(1)
    places = np.arange(1.0 - groups, 1.0)
    truth = -2.0 - 3.0 * places - bend * (places == -1)
    each = np.array(spreads)[:, None]
    held, crossed, told = 0, 0, 0
    for _ in range(1000):
        of_images = draw.normal(0, 0.5, (groups, 1))
        first = truth[:, None] + of_images + each * draw.normal(0, 1, (groups, 3))
        second = each * draw.normal(0, 1, (groups, 3))
        means = (first.mean(axis=1) - second.mean(axis=1))[:, None]
        line = difference_line(places, first, second, means + draw.normal(0, 0.5, (groups, 200)))
        held += line.at(0).low <= truth[-1] <= line.at(0).high
        if crossing := line.crossing():
            told += 1
            crossed += crossing.low <= np.interp(0, -truth, places) <= crossing.high
    assert 0.93 <= held / 1000 <= 0.985
    assert told > 500
    assert least_crossed <= crossed / told <= 0.985, "of those that are told, which are those of a sure slope"
