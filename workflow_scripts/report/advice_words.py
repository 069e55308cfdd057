"""Advice in sentences that say no more than its numbers show."""

from collections.abc import Iterator
from itertools import takewhile

import msgspec

from workflow_scripts.report.words import MEANINGLESS_SCALE
from workflow_scripts.tables.advice import Advice, Interval, Size
from workflow_scripts.tables.tidy import number

CURVES_FLATTEN = "curves flatten, so it is rather more"


def answer(advice: Advice) -> Advice:
    """The same with its sentences: the answer, what else was found, and what would tell more."""
    if advice.scale == MEANINGLESS_SCALE:
        return msgspec.structs.replace(advice, headline=_no_meaning(advice))
    if not advice.sizes[-1].learned:
        tells = ["A larger budget: trainings of this length are too short. Raise advice.minutes."]
        return msgspec.structs.replace(advice, headline=_not_learned(advice), would_tell=tells)
    told = [*_apart(advice), *_converging(advice), *_break_even_images(advice), *_break_even_length(advice)]
    return msgspec.structs.replace(
        advice, headline=_headline(advice), told=told, would_tell=list(_would_tell(advice))
    )


def _no_meaning(advice: Advice) -> str:
    return (
        f"No answer: at the scale {advice.scale} trainings are too short for AP to mean anything. The workflow ran "
        "from end to end."
    )


def _not_learned(advice: Advice) -> str:
    largest = advice.sizes[-1]
    return (
        f"Cannot tell: with all {largest.images:,} images neither initialisation has learned to detect. After "
        f"{largest.random.lengths[-1]:,} iterations {advice.metric} is {number(largest.pretrained.ends[-1].value)} "
        f"with pre-training and {number(largest.random.ends[-1].value)} from random init."
    )


def _headline(advice: Advice) -> str:
    largest = advice.sizes[-1]
    after = f"after {largest.random.lengths[-1]:,} iterations"
    if largest.long.above:
        return f"With all {largest.images:,} images pre-training is worth {largest.long.text} {advice.metric}, {after}."
    if largest.long.below:
        ahead = f"{_ahead(largest).text} {advice.metric}"
        return f"With all {largest.images:,} images random init ends {ahead} ahead, {after}."
    fewer = _better_from_the_fewest(advice)
    if not fewer:
        return (
            f"Cannot tell: with all {largest.images:,} images pre-training is worth {largest.long.text} "
            f"{advice.metric}, {after}, which is not distinguishable from 0."
        )
    from_there = advice.sizes[advice.sizes.index(fewer[-1]) + 1]
    worth = f"With {fewer[0].images:,} images pre-training is worth {fewer[0].long.text} {advice.metric}"
    if from_there.long.below:
        return (
            f"{worth}; with {from_there.images:,} random init ends {_ahead(from_there).text} ahead, and with all "
            f"{largest.images:,} the difference is not distinguishable from 0 ({largest.long.text})."
        )
    return (
        f"{worth}; from {from_there.images:,} on the difference is not distinguishable from 0 "
        f"({from_there.long.text})."
    )


def _better_from_the_fewest(advice: Advice) -> list[Size]:
    """Numbers of images on which pre-training is better, from the fewest that teach anything up to the first without.

    One test decides whether there is any, so that trying more numbers makes none more likely by chance.
    """
    return list(takewhile(lambda size: size.long.above, _learned(advice)))


def _learned(advice: Advice) -> list[Size]:
    return [size for size in advice.sizes if size.learned]


def _apart(advice: Advice) -> list[str]:
    """Where the headline tells no difference: numbers of images that show one, though fewer, or all, do not."""
    largest = advice.sizes[-1]
    if largest.long.above:
        return []
    fewer = _better_from_the_fewest(advice)
    more = _learned(advice)[len(fewer) :]
    chance = f"of {len(advice.sizes)} numbers that were tried, one may differ by chance."
    told = []
    for size in more[1:] if fewer else more:  # the headline has said it of the first
        if size.long.above:
            worth = f"pre-training is worth {size.long.text}"
            told.append(
                f"With {size.images:,} images {worth}, but {more[0].images:,} do not show it: {chance}"
            )
        elif size.long.below and not largest.long.below:
            told.append(
                f"With {size.images:,} images random init ends {_ahead(size).text} ahead, but all "
                f"{largest.images:,} do not show it: {chance}"
            )
    return told


def _ahead(size: Size) -> Interval:
    """How far random init is ahead."""
    low, high = size.long.low, size.long.high
    return Interval(-size.long.value, None if high is None else -high, None if low is None else -low)


def _converging(advice: Advice) -> list[str]:
    largest = advice.sizes[-1]
    named = {"random init": largest.random, "pre-training": largest.pretrained}
    rising = [f"{each.gain.text} to {name}" for name, each in named.items() if not each.converged]
    if not rising:
        added = " and ".join(f"{each.gain.text} to {name}" for name, each in named.items())
        return [
            f"Both count as converged: with all images, twice the length added less than a fifth, {added}."
        ]
    who = (
        "Neither has"
        if len(rising) == 2
        else f"{next(n for n, e in named.items() if not e.converged).capitalize()} has not"
    )
    return [
        f"{who} converged: with all images, twice the length still added {' and '.join(rising)}. So this is the answer "
        "for trainings of this length; longer ones may end elsewhere."
    ]


def _break_even_images(advice: Advice) -> list[str]:
    least, most = advice.sizes[0].images, advice.sizes[-1].images
    found = advice.break_even_images
    if found is None or not least <= found.value <= most:
        return [f"Between {least:,} and {most:,} images there is no break-even that the data show."]
    low, high = found.ends
    ends = [
        f"fewer than {least:,}" if low < least else f"{low:,.0f}",
        f"more than {most:,}" if high > most else f"{high:,.0f}",
    ]
    return [f"The difference meets 0 at about {found.value:,.0f} images ({' to '.join(ends)})."]


def _break_even_length(advice: Advice) -> list[str]:
    largest, found = advice.sizes[-1], advice.break_even_length
    if not largest.long.above:
        return []
    length = largest.random.lengths[-1]
    so_far = f"to reach what pre-training has after {length:,}"
    if found is None or found.value > 2:
        return [f"Random init needs more than {2 * length:,} iterations {so_far}."]
    ends = [f"{each:.1f}" if each <= 2 else "more than 2" for each in found.ends]
    return [
        f"Random init needs some {found.value:.1f} times as many iterations ({' to '.join(ends)}) {so_far}; "
        f"{CURVES_FLATTEN}."
    ]


def _would_tell(advice: Advice) -> Iterator[str]:
    largest = advice.sizes[-1]
    if not (largest.long.above or largest.long.below):
        more = "advice.seeds" if largest.limited_by == "seeds" else "more images to validate on"
        yield (f"The interval comes mostly from {largest.limited_by}: four times as many halve it ({more}).")
    if not (largest.random.converged and largest.pretrained.converged):
        yield "Longer trainings: raise advice.minutes until both have converged."
    if advice.break_even_images is None and all(size.long.above for size in advice.sizes):
        yield "More images: pre-training helps at every number that was tried."
