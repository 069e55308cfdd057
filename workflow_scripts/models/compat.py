"""What must be in place before detectron2 0.6 is imported without its compiled operators.

Nothing the paper trains needs them: they are deformable convolution, rotated boxes and the fast COCO evaluator.
With upstream's detectron2, which has them and current names, `apply` changes nothing.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import NoReturn

import PIL.Image

from workflow_scripts.errors import UserError

OPERATORS = "detectron2._C"


class MissingOperators(ModuleType):
    """Stands for `detectron2._C`: may be imported, not used."""

    def __getattr__(self, name: str) -> NoReturn:
        # The import system and `inspect` probe dunder names and expect this answer.
        if name.startswith("__"):
            raise AttributeError(name)
        raise UserError(
            f"detectron2's compiled operator {name!r} was asked for, but this environment holds only detectron2's "
            f"Python layer (found: {OPERATORS} is missing). Choose a recipe without deformable convolution and rotated "
            "boxes, or install upstream's detectron2 as envs/README.md says"
        )


def apply() -> None:
    """Make `import detectron2` work here. Imports neither torch nor detectron2; a second call does nothing."""
    if not hasattr(PIL.Image, "LINEAR"):
        PIL.Image.LINEAR = PIL.Image.Resampling.BILINEAR  # type: ignore[attr-defined]
    detectron2 = find_spec("detectron2")
    if detectron2 is None or OPERATORS in sys.modules:
        return
    if PathFinder.find_spec(OPERATORS, detectron2.submodule_search_locations) is None:
        stub = MissingOperators(OPERATORS)
        stub.__spec__ = ModuleSpec(OPERATORS, loader=None)
        sys.modules[OPERATORS] = stub
