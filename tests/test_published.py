"""Published values as data: each number of the paper, and a file that is wrong."""

from pathlib import Path

import pandas as pd
import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.tables.published import of_experiment, of_paper, read_published, read_published_counts
from workflow_scripts.tables.tidy import COUNT_COLUMNS

PUBLISHED = Path(__file__).parent.parent / "reports" / "published.yaml"


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return read_published(PUBLISHED)


PAPER = {
    "table1": "36.8 39.5 40.6 40.7 41.3 40.3 40.8 40.9 40.9 41.1 38.2 41.0 41.8 42.2 42.7 41.8 42.3 42.3 41.9 42.2",
    "table2": "41.3 61.8 45.6 36.6 59.0 38.9 41.1 61.7 44.6 36.4 58.5 38.7"
    " 42.7 62.9 47.0 37.6 59.9 39.7 42.3 62.6 46.2 37.2 59.7 39.7",
    "table3": "45.0 65.7 49.3 39.5 62.5 42.1 46.4 67.1 51.1 40.5 63.9 43.4"
    " 48.6 66.8 52.9 41.4 64.2 44.6 50.9 68.7 55.4 43.2 66.1 46.8",
    "x152": "50.3 42.5",
    "fig5": "41.6 40.9 42.5 41.9",
    "fig6": "65.6 65.5",
    "fig7": "36.3 36.3 26.0 25.9",
    "fig8": "9.9 3.5 5.4",
    "images_3500": "16.0 9.3",
    "vgg16": "35.6 35.2",
    "voc": "82.7 77.6",
}


@pytest.mark.parametrize(("experiment", "values"), PAPER.items())
def test_every_number_of_the_paper_is_there(published: pd.DataFrame, experiment: str, values: str) -> None:
    assert of_experiment(published, experiment)["value"].tolist() == list(map(float, values.split()))


def test_published_values_are_the_papers(published: pd.DataFrame) -> None:
    assert set(of_paper(published)["experiment"]) == set(PAPER)
    assert set(published["publisher"]) == {"paper", "Detectron", "detectron2", "MMDetection"}
    voc = of_experiment(published, "voc").set_index("initialisation")
    assert voc["value"].to_dict() == {"pretrained": 82.7, "random": 77.6}
    assert voc["iterations"].to_dict() == {"pretrained": 18_000, "random": 144_000}
    assert (of_experiment(published, "table1")["tolerance"] == 0.5).all()
    assert of_experiment(published, "voc")["tolerance"].tolist() == [1.0, 1.0]
    numbers = of_experiment(published, "table2")[["iou_type", "metric"]].iloc[:6]
    assert [" ".join(number) for number in numbers.itertuples(index=False)] == [
        f"{iou_type} {metric}" for iou_type in ("bbox", "segm") for metric in ("AP", "AP50", "AP75")
    ]
    times = published[published["value"].isin([1.02, 0.338])]
    assert set(times["metric"]) == {"seconds_an_iteration"}
    assert set(times["iou_type"]) == {""}
    assert times["tolerance"].isna().all()
    peaks = published[published["point"] == "peak"]
    assert set(peaks["experiment"]) == {"images_3500"}


def test_published_counts_follow_from_the_text() -> None:
    table = read_published_counts(PUBLISHED)
    assert list(table.columns) == COUNT_COLUMNS
    counts = table.set_index(["quantity", "initialisation", "part"])["value"]

    assert counts["images", "pretrained", "pre-training"] == 128e6
    assert counts["instances", "random", "training"] == 72 * 118_287 * 7
    totals = counts.groupby(["quantity", "initialisation"]).sum()
    assert totals["images", "pretrained"] / totals["images", "random"] == pytest.approx(15.4, abs=0.1)
    assert totals["pixels", "pretrained"] / totals["pixels", "random"] == pytest.approx(1.04, abs=0.01)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("bbox: {AP: 36.8}", "bbox: {AQ: 36.8}", r"Table 1\), rows\[0\]: Invalid enum value 'AQ'"),
        ("bbox: {AP: 36.8}", "bbox: {AP: high}", r"Table 1\), rows\[0\]: Expected `float`"),
        ("bbox: {AP: 36.8}", "bbox: {}", r"Table 1\), rows\[0\]: no value"),
        ("bbox: {AP: 36.8}", "box: {AP: 36.8}", r"unknown field `box`"),
        ("schedule: 3x, bbox: {AP: 39.5}", "schedule: 2x, bbox: {AP: 39.5}", "is there twice: paper, table1"),
        ("tolerance: 0.5\n", "", "missing required field `tolerance`"),
    ],
)
def test_a_bad_published_file_is_named(tmp_path: Path, old: str, new: str, found: str) -> None:
    path = tmp_path / "published.yaml"
    text = PUBLISHED.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(UserError, match=f"published.yaml.*{found}"):
        read_published(path)
