"""Regenerates "Rethinking ImageNet Pre-training": all, or one figure with the target `fig1`."""

from snakemake.utils import min_version

min_version("9.0")


include: "rules/sources.smk"


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/failures.smk"
include: "rules/slurm.smk"
include: "rules/data.smk"
include: "rules/pretrain.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/search.smk"
include: "rules/detections.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"
include: "rules/advise.smk"
include: "rules/costs.smk"
include: "rules/provenance.smk"


rule all:
    default_target: True
    input:
        LAYOUT.pages(),


localrules:
    plan,


# What the study takes, before anything is spent.
rule plan:
    log:
        f"{LAYOUT.logs}/plan.log",
    conda:
        "envs/environment.yaml"
    params:
        **job("plan", study=config),
    message:
        "Planning {SCALE.name}"
    shell:
        "python -m workflow_scripts.study.plan --job {params.job:q} | tee {log:q}"


# One figure or table, `snakemake fig7`, or `snakemake advise`.
for experiment in STUDY.experiments:

    rule:
        name:
            experiment
        input:
            wanted(experiment),
