"""What a person sees of a run: a line a job, how long it still takes, what failed, and the answer."""

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workflow_scripts.jobs.decision import DECIDED
from workflow_scripts.report.answer import answer
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.plan import jobs_after_searches, seconds_expected
from workflow_scripts.terminal import failures, words
from workflow_scripts.terminal.failures import Failed
from workflow_scripts.terminal.formatter import Lines, Needed
from workflow_scripts.terminal.jobs import Job, Jobs, after_searches
from workflow_scripts.terminal.progress import Growth, Progress
from workflow_scripts.terminal.remaining import Measured, Work, seconds_left, seconds_of

ROOT = Path(__file__).parents[1]

# How long it still takes


def test_the_plan_is_corrected_by_what_was_measured() -> None:
    measured = {"train": Measured(2, seconds=60, expected=20), "table": Measured(4, seconds=12)}
    assert seconds_of(Work("train", 50), measured) == (150, True), "three times the plan's"
    assert seconds_of(Work("table"), measured) == (3, True), "the mean of its kind"
    assert seconds_of(Work("detect", 40), measured) == (40, False), "at the plan's word"
    assert seconds_of(Work("figure"), measured) == (3, True), "as others without costs"


def test_what_is_left_is_shared_by_what_runs_side_by_side() -> None:
    measured = {"train": Measured(1, 10, 10)}
    works = [Work("train", 30), Work("train", 30, elapsed=10), Work("train", 50)]
    assert seconds_left(works, measured, 1.0) == 100
    assert seconds_left(works, measured, 2.0) == 50
    assert seconds_left(works, measured, 0.1) == 100, "one job at a time at least"
    assert seconds_left(works, measured, 64.0) == pytest.approx(100 / 3), "no more than there are jobs"


def test_a_running_job_bounds_what_is_left() -> None:
    works = [Work("train", 100, elapsed=10), *[Work("train", 1)] * 10]
    assert seconds_left(works, {"train": Measured(1, 1, 1)}, 4.0) == 90


def test_an_overdue_job_takes_a_little_more_and_never_less_than_nothing() -> None:
    assert seconds_left([Work("train", 10, elapsed=200)], {"train": Measured(1, 10, 10)}, 1.0) == 20


def test_nothing_is_foretold_before_most_of_it_was_measured() -> None:
    works = [Work("train", 300), Work("recipe")]
    assert seconds_left(works, {}, 1.0) is None
    assert seconds_left(works, {"recipe": Measured(3, 3)}, 1.0) is None
    assert seconds_left(works, {"train": Measured(1, 30, 60)}, 1.0) == 150


def test_costs_give_a_jobs_seconds() -> None:
    study = compile_study({"scale": "smoke", "experiments": ["fig1"]})
    recipe = "coco-R50_GN-random-seed0"
    segment = {"recipe": recipe, "segment": "trunk-2-8"}
    assert seconds_expected(study, "train", segment) == pytest.approx(5 + 6 * 0.1)
    once = seconds_expected(study, "detect", {**segment, "testing": "single_scale"})
    cascade = {"recipe": "coco-cascade-R50_GN-random-side0.8-seed0", "segment": "tail-50-52-54"}
    test_aug = seconds_expected(study, "detect", {**cascade, "testing": "test_aug"})
    assert (once, test_aug) == (5 + 1, 5 + 1 * study.scale.test_aug.versions)
    assert seconds_expected(study, "evaluate", {**segment, "testing": "single_scale"}) == 0
    assert seconds_expected(study, "recipe", segment) == 0


# The run as a whole


class Clock:
    """Tells the time that it is set to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Graph:
    """Stands for Snakemake's graph of jobs."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = list(map(self.job, jobs))
        self.done: list[Job] = []

    @staticmethod
    def job(job: Job) -> Any:
        rule = SimpleNamespace(name=job.rule, is_checkpoint=job.chooses)
        return SimpleNamespace(rule=rule, wildcards_dict=dict(job.wildcards))

    def needrun_jobs(self) -> Iterable[Any]:
        return [job for job in self.jobs if Job.of(job.rule.name, job.wildcards_dict) not in self.done]

    def __len__(self) -> int:
        return len(self.jobs)


