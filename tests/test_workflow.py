"""The workflow as a user runs it: what is made, and above all what does *not* run again."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import coverage, redraw
from tests.browser import NOT_LOADED, chromium, visit
from tests.checkout import (
    GATHERING,
    RESULTS,
    SCHEDULES,
    Checkout,
    Jobs,
    checks,
    commands,
    drawn,
    states,
    trained,
    typeset,
)
from workflow_scripts.jobs.record import read_record, record_path
from workflow_scripts.study.compiled.segments import Segment

FIGURES = drawn("fig1") | drawn("fig2") | drawn("fig7_right") | drawn("fig8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout where the whole of smoke has run."""
    checkout = Checkout.make(tmp_path_factory.mktemp("finished"))
    checkout.snakemake("--cores", "all")
    return checkout


@pytest.mark.slow
def test_report_shows_what_was_asked_for(finished: Checkout) -> None:
    report = (finished.results / "report.html").read_text()
    for name in finished.study().config.experiments:
        assert f'id="{name}"' in report
        for path in drawn(name) if name.startswith("fig") else typeset(name):
            assert (finished.results / path).stat().st_size > 0


@pytest.mark.slow
@pytest.mark.needs_chromium
@pytest.mark.parametrize("moved", [False, True])
def test_report_opens_in_a_browser(finished: Checkout, tmp_path: Path, moved: bool) -> None:
    page = finished.results / "report.html"
    page = Path(shutil.copy(page, tmp_path)) if moved else page
    with chromium() as browser, visit(browser, page.as_uri()) as opened:
        assert (opened.complaints, opened.requests, opened.look(NOT_LOADED)) == ([], [], [])
        assert opened.page.inner_text(".headline").startswith("No answer to the paper's question")
        assert opened.page.is_visible("#apart") == moved
        beside = opened.page.locator("a:not([href^='#']):not([href^='data:']):not([href^='https:'])")
        links = [link.get_attribute("href") for link in beside.all()]
        lost = [link for link in links if link and not (page.parent / link).exists()]
        assert lost == [] and any(links) != moved


@pytest.mark.slow
def test_commands_work_when_pasted(finished: Checkout) -> None:
    """What is printed later names the very files that the jobs were told by."""
    # What rests on a search is not told before it has chosen anew.
    found = [command for command in commands(finished, "--forceall") if "<TBD>" not in command]
    told = [re.search(r"--job (\S+)", command) for command in found]
    assert len(found) > 100
    assert all(sheet and (finished.folder / sheet[1]).is_file() for sheet in told)
    figure = finished.results / "figures/fig1.png"
    drawn_before, record = figure.read_bytes(), read_record(record_path(figure))
    figure.unlink()
    (command,) = (command for command in found if "figures.fig1 " in command)
    subprocess.run(command, shell=True, cwd=finished.folder, check=True)
    assert figure.read_bytes() == drawn_before
    again = read_record(record_path(figure))
    assert (again.command, again.inputs, again.settings) == (record.command, record.inputs, record.settings)
    assert finished.jobs() == {}


@pytest.mark.slow
def test_every_run_has_its_points(finished: Checkout) -> None:
    with (finished.results / "tables/fig1-evaluations.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if (row["iou_type"], row["metric"]) == ("bbox", "AP")]
    found = {(row["recipe"], row["schedule"], int(row["iteration"])) for row in rows}
    assert len(found) == len(rows)
    assert found == {
        (run.recipe.name, run.schedule.name, iteration)
        for run in finished.study().needed_runs(["fig1"])
        for segment in run.segments
        for iteration in segment.evaluations
    }
    assert all((finished.folder / row["source"]).is_file() for row in rows)


@pytest.mark.slow
def test_training_saw_the_iterations_planned(finished: Checkout) -> None:
    for segment in finished.study().segments.values():
        folder = finished.results / "training" / segment.recipe / segment.name
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["iteration"] == segment.stop
        saved = {path.name for path in (folder / "checkpoints").glob("*.safetensors")}
        assert saved == {f"{iteration}.safetensors" for iteration in segment.evaluations}


@pytest.mark.slow
def test_second_call_runs_nothing(finished: Checkout) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.results.rglob("*")}
    done = finished.snakemake("--cores", "all")
    assert "Nothing to be done" in done.stdout + done.stderr
    assert {path: path.stat().st_mtime_ns for path in finished.results.rglob("*")} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern",
    [
        "config.yaml",
        "Snakefile",
        "rules/*.smk",
        "scales/*.yaml",
        "reports/**/*",
        "workflow_scripts/**/*.py",
        f"{RESULTS}/world/**/*",
        f"{RESULTS}/recipes/*.json",
        f"{RESULTS}/data/*.json",
        f"{RESULTS}/training/*/*/state.safetensors",
        f"{RESULTS}/pretraining/*/*/*",
    ],
)
def test_touched_file_runs_nothing(finished: Checkout, pattern: str) -> None:
    files = [path for path in finished.folder.glob(pattern) if path.is_file()]
    assert files
    times = {path: path.stat() for path in files}
    for path in files:
        path.touch()
    try:
        assert finished.jobs() == {}
    finally:
        for path, status in times.items():
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.slow
def test_colour_redraws_the_figures_and_the_report(finished: Checkout) -> None:
    assert finished.jobs(figures={"colours": {"random": "teal"}}) == {
        "figure": FIGURES,
        "report": {"report.html"},
    }


