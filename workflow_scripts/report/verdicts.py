"""The paper's eight conclusions against a study's results: shown, not shown or contradicted, and by which numbers.

    python -m workflow_scripts.report.verdicts --scale mini --tables fig1-evaluations.csv text-evaluations.csv \\
        --replicates evaluation/*/*/*/*/replicates.csv --output verdicts.json

`report/conclusions.py` says what decides each. What the results leave open is "not shown".
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.files import write_json
from workflow_scripts.jobs.job import job
from workflow_scripts.report.comparisons import Results
from workflow_scripts.report.conclusions import CONCLUSIONS, Claim, Finding
from workflow_scripts.report.intervals import Estimate, number
from workflow_scripts.tables.tidy import LABEL_COLUMNS, read_evaluations, read_training

MEANINGLESS_SCALE = "smoke"
SOME = 2
TRAINING_COLUMNS = [*LABEL_COLUMNS, "iteration", "value", "source"]


def verdicts(results: Results, losses: pd.DataFrame, scale: str) -> list[dict[str, Any]]:
    """One record a conclusion: number, conclusion, verdict, why, and evidence with values in percent.

    losses: as `tidy.read_training` reads them. At the smoke scale nothing is shown, since AP means nothing there.
    """
    records = []
    for index, (conclusion, find) in enumerate(CONCLUSIONS, 1):
        finding = find(results, losses)
        verdict, why = _judge(finding)
        if scale == MEANINGLESS_SCALE:
            verdict, why = "not shown", f"At the scale {scale} AP means nothing."
        evidence = [_evidence(claim.label, claim.estimate) for claim in finding.claims]
        evidence += [_evidence(what, value) for what, value in finding.notes]
        record = {"number": index, "conclusion": conclusion, "verdict": verdict, "why": why}
        records.append(record | {"evidence": evidence})
    return records


def _judge(finding: Finding) -> tuple[str, str]:
    failed, held, undecided = (
        [claim for claim in finding.claims if claim.holds is state] for state in (False, True, None)
    )
    verdict = "contradicted" if failed else "not shown" if undecided or finding.missing else "shown"
    parts = [f"{len(held)} of {len(finding.claims)} comparisons hold."] if finding.claims else []
    parts += _some("Fails", [_numbers(claim) for claim in failed])
    parts += _some("Undecided", [_numbers(claim) for claim in undecided])
    parts += _some("Missing", finding.missing)
    return verdict, " ".join(parts)


def _some(what: str, texts: list[str]) -> list[str]:
    """The first few of them as a sentence; the evidence has all."""
    if not texts:
        return []
    more = f"; and {len(texts) - SOME} more" if len(texts) > SOME else ""
    return [f"{what}: {'; '.join(texts[:SOME])}{more}."]


def _numbers(claim: Claim) -> str:
    found = claim.estimate
    interval = "no interval"
    if found.low is not None and found.high is not None:
        interval = f"{number(found.low)} to {number(found.high)}"
    return f"{claim.label}; is {number(found.value)} ({interval})"


def _evidence(what: str, found: Estimate) -> dict[str, Any]:
    numbers = {
        name: None if end is None else round(end, 4)
        for name, end in (("value", found.value), ("low", found.low), ("high", found.high))
    }
    return {"what": what} | asdict(found) | numbers


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
