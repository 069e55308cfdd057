"""Advice: what is found in evaluations, what is said of it, and what is drawn; and never more than the numbers show."""

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.figures import misplaced, point, texts
from workflow_scripts.errors import UserError
from workflow_scripts.figures import advice as figure
from workflow_scripts.figures.style import Style
from workflow_scripts.report.advice import advise
from workflow_scripts.report.advice_words import answer
from workflow_scripts.tables.advice import Advice, Interval, Size, Trained
from workflow_scripts.tables.tidy import EVALUATION_COLUMNS

IMAGES = {"all": 400, "half": 200, "quarter": 100}
LENGTHS = {"all": 800, "half": 600, "quarter": 400}


def evaluations(gains: dict[str, float], rises: float = 1.0, noise: float = 0.0) -> pd.DataFrame:
    """Three seeds: random init ends at 30, pre-training `gains` above it, and half the length is `rises` lower."""
    draw = np.random.default_rng(0)
    rows = [
        point(
            30
            + gains[subset] * (initialisation == "pretrained")
            - rises * (length == "short")
            + seed
            + noise * draw.normal(),
            subset=subset,
            initialisation=initialisation,
            schedule=f"{subset}-{initialisation if length == 'short' else 'longer'}",
            iteration=LENGTHS[subset] // (2 if length == "short" else 1),
            seed=str(seed),
        )
        for subset in gains
        for initialisation in ("random", "pretrained")
        for length in ("short", "long")
        for seed in range(3)
    ]
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


def found(gains: dict[str, float], rises: float = 1.0, scale: str = "mini") -> Advice:
    return advise(evaluations(gains, rises), [], IMAGES, scale)


def test_differences_are_those_of_the_ends_with_welchs_interval() -> None:
    table = evaluations({"all": 2.0, "half": 4.0}, noise=0.5)
    sizes = advise(table, [], IMAGES, "mini").sizes
    assert [size.images for size in sizes] == [200, 400]
    assert sizes[1].random.lengths == [400, 800]

    ends = table[(table["subset"] == "all") & (table["iteration"] == 800)].groupby("initialisation")["value"]
    test = stats.ttest_ind(ends.get_group("pretrained"), ends.get_group("random"), equal_var=False)
    interval = test.confidence_interval(0.95)
    difference = ends.get_group("pretrained").mean() - ends.get_group("random").mean()
    long = sizes[1].long
    assert (long.value, long.low, long.high) == pytest.approx((difference, interval.low, interval.high))


def test_what_the_second_half_added_is_told_seed_by_seed() -> None:
    """Seeds spread by 1, and each gains 3: so the gain is known exactly."""
    size = found({"all": 2.0, "half": 2.0}, rises=3.0).sizes[1]
    gain = size.random.gain
    assert (gain.value, gain.low, gain.high) == pytest.approx((3.0, 3.0, 3.0))


def test_the_line_meets_zero_where_the_differences_do() -> None:
    advice = found({"quarter": 6.0, "half": 2.0, "all": -2.0})
    assert advice.break_even_images is not None
    assert advice.break_even_images.value == pytest.approx(200 * 2**0.5)
    low, high = advice.break_even_images.ends
    assert low < 200 * 2**0.5 < high
    assert msgspec.json.decode(msgspec.json.encode(advice), type=Advice) == advice, (
        "as it is written and read"
    )
    drawn = {round(place.images): place.difference.value for place in advice.line}
    assert drawn[100] == pytest.approx(6.0)
    assert drawn[400] == pytest.approx(-2.0)


def test_random_init_reaches_pre_training_after_as_many_doublings_as_it_lacks() -> None:
    """It gains 4 by a doubling and lacks 2: half a doubling more than the longer training."""
    advice = found({"half": 8.0, "all": 2.0}, rises=4.0)
    assert advice.break_even_length is not None
    assert advice.break_even_length.value == pytest.approx(2**0.5)


