"""What the report says of the study as a whole."""

from typing import Any

from workflow_scripts.study.segments import Run, iterations_planned, iterations_without_sharing
from workflow_scripts.study.study import Study


def asked_runs(study: Study) -> list[Run]:
    """The runs of the experiments that the configuration asks for, each once."""
    runs = [run for name in study.config.experiments for run in study.runs_of[name]]
    return list({run.name: run for run in runs}.values())


def summary(study: Study) -> dict[str, Any]:
    """Scale, notes, experiments, iterations with and without sharing, and the schedules in iterations."""
    runs = asked_runs(study)
    schedules = {run.schedule.name: run.schedule for run in runs}
    return {
        "scale": study.scale.name,
        "notes": [study.scale.description, *study.scale.notes],
        "experiments": [
            {"name": name, "title": study.experiments[name].title} for name in study.config.experiments
        ],
        "iterations": {
            "planned": iterations_planned(runs),
            "without_sharing": iterations_without_sharing(runs),
        },
        "schedules": {
            name: schedule.model_dump(include={"iterations", "first_drop", "second_drop"})
            for name, schedule in schedules.items()
        },
    }
