"""What an audit prints: the verdict first, then each kind of problem with what to do, the first of many alike."""

import pytest

from workflow_scripts.provenance.audit import MOST_ALIKE, told, verdict
from workflow_scripts.provenance.hashes import Hashes
from workflow_scripts.provenance.problems import KINDS, Problem


def many(kind: str, number: int) -> list[Problem]:
    return [Problem(kind, f"results/mini/{kind}-{at}.json", "written by evaluate") for at in range(number)]


def first(found: list[Problem], records: int = 2, why_not: str = "") -> str:
    return " ".join(verdict("results/mini", records, Hashes(), found, why_not).split())


def test_the_verdict_counts_problems_by_kind_in_the_order_of_kinds() -> None:
    found = many("code", 1) + many("altered", 2)
    assert first(found).startswith("results/mini: 3 problems (2 altered, 1 code). 2 jobs, 0 files")
    assert first([], records=1).startswith("results/mini: no problem. 1 job, ")
    assert first(many("missing", 1)).startswith("results/mini: 1 problem (1 missing).")
    assert first([], why_not="no config.yaml").endswith(
        "Not compared with the study as it is now: no config.yaml"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_told_with_its_meaning_and_what_to_do_in_80_columns(kind: str) -> None:
    (paragraph,) = told([Problem(kind, "a.json", "was 1, is 2; " * 30)])
    text = " ".join(paragraph.split())
    assert text.startswith(f"{kind}: {KINDS[kind].meaning}. {KINDS[kind].remedy} a.json was 1, is 2;")
    assert max(map(len, paragraph.splitlines())) <= 80


def test_the_first_of_many_alike_are_named_and_all_when_asked_for() -> None:
    found = many("missing", MOST_ALIKE + 2) + many("altered", 1)
    altered, missing = told(found)
    assert "more" not in altered
    assert missing.count("written by evaluate") == MOST_ALIKE
    assert missing.endswith("\n  and 2 more (--all shows them)")
    assert "\n".join(told(found, everything=True)).count("written by evaluate") == len(found)
    (exactly,) = told(many("missing", MOST_ALIKE))
    assert "more" not in exactly