def test_a_subset_with_one_length_is_refused() -> None:
    table = evaluations({"all": 2.0, "half": 4.0})
    with pytest.raises(UserError, match="on half, of two lengths"):
        advise(table[table["schedule"] != "half-longer"], [], IMAGES, "mini")


# What is said


def interval(value: float, half: float = 1.0) -> Interval:
    return Interval(value, value - half, value + half)


def told(*differences: Interval, **known: object) -> Advice:
    """An answer to differences at 100, 200, 400 … images."""
    sizes = [
        Size(
            100 * 2**place,
            Trained([400, 800], [interval(20.0), interval(21.0)], interval(1.0), True),
            Trained([400, 800], [interval(22.0), interval(23.0)], interval(1.0), True),
            difference,
            difference,
            "seeds",
        )
        for place, difference in enumerate(differences)
    ]
    return answer(msgspec.structs.replace(Advice("mini", "box AP", 3, sizes), **known))


def test_a_sure_difference_on_all_images_is_the_answer() -> None:
    assert told(interval(8.0), interval(6.1)).headline == (
        "With all 200 images pre-training is worth 6.1 (5.1 to 7.1) box AP, after 800 iterations."
    )
    assert told(interval(0.0), interval(-6.1)).headline == (
        "With all 200 images random init ends 6.1 (5.1 to 7.1) box AP ahead, after 800 iterations."
    )


def test_where_a_difference_ends_is_told_only_behind_a_sure_one() -> None:
    assert told(interval(6.0), interval(2.0), interval(0.5)).headline == (
        "With 100 images pre-training is worth 6.0 (5.0 to 7.0) box AP; from 400 on the difference is not "
        "distinguishable from 0 (0.5 (−0.5 to 1.5))."
    )
    unsure = told(interval(0.5), interval(-0.5))
    assert unsure.headline.startswith(
        "Cannot tell: with all 200 images pre-training is worth −0.5 (−1.5 to 0.5)"
    )
    assert unsure.would_tell == [
        "The interval comes mostly from seeds: four times as many halve it (advice.seeds)."
    ]


def test_one_number_of_images_among_others_decides_nothing() -> None:
    one_of_three = told(interval(0.5), interval(6.0), interval(-0.5))
    assert one_of_three.headline.startswith("Cannot tell: with all 400 images")
    assert one_of_three.told[0] == (
        "With 200 images pre-training is worth 6.0 (5.0 to 7.0), but 100 do not show it: of 3 numbers that were "
        "tried, one may differ by chance."
    )
    first = told(interval(6.0), interval(0.5), interval(2.0), interval(-0.5))
    assert "from 200 on the difference is not distinguishable from 0 (0.5 (" in first.headline
    assert first.told[0].startswith(
        "With 400 images pre-training is worth 2.0 (1.0 to 3.0), but 200 do not show it"
    )


def test_a_number_of_images_on_which_random_init_is_ahead_is_told_so() -> None:
    found = told(interval(3.0), interval(-3.0), interval(-2.0), interval(0.0))
    assert found.headline == (
        "With 100 images pre-training is worth 3.0 (2.0 to 4.0) box AP; with 200 random init ends 3.0 (2.0 to 4.0) "
        "ahead, and with all 800 the difference is not distinguishable from 0 (0.0 (−1.0 to 1.0))."
    )
    assert found.told[0] == (
        "With 400 images random init ends 2.0 (1.0 to 3.0) ahead, but all 800 do not show it: of 4 numbers that were "
        "tried, one may differ by chance."
    )
    cannot_tell = told(interval(-3.0), interval(0.0))
    assert cannot_tell.headline.startswith("Cannot tell")
    assert cannot_tell.told[0].startswith(
        "With 100 images random init ends 3.0 (2.0 to 4.0) ahead, but all 200 do not"
    )


