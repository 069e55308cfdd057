"""What the report reads: the study's summary, the captions, and any JSON object."""

from pathlib import Path
from typing import Any

import msgspec

from workflow_scripts.errors import UserError


class Experiment(msgspec.Struct, frozen=True):
    """A figure or table that the study asked for."""

    name: str
    title: str


class Iterations(msgspec.Struct, frozen=True):
    """Training iterations of the study, and what they would be if no run shared its trunk."""

    planned: int
    without_sharing: int


class ScheduleNumbers(msgspec.Struct, frozen=True):
    """A schedule's length and drops in iterations."""

    iterations: int
    first_drop: int
    second_drop: int


class Study(msgspec.Struct, frozen=True):
    """`study.json`."""

    scale: str
    experiments: list[Experiment]
    iterations: Iterations
    schedules: dict[str, ScheduleNumbers]
    notes: list[str] = []


class Caption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Jinja templates of a figure's or table's heading and caption."""

    title: str
    text: str = ""


class Captions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`reports/captions.yaml`: what the scales' banners and the captions say."""

    scales: dict[str, str]
    captions: dict[str, Caption]


def read_study(path: str | Path) -> Study:
    """The study's summary. Raises `UserError` on a missing or malformed file."""
    return _decode(path, lambda data: msgspec.json.decode(data, type=Study))


def read_captions(path: str | Path) -> Captions:
    """The captions. Raises `UserError` on a missing or malformed file."""
    return _decode(path, lambda data: msgspec.yaml.decode(data, type=Captions))


def read_all(paths: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """JSON objects with their paths. Raises `UserError` on a missing or malformed file."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    return [(path, _decode(path, decoder.decode)) for path in paths]


def _decode(path: str | Path, decode: Any) -> Any:
    try:
        return decode(Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Make it first.") from None
    except msgspec.DecodeError as error:
        raise UserError(f"{path}: {error}. Make the file again or mend it.") from None
