"""Lines through differences: their intervals, and where they meet zero, against values worked out otherwise."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from workflow_scripts.report.crossing import Line, difference_line, satterthwaite

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
    draw = np.random.default_rng(0)
    places = np.array([-2.0, -1.0, 0.0])
    first, second = draw.normal(10, 1, (2, 3, 4))
    line = difference_line(places, first, second, np.empty((3, 0)))

    differences = first.mean(axis=1) - second.mean(axis=1)
    fit = stats.linregress(places, differences)
    assert (line.at_zero, line.slope) == pytest.approx((fit.intercept, fit.slope))
    assert line.freedom == 2 * 3 * 4 - 3 - 2
    leverage = (
        1 / 3 + 1 / 2
    )  # of x = 0: one of three places, and their mean's square over the sum of squares about it
    beyond_line = fit.intercept_stderr**2 / leverage
    within_groups = sum(((each - each.mean()) ** 2).sum() for each in (*first, *second))
    # A difference of two means of four varies by half of what a value does.
    variance = (within_groups + beyond_line * 4 / 2) / line.freedom
    assert line.covariance[0, 0] == pytest.approx(variance * 2 / 4 * leverage)


def test_images_add_to_the_variance_and_to_the_degrees_of_freedom() -> None:
    draw = np.random.default_rng(0)
    places = np.array([-1.0, 0.0])
    first, second = draw.normal(10, 1, (2, 2, 3))
    alone = difference_line(places, first, second, np.empty((2, 0)))
    resampled = np.array([[1.0, -1.0, 1.0, -1.0], [3.0, 3.0, -3.0, -3.0]])
    both = difference_line(places, first, second, resampled)
    assert (both.covariance - alone.covariance)[0, 0] == pytest.approx(resampled[1].var(ddof=1))
    assert both.freedom == pytest.approx(
        satterthwaite(alone.covariance, both.covariance - alone.covariance, alone.freedom)
    )
    assert both.freedom > alone.freedom


@pytest.mark.parametrize(("groups", "seeds"), [(3, 3), (2, 2)])
def test_intervals_hold_the_truth_as_often_as_they_say(groups: int, seeds: int) -> None:
    """1,000 studies of a known line, seeds and images by chance: 93% to 97% are three deviations about 95%."""
    draw = np.random.default_rng(1)
    places = np.arange(1.0 - groups, 1.0)
    truth = -2.0 - 3.0 * places
    held, crossed, told = 0, 0, 0
    for _ in range(1000):
        first = truth[:, None] + draw.normal(0, 0.5, (groups, 1)) + draw.normal(0, 0.7, (groups, seeds))
        second = draw.normal(0, 0.7, (groups, seeds))
        means = (first.mean(axis=1) - second.mean(axis=1))[:, None]
        line = difference_line(places, first, second, means + draw.normal(0, 0.5, (groups, 200)))
        held += line.at(0).low <= truth[-1] <= line.at(0).high
        if crossing := line.crossing():
            told += 1
            crossed += crossing.low <= -2 / 3 <= crossing.high
    assert 0.93 <= held / 1000 <= 0.97
    assert told > 500
    assert 0.90 <= crossed / told <= 0.975, "of those that are told, which are those of a sure slope"
