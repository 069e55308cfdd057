"""What each part of a study cost: jobs, seconds and share, from what Snakemake measured of each job.

    python -m benchmarks.parts results/mini [--csv seconds.csv]

Seconds are those on the clock, from a job's start to its end, imports with it: they are a cost only where each job had
its cores for itself. Jobs that a search or a second start left behind count, too.
"""

import argparse
from pathlib import Path

import pandas as pd

PARTS = {
    "pre-training": ("training/classification-*", "pretraining"),
    "training detectors": ("training",),
    "detecting": ("*-detect.tsv",),
    "scoring": ("*-evaluate.tsv",),
    "gathering tables": ("recipes", "runs", "tables", "search"),
    "figures and report": ("figures", "study.tsv", "verdicts.tsv", "report.tsv"),
    "data": ("*",),
}
"""Patterns of measurements below `benchmarks/`, the first that fits."""


def measured(results: Path) -> pd.DataFrame:
    """One row a job: `job` (its measurement's path), `part`, and `seconds` on the clock."""
    folder = results / "benchmarks"
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        job = path.relative_to(folder)
        seconds = pd.read_csv(path, sep="\t", na_values="-")["s"].sum()
        rows.append({"job": str(job.with_suffix("")), "part": part_of(job), "seconds": seconds})
    if not rows:
        raise SystemExit(f"{folder}: found no measurements; expected those of a study that ran")
    return pd.DataFrame(rows)


def part_of(job: Path) -> str:
    """Which of `PARTS` a measurement belongs to."""
    return next(
        part
        for part, patterns in PARTS.items()
        if any(ancestor.match(pattern) for pattern in patterns for ancestor in (job, *job.parents))
    )


def as_text(jobs: pd.DataFrame) -> str:
    """A row a part, the dearest first, and all together."""
    parts = (
        jobs.groupby("part")["seconds"].agg(["count", "sum", "median"]).sort_values("sum", ascending=False)
    )
    total = parts["sum"].sum()
    lines = [f"{'':20} {'jobs':>6} {'minutes':>9} {'share':>7} {'seconds a job':>14}"]
    for part, row in parts.iterrows():
        lines.append(
            f"{part:20} {row['count']:6.0f} {row['sum'] / 60:9.1f} {row['sum'] / total:7.1%} {row['median']:14.1f}"
        )
    return "\n".join([*lines, f"{'all':20} {len(jobs):6} {total / 60:9.1f}"])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="the results of a scale: results/mini")
    parser.add_argument("--csv", type=Path, help="output: a row a job")
    arguments = parser.parse_args()
    jobs = measured(arguments.results)
    if arguments.csv:
        jobs.to_csv(arguments.csv, index=False, float_format="%.2f")
    print(as_text(jobs))


if __name__ == "__main__":
    main()
