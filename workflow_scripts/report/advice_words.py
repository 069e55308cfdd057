"""Advice in sentences that say no more than its numbers show."""

from collections.abc import Iterator

import msgspec

from workflow_scripts.report.words import MEANINGLESS_SCALE
from workflow_scripts.tables.advice import Advice, Interval
from workflow_scripts.tables.tidy import number

CURVES_FLATTEN = "curves flatten, so it is rather more"


def answer(advice: Advice) -> Advice:
    """The same with its sentences: the answer, what else was found, and what would tell more."""
    if advice.scale == MEANINGLESS_SCALE:
        return msgspec.structs.replace(advice, headline=_no_meaning(advice))
    if not advice.sizes[-1].learned:
        tells = ["A larger budget: trainings of this length are too short. Raise advice.minutes."]
        return msgspec.structs.replace(advice, headline=_not_learned(advice), would_tell=tells)
    told = [*_converging(advice), *_break_even_images(advice), *_break_even_length(advice)]
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
        ahead = Interval(-largest.long.value, *_negative(largest.long))
        return f"With all {largest.images:,} images random init ends {ahead.text} {advice.metric} ahead, {after}."
    better = [size for size in advice.sizes if size.long.above]
    if not better:
        return (
            f"Cannot tell: with all {largest.images:,} images pre-training is worth {largest.long.text} "
            f"{advice.metric}, {after}, which is not distinguishable from 0."
        )
    first, from_there = better[0], advice.sizes[advice.sizes.index(better[-1]) + 1]
    return (
        f"With {first.images:,} images pre-training is worth {first.long.text} {advice.metric}; from "
        f"{from_there.images:,} on the difference is not distinguishable from 0 ({from_there.long.text})."
    )


def _negative(interval: Interval) -> tuple[float | None, float | None]:
    return (
        None if interval.high is None else -interval.high,
        None if interval.low is None else -interval.low,
    )


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