def test_images_too_few_to_learn_from_are_not_those_that_a_difference_begins_at() -> None:
    sizes = told(interval(0.0), interval(6.0), interval(0.5)).sizes
    nothing = Trained([400, 800], [interval(0.0), interval(0.0)], interval(0.0), False)
    sizes[0] = msgspec.structs.replace(sizes[0], random=nothing, pretrained=nothing)
    found = answer(Advice("mini", "box AP", 3, sizes))
    assert found.headline.startswith(
        "With 200 images pre-training is worth 6.0 (5.0 to 7.0) box AP; from 400 on"
    )
    assert not any("by chance" in sentence for sentence in found.told)


def test_a_break_even_is_told_among_the_numbers_that_were_tried_alone() -> None:
    within = told(interval(4.0), interval(-4.0), break_even_images=Interval(140.0, 80.0, 190.0))
    assert "The difference meets 0 at about 140 images (fewer than 100 to 190)." in within.told
    none = "Between 100 and 200 images there is no break-even that the data show."
    assert none in told(interval(4.0), interval(3.0), break_even_images=Interval(900.0, 500.0, 2000.0)).told
    assert none in told(interval(4.0), interval(3.0)).told


def test_a_length_is_told_up_to_a_doubling_of_what_was_trained() -> None:
    near = told(interval(4.0), interval(2.0), break_even_length=Interval(1.4, 1.2, 2.6))
    assert any("some 1.4 times as many iterations (1.2 to more than 2)" in sentence for sentence in near.told)
    for far in (Interval(3.1, 2.0, 8.0), None):
        sentences = told(interval(4.0), interval(2.0), break_even_length=far).told
        assert (
            "Random init needs more than 1,600 iterations to reach what pre-training has after 800."
            in sentences
        )


def test_nothing_is_said_of_trainings_that_have_not_learned_or_mean_nothing() -> None:
    advice = found({"half": 0.1, "all": 0.1})
    poor = evaluations({"half": 0.1, "all": 0.1})
    poor["value"] = poor["value"] / 100
    unlearned = advise(poor, [], IMAGES, "mini")
    assert unlearned.headline.startswith(
        "Cannot tell: with all 400 images neither initialisation has learned"
    )
    assert unlearned.line == []
    assert unlearned.told == []
    assert unlearned.would_tell
    smoke = answer(msgspec.structs.replace(advice, scale="smoke"))
    assert smoke.headline.startswith("No answer")


def test_who_has_not_converged_is_told_with_what_the_second_half_added() -> None:
    """From 20 to 30: half of the end by a doubling."""
    rising = found({"half": 4.0, "all": 4.0}, rises=10.0)
    assert not rising.sizes[1].random.converged
    assert "Neither has converged: with all images, twice the length still added 10.0" in rising.told[0]
    assert any("raise advice.minutes" in sentence for sentence in rising.would_tell)
    assert found({"half": 4.0, "all": 4.0}, rises=0.5).told[0].startswith("Both count as converged: with all")


# What is drawn


@pytest.mark.parametrize("width", [7.0, 3.5])
def test_the_figure_shows_what_was_trained(width: float) -> None:
    advice = found({"quarter": 6.0, "half": 2.0, "all": -2.0}, rises=10.0)
    drawn = figure.draw(advice, Style(width=width))
    first, second, third = drawn.axes
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["100", "200", "400"]
    assert [tick.get_text() for tick in third.get_xticklabels()] == ["400", "800"]
    line = second.lines[1]
    assert line.get_ydata()[0] == pytest.approx(6.0)
    assert line.get_ydata()[-1] == pytest.approx(-2.0)
    assert "not converged" in texts(drawn)
    assert misplaced(drawn) == []


def test_the_figure_of_what_has_not_learned_has_no_line(tmp_path: Path) -> None:
    poor = evaluations({"half": 0.1, "all": 0.1})
    poor["value"] = poor["value"] / 100
    advice = advise(poor, [], IMAGES, "mini")
    assert len(figure.draw(advice, Style()).axes[1].collections) == 1  # the bars alone, no band