def training(name: str) -> Job:
    return Job.of("train", {"segment": name})


def ten_seconds(rule: str, wildcards: Mapping[str, str]) -> float:
    return 10.0 if rule == "train" else 0.0


def test_a_run_measures_itself() -> None:
    clock = Clock()
    graph = Graph(*map(training, "abcd"))
    progress = Progress(Jobs(lambda: graph, lambda waiting: []), ten_seconds, clock)
    progress.begin()
    progress.start("1", training("a"), "Training a")
    progress.start("2", training("b"), "Training b")
    assert progress.seconds_left() is None
    clock.now = 30.0
    progress.finish("1")
    graph.done.append(training("a"))
    assert (progress.done, progress.total, progress.elapsed) == (1, 4, 30)
    # Three times the plan: b is overdue by now (3 s more), c and d take 30 s each, two ran side by side.
    assert progress.seconds_left() == pytest.approx((3 + 60) / 2)


def test_a_job_that_is_started_again_has_run_for_both_times() -> None:
    clock = Clock()
    graph = Graph(training("a"), training("b"))
    progress = Progress(Jobs(lambda: graph, lambda waiting: []), ten_seconds, clock)
    progress.start("1", training("a"), "Training a")
    clock.now = 20.0
    progress.fail("1", "Training a", ["a.log"], saved=True)
    assert progress.failed == {"1": Failed("Training a", ["a.log"], True)}
    progress.start("1", training("a"), "Training a")
    assert progress.failed == {}
    clock.now = 40.0
    progress.finish("1")
    graph.done.append(training("a"))
    assert progress.seconds_left() == pytest.approx(40)


def test_a_search_says_that_it_adds_jobs() -> None:
    search = Job.of("search", {"search": "1k"}, chooses=True)
    graph = Graph(search, training("a"))
    later = [training("a"), training("b"), training("c")]
    jobs = Jobs(lambda: graph, lambda waiting: later)
    progress = Progress(jobs, ten_seconds, Clock())
    progress.begin()
    assert progress.grown() is None
    assert jobs.to_come() == [training("b"), training("c")], "a is known already"
    progress.start("1", search, "Choosing")
    progress.finish("1")
    graph.done.append(Job.of("search", {"search": "1k"}))
    graph.jobs += [graph.job(training("b")), graph.job(training("c"))]
    assert progress.grown() == Growth(2, 4, ["1k"])
    assert progress.grown() is None
    assert jobs.to_come() == []


def test_what_searches_add_is_the_plans() -> None:
    study = compile_study({"scale": "smoke", "experiments": ["fig7_right"]})
    search = Job.of("search", {"search": "10k-R50_GN-pretrained"}, chooses=True)
    waiting = [Job.of("concatenate", {"experiment": "fig7_right", "kind": "evaluations"}), search]
    added = after_searches(study, waiting)
    # 6 iterations pre-trained and 9 random: each a trunk and a tail, and both are evaluated.
    assert Counter(job.rule for job in added) == {
        "recipe": 2,
        "train": 4,
        "detect": 4,
        "evaluate": 4,
        "run_evaluations": 2,
    }
    assert after_searches(study, [search]) == [], "no experiment waits for it"
    assert jobs_after_searches(study, ["fig7_right"], []) == []


def test_the_number_of_jobs_changes_with_a_word() -> None:
    assert words.beginning(215, 0, 0) == "215 jobs to run."
    assert "2 searches choose hyper-parameters, which will add about 34 jobs" in words.beginning(181, 2, 34)
    assert words.growth(181, 215, ["1k"]) == "The search 1k has chosen, which adds 34 jobs: 215 in all."
    assert words.growth(5, 4, []) == "1 job turned out not to be needed: 4 in all."