@pytest.mark.slow
def test_a_style_for_one_call_is_named_before_the_next_undoes_it(
    finished: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The benchmark calls the workflow so, and draws the figure in the end as it was."""
    figure = finished.results / "figures/fig1.png"
    before = figure.read_bytes()
    finished.snakemake("fig1", "--cores", "1", "--config", 'figures={"dpi": 99}')
    assert figure.read_bytes() != before
    planned = finished.snakemake("--dry-run")
    assert 'Drawn in another: fig1 with {"dpi": "99"}.' in planned.stdout + planned.stderr
    monkeypatch.chdir(finished.folder)
    monkeypatch.setattr(redraw, "REPOSITORY", finished.folder)
    monkeypatch.setattr(sys, "argv", ["redraw", "--results", RESULTS, "--repeats", "1"])
    redraw.main()
    assert re.search(r"a call: [\d.]+ s; the job within the last [\d.]+ s", capsys.readouterr().out)
    assert figure.read_bytes() == before
    assert finished.jobs() == {}


@pytest.mark.slow
def test_how_often_advice_holds_is_measured_on_a_finished_study(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Three of six seeds can be chosen in 20 ways, and one of two parts of the images in 2. Each share is trained once
    with either initialisation, for any seed."""
    trained, train = {}, coverage.train

    def train_once(folder: Path, *told: Any) -> None:
        training = told[-1]
        first = trained.setdefault((training.share, training.initialisation), training)
        if first is training:
            train(folder, *told)
        else:
            shutil.copy(coverage.kept(folder, first), coverage.kept(folder, training))

    sizes = {"--seeds": "6", "--length": "12", "--parts": "2"}
    options = {"--study": str(finished.results), "--scale": "smoke", "--folder": str(tmp_path), **sizes}
    monkeypatch.setattr(coverage, "REPLICATES", 5)
    monkeypatch.setattr(coverage, "train", train_once)
    monkeypatch.setattr(sys, "argv", ["coverage", *(word for pair in options.items() for word in pair)])
    coverage.main()
    printed = capsys.readouterr().out
    assert len(trained) == 6
    for name in ("difference, quarter", "difference, half", "difference, all", "line, all"):
        assert re.search(rf"^{name} +40 +-?[\d.]+ +[\d.]+ +[\d.]+%$", printed, re.MULTILINE), printed


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"seeds": [0, 1]}, {"schedules": [*SCHEDULES, "7x"]}, {"schedules": ["2.5x", *SCHEDULES]}],
    ids=["seed", "7x", "2.5x"],
)
def test_asking_for_more_runs_only_what_is_new(finished: Checkout, changes: dict[str, Any]) -> None:
    before, after = finished.study(), finished.study(**changes)
    segments = [segment for key, segment in after.segments.items() if key not in before.segments]
    recipes = {f"recipes/{name}.json" for name in after.recipes.keys() - before.recipes.keys()}
    jobs = finished.jobs(**changes)
    assert trained(jobs) == states(segments)
    assert jobs["evaluate"] == finished.evaluated(**changes) - finished.evaluated()
    made = jobs["run_evaluations"] | jobs.get("run_training", set())
    assert made == finished.run_tables(**changes) - finished.run_tables()
    assert jobs.get("recipe", set()) == recipes
    assert jobs["table"] == typeset("table1") | typeset("table2")
    little_data = drawn("fig7_right") | drawn("fig8") if "seeds" in changes else set()
    assert jobs["figure"] == drawn("fig1") | little_data, "Fig. 2 counts neither further schedules nor seeds"
    along_runs = {"train", "detect", "evaluate", "run_evaluations", "run_training", "recipe"}
    assert jobs.keys() - along_runs <= GATHERING


@pytest.mark.slow
def test_7x_trains_its_tail_and_the_trunk_that_it_lacks(finished: Checkout) -> None:
    longest, run = (
        finished.study(schedules=[name]).runs["coco-R50_GN-random-seed0", name] for name in ("6x", "7x")
    )
    *_, trunk, tail = run.segments
    assert trunk.parent == (longest.recipe.name, longest.segments[-2].name)
    mine = {path for path in trained(finished.jobs(schedules=[*SCHEDULES, "7x"])) if "random" in path}
    assert mine == states([trunk, tail])


@pytest.mark.slow
def test_asking_for_less_trains_and_evaluates_nothing(finished: Checkout) -> None:
    assert finished.jobs("fig1") == {}
    assert finished.jobs(experiments=["fig1"]).keys() == {"study", "verdicts", "report"}
    assert finished.jobs(schedules=["2x", "6x"]).keys() == GATHERING - {"counts", "compare"}


