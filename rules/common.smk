"""The compiled study, its layout, and what rules share."""

import json
import math
import os
import re
import shlex
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

from snakemake.io import IOFile

from workflow_scripts.errors import UserError
from workflow_scripts.jobs.decision import decide
from workflow_scripts.jobs.sheet import Sheet, digest, write_sheet
from workflow_scripts.report.answer import answer_of, read_headline
from workflow_scripts.study.advice import facts, in_words
from workflow_scripts.study.batches import TESTING, batches
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.experiments import experiments
from workflow_scripts.study.layout.data import CHECKED, CHECKED_OPTIONS
from workflow_scripts.study.layout.exports import exported_files, exported_runs, table_replicates
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.study.plan import planned, seconds_expected
from workflow_scripts.study.settings import job_settings
from workflow_scripts.study.summary import sharing, summary
from workflow_scripts.terminal.install import install
from workflow_scripts.terminal.jobs import after_searches

# Jobs find the package from whichever folder the workflow runs in.
shell.prefix(f"export PYTHONPATH={shlex.quote(str(workflow.basedir))}; ")

# Words of the command line, targets among them, which Snakemake tells no workflow while it reads one.
ASKED = {word for before, word in pairwise(sys.argv) if before not in ("--quiet", "-q")}

try:
    # What a study takes is asked before its data is fetched.
    STUDY = compile_study(config, planning="plan" in ASKED and not ASKED & {"all", *experiments([])})
except UserError as error:
    raise mistake(attributed(str(error), SOURCES)) from None

SCALE = STUDY.scale
LAYOUT = Layout(STUDY, raw=ancient)
for refused in sorted({"advise" if word == "costs" else word for word in ASKED} & set(STUDY.experiments)):
    # Here, since what an input function raises comes inside a message of Snakemake's.
    if refusal := LAYOUT.refusal(refused):
        raise mistake(f"{refused}: {attributed(refusal, SOURCES)}")

if workflow.is_main_process:
    logger.info(sharing(STUDY, () if "all" in ASKED else ASKED & set(STUDY.experiments)))
    if "advise" in ASKED and STUDY.advice:
        logger.info(in_words(STUDY.advice, STUDY.config, STUDY.scale))
    decide()

LIGHT = SCALE.resources.light
EVALUATE = SCALE.resources.evaluate
TRAIN = SCALE.resources.train
# Snakemake starts a training again in a new job; within a job it must not.
RETRIES = TRAIN.retries if workflow.is_main_process else 0
# Of jobs that the pre-trained half of all trainings waits for, above the others': they would keep every core at first,
# and leave the classifier alone with them in the end.
PRETRAINING = 100


# Jobs that share a submission to a cluster, where the profile has `group-components: {batch: ...}`: those of one batch
# may not read of each other, and Snakemake must be told that it may join them.
BATCHES = batches(STUDY)
workflow.parent_groupids.update((batch.name, "batch") for batch in BATCHES.values())


# What a person sees of the run; nothing of it in the jobs that it starts.
TERMINAL = workflow.is_main_process and install(
    logger,
    workflow.output_settings,
    graph=lambda: workflow.dag,
    expected=partial(seconds_expected, STUDY),
    later=partial(after_searches, STUDY),
)


onsuccess:
    if TERMINAL:
        TERMINAL.succeeded(
            {
                LAYOUT.report: lambda: answer_of(LAYOUT.verdicts, SCALE.name),
                LAYOUT.advice_page: lambda: read_headline(LAYOUT.advice),
                LAYOUT.costs: lambda: Path(LAYOUT.costs).read_text(),
            }
        )


onerror:
    if TERMINAL:
        TERMINAL.failed()


# With a limit on jobs a second, and Snakemake 9 sets one, each pass of its scheduler starts a timer for another: they pile
# up until the scheduler takes half a core from the training.
onstart:
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
    if workflow.is_main_process:
        train_anew_where_asked()
        prepare_slurm()


def one_of(names):
    """A wildcard constraint: exactly the registered names."""
    return "|".join(map(re.escape, sorted(set(names)))) or "none"


