"""The cost plan: what a study takes before anything is spent, per experiment and in all. `snakemake plan` prints it.

Iterations are exact. Hours and gigabytes follow from the scale's `costs`, which a person edits: seconds an iteration as
measured or published, and parameters. Where the configuration changes the size of images or the batch and not the
costs, time changes with the number of pixels.
"""

import argparse
import json
import math
import shutil
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.jobs.job import job
from workflow_scripts.study.compile import absent, compile_study
from workflow_scripts.study.compiled.pixels import pixels_detected, pixels_trained
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.segments import Segment, iterations_without_sharing, shared_segments
from workflow_scripts.study.compiled.study import ExperimentRun, Study, readings
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.study.words import count, duration

WIDTH = 80
"""Columns of a terminal."""
BYTES = 4
"""Of a parameter; a state holds it and its momentum, a checkpoint the parameter alone."""


@dataclass(frozen=True)
class Cost:
    """What a set of segments and evaluations takes.

    `jobs` are those that train, detect and evaluate, without the short ones around them. `hours` are those of a device,
    a GPU or a CPU's core; `gigabytes` what stays on disk, and `peak` what may be there at one time, if nothing
    temporary goes before the end.
    """

    name: str
    jobs: int
    iterations: int
    saved: int
    hours: float
    gigabytes: float
    peak: float


def plan(study: Study) -> list[Cost]:
    """One row an asked experiment, pre-training, and a last row for all, in which nothing is counted twice."""
    asked = study.config.experiments
    rows = [_cost(study, name, [name], _detectors(study, [name])) for name in asked]
    classifiers = [study.segments[key] for key in _classifiers(study, asked)]
    if classifiers:
        rows.append(_cost(study, "pre-training", [], classifiers))
    return [*rows, _cost(study, "all", asked, _trained(study, asked))]


def planned(study: Study, experiments: Iterable[str] = ()) -> dict[str, str | float]:
    """Device hours of `experiments`, or of all that is asked for, and how many devices a job takes of each kind.

    A device is a GPU, or a core.
    """
    training, evaluating = study.scale.resources.train, study.scale.resources.evaluate
    names = list(experiments) or study.config.experiments
    return {
        "hours": round(_cost(study, "all", names, _trained(study, names)).hours, 4),
        "device": "GPU" if training.gpu else "core",
        "training": (training.gpu or training.threads) * training.nodes,
        "evaluation": evaluating.gpu or evaluating.threads,
    }


def seconds_expected(study: Study, rule: str, wildcards: Mapping[str, str]) -> float:
    """Seconds that the job of a rule and its wildcards takes by the scale's costs; 0 where they name none."""
    if rule == "train":
        return _seconds_training(study, study.segments[wildcards["recipe"], wildcards["segment"]])
    if rule in ("detect", "evaluate"):
        evaluated = wildcards["recipe"], wildcards["segment"], wildcards["testing"]
        return (_seconds_detecting if rule == "detect" else _seconds_scoring)(study, *evaluated)
    return 0.0


def jobs_after_searches(
    study: Study, experiments: Iterable[str], searches: Collection[str]
) -> list[tuple[str, dict[str, str]]]:
    """Rule and wildcards of the jobs that train and evaluate what the searches choose for the experiments.

    The first point stands for the chosen one. Jobs that another run has, too, are among them.
    """
    members = [member for name in experiments for member in study.members_of(name, study.first_point)]
    found = [
        job
        for member in members
        if member.choice is not None and member.choice.search in searches
        for job in _jobs_of(member)
    ]
    return list({(rule, *wildcards.items()): (rule, wildcards) for rule, wildcards in found}.values())


def _jobs_of(member: ExperimentRun) -> Iterator[tuple[str, dict[str, str]]]:
    run, testing = member.run, member.testing
    named = {"recipe": run.recipe.name, "schedule": run.schedule.name}
    for segment in run.segments:
        yield "recipe", {"recipe": segment.recipe}
        yield "train", {"recipe": segment.recipe, "segment": segment.name}
    if member.points == "training":
        yield "run_training", named
        return
    for segment, _ in run.checkpoints(member.points):
        for rule in ("detect", "evaluate"):
            yield rule, {"recipe": segment.recipe, "segment": segment.name, "testing": testing}
    yield "run_evaluations", {**named, "points": member.points, "testing": testing}


