"""Layouts of studies at scale smoke, where 1x is 6 iterations and the rate drops 4 and 2 before the end."""

from typing import Any

from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.layout.results import Layout

ROOT = "results/smoke"
WORLD = f"{ROOT}/world"
DATA = f"{ROOT}/data"
RANDOM, PRETRAINED = "coco-R50_GN-random-seed0", "coco-R50_GN-pretrained-seed0"
VOC = "voc-faster_rcnn-R101_GN-pretrained-side0.8-seed0"
USUAL, DECAYED = "lr1-decay0.1-side1", "lr1-decay0.02-side1"
EXPERIMENTS = ["fig1", "fig8", "text_voc", "table1", "fig2"]


def raw(path: str) -> str:
    return f"raw:{path}"


def layout(*experiments: str, **changes: Any) -> Layout:
    """At scale smoke, where 1x is 6 iterations and the rate drops 4 and 2 before the end."""
    study = {"scale": "smoke", "experiments": list(experiments or EXPERIMENTS), "schedules": ["2x"]}
    return Layout(compile_study(study | changes), raw=raw)


def chose(point: str) -> Any:
    """Every search chose that point."""
    return lambda search: point


DRAWN = layout()
