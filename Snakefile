"""Regenerates "Rethinking ImageNet Pre-training": `snakemake`, or one figure with `snakemake fig1`."""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/pretrain.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/search.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        f"{LAYOUT.root}/report.html",


# One figure or table: `snakemake fig7`.
for experiment in STUDY.experiments:

    rule:
        name:
            experiment
        input:
            wanted(experiment),