def _detectors(study: Study, names: Iterable[str]) -> list[Segment]:
    return list(shared_segments(study.needed_runs(names)).values())


def _classifiers(study: Study, names: Iterable[str]) -> list[tuple[str, str]]:
    begun = {
        f"classification-{run.recipe.model}"
        for run in study.needed_runs(names)
        if run.recipe.pretraining == "train"
    }
    return [key for key in study.segments if key[0] in begun]


def _cost(study: Study, name: str, experiments: list[str] | tuple[str, ...], segments: list[Segment]) -> Cost:
    evaluations = _evaluations(study, experiments)
    trained = sum(segment.iterations for segment in segments)
    detectors = sum(segment.iterations for segment in segments if segment.stage != "cosine")
    training = study.scale.resources.train
    evaluating = study.scale.resources.evaluate
    spent = sum(_seconds_training(study, segment) for segment in segments)
    spent *= (training.gpu or training.threads) * training.nodes
    spent += sum(
        _seconds_detecting(study, *each) * (evaluating.gpu or evaluating.threads)
        + _seconds_scoring(study, *each) * (not evaluating.gpu)
        for each in evaluations
    )
    kept, temporary = _storage(study, segments, sum(len(study.evaluated[each]) for each in evaluations))
    return Cost(
        name=name,
        jobs=len(segments) + 2 * len(evaluations),
        iterations=trained,
        saved=max(0, iterations_without_sharing(study.needed_runs(experiments)) - detectors),
        hours=spent / 3600,
        gigabytes=kept,
        peak=kept + temporary,
    )


def _evaluations(study: Study, names: Iterable[str]) -> set[tuple[str, str, str]]:
    """(recipe, segment, testing) of each segment whose checkpoints are evaluated."""
    found: set[tuple[str, str, str]] = set()
    for name in names:
        searches = [study.searches[search] for search in study.searches_of(name)]
        for run, points, testing in readings(study.members_of(name, study.first_point), searches):
            found |= {(segment.recipe, segment.name, testing) for segment, _ in run.checkpoints(points)}
    return found


def _seconds_training(study: Study, segment: Segment) -> float:
    seconds = segment.iterations * _seconds_an_iteration(study, study.recipes[segment.recipe])
    return study.scale.costs.start + seconds


def _seconds_an_iteration(study: Study, recipe: Recipe) -> float:
    costs, pixels = study.scale.costs, pixels_trained(study.config, study.scale, recipe.task)
    if recipe.task == "classification":
        return costs.classification.get(recipe.backbone, 0.0) * pixels
    cascade = costs.cascade if recipe.detector == "cascade_mask_rcnn" else 1.0
    return costs.iteration.get(recipe.backbone, 0.0) * cascade * pixels


def _seconds_detecting(study: Study, recipe: str, segment: str, testing: str) -> float:
    costs = study.scale.costs
    versions = 1 if testing == "single_scale" else study.scale.test_aug.versions
    each = (
        costs.detection.get(study.recipes[recipe].backbone, 0.0)
        * versions
        * pixels_detected(study.config, study.scale)
    )
    return costs.start + each * len(study.evaluated[recipe, segment, testing])


def _seconds_scoring(study: Study, recipe: str, segment: str, testing: str) -> float:
    return study.scale.costs.scoring * len(study.evaluated[recipe, segment, testing])


def _storage(study: Study, segments: list[Segment], evaluations: int) -> tuple[float, float]:
    """Gigabytes that stay and that go, by the configuration's policy."""
    sizes = {"states": 0.0, "checkpoints": 0.0, "detections": evaluations * study.scale.costs.detections}
    for segment in segments:
        backbone = study.recipes[segment.recipe].backbone
        weights = BYTES * study.scale.costs.megaparameters.get(backbone, 0.0) / 1000
        sizes["states"] += 2 * weights
        sizes["checkpoints"] += len(segment.evaluations) * weights
    policy = study.config.storage.model_dump()
    kept = sum(size for name, size in sizes.items() if policy[name] == "keep")
    return kept, sum(sizes.values()) - kept


@dataclass(frozen=True)
class Longest:
    """The training that takes longest without a break: `jobs` of it fit into a job's time, one after the other."""

    segment: Segment
    seconds: float
    jobs: int
    enough: bool
    """Whether training is started again so often."""


