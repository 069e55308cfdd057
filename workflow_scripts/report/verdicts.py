"""The paper's eight conclusions against a study's results: a verdict on each, and the numbers that it rests on.

    python -m workflow_scripts.report.verdicts --scale mini --tables fig1-evaluations.csv text-evaluations.csv \\
        --replicates evaluation/*/*/*/replicates.csv --output verdicts.json

`report/conclusions.py` says what decides each, `report/words.py` what the verdicts mean.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.files import write_json
from workflow_scripts.jobs.job import job
from workflow_scripts.report.claims import Claim, Finding
from workflow_scripts.report.comparisons import Results
from workflow_scripts.report.conclusions import CONCLUSIONS
from workflow_scripts.report.intervals import Estimate
from workflow_scripts.report.words import MEANINGLESS_SCALE, Word
from workflow_scripts.tables.convergence import CONFIDENCE
from workflow_scripts.tables.tidy import LABEL_COLUMNS, number, read_evaluations, read_training

SOME = 2
SEVERAL = 3
"""Seeds of each initialisation that it takes to show something. With two, the spread of trainings is known so badly
that intervals can hold the truth in 93.5% where 95% are meant."""
LEVEL = (1 - CONFIDENCE) / 2
"""One-sided, as one end of an interval: of ties, at most this share is called shown, and at most this contradicted."""
TRAINING_COLUMNS = [*LABEL_COLUMNS, "iteration", "value", "source"]


def verdicts(results: Results, losses: pd.DataFrame, scale: str) -> list[dict[str, Any]]:
    """One record a conclusion: number, conclusion, verdict, why, and evidence with values in percent.

    losses: as `tidy.read_training` reads them. At the smoke scale nothing is judged, since AP means nothing there.
    """
    records = []
    for index, (conclusion, find) in enumerate(CONCLUSIONS, 1):
        finding = find(results, losses)
        verdict, why = judge(finding)
        if scale == MEANINGLESS_SCALE and finding.claims:
            verdict, why = "not judged", f"At the scale {scale} AP means nothing."
        record = {"number": index, "conclusion": conclusion, "verdict": verdict, "why": why}
        record["missing"] = finding.missing
        records.append(record | {"evidence": _evidence(finding)})
    return records


def judge(finding: Finding) -> tuple[Word, str]:
    """The verdict on a conclusion, and why.

    It is shown if all of its claims hold, each at `LEVEL`: that needs no correction for their number, for one that does
    not hold is enough to prevent it. It is contradicted if a claim fails, and of many one fails by chance: so a claim
    must fail at `LEVEL` divided by the number of claims that were judged (Bonferroni).
    """
    held, undecided, unjudged = (finding.having(each) for each in ("holds", "undecided", "not judged"))
    against = _against(finding)
    by_chance = [claim for claim in finding.having("fails") if claim not in against]
    if not finding.claims:
        verdict: Word = "not run"
    elif against:
        several = any(claim.estimate.seeds >= SEVERAL for claim in against)
        verdict = "contradicted" if several else "indicated against"
    elif undecided or by_chance:
        verdict = "undecided"
    elif unjudged:
        verdict = "not judged"
    elif finding.missing:
        verdict = "not run"
    else:
        several = all(claim.estimate.seeds >= SEVERAL for claim in held)
        verdict = "shown" if several else "indicated"
    parts = [f"{len(held)} of {len(finding.claims)} comparisons hold."] if finding.claims else []
    parts += _some("Fails", [_numbers(claim) for claim in against])
    parts += _some(
        "Fails, as one of so many comparisons may by chance", [_numbers(claim) for claim in by_chance]
    )
    parts += _some("Undecided", [_numbers(claim) for claim in undecided])
    parts += _some("Not judged", [f"{claim.what}: {claim.reason}" for claim in unjudged])
    parts += _some("Not run", finding.missing)
    return verdict, " ".join(parts)


def _against(finding: Finding) -> list[Claim]:
    """The claims that fail beyond what the number of claims explains."""
    judged = len(finding.claims) - len(finding.having("not judged"))
    return [claim for claim in finding.having("fails") if claim.p_fails * judged <= LEVEL]


def _some(what: str, texts: Sequence[str]) -> list[str]:
    """The first few of them as a sentence; the evidence has all."""
    if not texts:
        return []
    more = f"; and {len(texts) - SOME} more" if len(texts) > SOME else ""
    return [f"{what}: {'; '.join(texts[:SOME])}{more}."]


def _numbers(claim: Claim) -> str:
    return f"{claim.what} is {_with_interval(claim.estimate)}; {claim.expects}"


def _with_interval(found: Estimate) -> str:
    if found.interval is None:
        return f"{number(found.value)} (no interval)"
    low, high = found.interval
    return f"{number(found.value)} ({number(low)} to {number(high)})"


def _evidence(finding: Finding) -> list[dict[str, Any]]:
    claims = [
        {"what": claim.what, "expects": claim.expects, "outcome": claim.outcome, "reason": claim.reason}
        | {"means": claim.means, "convergence": list(claim.convergence)}
        | {"below": claim.below, "above": claim.above, "unit": claim.unit}
        | _estimate(claim.estimate)
        for claim in finding.claims
    ]
    return claims + [{"what": what} | _estimate(found) for what, found in finding.notes]


def _estimate(found: Estimate) -> dict[str, Any]:
    low, high = found.interval or (None, None)
    numbers = {
        name: None if end is None else round(end, 4)
        for name, end in (("value", found.value), ("low", low), ("high", high))
    }
    return {**numbers, "seeds": found.seeds, "method": found.method, "sources": list(found.sources)}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=Path, nargs="*", default=[], help="tidy CSVs of evaluations")
    parser.add_argument("--training", type=Path, help="tidy CSV of Fig. 8's training")
    parser.add_argument(
        "--replicates",
        type=Path,
        nargs="*",
        default=[],
        help="replicates.csv beside the metrics.json they are of",
    )
    parser.add_argument("--scale", required=True, help="smoke, mini or paper")
    parser.add_argument("--output", type=Path, required=True, help="output: verdicts.json")
    arguments = parser.parse_args()
    results = Results(map(read_evaluations, arguments.tables), arguments.replicates)
    losses = (
        read_training(arguments.training) if arguments.training else pd.DataFrame(columns=TRAINING_COLUMNS)
    )
    records = verdicts(results, losses, arguments.scale)
    write_json(arguments.output, records)
    for record in records:
        print(f"{record['number']}. {record['conclusion']} {record['verdict']}: {record['why']}")


if __name__ == "__main__":
    job(main)
