"""The words of the report: signs are told as which of the two is behind, and the answer claims what was found."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.report import MAIN, evidence
from tests.verdicts import judged as verdicts_on
from tests.verdicts import papers_numbers, table
from workflow_scripts.report.answer import answer, headline
from workflow_scripts.report.inputs import Evidence
from workflow_scripts.report.links import file_link
from workflow_scripts.report.wording import interval, sentence, subject


def told(value: float, low: float | None, high: float | None, **more: Any) -> Evidence:
    return msgspec.convert(evidence("R50 GN, box AP, 6x", value, low, high, **more), Evidence)


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (-0.36, -1.8, 1.1, "0.4 behind pre-training (1.8 behind to 1.1 ahead)"),
        (-3.5, -4.26, -2.74, "3.5 behind pre-training (2.7 to 4.3 behind)"),
        (0.6, 0.1, 1.1, "0.6 ahead of pre-training (0.1 to 1.1 ahead)"),
        (0.6, None, None, "0.6 ahead of pre-training (no interval: too little was repeated)"),
    ],
)
def test_a_sign_is_a_word(value: float, low: float | None, high: float | None, expected: str) -> None:
    assert sentence(told(value, low, high)) == expected
    assert subject(told(value, low, high)) == "R50 GN, box AP, 6x"


def test_a_number_that_decides_nothing_stands_by_itself() -> None:
    assert sentence(Evidence("loss", -0.514, -0.6, 0.1)) == "−0.51 (−0.60 to 0.10)"
    assert sentence(Evidence("loss", 0.514)) == "0.51"


def test_a_share_has_its_unit_at_both_ends() -> None:
    words = {"below": "worse in AP75", "above": "better in AP75", "unit": "%"}
    assert interval(told(-2.6, -5.9, 0.7, **words)) == "5.9% worse to 0.7% better"


def test_every_claim_of_the_paper_has_words() -> None:
    """On the paper's own numbers: each comparison says by how much, and of what."""
    found = [
        (record["number"], sentence(msgspec.convert(each, Evidence)))
        for record in verdicts_on(table(papers_numbers()))
        for each in record["evidence"]
    ]
    texts = [text for _, text in found]
    assert all(text.partition("(")[0].strip() for text in texts)
    assert any(text.startswith("3.5 behind pre-training (") for number, text in found if number == 2)
    assert any(text.startswith("3.0 lower after 6x than after 2x (") for number, text in found if number == 6)
    assert any("better in keypoint AP than in box AP" in text for number, text in found if number == 7)
    assert any("above 50% of what pre-training reaches" in text for number, text in found if number == 1)


def main(verdict: str, *found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"number": 2, "verdict": verdict, "evidence": list(found)}]


@pytest.mark.parametrize(
    ("ends", "place"),
    [
        ((-0.36, -1.8, 1.1), "within −1.8 to 1.1 AP of pre-training"),
        ((-3.5, -4.3, -2.7), "2.7 to 4.3 AP behind pre-training"),
        ((0.6, 0.1, 1.1), "0.1 to 1.1 AP ahead of pre-training"),
        ((-0.4, None, None), "0.4 AP behind pre-training"),
    ],
)
def test_the_answer_says_where_random_init_ends(
    ends: tuple[float, float | None, float | None], place: str
) -> None:
    end = evidence("R50 GN, box AP, 6x", *ends, means="no worse, at most 2.5% short")
    assert headline(main("undecided", end), "mini").startswith(
        f"At 6x random init is {place} (R50 GN, box AP): "
    )


def test_the_answer_is_of_the_first_figures_model_and_not_of_the_short_schedule() -> None:
    assert headline(main("shown", *MAIN), "mini").startswith("At 6x random init is within −1.8 to 1.1 AP")
    assert headline(main("shown", MAIN[0]), "mini").startswith("At 6x random init is 0.1 to 1.1 AP ahead")
    assert headline(main("not run", MAIN[1]), "mini").startswith("This study did not train")


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("shown", "it needed more iterations and then caught up, as the paper found."),
        ("indicated", "as the paper found, though with so few seeds that may be luck."),
        ("undecided", "stays open."),
        ("not judged", "cannot be judged yet."),
        ("indicated against", "speaks against the paper, which found that"),
        ("contradicted", "speaks against the paper, which found that"),
    ],
)
def test_the_answer_claims_no_more_than_was_found(verdict: str, said: str) -> None:
    text = headline(main(verdict, *MAIN), "mini")
    assert said in text
    assert ("luck" in text) == verdict.startswith("indicated")
    assert answer(main(verdict, *MAIN), "mini") == f"{text[:-1]}; of the paper's 1 conclusions: 1 {verdict}."
    assert headline(main(verdict, *MAIN), "smoke").startswith("No answer")


def test_a_file_is_linked_where_the_path_of_results_holds_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = Path("my results/mini/metrics.json")
    source.parent.mkdir(parents=True)
    source.touch()
    assert file_link(str(source), "my results/mini/report.html")["link"] == "metrics.json"
    assert file_link(str(source), "page/report.html")["link"] == "../my%20results/mini/metrics.json"
    assert file_link("Table 1 and/or Fig. 1", "page/report.html")["link"] == ""
