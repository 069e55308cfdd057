"""What counts for a job: told the same when it is read back from a record."""

import json

import pytest

from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.study.settings import job_settings

STUDY = compile_study({"scale": "smoke", "experiments": ["fig1", "fig5", "fig6", "fig7", "text"]})
RECIPE, SEGMENT = next(iter(STUDY.segments))
JOBS = [
    *(("search", {"search": name}) for name in STUDY.searches),
    *(("train", {"recipe": recipe, "segment": segment}) for recipe, segment in STUDY.segments),
    *(("detect", {"recipe": RECIPE, "testing": testing}) for testing in ("single_scale", "test_aug")),
    ("evaluate", {"recipe": RECIPE}),
    ("world", {}),
    ("subsets", {}),
    ("voc_annotations", {"split": "train"}),
    ("figure", {}),
    ("study", {}),
    ("report", {}),
]


@pytest.mark.parametrize("rule", {rule: None for rule, _ in JOBS})
def test_settings_are_what_a_record_gives_back(rule: str) -> None:
    layout = Layout(STUDY)
    for wildcards in (wildcards for name, wildcards in JOBS if name == rule):
        settings = job_settings(STUDY, layout, rule, wildcards)
        assert json.loads(json.dumps(settings)) == settings
        assert settings["wildcards"] == wildcards
