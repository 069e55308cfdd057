"""On a real SLURM: the study through its profile, deadlines, faults, and several processes; nothing is lost."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests import slurm
from tests.checkout import ROOT, Checkout
from tests.slurm_training import (
    PROMPT,
    QUICK,
    SHORT,
    TRAINING,
    Training,
    job_of,
    last_job,
    restarted,
    start_again,
    state_of,
    trainers,
    wait_for,
)
from workflow_scripts.errors import INTERRUPTED
from workflow_scripts.jobs.record import ENDING, read_record
from workflow_scripts.models.tensors import read_metadata
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.slurm import partition_limits, waiting

pytestmark = [pytest.mark.slow, pytest.mark.needs_slurm]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, cluster: slurm.Cluster) -> Path:
    """A checkout beside the cluster in which all that the training needs is there."""
    training = Training(tmp_path_factory.mktemp("prepared"))
    rules = ("check_data", "check_models", "manifest", "images", "recipe")
    training.finish(training.start("--until", *rules, profile="profiles/local"))
    return training.checkout.folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> str:
    """The digest of the segment, trained in one go on this machine."""
    training = Training(tmp_path_factory.mktemp("undisturbed"), prepared)
    training.finish(training.start(profile="profiles/local"))
    return training.digest()


@pytest.fixture
def killed_tests(tmp_path: Path) -> slurm.Cluster:
    """A cluster that tests left behind when they were killed, and that runs a job."""
    left = slurm.Cluster(tmp_path / "killed")
    left.folder.mkdir()
    code = """
import sys, time
from pathlib import Path
from tests import slurm

with slurm.cluster(Path(sys.argv[1])):
    print("started", flush=True)
    time.sleep(3600)
"""
    command = [sys.executable, "-c", code, str(left.folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as tests:
        try:
            assert tests.stdout and tests.stdout.readline() == "started\n"
            subprocess.run(["sbatch", "--wrap", "sleep 3600", "--chdir", tmp_path], check=True)
            wait_for(lambda: "sleep" in names(left.processes()))
        finally:
            tests.kill()
    return left


@contextmanager
def stranger(folder: Path) -> Iterator[subprocess.Popen]:
    """A process that is called as SLURM's daemon is."""
    program = folder / "slurmd"
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen([program, "3600"]) as process:
        yield process
        process.kill()


def names(processes: set[psutil.Process]) -> set[str]:
    return {process.name() for process in processes if slurm.runs(process)}


# The tests of the cluster itself come first: those after them share one, and there can be one at a time.


def test_a_cluster_of_killed_tests_is_ended_with_its_jobs(
    tmp_path_factory: pytest.TempPathFactory, killed_tests: slurm.Cluster
) -> None:
    left = killed_tests.processes()
    assert names(left) >= {"munged", "slurmctld", "slurmd", "slurmstepd", "sleep"}
    with slurm.cluster(tmp_path_factory.mktemp("slurm")) as started:
        assert not names(left)
        assert names(started.daemons()) >= {"munged", "slurmctld", "slurmd"}
    assert not started.processes()
    assert not slurm.CONFIGURATION.exists()


