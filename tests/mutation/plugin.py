"""What pytest does differently under mutmut: fewer tests, shortest first, up to some seconds of them."""

import os
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from mutmut.state import state

LEFT_OUT = {
    "test_architecture.py",
    "test_audit.py",
    "test_batches.py",
    "test_benchmarks.py",
    "test_bundle.py",
    "test_chain_study.py",
    "test_crate.py",
    "test_docs.py",
    "test_extend.py",
    "test_gpu_kit.py",
    "test_interruptions.py",
    "test_records.py",
    "test_setup.py",
    "test_slurm.py",
    "test_system.py",
    "test_targets.py",
    "test_terminal.py",
    "test_terminal_run.py",
    "test_workflow.py",
    "test_world.py",
}
"""Of what is not mutated, or all in processes of their own."""
LONG = (
    "killed_jobs",
    "before_there_is_data",
    "of_many_that_find",
    "two_processes",
    "divergence_stops",
    "processes_wait",
    "training_says_how_far",
    "browser_shows",
    "reaches_the_user",
)
"""Parts of names of tests that start processes for many seconds, or need all of the checkout."""
CALLED: dict[pytest.FixtureDef[Any], set[str]] = {}
"""The functions that each fixture called."""
SECONDS = float(os.environ.get("MUTATION_SECONDS", 10))
"""What the tests of one mutant take together at most; one test runs however long it takes."""


def pytest_configure() -> None:
    """While mutmut notes which test calls what, it does so in its own process; those that tests start need not try."""
    if os.environ.get("MUTANT_UNDER_TEST") == "stats":
        del os.environ["MUTANT_UNDER_TEST"]


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[Any]:
    """What a fixture calls is called for each test that uses it, though it may be set up for the first alone."""
    before = set(state()._stats)
    state()._stats.clear()
    try:
        return (yield)
    finally:
        CALLED[fixturedef] = set(state()._stats)
        state()._stats.update(before)


def pytest_runtest_call(item: pytest.Item) -> None:
    """mutmut reads and clears `_stats` after each test."""
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        state()._stats.update(*(CALLED.get(definition, ()) for definition in definitions))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave a file out, or say nothing."""
    return True if collection_path.name in LEFT_OUT else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A mutant is dead at the first test that fails, and few tests that take long find what none before them did."""
    deselect(config, items, lambda item: not any(part in item.name for part in LONG))
    if "__mutmut_" not in os.environ.get("MUTANT_UNDER_TEST", ""):
        return
    items.sort(key=lambda item: state().duration_by_test.get(item.nodeid, 0))
    ends = list(accumulate(state().duration_by_test.get(item.nodeid, 0) for item in items))
    within = {item.nodeid for item, end in zip(items, ends, strict=True) if end <= SECONDS}
    deselect(config, items, lambda item: item.nodeid in within or item is items[0])


def deselect(config: pytest.Config, items: list[pytest.Item], kept: Callable[[pytest.Item], bool]) -> None:
    """Keep some of the items, and tell pytest of the others."""
    config.hook.pytest_deselected(items=[item for item in items if not kept(item)])
    items[:] = [item for item in items if kept(item)]
