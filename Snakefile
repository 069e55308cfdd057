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
        f"{LAYOUT.root}/report.html",


rule fig1:
    input:
        LAYOUT.figure("fig1"),


rule fig2:
    input:
        LAYOUT.figure("fig2"),


rule fig3:
    input:
        LAYOUT.figure("fig3"),


rule fig4:
    input:
        LAYOUT.figure("fig4"),


rule fig6:
    input:
        LAYOUT.figure("fig6"),


rule table1:
    input:
        LAYOUT.table("table1"),


rule table2:
    input:
        LAYOUT.table("table2"),
