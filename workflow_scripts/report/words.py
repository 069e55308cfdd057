"""The words of a verdict. Told apart: what the results say, and why they say nothing."""

from typing import Literal, get_args

Word = Literal[
    "shown", "indicated", "undecided", "not judged", "not run", "indicated against", "contradicted"
]
"""Three seeds show or contradict; fewer can only indicate, since how trainings vary is not known well enough then."""
WORDS: tuple[Word, ...] = get_args(Word)
SUPPORTS: tuple[Word, ...] = ("shown", "indicated")
SPEAKS_AGAINST: tuple[Word, ...] = ("contradicted", "indicated against")
FEW_SEEDS: tuple[Word, ...] = ("indicated", "indicated against")
MEANINGS: dict[Word, str] = {
    "shown": "every comparison holds, with three seeds or more",
    "indicated": "every comparison holds, with one or two seeds: how trainings vary is not known well enough",
    "undecided": "an interval reaches to both sides of what was to be told apart",
    "not judged": "trainings were still improving, or AP means nothing at this scale",
    "not run": "what would tell was not trained",
    "indicated against": "a comparison fails, with one or two seeds: how trainings vary is not known well enough",
    "contradicted": "a comparison fails, with three seeds or more",
}
MARKS: dict[Word, str] = {
    "shown": "✓",
    "indicated": "✓",
    "undecided": "?",
    "not judged": "…",
    "not run": "–",
    "indicated against": "✗",
    "contradicted": "✗",
}
MEANINGLESS_SCALE = "smoke"
