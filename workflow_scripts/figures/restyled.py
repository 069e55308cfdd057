"""Whether figures were drawn in another style than the study's is now: what a person is told before they change.

It imports no plotting, for the workflow asks each time that it starts.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.errors import UserError
from workflow_scripts.jobs.record import read_record, record_path


def restyled(figures: Iterable[str | Path], style: Mapping[str, Any]) -> str:
    """What to say of figures whose record tells of another style; empty where there are none.

    figures: the first outputs of figures' jobs, drawn or not.
    """
    others: dict[str, list[str]] = {}
    for figure in map(Path, figures):
        try:
            drawn = read_record(record_path(figure)).settings.get("style", {})
        except UserError:  # not drawn yet; that a record is broken is the audit's to say
            continue
        if drawn != style:
            others.setdefault(in_words(drawn), []).append(figure.stem)
    if not others:
        return ""
    were = "; ".join(f"{', '.join(names)} with {then}" for then, names in others.items())
    return (
        f"Style of figures: {in_words(style)}. Drawn in another: {were}. They are drawn again when asked for. "
        "A style lasts if it stands under `figures` in config.yaml; one given by --config is for that call alone."
    )


def in_words(style: Mapping[str, Any]) -> str:
    """A style for people: as JSON, or `the default`."""
    return json.dumps(style, sort_keys=True) if style else "the default"