def longest(study: Study) -> Longest:
    """The segment that the plan expects to take longest."""
    resources = study.scale.resources.train
    segment = max(_trained(study, study.config.experiments), key=lambda each: _seconds_training(study, each))
    seconds = _seconds_training(study, segment)
    jobs = max(1, math.ceil(seconds / 60 / resources.runtime))
    return Longest(segment, seconds, jobs, jobs <= resources.retries + 1)


def _trained(study: Study, names: Iterable[str]) -> list[Segment]:
    return [*_detectors(study, names), *(study.segments[key] for key in _classifiers(study, names))]


def as_text(study: Study, rows: list[Cost], free: float) -> str:
    """The plan for a terminal, 80 columns wide: whether it can be had and what it takes, then a table by experiment.

    `free`: gigabytes that the disk of the results has.
    """
    return "\n\n".join([*_verdict(study, rows[-1], free), _table(study, rows)])


def _verdict(study: Study, everything: Cost, free: float) -> list[str]:
    """Paragraphs: whether it can be had, and what it takes."""
    alone = longest(study)
    obstacles = []
    if everything.peak > free:
        obstacles.append(
            f"does not fit on the disk: it needs up to {_rounded(everything.peak)} GB, and {_rounded(free)} GB are "
            "free. Free some, or let go what is read once: `storage` of config.yaml"
        )
    if not alone.enough:
        retries = study.scale.resources.train.retries
        obstacles.append(
            f"does not end on a cluster: its longest training takes {count(alone.jobs, 'job')}, and a job is started "
            f"again {count(retries, 'time')} at most. Under `numbers` of config.yaml, raise resources.train.retries to "
            f"{alone.jobs - 1} or more"
        )
    asked = study.config.experiments
    seeds = {run.recipe.seed for run in study.needed_runs(asked)}
    name = f"{study.scale.name}, {', '.join(asked)}, {count(len(seeds), 'seed')}"
    verdict = "; and ".join(obstacles) or "can run as it is"
    return [_wrapped(f"{name}: this study {verdict}."), _wrapped(_takes(study, everything, alone, free))]


def _takes(study: Study, everything: Cost, alone: Longest, free: float) -> str:
    most = 60 * study.scale.resources.train.runtime
    pieces = f": {alone.jobs} jobs of {duration(most)}, each of which goes on from the one before" * (
        alone.jobs > 1
    )
    return (
        f"It takes {_hours(study, everything.hours)} for {count(everything.iterations, 'iteration')} of training and "
        f"for evaluation, in {count(everything.jobs, 'large job')} (training, detection, evaluation; a run counts many "
        "short ones, too, such as tables and figures). Trainings that share their beginning save "
        f"{count(everything.saved, 'iteration')}. It needs up to {_rounded(everything.peak)} GB of disk, of which "
        f"{_rounded(everything.gigabytes)} GB stay; {_rounded(free)} GB are free. The longest training without "
        f"a break, {alone.segment.recipe} {alone.segment.name}, takes {duration(alone.seconds)}{pieces}."
    )


def _hours(study: Study, hours: float) -> str:
    return (
        f"{_rounded(hours)} GPU hours"
        if study.scale.resources.train.gpu
        else f"{duration(3600 * hours)} of one core"
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(study: Study, rows: list[Cost]) -> str:
    device = "GPU hours" if study.scale.resources.train.gpu else "core hours"
    header = ("", "large jobs", "iterations", "saved", device, "GB kept", "GB at most")
    cells = [
        (
            row.name,
            f"{row.jobs:,}",
            f"{row.iterations:,}",
            f"{row.saved:,}",
            _rounded(row.hours),
            _rounded(row.gigabytes),
            _rounded(row.peak),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [header, *cells]) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in [header, *cells]
    )


def _rounded(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _free(folder: Path) -> float:
    """Gigabytes that the disk of a folder, which may not be there yet, has."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(there).free / 1e9


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", type=json.loads, required=True, help="the whole configuration, as JSON")
    study = compile_study(parser.parse_args().study, planning=True)
    print(as_text(study, plan(study), _free(Path(Layout(study).root))))
    if lacking := absent(study.config, study.scale, study.experiments):
        print("\nBefore it can run:", *(line.removeprefix("config.yaml: ") for line in lacking), sep="\n")


if __name__ == "__main__":
    job(main)
