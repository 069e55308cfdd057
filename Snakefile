"""Regenerates "Rethinking ImageNet Pre-training": `snakemake`, or one figure with `snakemake fig1`."""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/pretrain.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        f"{RESULTS}/report.html",


rule fig1:
    input:
        figure("fig1"),


rule fig2:
    input:
        figure("fig2"),


rule table1:
    input:
        table("table1"),


rule table2:
    input:
        table("table2"),
