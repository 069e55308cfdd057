"""The record of a job: what it read and wrote, what ran, and each time it was started."""

import errno
import hashlib
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from tests.training import REPOSITORY, segment, tiny_recipe, tiny_world, training_command
from workflow_scripts.errors import MISTAKE, UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs import environment
from workflow_scripts.jobs.job import job as run_job
from workflow_scripts.jobs.notes import NOTES
from workflow_scripts.jobs.record import ENDING, Attempt, Record, described, read_record, write_record
from workflow_scripts.jobs.sheet import Sheet, write_sheet

SETTINGS = {"scale": "smoke", "wildcards": {}}


def job(
    folder: Path, module: str, *words: str, settings: dict = SETTINGS, outputs: tuple[str, ...]
) -> list[str]:
    sheet = Sheet("some", {}, [str(folder / "input")], list(outputs), settings)
    write_sheet(folder / "jobs", sheet)
    return [sys.executable, "-m", module, "--job", str(folder / "jobs" / sheet.name), *words]


def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, **options)


def write(folder: Path, text: str = "text") -> list[str]:
    output = str(folder / "output")
    return job(folder, "workflow_scripts.jobs.write", "--text", text, "--output", output, outputs=(output,))


def test_it_tells_what_was_read_and_written_and_by_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "input").write_text("read")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert run(write(tmp_path)).returncode == 0
    record = read_record(tmp_path / f"output{ENDING}")
    (read,), (written,) = record.inputs, record.outputs
    assert (read.path, read.sha256) == (str(tmp_path / "input"), hashlib.sha256(b"read").hexdigest())
    assert (written.sha256, written.bytes) == (hashlib.sha256(b"text\n").hexdigest(), 5)
    assert record.command[2:] == ["workflow_scripts.jobs.write", "--text", "text", "--output", written.path]
    assert "workflow_scripts/jobs/write.py" in record.code.modules
    assert "workflow_scripts/training/train.py" not in record.code.modules
    assert record.versions["python"] == sys.version.split()[0]
    assert record.versions["detectron2 build"]
    (attempt,) = record.attempts
    assert (attempt.exit, attempt.slurm_job) == (0, "17")
    assert attempt.end and attempt.start <= attempt.end
    assert record.complete


def test_a_mistake_keeps_its_message_and_its_code(tmp_path: Path) -> None:
    output = str(tmp_path / "manifest.json")
    words = ("--annotations", "nowhere.json", "--images", str(tmp_path), "--output", output)
    ended = run(job(tmp_path, "workflow_scripts.data.manifest", *words, outputs=(output,)))
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: nowhere.json")
    assert "Traceback" not in ended.stderr
    record = read_record(Path(f"{output}{ENDING}"))
    assert (record.attempts[0].exit, record.outputs, record.complete) == (2, [], False)


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    ended = run(write(tmp_path))
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "IsADirectoryError" in ended.stderr
    assert read_record(tmp_path / f"output{ENDING}").attempts[0].exit == 1