@pytest.mark.parametrize(
    ("seconds", "clock", "left"),
    [
        (0, "0:00", ", under a minute left"),
        (252, "4:12", ", about 4 min left"),
        (3 * 3600 + 61, "3:01:01", ", about 3.0 h left"),
        (3 * 86400 + 5, "3 d 0:00:05", ", about 3 days left"),
    ],
)
def test_times_are_told_as_people_do(seconds: float, clock: str, left: str) -> None:
    assert (words.elapsed(seconds), words.left(seconds)) == (clock, left)


def test_a_job_is_a_line() -> None:
    line = words.job_line(37, 215, 252, 540, "Training coco, trunk-0-60")
    assert line == "[ 37/215] 4:12, about 9 min left  Training coco, trunk-0-60"
    assert words.job_line(0, 9, 1, None, "Drawing") == "[0/9] 0:01  Drawing"
    long = words.job_line(0, 9, 1, None, "two\nlines " * 100)
    assert len(long) == words.WIDEST < 300 and "\n" not in long


# What failed


def test_messages_of_a_log_are_told_whole(tmp_path: Path) -> None:
    log, message = tmp_path / "a.log", " ".join(["Expected a list of the images: write one."] * 8)
    log.write_text(f"before\n{message}\n")
    told = failures.last_lines(log)
    assert told[0] == "before" and len(told) == 4
    assert " ".join(told[1:]) == message
    assert max(map(len, told)) <= failures.WIDEST_OF_LOG

    log.write_text("x" * 5000 + "\n" + f"{message}\n" * 20)
    assert len(failures.last_lines(log)) == failures.LAST_LINES
    log.write_text("x" * 5000)
    (dumped,) = failures.last_lines(log)
    assert len(dumped) == failures.WIDEST_OF_LOG and dumped.endswith("…")


def test_a_failure_fits_on_a_screen(tmp_path: Path) -> None:
    log = tmp_path / "bad.log"
    log.write_text("\n".join(f"line {number} {'x' * 500}" for number in range(1000)) + "\n\n")
    text = failures.failure("train", "Training a", failures.why(None, "exit code 2"), [str(log)])
    lines = text.splitlines()
    assert lines[0] == "FAILED: Training a, rule train (exit code 2)"
    assert lines[-1] == f"    log: {log}"
    assert [line.split()[2] for line in lines[1:-1]] == [str(number) for number in range(985, 1000)]
    assert max(map(len, lines)) < 300
    missing = failures.failure("train", "Training a", "", [str(tmp_path / "none.log")])
    assert missing.splitlines()[1].endswith("none.log (nothing in it)")


def test_how_a_command_ended_is_read_from_its_error() -> None:
    error = "CalledProcessError in file \"Snakefile\", line 3:\nCommand 'exit 2' {}"
    assert failures.end_of_command(error.format("returned non-zero exit status 75.")) == failures.SAVED
    assert failures.end_of_command(error.format("died with <Signals.SIGKILL: 9>.")) == "ended by SIGKILL"
    assert failures.end_of_command("MissingOutputException in rule train") is None
    said = "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. For further error details see the cluster/cloud log and"
    assert failures.why(said, None) == " (SLURM-job '7' failed, SLURM status is: 'TIMEOUT'.)"


def test_a_record_tells_how_a_job_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DECIDED, str(time.time() - 60))
    output = tmp_path / "metrics.jsonl"
    assert failures.recorded_end([f"{output} (update)"]) is None
    attempts: list[dict[str, Any]] = [{"exit": 1}, {"exit": 75}]
    record = tmp_path / "metrics.jsonl.record.json"
    record.write_text(json.dumps({"attempts": attempts}))
    assert failures.recorded_end([f"{output} (update)"]) == failures.SAVED
    os.utime(record, (0, 0))
    assert failures.recorded_end([str(output)]) is None, "it is that of an earlier run"
    record.write_text(json.dumps({"attempts": [*attempts, {}]}))
    assert failures.recorded_end([str(output)]) is None, "the last was killed"