@pytest.mark.slow
def test_what_was_trained_before_there_were_checks_is_not_trained_again(finished: Checkout) -> None:
    """Snakemake's memory of such a study has no check among the inputs of its trainings."""
    reports = set(finished.results.glob("data/check-*"))
    assert {f"data/{path.name}" for path in reports} >= checks(finished.study(), "coco", "classification")
    memory = [path for path in (finished.folder / ".snakemake/metadata").rglob("*") if path.is_file()]
    kept = {path: path.read_bytes() for path in [*memory, *reports]}
    for path in memory:
        record = json.loads(kept[path])
        record["input"] = [name for name in record["input"] if "/check-" not in name]
        path.write_text(json.dumps(record))
    for path in reports:
        path.unlink()
    try:
        assert finished.jobs() == {}
        assert finished.jobs(seeds=[0, 1])["check_data"] == checks(finished.study(), "coco")
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


@pytest.mark.slow
def test_how_jobs_run_changes_no_result(finished: Checkout) -> None:
    save_period = 3 * finished.study().scale.training.log_period
    resources = {"threads": 2, "gpu": 1, "mem_mb": 6000, "runtime": 120}
    numbers = {
        "training": {"save_period": save_period, "workers": 1, "processes": 2},
        "resources": {"train": resources | {"gpu": 2}, "evaluate": resources, "light": {"mem_mb": 2000}},
    }
    assert finished.jobs(numbers=numbers) == {}


def nothing(search: str) -> str:
    """No point is chosen: what a search will choose is open where it has to run again."""
    return ""


def certain(checkout: Checkout) -> dict[tuple[str, str], Segment]:
    """The segments that no search decides on."""
    return checkout.study(chosen=nothing).segments


@pytest.mark.slow
def test_base_rate_trains_all_detectors_again_and_no_classifier(finished: Checkout) -> None:
    """A stale result must not pass for a fresh one."""
    segments = [segment for segment in certain(finished).values() if segment.stage != "cosine"]
    jobs = finished.jobs(numbers={"detection": {"base_lr": 0.011}})
    assert trained(jobs) == states(segments)
    assert jobs["evaluate"] == finished.evaluated(chosen=nothing)
    assert not jobs.keys() & {"world", "manifest", "subsets", "trained_backbone"}


@pytest.mark.slow
def test_another_world_trains_everything_again(finished: Checkout) -> None:
    jobs = finished.jobs(numbers={"world": {"seed": 5}})
    assert {"world", "manifest", "subsets", "trained_backbone"} <= jobs.keys()
    assert trained(jobs) == states(certain(finished).values())


@pytest.mark.slow
@pytest.mark.parametrize("path", ["training/train", "training/loop", "models/published", "data/coco"])
def test_edit_in_what_training_rests_on_trains_nothing(finished: Checkout, path: str) -> None:
    """Weeks of training are not lost to a comment: a recipe has a version to raise."""
    with finished.edited(f"workflow_scripts/{path}.py"):
        assert not finished.jobs().keys() & {"train", "detect"}


@pytest.mark.slow
def test_moved_repository_runs_nothing(finished: Checkout) -> None:
    moved = finished.folder.rename(finished.folder.with_name("moved"))
    try:
        assert Checkout(moved).jobs() == {}
    finally:
        moved.rename(finished.folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("workflow_scripts/study/compiled/study.py", {}),
        (
            "workflow_scripts/tables/table1.py",
            {
                "table_intervals": {"tables/table1-cells.csv"},
                "table": typeset("table1"),
                "report": {"report.html"},
            },
        ),
        ("workflow_scripts/figures/fig1.py", {"figure": drawn("fig1"), "report": {"report.html"}}),
        (
            "workflow_scripts/figures/style.py",
            {"figure": FIGURES, "report": {"report.html"}},
        ),
        ("workflow_scripts/report/sections.py", {"report": {"report.html"}}),
        ("reports/report.html.j2", {"report": {"report.html"}}),
        ("reports/parts/answer.html.j2", {"report": {"report.html"}}),
        ("reports/captions.yaml", {"report": {"report.html"}}),
    ],
)
def test_edit_runs_what_reads_it(finished: Checkout, path: str, expected: Jobs) -> None:
    with finished.edited(path):
        assert finished.jobs() == expected


@pytest.mark.slow
def test_edit_in_evaluation_detects_nothing_again(finished: Checkout) -> None:
    with finished.edited("workflow_scripts/evaluation/coco_metrics.py"):
        jobs = finished.jobs()
    assert jobs["evaluate"] == finished.evaluated(chosen=nothing)
    assert not jobs.keys() & {"train", "detect", "world", "manifest", "subsets"}


@pytest.mark.slow
def test_edit_in_detection_trains_nothing_again(finished: Checkout) -> None:
    with finished.edited("workflow_scripts/evaluation/detect.py"):
        others = GATHERING - {"study", "counts"}
        assert finished.jobs().keys() == {"detect", "evaluate", "run_evaluations", "search"} | others