def test_nothing_is_said_where_nobody_reads_on() -> None:
    """Standard output leads to `head`, which has ended."""
    code = (
        "from workflow_scripts.errors import command; command(lambda: [print('x' * 99) for _ in range(9999)])"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None and program.stderr is not None
    program.stdout.close()
    assert (program.wait(), program.stderr.read()) == (1, b"")


def test_options_come_from_the_sheet_and_the_command_line_counts_more(tmp_path: Path) -> None:
    outputs = [str(tmp_path / "told"), str(tmp_path / "given")]
    sheet = Sheet("some", {"text": "a 'quoted' $text", "output": outputs[0]}, [], outputs[:1], SETTINGS)
    write_sheet(tmp_path, sheet)
    command = [sys.executable, "-m", "workflow_scripts.jobs.write", "--job", str(tmp_path / sheet.name)]
    assert run(command).returncode == 0
    assert run([*command, "--output", outputs[1]]).returncode == 0
    assert [Path(output).read_text() for output in outputs] == ["a 'quoted' $text\n"] * 2


def test_a_sheet_is_named_after_all_that_counts() -> None:
    first = Sheet("some", {"text": "a"}, ["in"], ["out"], SETTINGS, untracked={"workers": 1})
    assert first.name == msgspec.structs.replace(first, untracked={"workers": 2}).name
    changes = {"settings": {}, "inputs": [], "outputs": ["other"], "options": {"text": "b"}, "rule": "other"}
    names = {msgspec.structs.replace(first, **{field: value}).name for field, value in changes.items()}
    assert len(names | {first.name}) == 1 + len(changes)


def test_the_words_of_a_sheet() -> None:
    options = {
        "none": None,
        "nothing": [],
        "test_aug_sides": [56, 64],
        "style": {"b": 1, "a": "x y"},
        "seed": 0,
    }
    sheet = Sheet("some", options, [], ["out"], SETTINGS, untracked={"workers": 2})
    expected = [
        "--test-aug-sides",
        "56",
        "64",
        "--style",
        '{"b": 1, "a": "x y"}',
        "--seed",
        "0",
        "--workers",
        "2",
    ]
    assert sheet.words() == expected


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), ("{}", "is not what Snakemake writes")]
)
def test_a_wrong_sheet_is_one_message(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "sheet.json"
    if content is not None:
        path.write_text(content)
    ended = run([sys.executable, "-m", "workflow_scripts.jobs.write", "--job", str(path)])
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"Error: --job: {path} {message}")


def test_attempts_are_counted_until_one_succeeds_or_the_settings_change(tmp_path: Path) -> None:
    output = str(tmp_path / "output")
    bad = ("workflow_scripts.data.manifest", "--annotations", "no", "--images", "no", "--output", output)
    for number in (1, 2):
        run(job(tmp_path, *bad, outputs=(output,)))
        assert len(read_record(Path(f"{output}{ENDING}")).attempts) == number
    run(job(tmp_path, *bad, settings={"scale": "mini"}, outputs=(output,)))
    assert len(read_record(Path(f"{output}{ENDING}")).attempts) == 1
    run(write(tmp_path))
    run(write(tmp_path))
    assert len(read_record(Path(f"{output}{ENDING}")).attempts) == 1


@pytest.mark.parametrize(("fails", "host"), [(True, "another"), (False, socket.gethostname())])
def test_a_job_that_fails_leaves_the_record_of_one_that_began_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool, host: str
) -> None:
    """One that was taken for dead wakes; what it did not make, it has nothing to tell of."""
    words = job(tmp_path, "unused", outputs=(str(tmp_path / "output"),))
    path = tmp_path / f"output{ENDING}"

    def main() -> None:
        record = read_record(path)
        record.attempts.append(Attempt("2026-01-01T00:00:00+00:00", "another"))
        write_record(path, record)
        if fails:
            raise UserError("superseded")

    monkeypatch.setattr(sys, "argv", words[2:])
    monkeypatch.setenv(NOTES, "")  # which the job sets
    with pytest.raises(SystemExit):
        run_job(main)
    last = read_record(path).attempts[-1]
    assert (last.host, last.exit) == (host, None if fails else 0)


def on_a_full_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], writes: int
) -> BaseException:
    """How a job ends whose record can be written so often."""
    left = [None] * writes

    def write(path: Path, record: Record) -> None:
        if not left:
            with write_atomically(path):
                raise OSError(errno.ENOSPC, "No space left on device")
        left.pop()
        write_record(path, record)

    words = job(folder, "unused", outputs=(str(folder / "output"),))
    monkeypatch.setattr(sys, "argv", words[2:])
    monkeypatch.setenv(NOTES, "")
    monkeypatch.setattr("workflow_scripts.jobs.job.write_record", write)
    with pytest.raises(BaseException) as ended:
        run_job(main)
    return ended.value


