"""What trainings cost is measured by trainings as jobs run them, and written as a configuration."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.checked import run
from tests.training import TinyWorld, tiny_recipe, tiny_world
from workflow_scripts.study.compile import compile_study
from workflow_scripts.training import measure


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command sets is put back."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return tiny_world(tmp_path_factory.mktemp("world"))


def command(folder: Path, world: TinyWorld, *options: str) -> list[str]:
    """That of a detector and a classifier."""
    of_detector = {"annotations": str(world.annotations), "images": str(world.images)}
    of_classifier = {"images": str(world.folder / "classification/train")}
    trainings = []
    for task, data in {"detection": of_detector, "classification": of_classifier}.items():
        path = folder / f"{task}.json"
        path.write_text(tiny_recipe(task).model_dump_json())
        trainings.append({"recipe": str(path), **data})
    told = json.dumps({"trainings": trainings})
    return [
        "--trainings",
        told,
        "--detection",
        '{"R50": 16}',
        "--output",
        str(folder / "made/costs.yaml"),
        *options,
    ]


def test_a_start_is_told_from_its_iterations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: where a job takes 7 s and 0.25 s an iteration."""
    monkeypatch.setattr(measure, "_elapsed", lambda words, recipe, iterations, *_: 7 + 0.25 * iterations)
    assert measure.measure([], tiny_recipe(), 1, tmp_path) == pytest.approx((0.25, 7))


def test_what_was_measured_is_a_configuration(
    tmp_path: Path, world: TinyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By real trainings, of which nothing stays; `--save-period` is an option of their command, not of this one."""
    (tmp_path / "made").mkdir()
    monkeypatch.setattr(measure, "FEW", 1)
    monkeypatch.setattr(measure, "MORE", 12)
    words = command(tmp_path, world, "--copies", "2", "--save-period", "20")
    assert run(words, monkeypatch, measure.main) == 0
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["costs.yaml"]
    numbers = yaml.safe_load((tmp_path / "made/costs.yaml").read_text())["numbers"]
    costs, usual = (
        compile_study({"scale": "mini", "experiments": ["fig1"], "numbers": given}).scale.costs.model_dump()
        for given in (numbers, {})
    )
    told = numbers["costs"]
    assert 0 < costs["start"] == told["start"]
    assert told.keys() == {"start", "iteration", "classification", "detection"}
    for name in costs.keys() - {"start"}:
        assert costs[name] == (usual[name] | told[name] if name in told else usual[name])


def test_each_task_has_its_own_cost_and_jobs_the_slower_start(
    tmp_path: Path, world: TinyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"detection": (3.0, 7.0), "classification": (0.5, 9.0)}
    (tmp_path / "made").mkdir()
    monkeypatch.setattr(measure, "measure", lambda words, recipe, *_: found[recipe.task])
    assert run(command(tmp_path, world), monkeypatch, measure.main) == 0
    costs = yaml.safe_load((tmp_path / "made/costs.yaml").read_text())["numbers"]["costs"]
    assert costs == {
        "detection": {"R50": 16},
        "iteration": {"R50": 3.0},
        "classification": {"R50": 0.5},
        "start": 9.0,
    }


def test_copies_have_their_own_threads_and_not_those_of_all(
    tmp_path: Path, world: TinyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake gives the job's, under the names of several libraries; torch takes the largest."""
    seen: list[dict[str, str]] = []

    def measured(*_: Any) -> tuple[float, float]:
        seen.append({name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")})
        return 1.0, 2.0

    (tmp_path / "made").mkdir()
    monkeypatch.setattr(measure, "measure", measured)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "6")
    assert run(command(tmp_path, world, "--copies", "2", "--threads", "3"), monkeypatch, measure.main) == 0
    assert all({*each.values()} == {"3"} and "MKL_NUM_THREADS" in each for each in seen) and len(seen) == 2


def test_a_training_that_fails_is_told_by_its_own_message(
    tmp_path: Path, world: TinyWorld, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "made").mkdir()
    nowhere = TinyWorld(world.folder, "nothing")
    assert run(command(tmp_path, nowhere), monkeypatch, measure.main) == 2
    said = capfd.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("Error: ")] == said[-1:]
    assert str(nowhere.annotations) in said[-1]
    assert list((tmp_path / "made").iterdir()) == []
