"""What pytest does differently under mutmut: fewer tests, shortest first, up to some seconds of them."""

import os
from pathlib import Path

import pytest
from mutmut.state import state

LEFT_OUT = {
    "test_architecture.py",
    "test_audit.py",
    "test_benchmarks.py",
    "test_bundle.py",
    "test_crate.py",
    "test_interruptions.py",
    "test_lock.py",
    "test_records.py",
    "test_setup.py",
    "test_slurm.py",
    "test_system.py",
    "test_terminal.py",
    "test_terminal_run.py",
    "test_workflow.py",
    "test_world.py",
}
"""Of what is not mutated, or all in processes of their own: a mutant that they alone find is found late."""
SECONDS = 10.0
"""What the tests of one mutant take together at most; one test runs however long it takes."""


def pytest_configure() -> None:
    """While mutmut notes which test calls what, it does so in its own process; those that tests start need not try."""
    if os.environ.get("MUTANT_UNDER_TEST") == "stats":
        del os.environ["MUTANT_UNDER_TEST"]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave a file out, or say nothing."""
    return True if collection_path.name in LEFT_OUT else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A mutant is dead at the first test that fails, and few tests that take long find what none before them did."""
    if "__mutmut_" not in os.environ.get("MUTANT_UNDER_TEST", ""):
        return
    items.sort(key=lambda item: state().duration_by_test.get(item.nodeid, 0))
    left = SECONDS
    for place, item in enumerate(items):
        left -= state().duration_by_test.get(item.nodeid, 0)
        if left < 0 and place:
            config.hook.pytest_deselected(items=items[place:])
            del items[place:]
            break