def test_a_daemon_of_another_is_not_ended_and_is_a_reason_to_refuse(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is called slurmd may run a cluster's jobs: nothing is started beside it."""
    folder = tmp_path_factory.mktemp("slurm")
    with ExitStack() as others:
        with slurm.cluster(folder):
            other = others.enter_context(stranger(tmp_path))
        assert other.poll() is None
        refusal = f"slurmd runs here as process {other.pid} and was not started by these tests"
        with pytest.raises(RuntimeError, match=refusal), slurm.cluster(folder):
            pass
        assert other.poll() is None
    assert not slurm.CONFIGURATION.exists()


def test_the_key_of_this_machine_is_left_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, key = Path("/etc/munge"), Path("/etc/munge/munge.key")
    before = {path: path.read_bytes() for path in folder.glob("*")}
    assert key in before, "Debian's package makes one"
    with slurm.cluster(tmp_path_factory.mktemp("slurm")):
        pass
    assert {path: path.read_bytes() for path in folder.glob("*")} == before


def test_the_configuration_of_a_cluster_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = tmp_path / "slurm.conf"
    configuration.write_text("ClusterName=ours\n")
    monkeypatch.setattr(slurm, "CONFIGURATION", configuration)
    with pytest.raises(RuntimeError, match="this machine belongs to a cluster"), slurm.cluster(tmp_path):
        pass
    assert configuration.read_text() == "ClusterName=ours\n"


def test_a_cluster_of_tests_that_run_is_left_alone(tmp_path: Path) -> None:
    with (
        slurm.only_one(),
        pytest.raises(RuntimeError, match="another run of these tests"),
        slurm.cluster(tmp_path),
    ):
        pass


def test_a_time_limit_shorter_than_the_segment_is_survived(
    tmp_path: Path, prepared: Path, undisturbed: str
) -> None:
    numbers = TRAINING["numbers"] | {
        "training": TRAINING["numbers"]["training"] | {"margin": 35},
        "resources": {"train": {"runtime": 1, "retries": 30}},
    }
    training = Training(tmp_path, prepared, numbers=numbers)
    output = training.finish(training.start())
    assert output.count("Started again: Training") >= 1, output
    assert training.digest() == undisturbed


def test_scancel_is_survived(tmp_path: Path, prepared: Path, undisturbed: str) -> None:
    training = Training(tmp_path, prepared)
    snakemake = training.start()
    subprocess.run(["scancel", job_of(training.wait_until(100))], check=True)
    training.finish(snakemake)
    assert training.digest() == undisturbed


def test_a_killed_trainer_is_survived(tmp_path: Path, prepared: Path, undisturbed: str) -> None:
    training = Training(tmp_path, prepared)
    snakemake = training.start()
    for number in trainers(job_of(training.wait_until(120))):
        os.kill(number, signal.SIGKILL)
    training.finish(snakemake)
    assert training.digest() == undisturbed


def test_a_requeued_job_goes_on(tmp_path: Path, prepared: Path, undisturbed: str) -> None:
    training = Training(tmp_path, prepared)
    snakemake = training.start("--slurm-requeue")
    job = job_of(training.wait_until(80))
    subprocess.run(["scontrol", "requeue", job], check=True)
    start_again(job, lambda: restarted(job))
    training.finish(snakemake)
    assert training.digest() == undisturbed


def test_a_killed_snakemake_starts_again_while_its_job_still_runs(
    tmp_path: Path, prepared: Path, undisturbed: str
) -> None:
    training = Training(tmp_path, prepared)
    old = training.orphan(10)
    second = training.start()
    wait_for(lambda: not training.progress.exists() or training.said()["job"] not in ("", f"slurm {old}"))
    assert "slurm" in training.said()["job"], "the newest job trains, and the old one had not ended"
    training.finish(second)
    assert training.digest() == undisturbed


def test_what_an_orphaned_job_finished_is_not_trained_again(
    tmp_path: Path, prepared: Path, undisturbed: str
) -> None:
    """Its Snakemake is gone; the next one has decided to train the segment, and its job starts when that is done."""
    training = Training(tmp_path, prepared)
    job = training.orphan(100)
    subprocess.run(["scontrol", "update", "partition=gpu", "state=down"], check=True)  # holds back new jobs
    second = training.start()
    wait_for(lambda: not training.progress.exists())
    written = (training.segment / "state.safetensors").stat().st_ino
    subprocess.run(["scontrol", "update", "partition=gpu", "state=up"], check=True)
    training.finish(second)
    assert "trained by another job in the meantime" in training.log.read_text()
    assert (training.segment / "state.safetensors").stat().st_ino == written
    record = read_record(Path(f"{training.segment}/metrics.jsonl{ENDING}"))
    assert record.complete and record.attempts[-1].slurm_job == job
    assert training.digest() == undisturbed


def test_a_training_that_is_done_stays_done_whatever_fails_after_it(tmp_path: Path, prepared: Path) -> None:
    """A stopped job is taken for dead; its heir is cancelled once it has handed over; then the dead one wakes."""
    training = Training(tmp_path, prepared, numbers=SHORT)
    training.choose("trunk-0-40")
    stopped = training.orphan(10, signal.SIGSTOP)
    os.utime(training.segment.with_suffix(".lock"), (0, 0))  # silent for long

    second = training.start()
    metrics, state = training.segment / "metrics.jsonl", training.segment / "state.safetensors"
    wait_for(lambda: training.said()["job"] not in ("", f"slurm {stopped}"))
    heir = job_of(training.said())
    wait_for(lambda: metrics.exists() and not training.progress.exists())
    subprocess.run(["scancel", heir], check=True)
    said = training.finish(second)
    assert said.count("Started again: Training") == 1, said
    assert "iteration 40/40" not in training.log.read_text(), "the third job had nothing to train"
    made = state.stat().st_ino, read_metadata(state)["digest"], metrics.read_bytes()
    record = read_record(Path(f"{metrics}{ENDING}"))

    for number in trainers(stopped):
        os.kill(number, signal.SIGCONT)
    wait_for(lambda: state_of(stopped) not in ("RUNNING", "COMPLETING"))
    assert state_of(stopped) == "COMPLETED"
    assert (state.stat().st_ino, read_metadata(state)["digest"], metrics.read_bytes()) == made
    assert read_record(Path(f"{metrics}{ENDING}")) == record
    assert record.complete
    assert not training.progress.exists()
    assert (training.segment / "checkpoints/20.safetensors").exists()


def test_a_mistake_is_submitted_once(tmp_path: Path, prepared: Path) -> None:
    """A learning rate with which training diverges: the profile and the study would have it tried again."""
    numbers = SHORT | {"detection": {"base_lr": 1000}}
    training = Training(tmp_path, prepared, numbers=numbers)
    training.choose("trunk-0-40")
    before = last_job()
    output = training.fail(training.start())
    assert "training diverged" in output
    assert last_job() == before + 1, output


def test_a_wrong_partition_is_told_before_anything_is_submitted(tmp_path: Path, prepared: Path) -> None:
    training = Training(tmp_path, prepared, numbers=SHORT)
    training.choose("trunk-0-40")
    before = last_job()
    output = training.fail(training.start("--set-resources", "train:slurm_partition=gpus"))
    assert "slurm_partition: found gpus (for train), expected one of cpu, gpu" in output
    assert "Traceback" not in output
    assert last_job() == before


@pytest.mark.usefixtures("cluster")
def test_jobs_that_wait_are_told_with_slurm_s_reason(tmp_path: Path) -> None:
    """As the executor submits them: it names the rule in the job's comment."""
    study, other = tmp_path / "study", tmp_path / "other"
    for folder in (study, other):
        (folder / "results/smoke").mkdir(parents=True)
    submit = ["sbatch", "--time=20", "--wrap", "true", "--partition=cpu"]
    subprocess.run(["scontrol", "update", "partition=cpu", "maxtime=10"], check=True)
    try:
        assert partition_limits() == {"cpu": 10, "gpu": float("inf")}
        for folder, rule in ((study, "images"), (study, "images"), (other, "detect")):
            comment = f"rule_{rule}_wildcards_coco-train"
            subprocess.run([*submit, "--comment", comment, "--chdir", folder], check=True)
        # The two may have other reasons for a moment.
        wait_for(lambda: len(waiting(study / "results/smoke")) == 1)
        (line,) = waiting(study / "results/smoke")
        reason = "(PartitionConfig|PartitionTimeLimit); for ever: it asks for more"  # the first one soon after it came
        assert re.match(rf"waiting in SLURM: 2 images, 20:00 in partition cpu \({reason}", line), line
        assert "1 detect" in waiting(other / "results/smoke")[0]
    finally:
        subprocess.run(["scancel", "--state=PENDING", "--partition=cpu"], check=True)
        subprocess.run(["scontrol", "update", "partition=cpu", "maxtime=INFINITE"], check=True)
    assert waiting(study / "results/smoke") == []


def test_a_node_that_goes_down_and_comes_back(
    tmp_path: Path, cluster: slurm.Cluster, prepared: Path, undisturbed: str
) -> None:
    """SLURM requeues the job, or it fails and Snakemake submits another: either goes on."""
    training = Training(tmp_path, prepared)
    snakemake = training.start()
    job = job_of(training.wait_until(60))
    node = subprocess.check_output(["squeue", "-j", job, "-h", "-o", "%N"], text=True).strip()
    subprocess.run(["scontrol", "update", f"node={node}", "state=down", "reason=test"], check=True)
    for daemon in cluster.step_daemons(job):  # and all that the node ran
        for process in (*daemon.children(recursive=True), daemon):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    start_again(job, lambda: training.said()["iteration"] >= 150)
    # It may have come back by itself, for its daemon still answers.
    subprocess.run(["scontrol", "update", f"node={node}", "state=resume"], capture_output=True, check=False)
    training.finish(snakemake)
    assert training.digest() == undisturbed


def trained_by(folder: Path, prepared: Path, processes: int, nodes: int) -> list[dict]:
    """The lines of metrics of a short training, of which there must be one."""
    numbers = {
        "schedule": {"iterations_per_x": 60, "tail": 40},
        "evaluation": {"trunk_period": 20, "tail_period": 20},
        "training": {"log_period": 1, "save_period": 10, "processes": processes},
        "resources": {"train": {"nodes": nodes}},
    }
    training = Training(folder, prepared, numbers=numbers)
    training.choose("trunk-0-20")
    training.finish(training.start())
    log = training.log.read_text()
    assert log.count("iteration 20/20") == 1
    assert log.count("done at iteration 20") == 1
    assert len(list(training.segment.rglob("state*.safetensors"))) == 1
    return [json.loads(line) for line in (training.segment / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_see_the_same_batches_and_write_once(tmp_path: Path, prepared: Path) -> None:
    """On one node, and on one each of two."""
    by_one = trained_by(tmp_path / "one", prepared, 1, nodes=1)
    for nodes in (1, 2):
        by_two = trained_by(tmp_path / f"two-{nodes}", prepared, 2, nodes)
        for alone, shared in zip(by_one, by_two, strict=True):
            same = ("iteration", "images", "instances", "learning_rate")
            assert {name: alone[name] for name in same} == {name: shared[name] for name in same}
            # Sums of another order tell in the last digits first, then in what is sampled.
            exact = alone["iteration"] < 3
            assert shared["loss"] == pytest.approx(alone["loss"], rel=1e-4 if exact else 0.1)


def test_processes_on_two_nodes_that_stop_in_time_say_so(tmp_path: Path, prepared: Path) -> None:
    numbers = TRAINING["numbers"] | {
        "training": TRAINING["numbers"]["training"] | {"margin": 3600, "processes": 2},
        "resources": {"train": {"runtime": 30, "retries": 0, "nodes": 2}},
    }
    training = Training(tmp_path, prepared, numbers=numbers)
    training.fail(training.start())
    assert "saved at iteration 5 of 500 and stopped" in training.log.read_text()
    record = read_record(Path(f"{training.segment}/metrics.jsonl{ENDING}"))
    assert record.attempts[-1].exit == INTERRUPTED
    assert training.said()["iteration"] == 5


@pytest.mark.usefixtures("cluster")
def test_the_default_study_runs_through_the_profile_to_its_report(tmp_path: Path) -> None:
    """The profile as it is, on a cluster with partitions of its names; its results are a plain local run's."""
    on_cluster = Checkout.make(tmp_path / "cluster")
    command = ("--profile", "slurm", "--config", "scale=smoke", *QUICK)
    on_cluster.snakemake(*command, program=PROMPT)
    report = on_cluster.results / "report.html"
    assert report.stat().st_size > 0
    report.unlink()  # and once more, where groups of jobs are done
    on_cluster.snakemake(*command, program=PROMPT)
    assert report.stat().st_size > 0
    study = compile_study({"scale": "smoke", "experiments": ["fig1"], "schedules": ["2x"]})
    (run, *_) = study.needed_runs(["fig1"])
    end = f"{run.recipe.name}/{run.segments[-1].name}"
    evaluated = f"evaluation/{end}/single_scale"
    local = Checkout.make(tmp_path / "local")
    local.snakemake(f"results/smoke/{evaluated}/metrics.json", "--profile", "profiles/local", "--cores", "2")
    made = [f"training/{end}/state.safetensors", f"{evaluated}/metrics.json"]
    made += [f"{evaluated}/detections/{at}.json" for at in run.segments[-1].evaluations]
    for path in made:
        assert (on_cluster.results / path).read_bytes() == (local.results / path).read_bytes(), path
