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
        wanted("fig1", LAYOUT.figure("fig1")),


rule fig2:
    input:
        wanted("fig2", LAYOUT.figure("fig2")),


rule fig3:
    input:
        wanted("fig3", LAYOUT.figure("fig3")),


rule fig4:
    input:
        wanted("fig4", LAYOUT.figure("fig4")),


rule fig6:
    input:
        wanted("fig6", LAYOUT.figure("fig6")),


rule table1:
    input:
        wanted("table1", LAYOUT.table("table1")),


rule table2:
    input:
        wanted("table2", LAYOUT.table("table2")),
