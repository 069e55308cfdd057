"""Which runs are shown side by side, picture by picture: one detector a training set, from each initialisation."""

from collections.abc import Iterable
from itertools import groupby

from workflow_scripts.study.compiled.recipes import Initialisation
from workflow_scripts.study.compiled.segments import Run
from workflow_scripts.study.compiled.study import Chosen, ExperimentRun, Study

Points = dict[str, list[Run]]
"""Runs of all seeds and initialisations at the shortest schedule (`short`) and the longest (`long`)."""


def compared_sets(study: Study) -> list[str]:
    """Training sets of which the asked experiments evaluate a run, in the order in which they come."""
    members = (member for name in study.config.experiments for member in study.members[name])
    return list(dict.fromkeys(member.run.recipe.train_set for member in members if _is_seen(member)))


def compared_runs(study: Study, train_set: str, chosen: Chosen) -> tuple[str, Points]:
    """The setting and the runs that are compared on a training set.

    Of the asked experiments' detectors the first that both initialisations train on all of its images, else that both
    train, else the first. `short` is the shortest schedule that all its initialisations have, `long` the longest of
    each; with a single schedule there is only `long`.
    """
    groups = _groups(study, train_set, chosen)
    both = {key: {run.recipe.initialisation for run in runs} for key, runs in groups.items()}
    key = min(groups, key=lambda each: (-len(both[each]), groups[each][0].recipe.subset != "all"))
    runs = groups[key]
    by_side = {
        name: _by_length(run for run in runs if _initialised(run) == name) for name in sorted(both[key])
    }
    longest = {name: lengths[-1] for name, lengths in by_side.items()}
    shared = [
        length for length in next(iter(by_side.values())) if all(length in own for own in by_side.values())
    ]
    points = (
        {"short": dict.fromkeys(by_side, shared[0])} if shared and shared[0] not in longest.values() else {}
    )
    points["long"] = longest
    found = {
        point: [run for run in runs if run.schedule.name == schedules[_initialised(run)]]
        for point, schedules in points.items()
    }
    return key[-1], found


def _is_seen(member: ExperimentRun) -> bool:
    return member.points != "training" and member.testing == "single_scale"


def _initialised(run: Run) -> Initialisation:
    return run.recipe.initialisation


def _groups(study: Study, train_set: str, chosen: Chosen) -> dict[tuple[str, ...], list[Run]]:
    """Runs of a training set by detector, model, subset and setting, each once, as the experiments name them.

    Searches are asked only where nothing else is trained on the set.
    """
    asked = study.config.experiments
    certain = [each for name in asked for each in study.members[name] if each.choice is None]
    groups = _grouped(certain, train_set)
    return groups or _grouped((each for name in asked for each in study.members_of(name, chosen)), train_set)


def _grouped(members: Iterable[ExperimentRun], train_set: str) -> dict[tuple[str, ...], list[Run]]:
    groups: dict[tuple[str, ...], dict[str, Run]] = {}
    for member in members:
        recipe = member.run.recipe
        if _is_seen(member) and recipe.train_set == train_set:
            key = (recipe.detector, recipe.model, recipe.subset, member.setting)
            groups.setdefault(key, {})[member.run.name] = member.run
    return {key: list(runs.values()) for key, runs in groups.items()}


def _by_length(runs: Iterable[Run]) -> list[str]:
    """Names of schedules, shortest first."""
    ordered = sorted(runs, key=lambda run: run.schedule.iterations)
    return [name for name, _ in groupby(run.schedule.name for run in ordered)]
