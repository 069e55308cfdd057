"""What a person is told where figures were drawn in another style than the study's is now."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from workflow_scripts.figures.restyled import in_words, restyled
from workflow_scripts.jobs.record import Code, Record, record_path, write_record

TEAL = {"colours": {"random": "teal"}}


def drawn(folder: Path, name: str, **settings: Any) -> Path:
    """A figure's path, beside which a record lies."""
    record = Record("figure", settings, [], [], [], Code(None, None, {}), {}, {}, [])
    write_record(record_path(folder / name), record)
    return folder / name


def test_figures_of_another_style_are_named_with_it(tmp_path: Path) -> None:
    figures = [
        drawn(tmp_path, "fig1.png", style=TEAL),
        drawn(tmp_path, "fig2.png", style={}),
        drawn(tmp_path, "fig3.png", style=TEAL),
        tmp_path / "fig4.png",
    ]

    told = restyled(figures, {})
    assert 'fig1, fig3 with {"colours": {"random": "teal"}}' in told
    assert "Style of figures: the default." in told
    assert "fig2" not in told and "fig4" not in told
    assert "fig2 with the default" in restyled(figures, TEAL)


def test_nothing_is_said_where_all_agree(tmp_path: Path) -> None:
    assert restyled([drawn(tmp_path, "fig1.png", style=TEAL), tmp_path / "fig2.png"], TEAL) == ""
    broken = drawn(tmp_path, "fig1.png", style=TEAL)
    record_path(broken).write_text("{")
    assert restyled([broken], {}) == ""


def test_a_style_in_words_does_not_depend_on_its_order() -> None:
    assert in_words({"width": 3.4, "dpi": 100}) == in_words({"dpi": 100, "width": 3.4})
    assert in_words({}) == "the default"


def test_asking_brings_no_plotting() -> None:
    """The workflow asks each time that it starts."""
    code = "import sys, workflow_scripts.figures.restyled; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
