"""What a target asks for, on a checkout where nothing has run: its own jobs, and each segment once."""

import re
from typing import Any

import pytest
import yaml

from tests.checkout import (
    Checkout,
    checks,
    commands,
    drawn,
    ends,
    metrics,
    states,
    trained,
    typeset,
)
from workflow_scripts.study.compiled.experiments import ADVICE
from workflow_scripts.study.compiled.recipes import MODELS
from workflow_scripts.study.plan import plan


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout where nothing has run."""
    return Checkout.make(tmp_path_factory.mktemp("fresh"))


def test_everything_trains_each_segment_once(fresh: Checkout) -> None:
    """All that does not depend on what a search will choose."""
    study, jobs = fresh.study(), fresh.jobs()
    assert trained(jobs) == states(study.segments.values())
    assert jobs["evaluate"] == fresh.evaluated()
    assert jobs["search"] == {
        f"search/{name}.json" for name in ("10k-R50_GN-pretrained", "1k-R50_GN-pretrained")
    }


def test_all_given_data_is_checked_before_any_training(fresh: Checkout, real_data: dict[str, Any]) -> None:
    """The classifier waits for the detectors' data, too: it may take hours, which no refusal should come after."""
    changes = {"datasets": {name: real_data[name] for name in ("coco", "classification")}}
    jobs = fresh.jobs("fig1", **changes)
    assert jobs["check_data"] == checks(fresh.study(**changes), "coco", "classification")
    (fresh.folder / "given.yaml").write_text(yaml.safe_dump(changes))
    graph = fresh.snakemake("fig1", "--dag", "dot", "--configfile", "given.yaml").stdout
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)', graph, re.MULTILINE))
    edges = re.findall(r"^\s*(\d+) -> (\d+)", graph, re.MULTILINE)
    checking = {number for number, name in names.items() if name == "check_data"}
    waiting = {after: sum(before in checking for before, to in edges if to == after) for _, after in edges}
    trainings = [number for number, name in names.items() if name == "train"]
    assert sorted({waiting[number] for number in trainings}) == [1, 2]
    assert sum(waiting[number] == 2 for number in trainings) == 1, "the classifier's"


@pytest.mark.slow
def test_a_check_that_runs_again_hides_no_training(
    tmp_path_factory: pytest.TempPathFactory, real_data: dict[str, Any]
) -> None:
    """Snakemake overlooks what depends on a job that runs again by inputs that are `ancient`, whatever it lacks."""
    checkout = Checkout.make(tmp_path_factory.mktemp("checked"))
    checkout.snakemake("--cores", "1", "check")
    changes = {"datasets": {"coco": real_data["coco"]}, "experiments": ["fig1"]}
    jobs = checkout.jobs(**changes)
    assert jobs["check_data"] == checks(checkout.study(**changes), "coco", "classification")
    assert trained(jobs) == states(checkout.study(**changes).segments.values())


def test_fig1_alone_trains_and_evaluates_exactly_its_runs(fresh: Checkout) -> None:
    study = fresh.study()
    segments = [segment for run in study.needed_runs(["fig1"]) for segment in run.segments]
    classifiers = [segment for segment in study.segments.values() if segment.stage == "cosine"]
    jobs = fresh.jobs("fig1")
    assert trained(jobs) == states([*segments, *classifiers])
    assert jobs["evaluate"] == metrics(segments)
    assert jobs["figure"] == drawn("fig1")
    assert not jobs.keys() & {"table", "report", "subsets", "counts", "run_training"}
    planned = plan(fresh.study(experiments=["fig1"]))[-1].jobs
    scored = [path for path in jobs["evaluate"] if path.endswith("metrics.json")]
    assert planned == len(trained(jobs)) + len(jobs["detect"]) + len(scored)


def test_table1_alone_evaluates_only_the_ends(fresh: Checkout) -> None:
    jobs = fresh.jobs("table1")
    assert jobs["evaluate"] == ends(fresh.study().needed_runs(["table1"]))
    assert jobs["table"] == typeset("table1")
    assert not jobs.keys() & {"figure", "report", "subsets", "counts", "run_training"}


def test_fig2_alone_counts_its_runs_and_evaluates_nothing(fresh: Checkout) -> None:
    study = fresh.study()
    segments = [segment for run in study.needed_runs(["fig2"]) for segment in run.segments]
    classifiers = [segment for segment in study.segments.values() if segment.stage == "cosine"]
    jobs = fresh.jobs("fig2")
    assert trained(jobs) == states([*segments, *classifiers])
    assert not jobs.keys() & {"detect", "evaluate", "run_evaluations", "concatenate", "table", "report"}


def test_one_experiment_asked_for_is_all_that_the_report_needs(fresh: Checkout) -> None:
    jobs = fresh.jobs(experiments=["table1"], schedules=["2x"])
    segments = [
        segment for run in fresh.study(schedules=["2x"]).needed_runs(["table1"]) for segment in run.segments
    ]
    assert {path for path in trained(jobs) if path.startswith("training/coco")} == states(segments)
    assert "figure" not in jobs


def whole_paper(checkout: Checkout) -> list[str]:
    """Its experiments; those with a `_` are parts of them."""
    return [name for name in checkout.study().experiments if "_" not in name and name != ADVICE]


def test_whole_paper_on_real_data_trains_exactly_its_segments(
    fresh: Checkout, complete_data: dict[str, Any]
) -> None:
    whole = whole_paper(fresh)
    changes = {"scale": "paper", "datasets": complete_data, "experiments": whole}
    jobs = fresh.jobs(**changes)
    assert "world" not in jobs
    assert trained(jobs) == states(fresh.study(**changes).segments.values())
    assert len(jobs["search"]) == 4


def test_no_command_of_the_whole_paper_is_too_long_to_read(
    fresh: Checkout, complete_data: dict[str, Any]
) -> None:
    whole = whole_paper(fresh)
    changes = {"scale": "paper", "datasets": complete_data, "experiments": whole, "models": list(MODELS)}
    (fresh.folder / "paper.yaml").write_text(yaml.safe_dump(changes))
    found = commands(fresh, "--configfile", "paper.yaml")
    assert len(found) > 1000
    assert max(map(len, found)) < 300
    assert not (fresh.folder / "results").exists(), "a dry run writes nothing"
