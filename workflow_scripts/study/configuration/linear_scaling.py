"""The linear scaling rule: a batch k times as large learns at k times the rate, in 1/k of the iterations.

Goyal et al., 2017; detectron2 does the same in `auto_scale_workers`. Applied only where a study asks for it.
"""

from typing import Any

from workflow_scripts.study.configuration.scales import Scale


def linear_scaling(scale: Scale, detection_batch: int, classification_batch: int) -> dict[str, Any]:
    """Changes that fit a scale's rates and iterations, meant for the given batches, to its own batches."""
    detectors = scale.detection.batch / detection_batch
    classifiers = scale.classification.batch / classification_batch
    schedule, evaluation, classification = scale.schedule, scale.evaluation, scale.classification
    return {
        "schedule": {
            "iterations_per_x": _iterations(schedule.iterations_per_x, detectors),
            "tail": _iterations(schedule.tail, detectors),
            "second_tail": _iterations(schedule.second_tail, detectors),
        },
        "short_schedules": {
            name: _iterations(count, detectors) for name, count in scale.short_schedules.items()
        },
        "detection": {
            "base_lr": scale.detection.base_lr * detectors,
            "warmup": {"iterations": _iterations(scale.detection.warmup.iterations, detectors)},
        },
        "evaluation": {
            "trunk_period": _iterations(evaluation.trunk_period, detectors),
            "tail_period": _iterations(evaluation.tail_period, detectors),
        },
        "classification": {
            "base_lr": classification.base_lr * classifiers,
            "base_lr_without_norm": classification.base_lr_without_norm * classifiers,
            "warmup": {"iterations": _iterations(classification.warmup.iterations, classifiers)},
            "iterations": _iterations(classification.iterations, classifiers),
        },
    }


def _iterations(count: int, factor: float) -> int:
    return round(count / factor)
