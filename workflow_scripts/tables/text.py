"""Results that the paper quotes in its text: VGG-16, little data, PASCAL VOC, X152 with pre-training, keypoints."""

import pandas as pd

from workflow_scripts.jobs.job import job
from workflow_scripts.study.compiled.experiments import LONGER
from workflow_scripts.tables.published import of_paper
from workflow_scripts.tables.results import (
    KEY,
    PAIR,
    ROW,
    beside,
    finish,
    make_from_arguments,
    over_seeds,
    with_differences,
)
from workflow_scripts.tables.tidy import end_points

QUOTED = pd.DataFrame(
    [
        ("coco", "all", "X152 GN", "cascade + train aug + test aug", "bbox", "AP", "end"),
        ("coco", "all", "X152 GN", "cascade + train aug + test aug", "segm", "AP", "end"),
        ("keypoints", "all", "R50 GN", "baseline", "keypoints", "AP", "end"),
        ("coco", "all", "VGG-16", "train aug", "bbox", "AP", "end"),
        ("coco", "3.5k", "R50 GN", "re-searched hyper-parameters", "bbox", "AP", "peak"),
        ("coco", "1k", "R50 GN", "re-searched hyper-parameters", "bbox", "AP", "end"),
        ("coco", "1k", "R50 GN", "own grid search", "bbox", "AP", "end"),
        ("voc", "all", "R101 GN", "train aug", "bbox", "AP50", "end"),
    ],
    columns=PAIR,
)
"""In the order in which the paper comes to them."""
CONTINUED = pd.DataFrame(
    [
        ("coco", "all", "VGG-16", f"train aug{LONGER}", "bbox", "AP", "end"),
        ("coco", "10k", "R50 GN", "re-searched hyper-parameters", "bbox", "AP", "end"),
        ("coco", "10k", "R50 GN", f"re-searched hyper-parameters{LONGER}", "bbox", "AP", "end"),
        ("voc", "all", "R101 GN", f"train aug{LONGER}", "bbox", "AP50", "end"),
    ],
    columns=PAIR,
)
"""Of longer trainings the text says what comes of them, without a number; and what they continue."""


def make(evaluations: pd.DataFrame, published: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Tidy `results.COLUMNS` of `QUOTED`, and of `CONTINUED` what was run, in percent, with the difference random -
    pre-train.

    A peak is the highest value along a run's evaluated checkpoints, all others are its end. A result that the paper
    has and this study has not stays with `value` empty.
    Raises `UserError` where the evaluations hold several schedules of one result.
    """
    quoted = pd.concat([QUOTED, CONTINUED.merge(evaluations[ROW].drop_duplicates())])
    paper = quoted.merge(of_paper(published), on=PAIR)
    ours = evaluations.merge(quoted, on=[name for name in PAIR if name != "point"])
    points = pd.concat([end_points(ours[ours["point"] == "end"]), peaks(ours[ours["point"] == "peak"])])
    return finish(with_differences(beside(over_seeds(points, evaluations), paper, KEY)), paper, scale)


def peaks(evaluations: pd.DataFrame) -> pd.DataFrame:
    """The row of each run's highest value of a metric; the earlier of two equal ones."""
    ranked = evaluations.sort_values("iteration", kind="stable").sort_values(
        "value", ascending=False, kind="stable", na_position="last"
    )
    return ranked.drop_duplicates(["run", "setting", "iou_type", "metric"]).sort_index()


def main() -> None:
    """Command line: evaluations -> CSV, Markdown and LaTeX."""
    make_from_arguments(__doc__, make, "text")


if __name__ == "__main__":
    job(main)
