"""Searches: a grid of hyper-parameters, trained from one initialisation on one subset; the data choose a point."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.errors import UserError
from workflow_scripts.study.compiled.recipes import HyperParameters
from workflow_scripts.study.compiled.segments import Run
from workflow_scripts.study.configuration.scales import SearchGrid


@dataclass(frozen=True)
class Search:
    """A grid and the run of each of its points (paper, section 5.2: searched on the pre-trained model alone)."""

    name: str
    runs: dict[str, Run]

    def chosen(self, path: str) -> str:
        """The point that the job of the search chose, by the file that it wrote.

        Raises:
            UserError: the file was altered, or is of a search with other points.
        """
        try:
            point = json.loads(Path(path).read_bytes())["chosen"]
        except (ValueError, KeyError, TypeError):
            point = None
        if point not in list(self.runs):
            raise UserError(
                f"{path}: found {point!r} chosen, expected one of the points of {self.name}: {', '.join(self.runs)}; "
                "remove the file, to choose again"
            )
        return point

    def description(self) -> dict[str, Any]:
        """What the job that chooses must know, and what a reader sees of each point."""
        first = next(iter(self.runs.values()))
        recipe = first.recipe
        settings = {"base_lr", "decay_factor", "image_sides"}
        return {
            "search": self.name,
            "subset": recipe.subset,
            "model": recipe.label,
            "initialisation": recipe.initialisation,
            "schedule": first.schedule.name,
            "seed": recipe.seed,
            "points": [
                {"point": point, "recipe": run.recipe.name, **run.recipe.model_dump(include=settings)}
                for point, run in self.runs.items()
            ],
        }


def grid_points(grid: SearchGrid, usual_decay: float) -> dict[str, HyperParameters]:
    """Every combination by name, such as `lr2-decay0.02-side0.64`; what equals the scale's is left as it is."""
    points = {}
    for rate, decay, side in itertools.product(grid.base_lr, grid.decay_factor, grid.shortest_side):
        changed = None if decay == usual_decay else decay
        points[f"lr{rate:g}-decay{decay:g}-side{side:g}"] = HyperParameters(rate, changed, side)
    return points
