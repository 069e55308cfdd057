"""The rules of who imports whom, and docs/architecture.md held against the code."""

import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text()
BENEATH = {"errors", "files"}

Arrows = set[tuple[str, str]]


def pictures() -> list[str]:
    return re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)


def imports() -> Arrows:
    """Which folder of the package imports which, directly."""
    graph = grimp.build_graph("workflow_scripts")
    pairs = (
        (module, found)
        for module in graph.modules
        for found in graph.find_modules_directly_imported_by(module)
    )
    rooms = ((module.split(".")[1:2], found.split(".")[1:2]) for module, found in pairs)
    arrows = {(*module, *found) for module, found in rooms if module and found and module != found}
    return {(module, found) for module, found in arrows if not {module, found} & BENEATH}


def reached(start: str, arrows: Arrows) -> set[str]:
    """All that can be reached from a folder along arrows."""
    found, waiting = set(), {start}
    while waiting:
        room = waiting.pop()
        new = {end for begin, end in arrows if begin == room} - found
        found |= new
        waiting |= new
    return found


def test_imports_follow_the_rules() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_picture_of_imports_is_that_of_the_code() -> None:
    """No arrow that could be left out, and by arrows every import that there is."""
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)$", pictures()[1], re.MULTILINE))
    real = imports()
    assert {(begin, end) for begin, end in real if end not in reached(begin, drawn)} == set()
    assert drawn <= real
    assert {arrow for arrow in drawn if arrow[1] in reached(arrow[0], drawn - {arrow})} == set()


def test_the_table_of_folders_names_each_once() -> None:
    folders = {path.name for path in (ROOT / "workflow_scripts").iterdir() if (path / "__init__.py").exists()}
    assert sorted(re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE)) == sorted(folders)


def test_the_picture_of_rules_names_rules() -> None:
    rules = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    known = set(re.findall(r"^(?:rule|checkpoint|use rule \w+ as) (\w+)\b", rules, re.MULTILINE))
    drawn = set(re.findall(r"\b[a-z_]+\b", re.sub(r"\[.*?\]|\(\[.*?\]\)|\|.*?\|", "", pictures()[0])))
    assert drawn - known == {"flowchart", "config", "study"} - known


@pytest.mark.parametrize("path", re.findall(r"`([\w/]+\.(?:py|smk|yaml))`", PAGE))
def test_files_that_the_page_names_are_there(path: str) -> None:
    places = (
        "",
        "workflow_scripts",
        "workflow_scripts/study",
        "workflow_scripts/training",
        "workflow_scripts/evaluation",
    )
    assert any((ROOT / place / path).is_file() for place in places)


@pytest.mark.parametrize(
    "package", ["evaluation.evaluate", "evaluation.bootstrap", "evaluation.voc_metrics", "study.compile"]
)
def test_only_detecting_brings_torch(package: str) -> None:
    """Of what is there to compute with: metrics, and what Snakemake reads at each start."""
    loaded = "[name for name in ('torch', 'detectron2') if name in sys.modules]"
    code = f"import sys, workflow_scripts.{package}; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
