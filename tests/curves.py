"""A canned study with curves: its tidy table, its metrics and replicates, and the report of it."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.figures import evaluations
from workflow_scripts.report import build
from workflow_scripts.report.figure_intervals import intervals

REPORTS = Path(__file__).parents[1] / "reports"
CATEGORIES = {"person": 10.0, "</script><b>ball": -2.0}
"""How far each is above all; a name may hold what ends a script."""
BELOW = 3.0
"""How far masks are below boxes."""
SWING = 1.0
"""Of the replicates, around the value: half of them above, half below."""
REPLICATES = 100


def table(seeds: tuple[int, ...] = (0,)) -> pd.DataFrame:
    """Box and mask AP; runs of one recipe share the files of their trunk, as runs that a study trains do."""
    boxes = evaluations(seeds)
    masks = boxes.assign(iou_type="segm", value=boxes["value"] - BELOW)
    both = pd.concat([boxes, masks], ignore_index=True)
    segment = both["stage"].where(both["stage"] == "trunk", "tail-" + both["schedule"])
    folder = "evaluation/" + both["initialisation"] + "-seed" + both["seed"] + "/" + segment
    return both.assign(segment=segment, source=folder + "/metrics.json")


def write(rows: pd.DataFrame) -> tuple[list[Path], pd.DataFrame]:
    """The metrics behind a table, with categories, as files in the working folder; and the intervals of its values."""
    metrics, replicates = [], []
    for source, own in rows.groupby("source"):
        numbers = own.drop_duplicates(["iteration", "iou_type", "metric"])
        checkpoints = [
            {
                "iteration": int(iteration),
                "metrics": {
                    row["iou_type"]: {"AP": row["value"]}
                    | {"per_category": {name: row["value"] + more for name, more in CATEGORIES.items()}}
                    for row in at.to_dict("records")
                },
            }
            for iteration, at in numbers.groupby("iteration")
        ]
        path = Path(str(source))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"checkpoints": checkpoints}), encoding="utf-8")
        metrics.append(path)
        replicates.append(path.with_name("replicates.csv"))
        resampled = [
            (row["iteration"], number, row["iou_type"], row["metric"], row["value"] + (-1) ** number * SWING)
            for row in numbers.to_dict("records")
            for number in range(REPLICATES)
        ]
        columns = ["iteration", "replicate", "iou_type", "metric", "value"]
        pd.DataFrame(resampled, columns=columns).to_csv(replicates[-1], index=False)
    return metrics, intervals(rows, replicates)


def report(rows: pd.DataFrame, image: bytes, *options: str) -> Path:
    """The report of a study with this one figure, in the working folder."""
    study = {
        "scale": "mini",
        "notes": [],
        "experiments": [{"name": "fig1", "title": "Curves"}],
        "iterations": {"planned": 100, "without_sharing": 180},
        "schedules": {},
    }
    Path("study.json").write_text(json.dumps(study), encoding="utf-8")
    Path("fig1.png").write_bytes(image)
    rows.to_csv("fig1-evaluations.csv", index=False)
    metrics, found = write(rows)
    found.to_csv("fig1-intervals.csv", index=False)
    line = ["build", "--study", "study.json", "--output", "report.html", "--figures", "fig1.png", *options]
    line += ["--sources", "fig1-evaluations.csv", "--intervals", "fig1-intervals.csv"]
    line += ["--metrics", *map(str, metrics)]
    line += ["--template", str(REPORTS / "report.html.j2"), "--captions", str(REPORTS / "captions.yaml")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", line)
        build.main()
    return Path("report.html").resolve()
