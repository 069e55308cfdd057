"""What the report reads: the study's summary, captions, verdicts, searches, and any JSON object."""

from pathlib import Path
from typing import Any

import msgspec

from workflow_scripts.errors import UserError
from workflow_scripts.report.words import Word


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
    subsets: dict[str, str] = {}


class Caption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Jinja templates of a figure's or table's heading and caption."""

    title: str
    text: str = ""


class Captions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`reports/captions.yaml`: what the scales' banners and the captions say, and the paper's numbers by conclusion."""

    scales: dict[str, str]
    captions: dict[str, Caption]
    claims: dict[int, str] = {}


class Evidence(msgspec.Struct, frozen=True):
    """A number behind a verdict, with an interval where there is one; `sources` are paths.

    `expects` says what it had to be, `outcome` what became of that, `reason` why it was not judged, and `convergence`
    how far its trainings had got; `means` is what was claimed, `below`, `above` and `unit` how the number is told
    (`report/claims.py`): all empty for a number that decides nothing.
    """

    what: str
    value: float | None
    low: float | None = None
    high: float | None = None
    expects: str = ""
    outcome: str = ""
    reason: str = ""
    convergence: list[str] = []
    means: str = ""
    below: str = ""
    above: str = ""
    unit: str = ""
    seeds: int = 0
    method: str = ""
    sources: list[str] = []


class Verdict(msgspec.Struct, frozen=True):
    """One of the paper's conclusions and what this study shows of it; `missing` was not trained."""

    number: int
    conclusion: str
    verdict: Word
    why: str
    missing: list[str] = []
    evidence: list[Evidence] = []


class SearchPoint(msgspec.Struct, frozen=True):
    """Hyper-parameters that a search tried; `value` of the search's metric in percent, `source` its file."""

    point: str
    base_lr: float
    decay_factor: float
    image_sides: list[int]
    value: float | None
    source: str


class Search(msgspec.Struct, frozen=True):
    """A search for hyper-parameters; `chosen` is the name of its best point."""

    search: str
    subset: str
    model: str
    initialisation: str
    schedule: str
    seed: int
    metric: str
    chosen: str
    points: list[SearchPoint]


def read_study(path: str | Path) -> Study:
    """The study's summary. Raises `UserError` on a missing or malformed file."""
    return _decode(path, lambda data: msgspec.json.decode(data, type=Study))


def read_captions(path: str | Path) -> Captions:
    """The captions. Raises `UserError` on a missing or malformed file."""
    return _decode(path, lambda data: msgspec.yaml.decode(data, type=Captions))


def read_verdicts(path: str | Path) -> list[Verdict]:
    """The verdicts by number. Raises `UserError` on a missing or malformed file."""
    verdicts = _decode(path, lambda data: msgspec.json.decode(data, type=list[Verdict]))
    return sorted(verdicts, key=lambda verdict: verdict.number)


def read_search(path: str | Path) -> Search:
    """A search's result. Raises `UserError` on a missing or malformed file."""
    return _decode(path, lambda data: msgspec.json.decode(data, type=Search))


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
