"""detectron2's keys and the types of their values, asked of its own defaults without its import, which brings torch."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from yacs.config import CfgNode

VGG = {"STAGE_DEPTHS": [2, 2, 3, 3, 3], "STAGE_CHANNELS": [64, 128, 256, 512, 512]}
"""`MODEL.VGG`, which detectron2 lacks: convolutions of each stage, and their channels."""


def refused(name: str, value: object) -> str:
    """Why detectron2's configuration does not take a value, in its words; empty where it does.

    Nothing is refused where detectron2 is not installed, as on a machine that only submits jobs.
    """
    defaults = _defaults()
    if defaults is None:
        return ""
    try:
        defaults.clone().merge_from_list([name, value])
    except (AssertionError, KeyError, ValueError) as error:
        return str(error) or "it refuses the value"
    return ""


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
