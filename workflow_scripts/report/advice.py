"""Advice on one's own data: what pre-training is worth by number of images and by length of training.

    python -m workflow_scripts.report.advice --table advise-evaluations.csv --replicates a.csv b.csv \\
        --subsets half all --manifests half.json all.json --scale mini --output advice.json

Differences are pre-training minus random init, in percent of the AP that the data set is scored by, with 95% intervals
over seeds and over the choice of validation images (`intervals.py`). Two lines tell where they end: one through the
differences against the binary logarithm of the number of images, and one through AP against that of the iterations
(`crossing.py`).
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job
from workflow_scripts.report.advice_words import answer
from workflow_scripts.report.comparisons import Arm, Results, metric_label
from workflow_scripts.report.crossing import Line, Span, difference_line
from workflow_scripts.report.intervals import Estimate, Sample, enough, estimate, satterthwaite
from workflow_scripts.tables.advice import Advice, Interval, Place, Size, Trained
from workflow_scripts.tables.tidy import INITIALISATIONS, MAIN, Metric, read_evaluations

PLACES = 41
"""Points of the line that a figure draws."""


def advise(table: pd.DataFrame, replicates: list[Path], images: Mapping[str, int], scale: str) -> Advice:
    """What the trainings of `advise` tell.

    table: as `tidy.read_evaluations` reads it. images: how many each subset of the table holds.
    Raises `UserError` as `comparisons.Results` does, and where a subset lacks a training.
    """
    results = Results([table], replicates)
    arms = sorted(results.arms(), key=lambda arm: images[arm.subset])
    if not arms:
        raise UserError(
            "The table has no data set on which both initialisations were trained; gather it again."
        )
    metric = MAIN[arms[0].train_set]
    sizes = [_size(results, arm, metric, images[arm.subset]) for arm in arms]
    found = Advice(
        scale=scale,
        metric=metric_label(metric),
        seeds=len(_long(results, arms[-1], "random", metric).values),
        sizes=sizes,
        line=[],
    )
    if not sizes[-1].learned:
        return answer(found)
    by_images = _by_images(results, arms, metric, images)
    largest = images[arms[-1].subset]
    return answer(
        msgspec.structs.replace(
            found,
            line=[
                Place(largest * 2**x, _interval(by_images.at(x)))
                for x in np.linspace(math.log2(sizes[0].images / largest), 0, PLACES).tolist()
            ],
            break_even_images=_powers(by_images.crossing(), largest),
            break_even_length=_powers(_by_length(results, arms[-1], metric).crossing(), 1),
        )
    )


def _size(results: Results, arm: Arm, metric: Metric, images: int) -> Size:
    """What both initialisations reach on a number of images, and how far they are apart."""
    trained = {name: _trained(results, arm, name, metric) for name in INITIALISATIONS}
    samples = [
        (end(results, arm, "pretrained", metric), end(results, arm, "random", metric) * -1)
        for end in (_short, _long)
    ]
    short, long = (estimate(*each) for each in samples)
    of_seeds = sum(sample.values.var(ddof=1) / len(sample.values) for sample in samples[-1])
    mostly_seeds = 2 * of_seeds >= (long.standard_error or 0) ** 2
    return Size(
        images,
        trained["random"],
        trained["pretrained"],
        _of(short),
        _of(long),
        "seeds" if mostly_seeds else "validation images",
    )


def _trained(results: Results, arm: Arm, initialisation: str, metric: Metric) -> Trained:
    schedules = results.schedules(arm, initialisation)
    short, long = _short(results, arm, initialisation, metric), _long(results, arm, initialisation, metric)
    gain = results.gain(arm, initialisation, schedules[-1])
    return Trained(
        lengths=[results.length(arm, initialisation, name) for name in (schedules[0], schedules[-1])],
        ends=[_of(estimate(short)), _of(estimate(long))],
        gain=_of(estimate(long - short)),
        converged=bool(gain and gain.converged),
    )


def _short(results: Results, arm: Arm, initialisation: str, metric: Metric) -> Sample:
    return _end(results, arm, initialisation, metric, 0)


def _long(results: Results, arm: Arm, initialisation: str, metric: Metric) -> Sample:
    return _end(results, arm, initialisation, metric, -1)


def _end(results: Results, arm: Arm, initialisation: str, metric: Metric, which: int) -> Sample:
    schedules = results.schedules(arm, initialisation)
    sample = results.end(arm, initialisation, metric, schedules[which])
    if sample is None or len(schedules) < 2:
        raise UserError(
            f"The table lacks {' '.join(metric)} of {initialisation} on {arm.subset}, of two lengths. Gather it again."
        )
    return sample


def _by_images(results: Results, arms: list[Arm], metric: Metric, images: Mapping[str, int]) -> Line:
    """Pre-training minus random init at the end of the longer trainings; x counts doublings from all images."""
    largest = images[arms[-1].subset]
    ends = {name: [_long(results, arm, name, metric) for arm in arms] for name in ("pretrained", "random")}
    differences = [
        first.replicates - second.replicates
        for first, second in zip(ends["pretrained"], ends["random"], strict=True)
    ]
    return difference_line(
        np.log2([images[arm.subset] / largest for arm in arms]),
        _by_seed(ends["pretrained"]),
        _by_seed(ends["random"]),
        pd.concat(differences, axis=1).dropna().to_numpy().T.reshape(len(arms), -1),
    )


def _by_seed(samples: list[Sample]) -> np.ndarray:
    return np.array([sample.values.sort_index() for sample in samples])


def _by_length(results: Results, arm: Arm, metric: Metric) -> Line:
    """The longer training after pre-training minus random init's, on all images; x counts doublings of the latter."""
    pretrained = _long(results, arm, "pretrained", metric)
    short, long = (end(results, arm, "random", metric) for end in (_short, _long))
    seeds = len(long.values)
    gained = long - short
    terms = np.array(
        [[1.0, -1.0, 0.0], [0.0, 0.0, -1.0]]
    )  # of pretrained, long, gained: at x = 0, and the slope
    spread = np.zeros((3, 3))
    spread[0, 0] = pretrained.values.var(ddof=1) / seeds
    spread[1:, 1:] = np.cov(long.values.sort_index(), gained.values.sort_index()) / seeds
    of_seeds = terms @ spread @ terms.T
    resampled = pd.concat([each.replicates for each in (pretrained, long, gained)], axis=1).dropna()
    of_images = np.zeros((2, 2))
    if enough(len(resampled)):
        of_images = terms @ np.cov(resampled.to_numpy().T) @ terms.T
    return Line(
        pretrained.mean - long.mean,
        -gained.mean,
        of_seeds + of_images,
        satterthwaite(float((of_seeds + of_images)[0, 0]), np.diag(spread)[:2], [seeds, seeds]),
    )


