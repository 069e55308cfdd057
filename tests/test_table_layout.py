"""A finished table for people, to the letter: numbers and signs, Markdown, LaTeX, the order of columns."""

import pandas as pd
import pytest

from workflow_scripts.tables.latex import latex
from workflow_scripts.tables.layout import LAYOUTS, PUBLISHED, ROUNDED_NOTE, Grid, Row, grid, markdown
from workflow_scripts.tables.results import COLUMNS

TABLE = Grid(
    stub=["model", "initialisation"],
    header=["2x", "10x"],
    rows=[
        Row(("R50 GN", "random init"), "ours", ["36.8 ± 0.1", "−1.0‡"], [["a.json"], []]),
        Row(("R50 GN", "random init"), "published †", ["", "+2.0"], [[], []]),
        Row(("VGG-16", "random init"), "ours", ["1.0", ""], [["b.json"], []]),
    ],
    note="† 5% & more_of {it} #1 for $1.",
)


def results(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Finished rows: R50 GN from random init on all of COCO, unless they say otherwise."""
    usual = dict.fromkeys(COLUMNS) | {
        "train_set": "coco",
        "subset": "all",
        "model": "R50 GN",
        "setting": "baseline",
        "initialisation": "random",
        "schedule": "2x",
        "point": "end",
        "iou_type": "bbox",
        "metric": "AP",
        "comparable": "size",
        "source": "",
    }
    return pd.DataFrame([usual | row for row in rows], columns=COLUMNS)


def test_markdown_to_the_letter() -> None:
    assert markdown(TABLE) == (
        "| model | initialisation |  | 2x | 10x |\n"
        "| --- | --- | --- | ---: | ---: |\n"
        "| R50 GN | random init | ours | 36.8 ± 0.1 | −1.0‡ |\n"
        "| R50 GN | random init | published † |  | +2.0 |\n"
        "| VGG-16 | random init | ours | 1.0 |  |\n"
        "\n"
        "† 5% & more_of {it} #1 for $1.\n"
    )


def test_latex_to_the_letter() -> None:
    assert latex(TABLE, "table1", "AP in %.") == (
        "% Needs \\usepackage{booktabs} and \\usepackage{tabularx}.\n"
        "\\begin{table}[t]\n"
        "\\centering\n"
        "\\caption{AP in \\%.}\n"
        "\\label{tab:table1}\n"
        "\\footnotesize\n"
        "\\setlength{\\tabcolsep}{2.5pt}\n"
        "\\begin{tabularx}{\\columnwidth}{@{}>{\\raggedright\\arraybackslash}Xrr}\n"
        "\\toprule\n"
        " & 2x & 10x \\\\\n"
        "\\midrule\n"
        "\\multicolumn{3}{@{}>{\\raggedright\\arraybackslash}p{\\columnwidth}@{}}{R50 GN} \\\\\n"
        "random init & 36.8 & $-$1.0\\rlap{$^\\ddagger$} \\\\\n"
        " & {\\scriptsize$\\pm$0.1} &  \\\\\n"
        "\\quad published $\\dagger$ &  & +2.0 \\\\\n"
        "\\midrule\n"
        "\\multicolumn{3}{@{}>{\\raggedright\\arraybackslash}p{\\columnwidth}@{}}{VGG-16} \\\\\n"
        "random init & 1.0 &  \\\\\n"
        "\\bottomrule\n"
        "\\end{tabularx}\n"
        "\n"
        "\\smallskip\n"
        "\\raggedright\\scriptsize $\\dagger$ 5\\% \\& more\\_of \\{it\\} \\#1 for \\$1.\n"
        "\\end{table}\n"
    )


def test_latex_sets_columns_that_begin_alike_below_one_word() -> None:
    header = ["box AP", "box AP50", "mask AP"]
    table = Grid(["model", "setting"], header, [], "")
    lines = latex(table, "t", "").splitlines()
    at = lines.index("\\toprule")
    assert lines[at + 1 : at + 4] == [
        " & \\multicolumn{2}{c}{box} & \\multicolumn{1}{c}{mask} \\\\",
        "\\cmidrule(l){2-3}\\cmidrule(l){4-4}",
        " & AP & AP50 & AP \\\\",
    ]
    apart = latex(Grid(["result", "metric"], ["random init", "w/ pre-train"], [], ""), "t", "")
    assert " & random init & w/ pre-train \\\\" in apart


def test_differences_that_do_not_add_up_as_printed_are_told_of() -> None:
    """36.84 - 35.66 is 1.18, of which 36.8 - 35.7 would be 1.1; 36.8 - 35.6 is what it is."""

    def note(random: float, pretrained: float, difference: float, **changes: object) -> str:
        sides = {"random": random, "pretrained": pretrained, "difference": difference}
        rows = [{"value": value, "initialisation": name, **changes} for name, value in sides.items()]
        return grid(results(rows), LAYOUTS["table1"]).note

    assert ROUNDED_NOTE in note(36.84, 35.66, 1.18)
    assert note(36.8, 35.6, 1.2) == note(36.84, 35.64, 1.2) == PUBLISHED["size"][1]
    assert ROUNDED_NOTE not in note(36.84, 35.66, float("nan")), "there is no difference"
    assert ROUNDED_NOTE not in note(40.5, 40.3, 0.2)
    for name in ("table2", "text"):
        sides = {"random": 36.84, "pretrained": 35.66, "difference": 1.18}
        lengths = {"random": "6x", "pretrained": "5x", "difference": "6x − 5x"}
        rows = [
            {"value": value, "initialisation": side, "schedule": lengths[side]}
            for side, value in sides.items()
        ]
        assert ROUNDED_NOTE in grid(results(rows), LAYOUTS[name]).note, name


@pytest.mark.parametrize(
    ("value", "usual", "difference"),
    [
        (1.25, "1.2", "+1.2"),
        (-1.26, "−1.3", "−1.3"),
        (0.0, "0.0", "0.0"),
        (0.04, "0.0", "0.0"),
        (-0.04, "0.0", "0.0"),
        (0.06, "0.1", "+0.1"),
        (None, "", ""),
    ],
)
def test_a_sign_is_of_differences_and_never_of_nothing(
    value: float | None, usual: str, difference: str
) -> None:
    rows = [{"value": value}, {"value": value, "initialisation": "difference"}]
    table = grid(results(rows), LAYOUTS["table1"])

    assert [row.cells for row in table.rows[::2]] == [[usual], [difference]]


def test_columns_of_schedules_stand_by_length_and_others_as_they_come() -> None:
    rows = [{"schedule": "10x", "metric": "AP75"}, {"schedule": "2x", "metric": "AP"}]

    assert grid(results(rows), LAYOUTS["table1"]).header == ["2x", "10x"]
    assert grid(results(rows), LAYOUTS["table2"]).header == ["box AP75", "box AP"]


def test_a_cell_keeps_its_files_and_its_spread() -> None:
    row = {"value": 30.0, "standard_deviation": 0.25, "seeds": 2, "source": "a file.json; b.json"}
    (ours, theirs) = grid(results([row]), LAYOUTS["table2"]).rows

    assert (ours.cells, ours.sources) == (["30.0 ± 0.2"], [["a file.json", "b.json"]])
    assert (theirs.cells, theirs.sources) == ([""], [[]])
    assert ours.labels == ("R50 GN", "random init (2x)")


def test_what_did_not_run_names_no_schedule() -> None:
    (ours, theirs) = grid(results([{"published": 41.0, "schedule": "best"}]), LAYOUTS["table2"]).rows

    assert ours.labels == theirs.labels == ("R50 GN", "random init")


def test_a_table_without_rows_is_a_heading() -> None:
    table = grid(results([]), LAYOUTS["table1"])

    assert table == Grid(["model", "initialisation"], [], [], PUBLISHED["size"][1])
