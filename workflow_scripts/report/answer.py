"""The study's answer in one sentence, from its verdicts on the paper's conclusions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.report.words import FEW_SEEDS, MEANINGLESS_SCALE, SPEAKS_AGAINST, SUPPORTS, WORDS

QUESTION = 2
"""The conclusion that the study is about: random init needs more iterations, and then catches up."""
MODEL = "R50 GN"
"""The model to answer for where several were trained: the one of the paper's first figure."""
CATCH_UP = (
    "detectors that start from random weights need more iterations and then catch up with pre-trained ones"
)


def answer(verdicts: Sequence[Mapping[str, Any]], scale: str) -> str:
    """Where random init ends, what became of the paper's main conclusion, and how many of all fared how."""
    told = headline(verdicts, scale)
    return told if scale == MEANINGLESS_SCALE else f"{told.removesuffix('.')}; {_counted(verdicts)}."


def headline(verdicts: Sequence[Mapping[str, Any]], scale: str) -> str:
    """One sentence: where random init ends beside pre-training, and what that says of the main conclusion."""
    if scale == MEANINGLESS_SCALE:
        return (
            f"No answer to the paper's question: at the scale {scale} training is too short for AP to mean anything. "
            "The workflow ran from end to end."
        )
    main = next(verdict for verdict in verdicts if verdict["number"] == QUESTION)
    place = _place(main.get("evidence", []))
    return f"{place}: {_judged(main)}." if place else f"{_main(main)}."


def answer_of(path: str, scale: str) -> str:
    """The answer from the file of verdicts."""
    return answer(json.loads(Path(path).read_bytes()), scale)


def read_headline(path: str) -> str:
    """The answer of a file of advice."""
    return json.loads(Path(path).read_bytes())["headline"]


def _place(evidence: Sequence[Mapping[str, Any]]) -> str:
    """`At 6x random init is within −2.1 to 1.2 AP of pre-training (R50 GN, box AP)`; empty where none was compared."""
    # Here, since pandas comes with them and Snakemake reads this module each time that it starts.
    import msgspec

    from workflow_scripts.report.inputs import Evidence
    from workflow_scripts.report.wording import subject
    from workflow_scripts.tables.tidy import number

    found = [msgspec.convert(each, Evidence) for each in evidence]
    ends = [each for each in found if each.means.startswith("no worse") and each.value is not None]
    if not ends:
        return ""
    end = next((each for each in ends if each.what.startswith(f"{MODEL},")), ends[0])
    *what, schedule = subject(end).split(", ")
    if end.low is None or end.high is None:
        place = f"{number(abs(end.value or 0))} AP {end.below if (end.value or 0) < 0 else end.above}"
    elif end.low <= 0 <= end.high:
        place = f"within {number(end.low)} to {number(end.high)} AP of pre-training"
    else:
        near, far = sorted(map(abs, (end.low, end.high)))
        place = f"{number(near)} to {number(far)} AP {end.below if end.high < 0 else end.above}"
    return f"At {schedule} random init is {place} ({', '.join(what)})"


def _judged(main: Mapping[str, Any]) -> str:
    """What that says, after a colon."""
    verdict = main["verdict"]
    luck = ", though with so few seeds that may be luck" if verdict in FEW_SEEDS else ""
    if verdict in SUPPORTS:
        return f"it needed more iterations and then caught up, as the paper found{luck}"
    if verdict in SPEAKS_AGAINST:
        return f"that speaks against the paper, which found that {CATCH_UP}{luck}"
    if verdict == "not judged":
        return "trainings were still improving, so whether it catches up cannot be judged yet"
    return "whether it needs more iterations and then catches up, as the paper found, stays open"


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
