"""Which jobs share one submission to a cluster: those of a recipe's segments, and of a search's points.

A scale's `resources.together` says how many. A batch must not grow once its jobs run: Snakemake, which plans anew when
a search has chosen, would submit them twice. So what depends on a search is in none, but for the points themselves.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from workflow_scripts.study.compiled.experiments import ADVICE
from workflow_scripts.study.compiled.segments import Segment
from workflow_scripts.study.compiled.study import Study

TESTING = "single_scale"
"""What is tested in batches; with test augmentation, each job is long."""


@dataclass(frozen=True)
class Batch:
    """Jobs of one rule, and how many they are at most."""

    name: str
    size: int


def batches(study: Study) -> dict[tuple[str, str, str], Batch]:
    """The batch of a rule's (train, detect or evaluate) job by recipe and segment; those in none are left out.

    A recipe's segments are in order of their start: no batch waits for one that waits for it.
    """
    found: dict[tuple[str, str, str], Batch] = {}
    for rule, size in study.scale.resources.together:
        for name, segments in _series(study, rule).items():
            for first in range(0, len(segments), size):
                part = segments[first : first + size]
                if len(part) > 1:
                    batch = Batch(f"{rule}-{name}-{first // size}", len(part))
                    found |= {(rule, segment.recipe, segment.name): batch for segment in part}
    return found


def _series(study: Study, rule: str) -> dict[str, list[Segment]]:
    """Segments by what they have in common: their recipe, or the search that compares their ends.

    Those of advice, which share recipes with the paper's experiments and are asked for without them, are apart.
    """
    series: dict[str, list[Segment]] = {}
    searched = set(_searched(study))
    advised = {segment for member in study.members.get(ADVICE, ()) for segment in member.run.segments}
    for segment in sorted(study.segments.values(), key=lambda segment: segment.start):
        evaluated = (segment.recipe, segment.name, TESTING) in study.evaluated
        if segment.recipe not in searched and (rule == "train" or evaluated):
            name = f"{segment.recipe}-{ADVICE}" if segment in advised else segment.recipe
            series.setdefault(name, []).append(segment)
    if rule != "train":
        ends = {
            search.name: [run.segments[-1] for run in search.runs.values()]
            for search in study.searches.values()
        }
        series |= ends
    return series


def _searched(study: Study) -> Iterator[str]:
    """Recipes of which a search decides what is done with them."""
    points = itertools.chain.from_iterable(search.runs.values() for search in study.searches.values())
    chosen = (member.run for member in itertools.chain(*study.members.values()) if member.choice is not None)
    for run in itertools.chain(points, chosen):
        yield from (segment.recipe for segment in run.segments)
