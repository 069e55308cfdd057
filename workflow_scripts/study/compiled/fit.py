"""Which experiments can be had at a scale, and from the data: those whose schedules and whose detectors can."""

from collections.abc import Iterable, Iterator, Mapping

from workflow_scripts.errors import UserError
from workflow_scripts.study.compiled.expand import PlannedExperiment
from workflow_scripts.study.compiled.schedules import Schedule
from workflow_scripts.study.configuration.config import StudyConfig, scale_source


def unfit_experiments(
    config: StudyConfig,
    planned: Mapping[str, PlannedExperiment],
    impossible: Mapping[str, str],
    beyond_budget: Mapping[str, str],
) -> dict[str, str]:
    """Why an experiment cannot be had, by name; `impossible` tells it of schedules, `beyond_budget` of experiments.

    Raises:
        UserError: the configuration asks for one of them.
    """
    found = {
        name: reason
        for name, plan in planned.items()
        if (
            reason := beyond_budget.get(name)
            or _without_masks(config, name, plan)
            or _reason(config, plan, impossible)
        )
    }
    for name in config.experiments:
        if name in found:
            raise UserError(found[name])
    return found


def _without_masks(config: StudyConfig, name: str, plan: PlannedExperiment) -> str:
    if config.masks or all(run.training.detector != "cascade_mask_rcnn" for run in plan.runs):
        return ""
    return (
        f"config.yaml: datasets.coco.masks: found false, expected true for {name}, whose cascades learn masks; give "
        f"data with masks, or leave {name} out of experiments"
    )


def same_length(names: Iterable[str], schedules: Mapping[str, Schedule]) -> Iterator[str]:
    """A line for each asked schedule that is another in other words: `2x`, and the iterations that 2x has."""
    first: dict[int, str] = {}
    for name in names:
        if name in schedules and not schedules[name].short:
            iterations = schedules[name].iterations
            if (other := first.setdefault(iterations, name)) != name:
                yield (
                    f"config.yaml: schedules: found {other} and {name}, which are both {iterations:,} iterations; "
                    "expected each length once: remove one of them"
                )


def _reason(config: StudyConfig, plan: PlannedExperiment, impossible: Mapping[str, str]) -> str:
    asked_for = {member.run.schedule for member in plan.members if not member.own_schedule}
    for name in (run.schedule for run in plan.runs if run.schedule in impossible):
        # An experiment's own schedules can only be too short for the scale's tail.
        where = "config.yaml: schedules" if name in asked_for else f"{scale_source(config)}: schedule"
        return f"{where}: {impossible[name]}"
    return ""
