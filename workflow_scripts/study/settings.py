"""What of the study counts for a job: kept in its record, and compared by the audit with the study as it is now.

Recipes and segments are told without what they leave at its default: a new field with a default changes nothing.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.study.summary import summary

Wildcards = Mapping[str, str]
Settings = dict[str, Any]


def job_settings(study: Study, layout: Layout, rule: str, wildcards: Wildcards) -> Settings:
    """The settings of the job that a rule and its wildcards name, as plain JSON: what its record holds.

    Raises:
        KeyError: the study has no such job.
    """
    found = _OF_RULE[rule](study, layout, wildcards) if rule in _OF_RULE else {}
    return json.loads(json.dumps({"scale": study.scale.name, "wildcards": dict(wildcards), **found}))


def _world(study: Study, _layout: Layout, _wildcards: Wildcards) -> Settings:
    return {"world": study.scale.world}


def _manifest(_study: Study, layout: Layout, wildcards: Wildcards) -> Settings:
    return layout.image_set(wildcards["train_set"], wildcards["split"]).model_dump()


def _images(_study: Study, layout: Layout, wildcards: Wildcards) -> Settings:
    name = wildcards["images"]
    return {"folder": layout.image_folder(name), "parts": layout.image_parts(name)}


def _voc_annotations(_study: Study, layout: Layout, wildcards: Wildcards) -> Settings:
    return {"parts": [part.model_dump() for part in layout.voc_parts(wildcards["split"])]}


def _check_data(_study: Study, layout: Layout, wildcards: Wildcards) -> Settings:
    return layout.checked_options(wildcards["checked"])


def _split(_study: Study, layout: Layout, _wildcards: Wildcards) -> Settings:
    return layout.split_options()


def _subsets(study: Study, layout: Layout, _wildcards: Wildcards) -> Settings:
    return {"subsets": layout.subset_sizes(), "seed": study.config.subset_seed}


def _shares(study: Study, layout: Layout, _wildcards: Wildcards) -> Settings:
    return {"subsets": layout.share_sizes(), "seed": study.config.subset_seed}


def _crops(_study: Study, layout: Layout, _wildcards: Wildcards) -> Settings:
    return layout.crops_options()


def _fetched_backbone(study: Study, _layout: Layout, wildcards: Wildcards) -> Settings:
    return {"weights": study.config.pretraining.fetch[wildcards["model"]].model_dump()}


def _recipe(study: Study, _layout: Layout, wildcards: Wildcards) -> Settings:
    return {"recipe": study.recipes[wildcards["recipe"]].model_dump(mode="json", exclude_defaults=True)}


def _train(study: Study, layout: Layout, wildcards: Wildcards) -> Settings:
    segment = study.segments[wildcards["recipe"], wildcards["segment"]]
    return {
        **_recipe(study, layout, wildcards),
        "segment": segment.model_dump(mode="json", exclude_defaults=True),
        "log_period": study.scale.training.log_period,
    }


def _detect(study: Study, layout: Layout, wildcards: Wildcards) -> Settings:
    augmented = wildcards["testing"] == "test_aug"
    return {
        **_recipe(study, layout, wildcards),
        "test_aug": study.scale.test_aug.model_dump(mode="json") if augmented else None,
    }


def _evaluate(study: Study, layout: Layout, wildcards: Wildcards) -> Settings:
    return {**_recipe(study, layout, wildcards), "replicates": study.scale.evaluation.replicates}


def _compare(study: Study, layout: Layout, wildcards: Wildcards) -> Settings:
    images = layout.image_set(wildcards["train_set"], "val").images
    return {"images": images, "replicates": study.scale.evaluation.replicates}


def _search(study: Study, _layout: Layout, wildcards: Wildcards) -> Settings:
    return {"search": study.searches[wildcards["search"]].description()}


def _style(study: Study, _layout: Layout, _wildcards: Wildcards) -> Settings:
    return {"style": study.config.figures}


def _detectron2(study: Study, _layout: Layout, _wildcards: Wildcards) -> Settings:
    runs = study.needed_runs(study.config.experiments)
    return {"schedules": {run.schedule.name: run.schedule.model_dump() for run in runs}}


def _study(study: Study, _layout: Layout, _wildcards: Wildcards) -> Settings:
    return {"summary": summary(study)}


_OF_RULE: dict[str, Callable[[Study, Layout, Wildcards], Settings]] = {
    "world": _world,
    "manifest": _manifest,
    "images": _images,
    "voc_annotations": _voc_annotations,
    "check_data": _check_data,
    "split": _split,
    "subsets": _subsets,
    "shares": _shares,
    "crops": _crops,
    "fetched_backbone": _fetched_backbone,
    "recipe": _recipe,
    "train": _train,
    "detect": _detect,
    "evaluate": _evaluate,
    "compare": _compare,
    "search": _search,
    "figure": _style,
    "report": _style,
    "detectron2": _detectron2,
    "study": _study,
}
"""Rules whose jobs depend on the study by more than their inputs, which are not listed here."""
