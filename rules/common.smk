"""The compiled study, and the lookups that rules share."""

import json
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, workflow.basedir)
os.environ["PYTHONPATH"] = workflow.basedir

from workflow_scripts.errors import UserError
from workflow_scripts.study.study import compile_study

try:
    STUDY = compile_study(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

SCALE = STUDY.scale
RESULTS = f"{STUDY.config.results}/{SCALE.name}"
WORLD = f"{RESULTS}/world"
RECIPE = f"{RESULTS}/recipes/{{recipe}}.json"
SEGMENT = f"{RESULTS}/training/{{recipe}}/{{segment}}"
EVALUATION = f"{RESULTS}/evaluation/{{recipe}}/{{segment}}/{{iteration}}"
RUN = f"{RESULTS}/runs/{{recipe}}/{{schedule}}"


def one_of(names):
    """A wildcard constraint: exactly the registered names."""
    return "|".join(map(re.escape, sorted(set(names)))) or "none"


wildcard_constraints:
    recipe=one_of(STUDY.recipes),
    segment=one_of(segment.name for segment in STUDY.segments.values()),
    schedule=one_of(STUDY.schedules),
    experiment=one_of(STUDY.experiments),
    iteration=r"\d+",
    split="train|val",


def here(path):
    """A file of the repository, relative to the working folder: a moved repository runs nothing again."""
    return os.path.relpath(os.path.join(workflow.basedir, path))


def code(*modules):
    """Modules of the package whose change makes a rule run again."""
    return [here(f"workflow_scripts/{module}") for module in modules]


def template(name):
    """A file of `reports/`."""
    return here(f"reports/{name}")


def segment_of(wildcards):
    return STUDY.segments[wildcards.recipe, wildcards.segment]


def run_of(wildcards):
    return STUDY.runs[wildcards.recipe, wildcards.schedule]


def options(*names):
    """A params function: command-line options for those of the named inputs that a job has."""
    return lambda wildcards, input: " ".join(f"--{name} {input[name]}" for name in names if name in input.keys())


def figure(name):
    return multiext(f"{RESULTS}/figures/{name}", ".png", ".pdf")


def table(name):
    return multiext(f"{RESULTS}/tables/{name}", ".csv", ".md", ".tex")
