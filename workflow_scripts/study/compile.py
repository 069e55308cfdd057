"""The configuration compiled into a study: read, checked, expanded into runs, given numbers, cut into segments."""

from collections.abc import Mapping
from typing import Any

from workflow_scripts.errors import UserError
from workflow_scripts.study.compiled.advice import TITLE, Design, design
from workflow_scripts.study.compiled.expand import expand
from workflow_scripts.study.compiled.experiments import ADVICE, Experiment, experiments
from workflow_scripts.study.compiled.fit import same_length, unfit_experiments
from workflow_scripts.study.compiled.recipes import recipes_of
from workflow_scripts.study.compiled.requirements import missing_data, unmet
from workflow_scripts.study.compiled.schedules import named_schedules
from workflow_scripts.study.compiled.searches import grid_points
from workflow_scripts.study.compiled.segments import compile_runs, every_segment
from workflow_scripts.study.compiled.study import Study, assemble
from workflow_scripts.study.configuration.checks import data_problems, problems
from workflow_scripts.study.configuration.config import StudyConfig, read_config, read_scale
from workflow_scripts.study.configuration.scales import Scale


def compile_study(values: Mapping[str, Any], planning: bool = False) -> Study:
    """Compile the configuration. Each step is taken once, and needs what the steps before it made.

    planning: data and weights need not be there, nor be named: nothing will be made from them.

    Raises:
        UserError: on anything in the configuration that a person must correct.
    """
    config = read_config(values)
    scale = read_scale(config)
    advice = design(config, scale)
    of_advice = advice.experiment if isinstance(advice, Design) else Experiment(ADVICE, TITLE, ())
    known = experiments(config.models, config.masks) | {ADVICE: of_advice}
    lacking = [] if planning else absent(config, scale, known)
    if found := [*problems(config, scale), *unmet(config, scale, known), *lacking]:
        raise UserError("\n".join(found))

    points = grid_points(scale.search, scale.detection.decay_factor)
    planned = expand(config, known, points)
    given = advice.schedules if isinstance(advice, Design) else {}
    names = {run.schedule for plan in planned.values() for run in plan.runs} - set(given)
    schedules, impossible = named_schedules(sorted(names), scale.schedule, scale.short_schedules)
    schedules |= given
    if found := list(same_length(config.schedules, schedules)):
        raise UserError("\n".join(found))
    unfit = unfit_experiments(
        config, planned, impossible, {ADVICE: advice} if isinstance(advice, str) else {}
    )
    wanted = {run: None for name, plan in planned.items() if name not in unfit for run in plan.runs}
    trainings = [training for run in wanted for training in (run.trunk, run.training) if training]

    recipes, classifiers = recipes_of(trainings, scale)
    runs = compile_runs(wanted, recipes, schedules, scale)
    segments = every_segment(runs.values(), classifiers, scale.classification.iterations)
    every_recipe = [*recipes.values(), *classifiers]
    bought = advice if isinstance(advice, Design) else None
    return assemble(config, scale, known, planned, every_recipe, runs, segments, unfit, bought)


def absent(config: StudyConfig, scale: Scale, known: Mapping[str, Experiment]) -> list[str]:
    """A line for each data set and each file of weights that is not named, not there or not to be used so."""
    return [*data_problems(config), *missing_data(config, scale, known)]