def test_the_end_lists_what_failed_and_what_to_do() -> None:
    jobs = [Failed(f"Training {number}", [f"{number}.log"], saved=False) for number in range(12)]
    lines = failures.all_failed(30, 215, 252, jobs).splitlines()
    assert lines[0] == "12 jobs failed, 30 of 215 jobs done in 4:12:"
    assert lines[1:3] == ["  Training 0", "    0.log"]
    assert lines[-2] == "  and 2 more"
    assert "mend that, then run the same command again" in lines[-1]
    saved = failures.all_failed(30, 215, 252, [Failed("Training a", ["a.log"], saved=True)])
    assert "mend" not in saved and "saved, not at its end yet" in saved


# A cluster


def test_a_cluster_names_its_jobs() -> None:
    handler = SimpleNamespace(last_msg_was_job_info=False)
    graph = Graph(training("a"))
    jobs = Jobs(lambda: graph, lambda waiting: [])
    needed = Needed()
    lines = Lines(handler, logging.Formatter(), needed, Progress(jobs, ten_seconds), jobs)

    def shown(text: str | None, **fields: Any) -> str:
        record = logging.makeLogRecord({"msg": text, "levelno": logging.INFO, **fields})
        return lines.format(record) if needed.filter(record) else ""

    together = [
        SimpleNamespace(message=message, uuid=lambda name=name: name)
        for name, message in {"u1": "Detecting with a", "u2": "Evaluating a"}.items()
    ]
    assert shown("Building DAG of jobs...") != "", "nothing runs yet"
    assert shown("Workflow has started!", event="workflow_started") == ""
    assert shown("Building DAG of jobs...") == ""
    assert shown("Group job evaluation", event="group_info", jobs=together) == ""
    assert shown("Job u2 has been submitted with SLURM jobid 7 (log: slurm/7.log).") == (
        "    SLURM job 7, log slurm/7.log: Detecting with a; Evaluating a"
    )
    assert shown("Trying to restart job u2.") == "Started again: Detecting with a; Evaluating a"
    assert shown("The disk is full.") == "The disk is full.", "what is unknown is shown"


# The answer


def judged(main: str) -> list[dict[str, Any]]:
    """Verdicts: the main conclusion's is given; of the others one is shown, one contradicted and so on."""
    others = ["shown", "contradicted", "undecided", "not judged", "not run", "not run", "not run"]
    verdicts = [{"number": 2, "verdict": main}]
    return verdicts + [
        {"number": number, "verdict": verdict}
        for number, verdict in zip([1, 3, 4, 5, 6, 7, 8], others, strict=True)
    ]


def test_the_answer_is_the_papers_main_conclusion_and_a_count() -> None:
    assert answer(judged("shown"), "mini") == (
        "This study finds what the paper found: detectors that start from random weights need more iterations and then "
        "catch up with pre-trained ones; of the paper's 8 conclusions: 2 shown, 1 undecided, 1 not judged, 3 not run, "
        "1 contradicted."
    )


@pytest.mark.parametrize(
    ("main", "beginning"),
    [
        ("indicated", "This study points to what the paper found: "),
        ("contradicted", "This study's results speak against what the paper found, that"),
        ("indicated against", "This study's results speak against what the paper found, that"),
        ("undecided", "This study leaves open whether"),
        ("not judged", "This study trained too short to tell whether"),
        ("not run", "This study did not train what would tell whether"),
    ],
)
def test_the_answer_claims_no_more_than_was_found(main: str, beginning: str) -> None:
    told = answer(judged(main), "mini")
    assert told.startswith(beginning)
    assert ("with so few seeds that may be luck" in told) == main.startswith("indicated")


def test_smoke_has_no_answer() -> None:
    assert answer(judged("shown"), "smoke").startswith("No answer")
