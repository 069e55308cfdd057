"""What a study has cost, by the records of its jobs."""

from pathlib import Path

import pytest

from workflow_scripts.jobs.record import Attempt, Code, Record, record_path, write_record
from workflow_scripts.report.cost import Planned, cost

PLANNED = Planned(hours=40.0, device="GPU", training=8, evaluation=2)
TRAININGS = [
    "training/classification-R50_GN/cosine-0-9/metrics.jsonl",
    "training/coco/trunk-0-9/metrics.jsonl",
]
EVALUATIONS = ["evaluation/coco/trunk-0-9/single_scale/metrics.json"]


def recorded(
    path: str, *attempts: tuple[str, str | None], commit: str = "abcdef0123456789", gpus: int = 8
) -> None:
    machine = {"processor": "EPYC", "cores": 64, "memory_gb": 512.0, "gpus": ["V100, 550"] * gpus}
    record = Record(
        rule="train",
        settings={},
        command=[],
        inputs=[],
        outputs=[],
        code=Code(commit, False, {}),
        machine=machine,
        versions={"python": "3.11.7", "torch": None},
        attempts=[Attempt(start, "host", end) for start, end in attempts],
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_record(record_path(path), record)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pre-training of 30 minutes, a training of an hour with an attempt killed in between, 6 minutes of detection."""
    monkeypatch.chdir(tmp_path)
    day = "2026-11-28T"
    recorded(TRAININGS[0], (f"{day}10:00:00+00:00", f"{day}10:30:00+00:00"), commit="0123456789abcdef")
    recorded(
        TRAININGS[1],
        (f"{day}11:00:00+00:00", f"{day}11:15:00+00:00"),
        (f"{day}11:20:00+00:00", None),
        (f"{day}23:30:00+00:00", "2026-11-29T00:15:00+00:00"),
    )
    recorded(
        "evaluation/coco/trunk-0-9/single_scale/detections",
        (f"{day}12:00:00+00:00", f"{day}12:06:00+00:00"),
        gpus=2,
    )


def test_time_is_that_of_the_devices(study: None) -> None:
    """By hand: half an hour and an hour on 8 GPUs are 4 and 8 GPU hours; 6 minutes on 2 are 0.2."""
    found = cost([*TRAININGS, TRAININGS[0]], EVALUATIONS * 2, PLANNED)
    assert [(row.count, row.hours, row.lost) for row in found["rows"]] == [
        (1, pytest.approx(4.0), 0),
        (1, pytest.approx(8.0), 1),
        (1, pytest.approx(0.2), 0),
    ]
    assert found["hours"] == pytest.approx(12.2)
    assert (found["lost"], found["unknown"]) == (1, 1), "the scoring left no record"


def test_when_where_and_with_what(study: None) -> None:
    found = cost(TRAININGS, EVALUATIONS, PLANNED)
    assert (found["began"], found["ended"]) == ("2026-11-28T10:00:00+00:00", "2026-11-29T00:15:00+00:00")
    assert found["machines"] == [f"EPYC, 64 cores, 512.0 GB, {gpus} × V100, 550" for gpus in (8, 2)]
    assert found["code"] == ["0123456789", "abcdef0123"]
    assert found["versions"] == {"python": ["3.11.7"], "torch": [], "detectron2": []}


def test_on_cpus_scoring_counts_a_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorded(EVALUATIONS[0], ("2026-11-28T10:00:00+00:00", "2026-11-28T13:00:00+00:00"), gpus=0)
    for device, hours in (("core", 3.0), ("GPU", 0.0)):
        found = cost([], EVALUATIONS, Planned(1.0, device, 1, 1))
        assert found["hours"] == hours
    assert found["machines"] == ["EPYC, 64 cores, 512.0 GB"]
