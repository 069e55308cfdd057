"""YAML (or JSON) that a person wrote: each mistake names the file and the line, and no key may be given twice."""

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.errors import UserError

MOST_VALUES = 100_000
"""Of a document, aliases counted as what they stand for: few lines of them can stand for more than any memory holds."""


class _EachKeyOnce(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if key.value in lines:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} is given twice, first in line {lines[key.value]}; keep one",
                    problem_mark=key.start_mark,
                )
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def read_mapping(
    path: Path, name: str = "", expected: str = "keys such as scale and experiments"
) -> dict[str, Any]:
    """What a YAML file says; an empty one says nothing. `name`: what messages call it.

    Raises:
        UserError: it cannot be read, is no YAML, gives a key twice, or holds anything but keys and values.
    """
    name = name or str(path)
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else yaml.load(text, _EachKeyOnce)
    except OSError as error:
        raise UserError(
            f"{name}: cannot be read ({error.strerror}); correct the path or its permissions"
        ) from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{name}{line}: expected YAML; {error.problem}") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(
            f"{name}: expected YAML in UTF-8; {type(error).__name__}: {str(error)[:100]}"
        ) from None
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise UserError(f"{name}: found {found!r:.80}, expected {expected}")
    if _size(found, {}) > MOST_VALUES:
        raise UserError(
            f"{name}: found more than {MOST_VALUES:,} values, aliases written out; expected fewer"
        )
    return dict(found)


def _size(value: object, known: dict[int, int]) -> int:
    """How many values there are in `value`, each alias counted again."""
    if id(value) not in known:
        within = (
            [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
        )
        known[id(value)] = 1 + sum(_size(each, known) for each in within)
    return known[id(value)]
