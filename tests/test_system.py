"""What tests need of the machine: what is missing is left out by name, and is an error on CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BROWSER = "tests/test_report_browser.py::test_headings_are_in_order_within_one_main"


def bare(tmp_path: Path, ci: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A module of Python on a machine without any program."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=os.environ | {"PATH": str(tmp_path), "CI": ci},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("options", [("--collect-only",), ("-n", "2")])
def test_what_cannot_run_is_left_out_by_name(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Whether one process runs the tests or several."""
    others = "tests/test_report.py::test_settings_are_written_for_people"
    found = bare(tmp_path, "", "pytest", "-q", *options, BROWSER, others)
    assert found.returncode == 0, found.stdout
    assert "need Chromium, and lack: chromium. As root: apt-get install chromium" in found.stdout
    assert f"  {BROWSER}\n" in found.stdout


def test_on_ci_nothing_is_left_out(tmp_path: Path) -> None:
    found = bare(tmp_path, "true", "pytest", "-q", BROWSER)
    assert found.returncode == 1, found.stdout
    assert "Executable doesn't exist" in found.stdout


def test_what_cannot_be_installed_is_an_error_on_ci_alone(tmp_path: Path) -> None:
    found = bare(tmp_path, "true", "tests.system", "chromium", "slurm")
    assert found.returncode == 1
    assert "The tests need Chromium, and lack: chromium." in found.stderr
    assert "The tests need a SLURM of their own, and lack: " in found.stderr
    assert bare(tmp_path, "", "tests.system", "chromium", "slurm").returncode == 0
