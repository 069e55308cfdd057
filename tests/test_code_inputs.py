"""A rule that lists its code lists all that its command imports: an edit of any of it runs the rule again."""

import ast
import re
from pathlib import Path

import grimp
import pytest

RULES = Path(__file__).parents[1] / "rules"
PLUMBING = re.compile(r"workflow_scripts\.(jobs|errors|files|study(?!\.configuration\.look))\b")
"""How a job is told and recorded, and the study: what of it changes a result is among the rule's inputs or params."""
NO_RESULT = {
    "workflow_scripts.data.class_folders": "nothing is detected in pictures to classify",
    "workflow_scripts.data.file_names": "of files that are not there",
    "workflow_scripts.data.mask_format": "of what is learned, not of what is detected",
    "workflow_scripts.models.seeds": "of a checkpoint, every weight is read",
    "workflow_scripts.models.tensors": "reads what it wrote, or says that it cannot",
    "workflow_scripts.training.deadline": "when a job stops, and not what the next goes on with",
    "workflow_scripts.training.sampler": "no sample is drawn",
}


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("workflow_scripts")


def listed(block: str) -> set[str]:
    """The modules in a rule's `code("area", "module", ...)` calls."""
    calls = re.findall(r"""\bcode\(\s*((?:"[\w/]+",?\s*)+)\)""", block)
    named = [re.findall(r'"([\w/]+)"', call) for call in calls]
    return {
        f"workflow_scripts.{area.replace('/', '.')}.{module}"
        for area, *modules in named
        for module in modules
    }


def imported(command: str, graph: grimp.ImportGraph) -> set[str]:
    upstream = {command} | graph.find_upstream_modules(command)
    modules = {name for name in upstream if not graph.find_children(name)}
    return {name for name in modules if not PLUMBING.match(name) and name not in NO_RESULT}


def rules_with_code() -> dict[str, tuple[str, set[str]]]:
    """Command and code of each rule whose modules are always the same."""
    found = {}
    for path in RULES.glob("*.smk"):
        for block in re.split(r"\n(?=(?:rule|checkpoint) )", path.read_text()):
            name = re.match(r"(?:rule|checkpoint) (\w+):", block)
            command = re.search(r"python -m (workflow_scripts\.[\w.]+\w) ", block)
            if name and command and listed(block):
                found[name[1]] = (command[1], listed(block))
    return found


STATIC = rules_with_code()


def test_rules_that_make_numbers_list_their_code() -> None:
    measured = {"detect", "evaluate", "compare", "run_evaluations", "run_training"}
    gathered = {"concatenate", "counts", "search", "figure_intervals", "table_intervals"}
    told = {"verdicts", "report", "advice", "advice_figure", "advice_page"}
    assert STATIC.keys() == measured | gathered | told


@pytest.mark.parametrize("rule", STATIC)
def test_a_rule_lists_what_its_command_imports(rule: str, imports: grimp.ImportGraph) -> None:
    command, code = STATIC[rule]
    assert code == imported(command, imports)


def test_a_figure_lists_what_its_command_imports(imports: grimp.ImportGraph) -> None:
    text = (RULES / "figures.smk").read_text()
    dictionary = ast.parse(text[text.index("{") : text.index("\n}") + 2], mode="eval")
    modules = eval(compile(dictionary, "figures.smk", "eval"))
    common = {"workflow_scripts.figures.command", "workflow_scripts.figures.style"} | listed(text)
    for figure, (command, *others) in modules.items():
        code = common | {f"workflow_scripts.figures.{name}" for name in (command, *others)}
        assert code == imported(f"workflow_scripts.figures.{command}", imports), figure


@pytest.mark.parametrize("table", ["table1", "table2", "table3", "text"])
def test_a_table_lists_what_its_command_imports(table: str, imports: grimp.ImportGraph) -> None:
    text = (RULES / "tables.smk").read_text()
    code = listed(text[text.index("rule table:") :]) | {f"workflow_scripts.tables.{table}"}
    assert code == imported(f"workflow_scripts.tables.{table}", imports)
