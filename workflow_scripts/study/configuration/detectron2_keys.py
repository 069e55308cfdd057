"""detectron2's keys and the types of their values, asked of its own defaults without its import, which brings torch."""

import ast
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from yacs.config import CfgNode

LONGEST = 200
"""Characters of a reason: some name a whole section."""
VGG = {"STAGE_DEPTHS": [2, 2, 3, 3, 3], "STAGE_CHANNELS": [64, 128, 256, 512, 512]}
"""`MODEL.VGG`, which detectron2 lacks: convolutions of each stage, and their channels."""


def refused(name: str, value: object) -> str:
    """Why detectron2's configuration does not take a value, in its words; empty where it does.

    Of keys and types nothing is refused where detectron2 is not installed, as on a machine that only submits jobs.
    """
    if isinstance(value, dict):
        return "no section: write each of its keys by its whole name, such as MODEL.RPN.NMS_THRESH"
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return "finite numbers, text, truths, and lists of them"
    if name == "MODEL.ANCHOR_GENERATOR.SIZES" and not _are_sizes(value):
        return "sizes in pixels above 0, in a list for each level"
    defaults = _defaults()
    if defaults is None:
        return ""
    try:
        defaults.clone().merge_from_list([name, value])
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        return " ".join(str(error).split())[:LONGEST] or "it refuses the value"
    return ""


def _are_sizes(value: object) -> bool:
    """Whether it is a list of numbers above 0, or of such lists."""
    if isinstance(value, list):
        return bool(value) and all(map(_are_sizes, value))
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


@cache
def _defaults() -> CfgNode | None:
    """What `detectron2/config/defaults.py` makes: statements on a `CfgNode`, but for the import of that class."""
    package = find_spec("detectron2")
    if package is None or package.origin is None:
        return None
    tree = ast.parse((Path(package.origin).parent / "config" / "defaults.py").read_text(encoding="utf-8"))
    tree.body = [statement for statement in tree.body if not isinstance(statement, ast.ImportFrom)]
    made = {"CN": CfgNode}
    exec(compile(tree, "defaults.py", "exec"), made)
    defaults = made["_C"]
    defaults.MODEL.VGG = CfgNode(VGG)
    return defaults
