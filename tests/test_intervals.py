"""Intervals over seeds and images, worked out by hand."""

import numpy as np
import pytest
from scipy import stats

from tests.verdicts import sample
from workflow_scripts.report.intervals import estimate
from workflow_scripts.tables.tidy import number


def test_welchs_interval() -> None:
    """By hand: variances 1 and 4 over 3 and 3 seeds, df = (5/3)^2 / ((1/3)^2/2 + (4/3)^2/2) = 2.941."""
    found = estimate(sample(9, 10, 11), sample(5, 7, 9) * -1)
    assert found.value == pytest.approx(3)
    assert found.freedom == pytest.approx(50 / 17)
    assert found.interval == pytest.approx((3 - 4.156, 3 + 4.156), abs=0.01)


def test_one_seed_takes_the_spread_of_paired_replicates() -> None:
    """Images move both alike: the error of the difference is that of the difference, not of either."""
    rng = np.random.default_rng(0)
    images, own = rng.normal(0, 5, 400), rng.normal(0, 0.1, 400)
    random, pretrained = sample(40, replicates=40 + images + own), sample(41, replicates=41 + images)
    found = estimate(random, pretrained * -1)
    half = 1.959964 * own.std(ddof=1)
    assert found.interval == pytest.approx((-1 - half, -1 + half))
    assert 0.15 < half < 0.25
    assert found.method == "400 resamples of the images; one seed, so how trainings vary is left out"


def test_the_variances_over_seeds_and_over_images_add_up() -> None:
    """By hand: 5/3 over seeds as above, and 4 over images, with (17/3)^2 / ((1/3)^2/2 + (4/3)^2/2) degrees."""
    images = np.tile([-2.0, 2.0], 100) * (199 / 200) ** 0.5  # of variance 4
    found = estimate(sample(9, 10, 11, replicates=images), sample(5, 7, 9, replicates=images * 0) * -1)
    assert found.standard_error == pytest.approx((5 / 3 + 4) ** 0.5)
    assert found.freedom == pytest.approx((17 / 3) ** 2 / (17 / 18))
    half = 2.0322 * (17 / 3) ** 0.5  # t of 34 degrees
    assert found.interval == pytest.approx((3 - half, 3 + half), abs=1e-3)
    assert found.method == "3 seeds (Welch's t) and 200 resamples of the images"


def test_a_checkpoint_and_its_own_later_one_are_paired_by_seed() -> None:
    found = estimate(sample(11, 21, 31) - sample(10, 20, 30))
    assert (found.value, found.interval) == (1, (1, 1))
    assert found.lies("above", 0.99) and not found.lies("above", 1)
    assert (found.p_value("above", 0), found.p_value("above", 1), found.p_value("below", 0)) == (0, 1, 1)


def test_p_is_students() -> None:
    """Of 3 with an error of sqrt(5/3) at 50/17 degrees: two sided 0.103, by scipy's own test of the values."""
    found = estimate(sample(9, 10, 11), sample(5, 7, 9) * -1)
    expected = stats.ttest_ind([9, 10, 11], [5, 7, 9], equal_var=False).pvalue
    assert found.p_value("above", 0) == pytest.approx(expected / 2)
    assert found.p_value("below", 0) == pytest.approx(1 - expected / 2)
    assert found.p_value("below", 6) == pytest.approx(expected / 2)


def test_two_seeds_have_welchs_interval() -> None:
    """By hand: variances 2 and 0 over 2 and 2 seeds; one degree of freedom, t = 12.706."""
    found = estimate(sample(9, 11), sample(5, 5) * -1)
    assert found.value == 5
    assert found.interval == pytest.approx((5 - 12.7062, 5 + 12.7062), abs=1e-3)
    assert found.method == "2 seeds (Welch's t), one choice of images"
    assert found.sources == ("metrics.json",)


def test_seeds_are_those_of_the_side_with_fewer() -> None:
    assert estimate(sample(9, 10, 11), sample(5)).method == "one seed, and too few resamples of the images"


@pytest.mark.parametrize(("count", "interval"), [(99, False), (100, True)])
def test_a_hundred_replicates_make_an_interval(count: int, interval: bool) -> None:
    found = estimate(sample(50, replicates=range(count)), sample(1, replicates=[1] * count))
    assert found.value == 51
    assert found.sources == ("metrics.json",)
    if interval:
        half = 1.959964 * (100 * 101 / 12) ** 0.5  # of 100 equal steps
        assert found.interval == pytest.approx((51 - half, 51 + half))
    else:
        assert found.interval is None
        assert not found.lies("above", -1000) and found.p_value("above", -1000) == 1
        assert found.method == "one seed, and too few resamples of the images"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1.26, 1, "1.3"), (-1.26, 1, "−1.3"), (-0.04, 1, "0.0"), (0.0, 2, "0.00"), (-1.0275, 2, "−1.03")],
)
def test_a_number_is_rounded_with_a_minus_that_is_one(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text
