"""A finished table as LaTeX that fits one column of two: a float of its own, to be `\\input`.

What is below a value, its `±`, is set below it here, so that six columns fit 3.4 inches.
"""

import re
from itertools import groupby

from workflow_scripts.tables.layout import UNCONVERGED, Grid, Row

SYMBOLS = {
    "−": "$-$",
    "±": "$\\pm$",
    "†": "$\\dagger$",
    UNCONVERGED: "$\\ddagger$",
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
}
CELL = re.compile(
    rf"(?P<value>[^±{UNCONVERGED}]*?)( ± (?P<spread>[^{UNCONVERGED}]*))?(?P<mark>{UNCONVERGED}?)"
)
PACKAGES = "% Needs \\usepackage{booktabs} and \\usepackage{tabularx}."
LABELS = "@{}>{\\raggedright\\arraybackslash}"
"""A column of labels: to the edge of the page's column, and not justified."""


def latex(table: Grid, name: str, caption: str) -> str:
    """A `table` of LaTeX, as wide as the page's column, with a caption and the label `tab:<name>`.

    All of it is ASCII. Sizes are set within the float alone.
    """
    columns = len(table.header)
    lines = [
        line
        for _, rows in groupby(table.rows, lambda row: row.labels[0])
        for line in _group([*rows], columns)
    ]
    return "\n".join(
        [
            PACKAGES,
            "\\begin{table}[t]",
            "\\centering",
            f"\\caption{{{escaped(caption)}}}",
            f"\\label{{tab:{name}}}",
            "\\footnotesize",
            "\\setlength{\\tabcolsep}{2.5pt}",
            f"\\begin{{tabularx}}{{\\columnwidth}}{{{LABELS}X{'r' * columns}}}",
            "\\toprule",
            *_header(table.header),
            *lines,
            "\\bottomrule",
            "\\end{tabularx}",
            "",
            "\\smallskip",
            f"\\raggedright\\scriptsize {escaped(table.note)}",
            "\\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Text as LaTeX sets it."""
    return re.sub(r"[&%$#_{}−±†‡\\~]", lambda found: SYMBOLS.get(found[0], f"\\{found[0]}"), text)


def _header(names: list[str]) -> list[str]:
    """Columns that begin with the same word, `box AP` and `box AP50`, stand below it."""
    parted = [name.partition(" ") for name in names]
    groups = [(word, len([*same])) for word, same in groupby(first for first, _, _ in parted)]
    if len(groups) == len(names) or not all(rest for _, _, rest in parted):
        return [_line(["", *map(escaped, names)])]
    above = [f"\\multicolumn{{{width}}}{{c}}{{{escaped(word)}}}" for word, width in groups]
    rules, at = "", 2
    for _, width in groups:
        rules += f"\\cmidrule(l){{{at}-{at + width - 1}}}"
        at += width
    return [_line(["", *above]), rules, _line(["", *(escaped(rest) for _, _, rest in parted)])]


def _group(rows: list[Row], columns: int) -> list[str]:
    """The rows of one first label, which stands above them."""
    title = f"\\multicolumn{{{columns + 1}}}{{{LABELS}p{{\\columnwidth}}@{{}}}}{{{escaped(rows[0].labels[0])}}} \\\\"
    return ["\\midrule", title, *(line for row in rows for line in _rows(row))]


def _rows(row: Row) -> list[str]:
    """A row of values, and below it one of what they are sure to; none of published values that there are not."""
    ours = row.whose == "ours"
    if not ours and not any(row.cells):
        return []
    found = [CELL.fullmatch(cell) for cell in row.cells]
    values = [_value(each["value"], each["mark"]) if each else "" for each in found]
    spreads = [each["spread"] if each else None for each in found]
    lines = [_line([escaped(row.labels[1]) if ours else f"\\quad {escaped(row.whose)}", *values])]
    if any(spreads):
        small = [f"{{\\scriptsize$\\pm${spread}}}" if spread else "" for spread in spreads]
        lines.append(_line(["", *small]))
    return lines


def _value(value: str, mark: str) -> str:
    """A mark takes no room, so that digits stand below digits."""
    return escaped(value) + ("\\rlap{$^\\ddagger$}" if mark else "")


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + " \\\\"
