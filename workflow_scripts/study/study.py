"""The study: the configuration compiled into recipes, runs and segments that the workflow's rules look up."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflow_scripts.errors import UserError
from workflow_scripts.study.checks import check
from workflow_scripts.study.config import StudyConfig, read_config, read_scale
from workflow_scripts.study.expand import Expansion, ExperimentRun
from workflow_scripts.study.experiments import Experiment, experiments
from workflow_scripts.study.recipes import MODELS, Recipe, classification_recipe
from workflow_scripts.study.scales import Scale
from workflow_scripts.study.schedules import Schedule
from workflow_scripts.study.searches import Search
from workflow_scripts.study.segments import Run, Segment, classification_segment, shared_segments

Chosen = Callable[[str], str]
"""The point that a search, by name, chose."""


@dataclass(frozen=True)
class Study:
    """Everything that the DAG is made of. Names are unique; every lookup is by name."""

    config: StudyConfig
    scale: Scale
    experiments: dict[str, Experiment]
    searches: dict[str, Search]
    recipes: dict[str, Recipe]
    schedules: dict[str, Schedule]
    runs: dict[tuple[str, str], Run]
    members: dict[str, tuple[ExperimentRun, ...]] = field(repr=False)
    segments: dict[tuple[str, str], Segment] = field(repr=False)
    unfit: dict[str, str] = field(repr=False)
    """Why an experiment that was not asked for cannot be had at this scale."""

    def members_of(self, experiment: str, chosen: Chosen) -> list[ExperimentRun]:
        """The runs that a figure or table reads, once its searches have chosen."""
        return [
            member
            for member in self.members[experiment]
            if member.choice is None or chosen(member.choice.search) == member.choice.point
        ]

    def first_point(self, search: str) -> str:
        """Stands for the chosen point where only the amount of work matters: it is the same for each."""
        return next(iter(self.searches[search].runs))

    def needed_runs(self, names: Iterable[str], chosen: Chosen | None = None) -> list[Run]:
        """The runs of experiments and of the searches that they rest on, each once."""
        runs: list[Run] = []
        for name in names:
            for search in self.searches_of(name):
                runs += self.searches[search].runs.values()
            runs += [member.run for member in self.members_of(name, chosen or self.first_point)]
        return list({run.name: run for run in runs}.values())

    def searches_of(self, experiment: str) -> list[str]:
        """Names of the searches that an experiment rests on."""
        choices = [member.choice for member in self.members[experiment]]
        return list(dict.fromkeys(choice.search for choice in choices if choice))


def compile_study(values: Mapping[str, Any]) -> Study:
    """Compile the configuration.

    Raises:
        UserError: on anything in the configuration that a person must correct.
    """
    config = read_config(values)
    scale = read_scale(config)
    check(config, scale)
    known = experiments(config.models)
    expansion = Expansion(config, scale)
    members: dict[str, tuple[ExperimentRun, ...]] = {}
    unfit: dict[str, str] = {}
    for name, experiment in known.items():
        try:
            members[name] = tuple(expansion.members(experiment))
        except UserError as error:
            if name in config.experiments:
                raise
            members[name], unfit[name] = (), str(error)
    runs = {(run.recipe.name, run.schedule.name): run for run in expansion.runs}
    assert len(runs) == len(expansion.runs), "two runs of one name"
    segments = shared_segments(runs.values())
    recipes = {recipe.name: recipe for recipe in expansion.recipes}
    for recipe in list(recipes.values()):
        if recipe.pretraining == "train":
            classifier = classification_recipe(MODELS[recipe.model], scale)
            segment = classification_segment(classifier, scale.classification.iterations)
            recipes[classifier.name] = classifier
            segments[classifier.name, segment.name] = segment
    schedules = {run.schedule.name: run.schedule for run in runs.values()}
    return Study(config, scale, known, expansion.searches, recipes, schedules, runs, members, segments, unfit)
