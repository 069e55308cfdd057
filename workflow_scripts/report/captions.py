"""Captions: templates of `reports/captions.yaml`, filled with what the study holds."""

from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from workflow_scripts.errors import UserError
from workflow_scripts.report.inputs import Captions, Study, read_captions, read_study
from workflow_scripts.report.sections import read_sources
from workflow_scripts.tables.published import COMPARABLE_SCALE
from workflow_scripts.tables.tidy import schedule_order


def caption_facts(study: Study, source: pd.DataFrame | None) -> dict[str, Any]:
    """What a caption may speak of, with `source` its tidy table; `reports/captions.yaml` lists it."""
    runs = source if source is not None and "run" in source.columns else None
    names = study.schedules if runs is None else study.schedules.keys() & set(runs["schedule"])
    return {
        "scale": study.scale,
        "schedules": {name: study.schedules[name] for name in sorted(names, key=schedule_order)},
        "models": [] if runs is None else list(dict.fromkeys(runs["model"])),
        "seeds": 0 if runs is None else runs["seed"].nunique(),
        "subsets": ", ".join(
            f"{name} is {words}"
            for name, words in study.subsets.items()
            if runs is None or name in set(runs["subset"])
        ),
        "published": study.scale == COMPARABLE_SCALE,
        "experiments": {experiment.name: experiment.title for experiment in study.experiments},
        "iterations": study.iterations,
    }


def caption(
    environment: jinja2.Environment, captions: Captions, facts: dict[str, Any], name: str
) -> dict[str, str]:
    """Title and text of a figure or table. Raises `UserError` on a template that does not render."""
    written = captions.captions.get(name, captions.captions.get(name.partition("_")[0]))
    if written is None:
        return {"title": facts["experiments"].get(name, name), "text": ""}
    try:
        return {
            "title": Markup(environment.from_string(written.title).render(facts)),
            "text": Markup(environment.from_string(written.text).render(facts)),
        }
    except jinja2.TemplateError as error:
        raise UserError(f"The caption of {name} does not render: {error}. Mend the captions file.") from None


def plain_caption(study: str, captions: str, table: str, name: str) -> dict[str, str]:
    """`title` and `text` without HTML; both empty where the study has not run so far."""
    if not Path(study).exists() or not Path(table).exists():
        return {"title": "", "text": ""}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    facts = caption_facts(read_study(study), read_sources(Path(table)))
    return {
        key: str(text) for key, text in caption(environment, read_captions(captions), facts, name).items()
    }