def test_code_is_told_as_it_was_when_the_job_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository changes while it runs; what is imported later is told as it is then."""
    repository = tmp_path / "repository"
    modules = repository / "workflow_scripts"
    modules.mkdir(parents=True)
    monkeypatch.setattr(environment, "REPOSITORY", repository)
    monkeypatch.setenv(NOTES, "set by the job, and put back")
    sheet = Sheet("some", {}, [], [str(tmp_path / "output")], SETTINGS)
    write_sheet(tmp_path / "jobs", sheet)
    monkeypatch.setattr(sys, "argv", ["job", "--job", str(tmp_path / "jobs" / sheet.name)])

    def imported(name: str, text: str) -> str:
        (modules / f"{name}.py").write_text(text)
        module = ModuleType(name)
        module.__file__ = str(modules / f"{name}.py")
        monkeypatch.setitem(sys.modules, name, module)
        return hashlib.sha256(text.encode()).hexdigest()

    expected = {"workflow_scripts/early.py": imported("early", "as it ran")}

    def main() -> None:
        (modules / "early.py").write_text("changed since")
        expected["workflow_scripts/late.py"] = imported("late", "as it was imported")

    with pytest.raises(SystemExit):
        run_job(main)
    assert read_record(tmp_path / f"output{ENDING}").code.modules == expected


@pytest.mark.parametrize("writes", [0, 1], ids=["begins", "ends"])
def test_a_record_that_a_full_disk_refuses_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], writes: int
) -> None:
    ended = on_a_full_disk(tmp_path, monkeypatch, lambda: None, writes)
    assert isinstance(ended, SystemExit) and ended.code == MISTAKE
    said = capsys.readouterr().err
    assert said.startswith(f"Error: {tmp_path}/output{ENDING}: No space left on device; ")
    assert said.endswith("free some space and start again\n") and said.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_ended_a_job_is_told_though_its_record_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mistake() -> None:
        raise UserError("mend this")

    def bug() -> None:
        raise ZeroDivisionError

    ended = on_a_full_disk(tmp_path, monkeypatch, mistake, 1)
    assert isinstance(ended, SystemExit) and ended.code == MISTAKE
    said = capsys.readouterr().err.splitlines()
    unwritten = (
        f"{tmp_path}/output{ENDING}: the record of this job cannot be written: No space left on device"
    )
    assert said == [unwritten, "Error: mend this"]
    assert isinstance(on_a_full_disk(tmp_path, monkeypatch, bug, 1), ZeroDivisionError)


def test_a_resumed_training_tells_its_whole_life(tmp_path: Path) -> None:
    world = tiny_world(tmp_path / "world")
    command = training_command(
        tmp_path, tiny_recipe(), segment(0, 40), world, "--log-period", "2", "--save-period", "4"
    )
    outputs = tuple(str(tmp_path / name) for name in ("metrics.jsonl", "state.safetensors", "checkpoints"))
    recorded = job(tmp_path, *command[2:], outputs=outputs)
    with subprocess.Popen(recorded, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if "iteration 10/40" in line:
                first.send_signal(signal.SIGKILL)
                break
    saved = max(
        int(path.stem.removeprefix("state-")) for path in (tmp_path / "progress").glob("state-*.safetensors")
    )
    assert saved >= 8
    assert run(recorded).returncode == 0
    killed, finished = read_record(Path(f"{outputs[0]}{ENDING}")).attempts
    assert (killed.end, killed.exit) == (None, None)
    assert killed.notes[0]["start_iteration"] == 0
    assert finished.exit == 0
    assert finished.notes[0]["start_iteration"] == saved


def test_a_folder_is_told_of_by_its_files_once_each(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("b", "a", ".hidden", f"a{ENDING}"):
        (tmp_path / "folder" / name).touch()
    found = described([tmp_path / "folder", tmp_path / "folder", tmp_path / "absent"])
    assert [Path(file.path).name for file in found] == ["a", "b"]


@pytest.mark.parametrize("content", [b"", b"{}", b"no json"])
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"x{ENDING}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="expected a record of a job"):
        read_record(path)


@pytest.mark.needs_mount
def test_on_a_full_disk_the_record_of_before_stands(small_disk: Path) -> None:
    words, record = write(small_disk), small_disk / f"output{ENDING}"
    assert run(words).returncode == 0
    made = record.read_bytes()
    with (small_disk / "rest").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    ended = run(words)
    assert ended.returncode == MISTAKE
    assert ended.stderr.startswith(f"Error: {record}: No space left on device; ")
    assert ended.stderr.endswith("free some space and start again\n") and ended.stderr.count("\n") == 1
    assert record.read_bytes() == made
    assert not [path for path in small_disk.iterdir() if path.name.startswith(".")]
