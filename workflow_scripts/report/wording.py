"""What was found, in plain words: a sign is told as which of the two is behind, and no bound is."""

from workflow_scripts.report.inputs import Evidence
from workflow_scripts.tables.tidy import number


def subject(told: Evidence) -> str:
    """What was compared: model, data, metric, schedule. `what` goes on with the difference that was taken."""
    return told.what.partition(": ")[0]


def sentence(told: Evidence) -> str:
    """`0.4 behind pre-training (2.1 behind to 1.2 ahead)`; a number that decides nothing stands by itself."""
    if told.value is None:
        return "not measured"
    if told.below:
        return f"{_size(told.value, told)} {_side(told.value, told)} ({interval(told)})"
    if told.low is None or told.high is None:
        return number(told.value, 2)
    return f"{number(told.value, 2)} ({number(told.low, 2)} to {number(told.high, 2)})"


def interval(told: Evidence) -> str:
    """`2.1 behind to 1.2 ahead`, `5.4 to 17.8 behind`, or that there is none."""
    if told.low is None or told.high is None:
        return "no interval: too little was repeated"
    low, high = (_size(end, told) for end in (told.low, told.high))
    below, above = (_side(end, told).partition(" ")[0] for end in (told.low, told.high))
    if below != above:
        return f"{low} {below} to {high} {above}"
    return f"{high} to {low} {below}" if told.low < 0 else f"{low} to {high} {above}"


def _size(value: float, told: Evidence) -> str:
    return f"{number(abs(value))}{told.unit}"


def _side(value: float, told: Evidence) -> str:
    return told.below if value < 0 else told.above
