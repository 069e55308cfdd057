"""The study's answer in one sentence, from its verdicts on the paper's conclusions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

QUESTION = 2
"""The conclusion that the study is about: random init needs more iterations, and then catches up."""
MEANINGLESS_SCALE = "smoke"
BORNE_OUT = ("shown", "indicated")
CATCH_UP = (
    "detectors that start from random weights need more iterations and then catch up with pre-trained ones"
)


def answer(verdicts: Sequence[Mapping[str, Any]], scale: str) -> str:
    """One sentence: what became of the paper's main conclusion, and how many of all fared how."""
    if scale == MEANINGLESS_SCALE:
        return (
            f"No answer to the paper's question: at the scale {scale} training is too short for AP to mean anything. "
            "The workflow ran from end to end."
        )
    main = next(verdict for verdict in verdicts if verdict["number"] == QUESTION)
    return f"{_main(main)}; {_counted(verdicts)}."


def answer_of(path: str, scale: str) -> str:
    """The answer from the file of verdicts."""
    return answer(json.loads(Path(path).read_bytes()), scale)


def _main(verdict: Mapping[str, Any]) -> str:
    if _untested(verdict):
        return f"This study did not train what would tell whether {CATCH_UP}"
    if verdict["verdict"] in BORNE_OUT:
        if _one_seed(verdict) or verdict["verdict"] == "indicated":
            return f"This study points to what the paper found, that {CATCH_UP}, but with one seed that may be luck"
        return f"This study finds what the paper found: {CATCH_UP}"
    if verdict["verdict"] == "contradicted":
        luck = ", though with one seed that may be luck" if _one_seed(verdict) else ""
        return f"This study's results speak against what the paper found, that {CATCH_UP}{luck}"
    return f"This study leaves open whether {CATCH_UP}, as the paper found"


def _counted(verdicts: Sequence[Mapping[str, Any]]) -> str:
    untested = sum(map(_untested, verdicts))
    agree = sum(verdict["verdict"] in BORNE_OUT for verdict in verdicts)
    against = sum(verdict["verdict"] == "contradicted" for verdict in verdicts)
    undecided = len(verdicts) - untested - agree - against
    return (
        f"of the paper's {len(verdicts)} conclusions it supports {agree}, speaks against {against}, leaves "
        f"{undecided} open and did not test {untested}"
    )


def _untested(verdict: Mapping[str, Any]) -> bool:
    """Whether no comparison that decides could be made; `why` then begins with what is missing."""
    return verdict["verdict"] == "not run" or verdict["why"].startswith("Missing")


def _one_seed(verdict: Mapping[str, Any]) -> bool:
    return any("one seed" in each["method"] for each in verdict["evidence"])
