"""On a real SLURM: the study through its profile, deadlines, faults, and several processes; nothing is lost."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import yaml

from tests import slurm
from tests.checkout import ROOT, Checkout
from workflow_scripts.errors import INTERRUPTED
from workflow_scripts.jobs.record import ENDING, read_record
from workflow_scripts.models.tensors import read_metadata
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.slurm import partition_limits, waiting

pytestmark = [pytest.mark.slow, pytest.mark.needs_slurm]

QUICK = ("--slurm-init-seconds-before-status-checks", "5", "--seconds-between-status-checks", "1")
RECIPE, SEGMENT = "coco-R50_GN-random-seed0", "trunk-0-500"
TRAINING = {
    "scale": "smoke",
    "experiments": ["fig1"],
    "schedules": ["1x"],
    "numbers": {
        "schedule": {"iterations_per_x": 600, "tail": 100},
        "evaluation": {"trunk_period": 250, "tail_period": 50},
        "training": {"log_period": 5, "save_period": 50, "margin": 15},
        "resources": {"train": {"runtime": 30, "retries": 3}},
    },
}
"""A segment of about a minute on one processor."""
SHORT = {
    "schedule": {"iterations_per_x": 80, "tail": 40},
    "evaluation": {"trunk_period": 20, "tail_period": 20},
    "training": {"log_period": 5, "save_period": 10},
    "resources": {"train": {"runtime": 10, "retries": 3}},
}
"""Numbers of one that takes seconds."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    with slurm.cluster(tmp_path_factory.mktemp("slurm")) as started:
        yield started


class Training:
    """A checkout that trains one segment on the cluster."""

    def __init__(self, folder: Path, prepared: Path | None = None, **changes: object) -> None:
        """`prepared` is a checkout in which all but the training is done."""
        if prepared:
            shutil.copytree(prepared, folder, dirs_exist_ok=True)
        self.checkout = Checkout(folder) if prepared else Checkout.make(folder)
        (folder / "config.yaml").write_text(yaml.safe_dump(TRAINING | changes))
        self.segment = self.checkout.results / "training" / RECIPE / SEGMENT
        self.progress = self.segment.with_suffix(".progress")
        self.log = self.checkout.results / "logs/training" / RECIPE / f"{SEGMENT}.log"

    def command(self, *options: str, profile: str = "slurm") -> list[str]:
        study = ("--configfile", "config.yaml", "--config", "scale=smoke")
        target = str((self.segment / "state.safetensors").relative_to(self.checkout.folder))
        quick = QUICK if profile == "slurm" else ()
        return [sys.executable, "-m", "snakemake", target, "--profile", profile, *study, *quick, *options]

    def start(self, *options: str, profile: str = "slurm") -> subprocess.Popen[str]:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            self.command(*options, profile=profile),
            cwd=self.checkout.folder,
            env=os.environ | {"PATH": programs, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> str:
        """The output of a Snakemake that must succeed."""
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output + self._log()
        return output

    def said(self) -> dict:
        """What the running job said of itself last."""
        try:
            return json.loads((self.progress / "status.json").read_text())
        except FileNotFoundError:
            return {"iteration": 0, "job": ""}

    def wait_until(self, iteration: int) -> dict:
        """What the job says once it is so far."""
        deadline = time.monotonic() + 180
        while self.said()["iteration"] < iteration:
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.1)
        return self.said()

    def choose(self, segment: str) -> None:
        """Train another segment."""
        self.segment = self.segment.with_name(segment)
        self.progress = self.segment.with_suffix(".progress")
        self.log = self.log.with_name(f"{segment}.log")

    def orphan(self, iteration: int, then: signal.Signals | None = None) -> str:
        """The job that is left after its Snakemake was killed, when it was so far, and its lock removed.

        `then` is sent to its trainer first.
        """
        snakemake = self.start()
        job = job_of(self.wait_until(iteration))
        for number in trainers(job) if then else []:
            os.kill(number, then)
        snakemake.kill()
        snakemake.wait()
        self.finish(self.start("--unlock"))
        return job

    def digest(self) -> str:
        """Of the final state, which must be all that is left."""
        assert not self.progress.exists()
        assert not list(self.segment.parent.glob("*.lock*"))
        lines = (self.segment / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["iteration"] for line in lines] == list(range(5, 501, 5))
        return read_metadata(self.segment / "state.safetensors")["digest"]

    def _log(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, cluster: slurm.Cluster) -> Path:
    """A checkout beside the cluster in which all that the training needs is there."""
    training = Training(tmp_path_factory.mktemp("prepared"))
    rules = ("check_data", "manifest", "images", "recipe")
    training.finish(training.start("--until", *rules, profile="profiles/local"))
    return training.checkout.folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> str:
    """The digest of the segment, trained in one go on this machine."""
    training = Training(tmp_path_factory.mktemp("undisturbed"), prepared)
    training.finish(training.start(profile="profiles/local"))
    return training.digest()


