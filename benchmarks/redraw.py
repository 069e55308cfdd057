"""How long it takes to see a figure again after a change of its style: the whole call of Snakemake.

    python -m benchmarks.redraw --require

Run it in a folder whose study has made the figure. It is drawn with one style after another, each time by
`snakemake fig1 --config 'figures=...'`, which must run one job and give another picture; in the end once more as the
configuration says. Prints the seconds of each call, and of the job within it.

Needs nothing but the environment.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

LIMIT = 5.0
"""Seconds of a call."""
REPOSITORY = Path(__file__).parents[1]


def snakemake(*words: str) -> str:
    """A call in the working folder; what it printed. Raises `SystemExit` where it failed."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def restyled(figure: str, png: Path, style: dict[str, object]) -> float:
    """Seconds of a call that draws the figure in that style. Raises `SystemExit` where it is not drawn, or more is."""
    words = [figure, "--cores", "all", "--config", f"figures={json.dumps(style)}"]
    check_plan(snakemake(*words, "--dry-run", "--quiet", "rules"), figure)
    before, began = png.read_bytes(), time.perf_counter()
    snakemake(*words)
    seconds = time.perf_counter() - began
    if png.read_bytes() == before:
        raise SystemExit(f"{png}: the same after a change of style; expected another picture")
    return seconds


def check_plan(printed: str, figure: str) -> None:
    """Refuse to time what runs other jobs than that of the figure: its rule's, and the target's own."""
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE))
    if jobs != {"figure": "1", figure: "1", "total": "2"}:
        raise SystemExit(f"expected a study that has made {figure}, so that its job alone runs; found {jobs}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--figure", default="fig1")
    parser.add_argument("--results", type=Path, default=Path("results/mini"), help="of the scale")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--require", action="store_true", help=f"exit with 1 where the fastest takes over {LIMIT:g} s"
    )
    arguments = parser.parse_args()
    png = arguments.results / f"figures/{arguments.figure}.png"
    if not png.is_file():
        raise SystemExit(f"{png}: no such figure; run the study first, in this folder")
    try:
        calls = [
            restyled(arguments.figure, png, {"dpi": 200 + step}) for step in range(1, arguments.repeats + 1)
        ]
        job = job_seconds(arguments.results, arguments.figure)
    finally:
        snakemake(arguments.figure, "--cores", "all")
    print(
        f"a call: {', '.join(f'{seconds:.1f}' for seconds in calls)} s; the job within the last {job:.1f} s"
    )
    if arguments.require and min(calls) > LIMIT:
        raise SystemExit(1)


def job_seconds(results: Path, figure: str) -> float:
    """What Snakemake measured of the figure's last job."""
    with (results / f"benchmarks/figures/{figure}.tsv").open() as file:
        return float(next(csv.DictReader(file, delimiter="\t"))["s"])


if __name__ == "__main__":
    main()