wildcard_constraints:
    recipe=one_of(STUDY.recipes),
    segment=one_of(segment.name for segment in STUDY.segments.values()),
    schedule=one_of(STUDY.schedules),
    model=one_of(recipe.model for recipe in STUDY.recipes.values()),
    experiment=one_of(STUDY.experiments),
    search=one_of(STUDY.searches),
    points="curve|end",
    testing="single_scale|test_aug",
    train_set="coco|keypoints|voc",
    images="(coco|voc|classification)-(train|val)",
    checked=one_of(CHECKED),
    paths="[0-9a-f]{12}",
    models="[0-9a-f]{12}",
    split="train|val",


def here(path):
    """A file of the repository, relative to the working folder: a moved repository runs nothing again."""
    return os.path.relpath(os.path.join(workflow.basedir, path))


def code(area, *modules):
    """Modules of the package whose change makes a rule run again."""
    return [here(f"workflow_scripts/{area}/{module}.py") for module in modules]


def as_json(value, indent=None):
    """A recipe or segment without what it leaves at its default: a new field with a default trains nothing again."""
    return value.model_dump_json(exclude_defaults=True, indent=indent)


def job(rule_name, *given, optional=(), untracked=None, **options):
    """Params of a rule: the file that tells a job its options and its record all that counts, and a digest of options.

    `given` are options of the name and value of an output, an input or a wildcard, likewise `optional`, where a job has
    it; `options` are values or functions of the wildcards. A change of those runs the job again, but for what is
    `untracked`. The digest is there for that: Snakemake compares no params that derive from inputs or outputs.
    """

    def chosen_options(wildcards):
        return {name: value(wildcards) if callable(value) else value for name, value in options.items()}

    def sheet(wildcards, input, output):
        named = {**wildcards, **as_plain(input), "output": str(output), **as_plain(output)}
        found = Sheet(
            rule_name,
            options={name: named[name] for name in given}
            | {name: named.get(name) for name in optional}
            | chosen_options(wildcards),
            inputs=list(map(str, input)),
            outputs=list(map(str, output)),
            settings=job_settings(STUDY, LAYOUT, rule_name, dict(wildcards)),
            untracked=untracked or {},
        )
        # Only where jobs will run: not for a dry run, nor for a question about the workflow.
        if workflow.executor_plugin and not workflow.dryrun:
            write_sheet(LAYOUT.sheets, found)
        return f"{LAYOUT.sheets}/{found.name}"

    return {"job": sheet, "options": lambda wildcards: digest(chosen_options(wildcards))}


def as_plain(files):
    """Named inputs or outputs as text, or lists of text."""
    return {
        name: str(value) if isinstance(value, str) else list(map(str, value)) for name, value in files.items()
    }


def chosen(search):
    """The point that a search chose; where it has not yet, Snakemake runs it first and asks again."""
    path = checkpoints.search.get(search=search).output[0]
    try:
        return STUDY.searches[search].chosen(path)
    except UserError as error:
        raise mistake(str(error)) from None


def captioned(experiment, part):
    """`title` or `text` of a figure's or table's caption, for `snakemake --report`."""
    # Here, since pandas comes with it and each job parses these rules.
    from workflow_scripts.report.captions import plain_caption

    study, captions = f"{LAYOUT.root}/study.json", here("reports/captions.yaml")
    return plain_caption(study, captions, LAYOUT.table_of(experiment), experiment)[part]


class Caption:
    """The text of a figure's or table's caption, put together where it is printed: jobs do without."""

    def __init__(self, experiment):
        self._experiment = experiment

    def __str__(self):
        return captioned(self._experiment, "text")


def table_module(experiment):
    """The module that makes a table; it makes a part of it, such as text_voc, too."""
    return experiment.partition("_")[0]


def of_checked(option):
    """An option of the check of a data set; those of COCO's format and of image folders are not the same."""
    return lambda wildcards: LAYOUT.checked_options(wildcards.checked).get(option)


def of_fit(option):
    """An option of the comparison of a data set with what a detector sees."""
    return lambda wildcards: LAYOUT.fit_options(wildcards.train_set)[option]


