"""A checkout that a test may run and edit, and the job lists of its dry runs."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.segments import Run, Segment, shared_segments
from workflow_scripts.study.compiled.study import Chosen, Study
from workflow_scripts.study.layout.results import Layout

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "rules", "workflow_scripts", "scales", "reports", "profiles", "slurm", "envs")
RESULTS = "results/smoke"
EXPERIMENTS = ["fig1", "fig2", "fig7_right", "fig8", "table1", "table2"]
"""Those of the main job, and two that rest on searches."""
SCHEDULES = ["2x", "3x", "4x", "5x", "6x"]

# Rules that gather what others made, however many runs there are.
GATHERING = {"study", "concatenate", "counts", "compare", "figure", "table", "verdicts", "report"}
GATHERING |= {"figure_intervals", "table_intervals"}

Jobs = dict[str, set[str]]


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository that a test may edit, at scale smoke."""

    folder: Path
    programs: Path = Path(sys.executable).parent
    """First on the PATH of its jobs."""

    @classmethod
    def make(cls, folder: Path) -> "Checkout":
        folder.mkdir(parents=True, exist_ok=True)
        for name in PARTS:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, folder / name)
        study = {"scale": "smoke", "experiments": EXPERIMENTS}
        config = yaml.safe_load((ROOT / "config.yaml").read_text()) | study
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        return cls(folder)

    @property
    def results(self) -> Path:
        return self.folder / RESULTS

    def chosen(self, search: str) -> str:
        """The point that a search chose here; none where it has not run."""
        file = self.results / "search" / f"{search}.json"
        return json.loads(file.read_text())["chosen"] if file.exists() else ""

    def study(self, chosen: Chosen | None = None, **changes: Any) -> Study:
        """The study that config.yaml with `changes` describes, without what its experiments do not need yet."""
        study = compile_study(yaml.safe_load((self.folder / "config.yaml").read_text()) | changes)
        runs = study.needed_runs(study.config.experiments, chosen or self.chosen)
        begun = {f"classification-{run.recipe.model}" for run in runs if run.recipe.pretraining == "train"}
        segments = {key: segment for key, segment in study.segments.items() if segment.recipe in begun}
        segments |= shared_segments(runs)
        needed = {run.recipe.name for run in runs} | {recipe for recipe, _ in segments}
        names = {run.name for run in runs}
        return replace(
            study,
            recipes={name: recipe for name, recipe in study.recipes.items() if name in needed},
            runs={key: run for key, run in study.runs.items() if run.name in names},
            segments=segments,
        )

    def evaluated(self, chosen: Chosen | None = None, **changes: Any) -> set[str]:
        """What evaluating for the experiments and searches of that study makes."""
        study = compile_study(yaml.safe_load((self.folder / "config.yaml").read_text()) | changes)
        names = study.config.experiments
        searched = [study.searches[search] for name in names for search in study.searches_of(name)]
        files = ends(run for search in searched for run in search.runs.values())
        for member in (member for name in names for member in study.members_of(name, chosen or self.chosen)):
            if member.points != "training":
                files |= metrics(member.run.segments) if member.points == "curve" else ends([member.run])
        return files

    def run_tables(self, **changes: Any) -> set[str]:
        """The tables of the runs that the experiments of that study read."""
        study = compile_study(yaml.safe_load((self.folder / "config.yaml").read_text()) | changes)
        layout = Layout(study)
        names = [name for name in study.config.experiments if name != "fig2"]
        paths = [path for name in names for path in layout.run_tables(name, self.chosen)]
        return {path.split("/", 2)[2] for path in [*paths, *layout.counted_runs()]}

    def snakemake(
        self, *arguments: str, program: Sequence[str] = ("-m", "snakemake")
    ) -> subprocess.CompletedProcess[str]:
        """`snakemake` with the arguments; its output is shown when it fails. `program` is what Python runs for it."""
        programs = os.pathsep.join([str(self.programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=self.folder,
            env=os.environ | {"PATH": programs},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (
            f"snakemake {' '.join(arguments)}\n{done.stdout}\n{done.stderr[-20_000:]}"
        )
        return done

    def jobs(self, *targets: str, **changes: Any) -> Jobs:
        """By rule, what the next call would make: its files within results/<scale>.

        `changes` are laid over config.yaml, as a person would edit it.
        """
        overlay: tuple[str, ...] = ()
        if changes:
            changed = self.folder / "changes.yaml"
            changed.write_text(yaml.safe_dump(changes))
            overlay = ("--configfile", changed.name)
        table = self.snakemake(*targets, "--summary", *overlay).stdout.splitlines()
        jobs: Jobs = {}
        for row in csv.DictReader(table, delimiter="\t"):
            if row["plan"] == "update pending":
                jobs.setdefault(row["rule"], set()).add(row["output_file"].split("/", 2)[2])
        return jobs

    @contextmanager
    def edited(self, path: str) -> Iterator[None]:
        """One more line at the end of a file, for a while."""
        file = self.folder / path
        text = file.read_text()
        file.write_text(f"{text}\n# one more line\n")
        try:
            yield
        finally:
            file.write_text(text)


def states(segments: Iterable[Segment]) -> set[str]:
    return {f"training/{segment.recipe}/{segment.name}/state.safetensors" for segment in segments}


def metrics(segments: Iterable[Segment]) -> set[str]:
    """What evaluating segments makes."""
    return {
        f"evaluation/{segment.recipe}/{segment.name}/single_scale/{name}"
        for segment in segments
        if segment.evaluations
        for name in ("metrics.json", "replicates.csv")
    }


def ends(runs: Iterable[Run]) -> set[str]:
    """What evaluating only the end of runs makes."""
    return metrics(run.segments[-1] for run in runs)


def trained(jobs: Jobs) -> set[str]:
    """The states that the training jobs save: one a segment."""
    return {path for path in jobs.get("train", set()) if path.endswith("/state.safetensors")}


def drawn(name: str) -> set[str]:
    return {f"figures/{name}.{ending}" for ending in ("png", "pdf", "svg")}


def typeset(name: str) -> set[str]:
    return {f"tables/{name}.{suffix}" for suffix in ("csv", "md", "tex")}


def checks(study: Study, *names: str) -> set[str]:
    """The reports of the checks of data sets."""
    layout = Layout(study)
    paths = [
        layout.check_of(name, pattern) for name in names for pattern in (layout.check, layout.check_text)
    ]
    return {path.split("/", 2)[2] for path in paths}


def commands(checkout: Checkout, *arguments: str) -> list[str]:
    """What `--printshellcmds` prints of the jobs of a dry run."""
    done = checkout.snakemake("--dry-run", "--printshellcmds", *arguments)
    return re.findall(r"^Shell command: (python -m .*)$", done.stdout + done.stderr, re.MULTILINE)
