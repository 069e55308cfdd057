"""How often the intervals of advice hold the truth, on the miniature world, where many more trainings tell it.

    python -m benchmarks.coverage [--study results/mini] [--seeds 9] [--length 240] [--jobs 2] [--folder FOLDER]

Trains both initialisations on a quarter, a half and all of the world's images, with many seeds, as `snakemake advise`
does at the end of its longer trainings, and keeps what each detects. Then it plays many small studies: three of the
seeds, and a part of the validation images. Each gives the difference on each number of images and the line through
them, with intervals, as advice tells them (`report/intervals.py`, `report/crossing.py`). The truth is what the other
seeds reach on the other images: an estimate too, so an interval is held against it with the variances of both.

Prints by number of images the difference of all, how far its intervals reach and in how many of the studies they hold
the truth, the same of the line, and of where it meets 0.

`--study` is a finished study of the scale: its world and its pre-trained backbone are taken. What was detected is kept
in the folder; a run that was cut goes on.
"""

import argparse
import contextlib
import functools
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from benchmarks.against_detectron2 import World, each_done
from workflow_scripts.data import coco
from workflow_scripts.data.subsets import seeded_order, write_part, write_subsets
from workflow_scripts.evaluation.bootstrap import replicates
from workflow_scripts.evaluation.coco_metrics import evaluate
from workflow_scripts.evaluation.detect import detect
from workflow_scripts.files import write_json
from workflow_scripts.models.tensors import save_tensors
from workflow_scripts.report.crossing import Line, difference_line
from workflow_scripts.report.intervals import Estimate, Sample, estimate
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.advice import SHARES
from workflow_scripts.study.compiled.schedules import short_schedule
from workflow_scripts.study.compiled.segments import Run, compile_run
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.examples import detection_examples
from workflow_scripts.training.processes import Processes
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.segment import train_segment

TOLD = ("quarter", "half", "all")
INITIALISATIONS = ("random", "pretrained")
STUDY_SEEDS = 3
"""Of each small study: what advice takes unless told otherwise."""
REPLICATES = 100


@dataclass(frozen=True)
class Training:
    """One of the many."""

    share: str
    initialisation: str
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.share}-{self.initialisation}-{self.seed}"


def run_of(scale: str, length: int, seeds: int, training: Training) -> Run:
    """Recipe and schedule as advice has them, but for the length."""
    study = compile_study(
        {
            "scale": scale,
            "experiments": ["advise"],
            "advice": {"seeds": list(range(seeds)), "minutes": 10_000},
        }
    )
    runs = (member.run for member in study.members["advise"])
    recipe = next(
        run.recipe
        for run in runs
        if (run.recipe.subset, run.recipe.initialisation, run.recipe.seed)
        == (training.share, training.initialisation, training.seed)
    )
    iterations = 2 * round(length * math.sqrt(SHARES[training.share]) / 2)
    schedule = short_schedule(training.share, iterations).model_copy(update={"whole": True})
    return compile_run(recipe, schedule, study.scale.schedule, study.scale.evaluation)


def train(folder: Path, study: Path, scale: str, length: int, seeds: int, training: Training) -> None:
    """Train one, on one thread, and keep what it detects."""
    torch.set_num_threads(1)
    world, aside = World(study / "world"), folder / training.name
    run = run_of(scale, length, seeds, training)
    annotations = (
        world.annotations("train")
        if training.share == "all"
        else folder / f"shares/instances_{training.share}.json"
    )
    backbone = study / f"pretraining/train/{run.recipe.model}/backbone.safetensors"
    numbers = TrainingNumbers(log_period=10, save_period=10**9, workers=0)
    aside.mkdir(exist_ok=True)
    with (aside / "log.txt").open("w") as log, contextlib.redirect_stdout(log):
        state = train_segment(
            run.recipe,
            run.segments[0],
            detection_examples(run.recipe, annotations, world.images("train")),
            numbers,
            Progress(aside / "progress"),
            Processes(0, 1, "cpu"),
            backbone=backbone if training.initialisation == "pretrained" else None,
        )
        save_tensors(aside / "weights.safetensors", state.weights, {})
        files = (world.annotations("val"), world.images("val"))
        write_json(kept(folder, training), detect(run.recipe, aside / "weights.safetensors", *files, "cpu"))


def kept(folder: Path, training: Training) -> Path:
    """Where its detections are kept."""
    return folder / f"{training.name}.json"


def parts_of(folder: Path, annotations: Path, number: int) -> list[tuple[Path, Path]]:
    """The validation images in so many parts, each with all the others: annotation files."""
    file = coco.read(annotations)
    order = seeded_order([image.id for image in file.images], seed=0)
    found = []
    for part in range(number):
        own = set(order[part::number])
        paths = folder / f"part{part}.json", folder / f"others{part}.json"
        for path, images in zip(paths, (own, set(order) - own), strict=True):
            if not path.exists():
                write_part(file, images, path)
        found.append(paths)
    return found