def checked(output, data):
    """An input function: the checks without which a job on data does not begin, a training or a detection.

    What is done with the same data keeps those that it had, be it none, whatever became of them: Snakemake would take
    another input, or a newer one, for a reason to do it again. Others must not have them as `ancient`: where a check runs
    again, Snakemake does not look at what is behind it.
    """

    def reports(wildcards):
        path = output.format(**wildcards)
        before = workflow.persistence.input(IOFile(path))
        if before is not None and set(map(str, data(wildcards).values())) <= set(before):
            return ancient([name for name in before if name.startswith(LAYOUT.checks)])
        current = LAYOUT.checks_before(wildcards.recipe)
        return ancient(current) if os.path.exists(path) else current

    return reports


def at_several_scales(value):
    """An option of the evaluations that test augmentation makes; others lack it."""
    return lambda wildcards: value if wildcards.testing == "test_aug" else None


def pretraining_first(wildcards):
    """The priority of a job of a data set or a recipe: the classifier's come before detectors'."""
    return PRETRAINING if any(value.startswith("classification") for value in wildcards) else 0


def batch_of(rule_name, wildcards):
    """The batch of a job of a recipe's segment; None if it is submitted alone, or not at all."""
    if (
        "batch" not in workflow.group_settings.group_components
        or wildcards.get("testing", TESTING) != TESTING
    ):
        return None
    return BATCHES.get((rule_name, wildcards.recipe, wildcards.segment))


def group_of(rule_name):
    """The group of a rule's jobs, in Snakemake's terms: jobs whose group has one name are submitted together."""

    def name(wildcards):
        batch = batch_of(rule_name, wildcards)
        return batch.name if batch else None

    return name


def light_runtime(rule_name, wildcards, checkpoints=0):
    """Minutes that a small job asks for: alone, those of `light`; in a batch its share, or a sixth for a checkpoint."""
    batch = batch_of(rule_name, wildcards)
    return math.ceil(LIGHT.runtime * max(1 / batch.size, checkpoints / 6)) if batch else LIGHT.runtime


def checkpoints_of(wildcards):
    """Iterations of the checkpoints that one evaluation looks at."""
    return list(STUDY.evaluated[wildcards.recipe, wildcards.segment, wildcards.testing])


def versions(testing):
    """How many versions of each image an evaluation looks at; test aug mirrors each."""
    return 1 if testing == "single_scale" else SCALE.test_aug.versions


def voc_folder(recipe):
    """VOC's own folder and split to evaluate from, as VOC does; none for COCO."""
    return voc_set(STUDY.recipes[recipe].train_set)


def voc_set(train_set):
    """The same, of a training set."""
    if train_set != "voc":
        return []
    (part,) = LAYOUT.voc_parts("val")
    return [part.folder, part.split]


def wanted(experiment):
    """An input function of a named target: its files, or the reason why they cannot be had from the given data."""
    made = {"figure": LAYOUT.figure, "table": LAYOUT.table, "advice": lambda name: [LAYOUT.advice_page]}
    files = made[STUDY.experiments[experiment].kind](experiment)

    def files_or_refusal(wildcards):
        refusal = LAYOUT.refusal(experiment)
        if refusal:
            raise mistake(refusal)
        return files

    return files_or_refusal


def stored(kind, output):
    """An output that Snakemake deletes after its last use where the configuration's storage policy says so."""
    return output if getattr(STUDY.config.storage, kind) == "keep" else temp(output)


def machines(resources):
    """What a job asks for on one machine; on several, in the slurm executor's terms, a task on each to start the rest."""
    if resources.nodes == 1:
        return {"nodes": 1, "gpu": resources.gpu}
    gpus = {"gres": f"gpu:{resources.gpu}"} if resources.gpu else {}
    return {"nodes": resources.nodes, "tasks": resources.nodes, "tasks_per_gpu": 0, "mpi": "srun", **gpus}


def how_trained():
    """How a training job loads, saves and shares out its work, which changes none of its results."""
    numbers = SCALE.training.model_dump(include={"workers", "save_period", "margin", "processes"})
    return numbers | {"nodes": TRAIN.nodes}


def folder(output):
    """The folder of an output file."""
    return os.path.dirname(output)
