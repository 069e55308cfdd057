"""The small study in a checkout of its own, run through the rules, and its files found by hand."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from tests.chain.data import torchvision_weights, write_data
from tests.chain.forks import serving
from tests.checkout import Checkout

STANDINS = Path(__file__).parent
IMPORTED = (
    "workflow_scripts.models",
    "workflow_scripts.evaluation.bootstrap",
    "workflow_scripts.evaluation.voc_metrics",
    "workflow_scripts.jobs.job",
    "workflow_scripts.report.build",
    "workflow_scripts.figures.command",
    "hotcoco",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "pycocotools.mask",
)
TORCH = ("detectron2.evaluation", "detectron2.modeling", "workflow_scripts.training.segment")
X, TAIL, SECOND_TAIL = 4, 7, 3
"""Iterations of 1x, after the first drop and after the second."""
SHORT = {
    "10k-pretrained": 6,
    "10k-random": 9,
    "3.5k-pretrained": 6,
    "3.5k-random": 9,
    "1k-pretrained": 6,
    "1k-random": 9,
    "voc-pretrained": 6,
    "voc-random": 9,
}
SUBSETS = {"10k": 8, "3.5k": 6, "1k": 4}
TWO_STAGES = {"MODEL.RESNETS.OUT_FEATURES": ["res2", "res3"]}
SMALL = {  # they are enough, and states a quarter of the size
    "MODEL.FPN.IN_FEATURES": ["res2", "res3"],
    "MODEL.RPN.IN_FEATURES": ["p2", "p3"],
    "MODEL.ROI_HEADS.IN_FEATURES": ["p2", "p3"],
    "MODEL.ANCHOR_GENERATOR.SIZES": [[10], [24]],
}
NUMBERS: dict[str, Any] = {
    "schedule": {"iterations_per_x": X, "tail": TAIL, "second_tail": SECOND_TAIL},
    "short_schedules": SHORT,
    "subsets": {"35k": 1, **SUBSETS},
    "detection": {"detectron2": SMALL},
    "backbones": dict.fromkeys(("R50", "R101", "X152"), TWO_STAGES),
    "evaluation": {"trunk_period": 2, "tail_period": 4, "replicates": 120},
}


@dataclass(frozen=True)
class ChainStudy:
    """A study that has run: where its results and data lie, the weights that a fetched R101 must start from, and
    what it told."""

    checkout: Checkout
    data: Path
    fetched: dict[str, Tensor]
    told: str

    @property
    def results(self) -> Path:
        return self.checkout.results


@contextmanager
def ran(folder: Path, standins: tuple[str, ...], besides: str = "", **config: Any) -> Iterator[ChainStudy]:
    """Run the study of `config` in `folder`, with modules of this folder in place of the workflow's of that name.

    Without the data set that is called `besides`.
    """
    data = folder / "data"
    datasets = {name: given for name, given in write_data(data).items() if name != besides}
    entry, held = torchvision_weights(data / "r101.safetensors")
    checkout = Checkout.make(folder / "checkout")
    for module in standins:
        target = checkout.folder / "workflow_scripts" / f"{module}.py"
        shutil.copy(STANDINS / target.name, target)
    study = {
        "scale": "smoke",
        "schedules": ["2x", "3x"],
        "datasets": datasets,
        "pretraining": {"fetch": {"R101_GN": entry}},
        "numbers": NUMBERS,
    }
    (checkout.folder / "config.yaml").write_text(yaml.safe_dump(study | config))
    torch = () if "training/train" in standins else TORCH
    with serving(checkout.folder, folder / "server", (*IMPORTED, *torch)) as programs:
        done = replace(checkout, programs=programs).snakemake("--cores", "2")
    yield ChainStudy(checkout, data, held, done.stdout + done.stderr)


@cache
def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path: Path) -> Any:
    return json.loads(path.read_text())
