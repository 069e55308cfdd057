"""Table 2: box and mask AP, AP50, AP75 of each initialisation at its best schedule, and the difference."""

import pandas as pd

from workflow_scripts.errors import command
from workflow_scripts.tables.published import of_experiment
from workflow_scripts.tables.results import differences, finish, make_from_arguments, over_seeds
from workflow_scripts.tables.tidy import end_points, schedule_order, series

KEY = ["model", "initialisation", "iou_type", "metric"]
IOU_TYPES = ("bbox", "segm")
METRICS = ("AP", "AP50", "AP75")


def make(evaluations: pd.DataFrame, published: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Tidy `results.COLUMNS`: values in percent at the best schedule, with the difference random - pre-train.

    Raises `UserError` where the evaluations hold no box AP to choose by.
    """
    ends = over_seeds(end_points(evaluations))
    shown = ends[ends["iou_type"].isin(IOU_TYPES) & ends["metric"].isin(METRICS)]
    ours = shown.merge(best_schedules(ends), on=["model", "initialisation", "schedule"])
    paper = of_experiment(published, "table2").rename(
        columns={"value": "published", "schedule": "published_schedule"}
    )
    results = paper[[*KEY, "published_schedule", "published"]].merge(ours, on=KEY, how="outer", sort=False)
    results["schedule"] = results["schedule"].fillna(results.pop("published_schedule"))
    both = pd.concat([results, differences(results, ["model", "iou_type", "metric"])])
    return finish(both, paper, scale)


def best_schedules(ends: pd.DataFrame) -> pd.DataFrame:
    """The schedule of highest mean box AP by model and initialisation; the shorter of two equal ones."""
    box = series(ends).sort_values("schedule", key=lambda names: names.map(schedule_order), kind="stable")
    ranked = box.sort_values("value", ascending=False, kind="stable", na_position="last")
    return ranked.drop_duplicates(["model", "initialisation"])[["model", "initialisation", "schedule"]]


def main() -> None:
    """Command line: evaluations -> CSV, Markdown and LaTeX."""
    make_from_arguments(__doc__, make)


if __name__ == "__main__":
    command(main)