def trainers(slurm_job: str) -> list[int]:
    """Process numbers of a job's trainer, by its environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"SLURM_JOB_ID={slurm_job}".encode() in environment and b"training.train" in command:
            found.append(int(folder.name))
    return found


def job_of(said: dict) -> str:
    name, number = said["job"].split()
    assert name == "slurm"
    return number


def state_of(job: str) -> str:
    """What SLURM says of a job in a word."""
    return subprocess.check_output(["squeue", "--states=all", "-h", "-o", "%T", "-j", job], text=True).strip()


def last_job() -> int:
    """The number of the newest job; 0 before there is any."""
    told = subprocess.check_output(["squeue", "--states=all", "-h", "-o", "%i"], text=True).split()
    return max(map(int, told), default=0)


def wait_for(what: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_again(job: str) -> None:
    """Wait until a requeued job runs again; left alone, SLURM waits for two minutes."""
    deadline = time.monotonic() + 90
    while True:
        shown = subprocess.check_output(["scontrol", "show", "job", job], text=True)
        if "Restarts=0" not in shown and "JobState=RUNNING" in shown:
            return
        assert time.monotonic() < deadline, shown
        subprocess.run(
            ["scontrol", "update", f"jobid={job}", "starttime=now"], capture_output=True, check=False
        )
        time.sleep(0.5)


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
            while "sleep" not in names(left.processes()):
                time.sleep(0.1)
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
        "training": TRAINING["numbers"]["training"] | {"margin": 40},
        "resources": {"train": {"runtime": 1, "retries": 9}},
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
    start_again(job)
    training.finish(snakemake)
    assert training.digest() == undisturbed


def test_a_killed_snakemake_starts_again_while_its_job_still_runs(
    tmp_path: Path, prepared: Path, undisturbed: str
) -> None:
    training = Training(tmp_path, prepared)
    old = training.orphan(10)
    second = training.start()
    deadline = time.monotonic() + 180
    while training.progress.exists() and job_of(training.said()) == old:
        assert time.monotonic() < deadline
        time.sleep(0.2)
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
    deadline = time.monotonic() + 180
    while training.progress.exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
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
    wait_for(metrics.exists)
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
    ended = training.start()
    output, _ = ended.communicate(timeout=300)
    assert ended.returncode != 0
    assert "training diverged" in output
    assert last_job() == before + 1, output


def test_a_wrong_partition_is_told_before_anything_is_submitted(tmp_path: Path, prepared: Path) -> None:
    training = Training(tmp_path, prepared, numbers=SHORT)
    training.choose("trunk-0-40")
    before = last_job()
    ended = training.start("--set-resources", "train:slurm_partition=gpus")
    output, _ = ended.communicate(timeout=300)
    assert ended.returncode != 0
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
    deadline = time.monotonic() + 180
    while training.said()["iteration"] < 150:
        assert time.monotonic() < deadline, training.log.read_text()
        subprocess.run(
            ["scontrol", "update", f"jobid={job}", "starttime=now"], capture_output=True, check=False
        )
        time.sleep(0.5)
    # It may have come back by itself, for its daemon still answers.
    subprocess.run(["scontrol", "update", f"node={node}", "state=resume"], capture_output=True, check=False)
    training.finish(snakemake)
    assert training.digest() == undisturbed


@pytest.mark.parametrize("nodes", [1, 2])
def test_two_processes_see_the_same_batches_and_write_once(
    tmp_path: Path, prepared: Path, nodes: int
) -> None:
    """On one node, and on one each of two."""
    numbers = {
        "schedule": {"iterations_per_x": 60, "tail": 40},
        "evaluation": {"trunk_period": 20, "tail_period": 20},
        "training": {"log_period": 1, "save_period": 10},
    }
    metrics = {}
    for processes in (1, 2):
        training = Training(
            tmp_path / str(processes),
            prepared,
            numbers=numbers
            | {
                "training": numbers["training"] | {"processes": processes},
                "resources": {"train": {"nodes": nodes if processes == 2 else 1}},
            },
        )
        training.segment = training.segment.with_name("trunk-0-20")
        training.log = training.log.with_name("trunk-0-20.log")
        training.finish(training.start())
        lines = (training.segment / "metrics.jsonl").read_text().splitlines()
        metrics[processes] = [json.loads(line) for line in lines]
        log = training.log.read_text()
        assert log.count("iteration 20/20") == 1
        assert log.count("done at iteration 20") == 1
        assert len(list(training.segment.rglob("state*.safetensors"))) == 1
    for alone, shared in zip(metrics[1], metrics[2], strict=True):
        same = ("iteration", "images", "instances", "learning_rate")
        assert {name: alone[name] for name in same} == {name: shared[name] for name in same}
        # Sums of another order tell in the last digits first, then in what is sampled.
        assert shared["loss"] == pytest.approx(alone["loss"], rel=1e-4 if alone["iteration"] < 3 else 0.1)


def test_processes_on_two_nodes_that_stop_in_time_say_so(tmp_path: Path, prepared: Path) -> None:
    numbers = TRAINING["numbers"] | {
        "training": TRAINING["numbers"]["training"] | {"margin": 3600, "processes": 2},
        "resources": {"train": {"runtime": 30, "retries": 0, "nodes": 2}},
    }
    training = Training(tmp_path, prepared, numbers=numbers)
    snakemake = training.start()
    snakemake.communicate(timeout=600)
    assert snakemake.returncode != 0
    assert "saved at iteration 5 of 500 and stopped" in training.log.read_text()
    record = read_record(Path(f"{training.segment}/metrics.jsonl{ENDING}"))
    assert record.attempts[-1].exit == INTERRUPTED
    assert training.said()["iteration"] == 5


@pytest.mark.usefixtures("cluster")
def test_the_default_study_runs_through_the_profile_to_its_report(tmp_path: Path) -> None:
    """The profile as it is, on a cluster with partitions of its names; states equal those of a plain local run."""
    on_cluster = Checkout.make(tmp_path / "cluster")
    on_cluster.snakemake("--profile", "slurm", "--config", "scale=smoke", *QUICK)
    report = on_cluster.results / "report.html"
    assert report.stat().st_size > 0
    report.unlink()  # and once more, where groups of jobs are done
    on_cluster.snakemake("--profile", "slurm", "--config", "scale=smoke", *QUICK)
    assert report.stat().st_size > 0
    study = compile_study({"scale": "smoke", "experiments": ["fig1"], "schedules": ["2x"]})
    (run, *_) = study.needed_runs(["fig1"])
    end = f"training/{run.recipe.name}/{run.segments[-1].name}/state.safetensors"
    local = Checkout.make(tmp_path / "local")
    local.snakemake(f"results/smoke/{end}", "--profile", "profiles/local", "--cores", "2")
    left, right = (read_metadata(checkout.results / end)["digest"] for checkout in (on_cluster, local))
    assert left == right
