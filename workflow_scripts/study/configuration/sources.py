"""Where a value was given: config.yaml, a file of --configfile, --config, or a profile. Messages name it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.study.configuration.documents import read_mapping

MAIN = "config.yaml"
NAMED = re.compile(rf"^(?P<before>(?:scales/\S+ with `numbers` of )?){re.escape(MAIN)}: (?P<field>[^:]+):")

Source = tuple[str, Mapping[str, Any]]
"""A name for people, and what was given there."""


def sources(configfiles: Iterable[Path], given: Mapping[str, Any], arguments: Sequence[str]) -> list[Source]:
    """What a study's values were given by, each laid over those before it, as Snakemake does.

    configfiles: those of --configfile. given: values of --config, which a profile can hold as well. arguments: the
    command line.

    Raises:
        UserError: a file that is no YAML, or gives a key twice.
    """
    files = [Path(MAIN)] if Path(MAIN).is_file() else []
    files += [shown for file in configfiles if (shown := _shown(file)) not in files]
    read: list[Source] = [(str(file), read_mapping(file)) for file in files]
    by_hand = any(
        argument in ("--config", "-C") or argument.startswith("--config=") for argument in arguments
    )
    return [*read, ("--config" if by_hand else "config of the profile", given)]


def attributed(message: str, found: Sequence[Source]) -> str:
    """A message of several lines, each of which names the source of the value at fault instead of config.yaml."""
    return "\n".join(_attributed(line, found) for line in message.splitlines())


def _attributed(line: str, found: Sequence[Source]) -> str:
    named = NAMED.match(line)
    if not named:
        return line
    field = ("numbers." if named["before"] else "") + named["field"]
    depths = [_depth(values, field) for _, values in found]
    if not any(depths):
        return line
    last = max(range(len(found)), key=lambda number: (depths[number], number))
    return f"{named['before']}{found[last][0]}: {line[named.start('field') :]}"


def _depth(values: Any, field: str) -> int:
    """How many characters of a field's name `values` hold: keys may hold points themselves."""
    if not isinstance(values, Mapping):
        return 0
    for key in sorted(map(str, values), key=len, reverse=True):
        if re.match(rf"{re.escape(key)}(?![\w-])", field):
            rest = field[len(key) :].lstrip(".")
            return len(key) + _depth(values.get(key), rest)
    return 0


def _shown(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
