"""What counts for a job: read back from a file as it was told, and different where the study differs in what counts."""

from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.jobs.sheet import Sheet, read_sheet, write_sheet
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.study.settings import job_settings

CONFIG = {"scale": "smoke", "experiments": ["fig1", "fig5", "fig6", "fig7", "text"]}
STUDY = compile_study(CONFIG)
RECIPE, SEGMENT = next(iter(STUDY.segments))
JOBS = [
    *(("search", {"search": name}) for name in STUDY.searches),
    *(("train", {"recipe": recipe, "segment": segment}) for recipe, segment in STUDY.segments),
    *(("detect", {"recipe": RECIPE, "testing": testing}) for testing in ("single_scale", "test_aug")),
    ("evaluate", {"recipe": RECIPE}),
    ("compare", {"train_set": "coco"}),
    ("recipe", {"recipe": RECIPE}),
    ("world", {}),
    ("subsets", {}),
    ("voc_annotations", {"split": "train"}),
    ("figure", {}),
    ("study", {}),
    ("report", {}),
]


def told(study: Study) -> list[dict[str, Any]]:
    """The settings of each job."""
    layout = Layout(study)
    return [job_settings(study, layout, rule, wildcards) for rule, wildcards in JOBS]


def test_settings_are_read_back_as_they_were_told(tmp_path: Path) -> None:
    """From a file that another encoder writes, as jobs get them and keep them in their records."""
    for (rule, wildcards), settings in zip(JOBS, told(STUDY), strict=True):
        sheet = Sheet(rule, {}, [], [], settings)
        write_sheet(tmp_path, sheet)
        read = read_sheet(tmp_path / sheet.name).settings
        assert read == settings
        assert (read["scale"], read["wildcards"]) == ("smoke", wildcards)


OF_RECIPE = {"recipe", "train", "detect single_scale", "detect test_aug", "evaluate"}
CHANGES = {
    "a rate": ({"numbers": {"detection": {"base_lr": 0.5}}}, OF_RECIPE | {"search", "study"}),
    "a backbone": ({"numbers": {"backbones": {"R50": {"MODEL.RESNETS.DEPTH": 34}}}}, OF_RECIPE | {"study"}),
    "lines of metrics": ({"numbers": {"training": {"log_period": 4}}}, {"train"}),
    "when states are saved": ({"numbers": {"training": {"save_period": 2}}}, set()),
    "test augmentation": ({"numbers": {"test_aug": {"longest_side": 90}}}, {"detect test_aug", "study"}),
    "resamples": ({"numbers": {"evaluation": {"replicates": 100}}}, {"evaluate", "compare", "study"}),
    "the world": ({"numbers": {"world": {"seed": 1}}}, {"world", "study"}),
    "a colour": ({"figures": {"colours": {"random": "#000000"}}}, {"figure", "report"}),
    "subsets": ({"subset_seed": 7}, {"subsets"}),
}
"""What a person changes, and the rules of whose jobs some are told otherwise."""


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_told_to_the_jobs_that_it_counts_for_and_to_no_others(change: str) -> None:
    config, rules = CHANGES[change]
    changed = {
        f"{rule} {wildcards['testing']}" if "testing" in wildcards else rule
        for (rule, wildcards), before, after in zip(
            JOBS, told(STUDY), told(compile_study(CONFIG | config)), strict=True
        )
        if before != after
    }
    assert changed == rules
