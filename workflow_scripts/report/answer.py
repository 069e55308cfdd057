"""The study's answer in one sentence, from its verdicts on the paper's conclusions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.report.words import FEW_SEEDS, MEANINGLESS_SCALE, SPEAKS_AGAINST, SUPPORTS, WORDS

QUESTION = 2
"""The conclusion that the study is about: random init needs more iterations, and then catches up."""
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


def _main(main: Mapping[str, Any]) -> str:
    verdict = main["verdict"]
    luck = ", though with so few seeds that may be luck" if verdict in FEW_SEEDS else ""
    if verdict in SUPPORTS:
        return f"This study {'points to' if luck else 'finds'} what the paper found: {CATCH_UP}{luck}"
    if verdict in SPEAKS_AGAINST:
        return f"This study's results speak against what the paper found, that {CATCH_UP}{luck}"
    if verdict == "not run":
        return f"This study did not train what would tell whether {CATCH_UP}"
    if verdict == "not judged":
        return f"This study trained too short to tell whether {CATCH_UP}"
    return f"This study leaves open whether {CATCH_UP}, as the paper found"


def _counted(verdicts: Sequence[Mapping[str, Any]]) -> str:
    found = [verdict["verdict"] for verdict in verdicts]
    counts = [f"{found.count(word)} {word}" for word in WORDS if word in found]
    return f"of the paper's {len(found)} conclusions: {', '.join(counts)}"
