"""The words of a verdict. Told apart: what the results say, and why they say nothing."""

from typing import Literal, get_args

Word = Literal[
    "shown", "indicated", "undecided", "not judged", "not run", "indicated against", "contradicted"
]
"""Several seeds show or contradict; one seed can only indicate, since how trainings vary is unknown then."""
WORDS: tuple[Word, ...] = get_args(Word)
SUPPORTS: tuple[Word, ...] = ("shown", "indicated")
SPEAKS_AGAINST: tuple[Word, ...] = ("contradicted", "indicated against")
ONE_SEED: tuple[Word, ...] = ("indicated", "indicated against")
MEANINGS: dict[Word, str] = {
    "shown": "every comparison holds, with several seeds",
    "indicated": "every comparison holds, with one seed: how trainings vary is unknown",
    "undecided": "an interval reaches to both sides of what was to be told apart",
    "not judged": "trainings have not converged, or AP means nothing at this scale",
    "not run": "what would tell was not trained",
    "indicated against": "a comparison fails, with one seed: how trainings vary is unknown",
    "contradicted": "a comparison fails, with several seeds",
}
MEANINGLESS_SCALE = "smoke"