def _of(found: Estimate) -> Interval:
    low, high = found.interval or (None, None)
    return Interval(found.value, low, high)


def _interval(span: Span) -> Interval:
    return Interval(float(span.value), float(span.low), float(span.high))


def _powers(span: Span | None, unit: float) -> Interval | None:
    """Doublings as multiples of `unit`."""
    return (
        None
        if span is None
        else Interval(*(float(unit * 2**end) for end in (span.value, span.low, span.high)))
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, required=True, help="tidy CSV of evaluations")
    parser.add_argument("--replicates", type=Path, nargs="*", default=[], help="those of its evaluations")
    parser.add_argument(
        "--manifests", type=Path, nargs="+", required=True, help="of the subsets, by --subsets"
    )
    parser.add_argument(
        "--subsets", nargs="+", required=True, help="names of the subsets, in the order of --manifests"
    )
    parser.add_argument("--scale", required=True, help="smoke, mini or paper")
    parser.add_argument("--output", type=Path, required=True, help="output: JSON")
    arguments = parser.parse_args()
    images = {
        name: int(msgspec.json.decode(path.read_bytes())["image_count"])
        for name, path in zip(arguments.subsets, arguments.manifests, strict=True)
    }
    found = advise(read_evaluations(arguments.table), arguments.replicates, images, arguments.scale)
    with write_atomically(arguments.output) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")


if __name__ == "__main__":
    job(main)
