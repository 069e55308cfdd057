"""What a run of Snakemake prints, as a person sees it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


SNAKEFILE = f"""
import sys

sys.path.insert(0, {str(ROOT)!r})
from workflow_scripts.terminal.install import install

TERMINAL = workflow.is_main_process and install(logger, workflow.output_settings, lambda: workflow.dag)

onsuccess:
    if TERMINAL:
        TERMINAL.succeeded({{"report.html": lambda: "The answer."}})

onerror:
    if TERMINAL:
        TERMINAL.failed()

rule report:
    input: "tail.txt"
    output: "report.html"
    message: "Writing the report"
    shell: "touch {{output}}"

rule tail:
    input: "trunk.txt"
    output: "tail.txt"
    log: "logs/tail.log"
    retries: 1
    message: "Training the tail"
    shell: "echo saved > {{log}}; if [ -e saved ]; then touch {{output}}; else touch saved; exit 75; fi"

rule trunk:
    output: "trunk.txt"
    message: "Training the trunk"
    shell: "touch {{output}}"

rule bad:
    output: "bad.txt"
    log: "logs/bad.log"
    message: "Drawing badly"
    shell: "(seq 1000 1050; exit 3) > {{log}} 2>&1"

rule forgetful:
    output: "forgotten.txt"
    message: "Forgetting"
    shell: "true"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def snakemake(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """Exit code, and the lines that Snakemake writes into pipes; of a dry run, on its standard output."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--latency-wait", "0", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_a_run_is_a_line_a_job_and_an_answer(folder: Path) -> None:
    code, lines = snakemake(folder, "report")
    assert code == 0
    assert lines[0] == "3 jobs to run."
    assert "" not in lines
    jobs = [line.split("  ") for line in lines if line.startswith("[")]
    assert [what for _, what in jobs] == [
        "Training the trunk",
        "Training the tail",
        "Training the tail",
        "Writing the report",
    ]
    assert [counted.split()[0] for counted, _ in jobs] == ["[0/3]", "[1/3]", "[1/3]", "[2/3]"]
    assert "Saved and stopped before its end: Training the tail; log logs/tail.log" in lines
    assert "Started again: Training the tail" in lines
    assert lines[-4].startswith("Done: 3 jobs in ")
    assert lines[-3:-1] == ["  report.html", "The answer."]
    assert lines[-1].startswith("Complete log(s)")
    text = "\n".join(lines)
    assert "touch" not in text and "\x1b" not in text and "\r" not in text
    (log,) = (folder / ".snakemake/log").iterdir()
    assert "Select jobs to execute..." in log.read_text(), "the log file is as Snakemake writes it"


def test_failures_are_shown_and_listed(folder: Path) -> None:
    code, lines = snakemake(folder, "--keep-going", "bad.txt", "forgotten.txt", "trunk.txt")
    assert code == 1
    at = lines.index("FAILED: Drawing badly, rule bad (exit code 3)")
    assert lines[at + 1 : at + 17] == [
        *(f"    | {number}" for number in range(1036, 1051)),
        "    log: logs/bad.log",
    ]
    assert any(line.startswith("MissingOutputException in rule forgetful") for line in lines)
    at = next(
        position for position, line in enumerate(lines) if line.startswith("2 jobs failed, 1 of 3 jobs done")
    )
    assert sorted(lines[at + 1 : at + 4]) == ["    logs/bad.log", "  Drawing badly", "  Forgetting"]
    assert max(map(len, lines)) < 300
    assert not any("seq 1000" in line for line in lines)


def test_commands_are_shown_when_asked_for(folder: Path) -> None:
    _, lines = snakemake(folder, "trunk.txt", "--printshellcmds")
    at = next(
        place for place, line in enumerate(lines) if re.fullmatch(r"\[0/1\] [\d:]+  Training the trunk", line)
    )
    assert lines[at + 1] == "    touch trunk.txt"
    assert lines[at + 3] == "  trunk.txt" and "The answer." not in lines, "the report was not asked for"


@pytest.mark.parametrize("option", ["--dry-run", "--verbose", "--quiet=host"])
def test_other_ways_of_output_are_snakemakes(folder: Path, option: str) -> None:
    _, lines = snakemake(folder, "trunk.txt", option)
    assert any(line.endswith("Training the trunk") and line.startswith("Job 0:") for line in lines)


def test_mistakes_come_through(folder: Path) -> None:
    code, lines = snakemake(folder, "nothing.txt")
    assert code == 1
    assert any("No rule to produce nothing.txt" in line for line in lines)