class Measured:
    """AP of each training on any part of the images, with replicates where they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @functools.cache  # noqa: B019 - one object, as long as the program
    def ap(self, training: Training, part: Path) -> float:
        """In percent."""
        return evaluate(part, self._of(training, part), ("bbox",))["bbox"]["AP"] or 0.0

    @functools.cache  # noqa: B019
    def replicates(self, training: Training, part: Path) -> np.ndarray:
        """AP on resamples of the part's images."""
        table = replicates(part, self._of(training, part), ("bbox",), REPLICATES)
        return table.loc[table["metric"] == "AP", "value"].to_numpy()

    def _of(self, training: Training, part: Path) -> Path:
        """What a training detects on the images of a part."""
        path = self._folder / "detected" / f"{training.name}-{part.stem}.json"
        if not path.exists():
            images = {image.id for image in coco.read(part).images}
            found = json.loads(kept(self._folder, training).read_text())
            path.parent.mkdir(exist_ok=True)
            write_json(path, [each for each in found if each["image_id"] in images])
        return path

    def sample(self, share: str, initialisation: str, seeds: Sequence[int], part: Path) -> Sample:
        """AP by seed, and replicates of its mean."""
        trainings = [Training(share, initialisation, seed) for seed in seeds]
        values = pd.Series([self.ap(each, part) for each in trainings], index=list(seeds))
        resampled = np.mean([self.replicates(each, part) for each in trainings], axis=0)
        return Sample(values, pd.Series(resampled), ())


@dataclass(frozen=True)
class Answer:
    """What a study tells: the difference on each number of images, and the line through them."""

    differences: list[Estimate]
    line: Line


def answer(measured: Measured, seeds: Sequence[int], part: Path) -> Answer:
    """From these seeds and these validation images."""
    samples = {
        name: [measured.sample(share, name, seeds, part) for share in TOLD] for name in INITIALISATIONS
    }
    pairs = list(zip(samples["pretrained"], samples["random"], strict=True))
    line = difference_line(
        np.log2([SHARES[share] for share in TOLD]),
        np.array([first.values for first, _ in pairs]),
        np.array([second.values for _, second in pairs]),
        np.array([first.replicates - second.replicates for first, second in pairs]),
    )
    return Answer([estimate(first, second * -1) for first, second in pairs], line)


def studies(
    seeds: int, parts: list[tuple[Path, Path]]
) -> Iterator[tuple[tuple[int, ...], list[int], Path, Path]]:
    """Every choice of three seeds and every part of the images, each with what is left."""
    for chosen in itertools.combinations(range(seeds), STUDY_SEEDS):
        left = [seed for seed in range(seeds) if seed not in chosen]
        for part, others in parts:
            yield chosen, left, part, others


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", type=Path, default=Path("results/mini"), help="a finished study's results")
    parser.add_argument("--scale", choices=("smoke", "mini"), default="mini", help="that of the study")
    parser.add_argument("--length", type=int, default=240, help="iterations on all images")
    parser.add_argument("--seeds", type=int, default=9, help="of each training, 6 or more")
    parser.add_argument("--parts", type=int, default=4, help="of the validation images")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, of one thread each")
    parser.add_argument("--folder", type=Path, default=Path("results/coverage"), help="kept results")
    arguments = parser.parse_args()
    if arguments.seeds < 2 * STUDY_SEEDS:
        parser.error(
            f"--seeds {arguments.seeds}: expected {2 * STUDY_SEEDS} or more, to tell the truth from others"
        )
    folder, world = arguments.folder, World(arguments.study / "world")
    folder.mkdir(parents=True, exist_ok=True)
    shares = {name: SHARES[name] for name in TOLD if name != "all"}
    write_subsets(world.annotations("train"), shares, 0, folder / "shares")
    tasks = [Training(*each) for each in itertools.product(TOLD, INITIALISATIONS, range(arguments.seeds))]
    missing = [task for task in tasks if not kept(folder, task).exists()]
    one = functools.partial(
        train, folder, arguments.study, arguments.scale, arguments.length, arguments.seeds
    )
    for number, task in enumerate(each_done(one, missing, arguments.jobs), 1):
        print(f"{number} of {len(missing)}: {task.name}", flush=True)
    report(folder, arguments.seeds, parts_of(folder, world.annotations("val"), arguments.parts))


def report(folder: Path, seeds: int, parts: list[tuple[Path, Path]]) -> None:
    """Play the studies and print what came of them."""
    measured = Measured(folder)
    held: dict[str, list[bool]] = {}
    widths: dict[str, list[float]] = {}
    differences: dict[str, list[float]] = {}
    for chosen, left, part, others in studies(seeds, parts):
        found, truth = answer(measured, chosen, part), answer(measured, left, others)
        for share, told, true in zip(TOLD, found.differences, truth.differences, strict=True):
            error = math.hypot(told.standard_error or 0, true.standard_error or 0)
            reach = float(stats.t.ppf(0.975, told.freedom)) * error
            low, high = told.interval or (math.nan, math.nan)
            held.setdefault(f"difference, {share}", []).append(abs(told.value - true.value) <= reach)
            widths.setdefault(f"difference, {share}", []).append((high - low) / 2)
            differences.setdefault(f"difference, {share}", []).append(true.value)
        both = Line(
            found.line.at_zero - truth.line.at_zero,
            found.line.slope - truth.line.slope,
            found.line.covariance + truth.line.covariance,
            found.line.freedom,
        ).at(0)
        at = found.line.at(0)
        held.setdefault("line, all", []).append(both.low <= 0 <= both.high)
        widths.setdefault("line, all", []).append((at.high - at.low) / 2)
        differences.setdefault("line, all", []).append(truth.line.at_zero)
        place, crossing = truth.line.crossing(), found.line.crossing()
        if place and crossing:
            held.setdefault("crossing", []).append(crossing.low <= place.value <= crossing.high)
            widths.setdefault("crossing", []).append((crossing.high - crossing.low) / 2)
            differences.setdefault("crossing", []).append(place.value)
    print(f"{'':20} {'studies':>8} {'truth':>8} {'± told':>8} {'held':>8}")
    for name, flags in held.items():
        print(
            f"{name:20} {len(flags):8,} {np.mean(differences[name]):8.2f} {np.mean(widths[name]):8.2f} "
            f"{100 * np.mean(flags):7.1f}%"
        )


if __name__ == "__main__":
    main()
