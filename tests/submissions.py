"""What a call of Snakemake would submit to a cluster: `python -m tests.submissions --profile slurm` prints it as JSON.

A list of submissions, each with the rules and the files of its jobs, and what it asks for.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakemake import cli
from snakemake.dag import DAG
from snakemake.workflow import Workflow

from tests.checkout import ROOT

MARK = "submissions: "


def submissions(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The submissions of a call in a folder with a checkout."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.submissions", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    return json.loads(line.removeprefix(MARK))


def _found(dag: DAG) -> Iterator[dict[str, Any]]:
    for each in dag.get_jobs_or_groups():
        jobs = [job for job in (each.jobs if each.is_group() else [each]) if dag.needrun(job)]
        if jobs and not each.is_local:
            yield {
                "rules": sorted(job.rule.name for job in jobs),
                "files": [str(file) for job in jobs for file in job.output],
                "asks": {
                    name: value for name, value in each.resources.items() if isinstance(value, int | str)
                },
            }


def _tell_and_end(dag: DAG) -> None:
    Workflow.local_exec = False  # as without --dry-run
    print(MARK + json.dumps(list(_found(dag))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    DAG.stats = _tell_and_end  # which a dry run asks for first
    cli.main(["--dry-run", *sys.argv[1:]])
