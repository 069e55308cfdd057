"""Figures: each drawn from its tidy table and the intervals of its values, and from nothing else."""

from workflow_scripts.figures.restyled import in_words, restyled

# What draws each figure, the command first.
FIGURE_MODULES = {
    "fig1": ["fig1", "curves"],
    "fig2": ["fig2"],
    "fig3": ["fig3", "fig1", "curves"],
    "fig4": ["fig4", "fig1", "curves"],
    "fig5": ["fig5"],
    "fig6": ["fig6", "curves"],
    **dict.fromkeys(["fig7", "fig7_left", "fig7_middle", "fig7_right"], ["fig7", "curves"]),
    "fig8": ["fig8", "curves"],
}

if workflow.is_main_process:
    changed = restyled([LAYOUT.figure(name)[0] for name in LAYOUT.asked("figure")], STUDY.config.figures)
    if changed:
        logger.info(changed)


localrules:
    figure,


rule figure:
    input:
        table=lambda wildcards: LAYOUT.table_of(wildcards.experiment),
        intervals=lambda wildcards: LAYOUT.intervals_of(wildcards.experiment),
        published=here("reports/published.yaml"),
        drawing=lambda wildcards: code("figures", *FIGURE_MODULES[wildcards.experiment], "command", "style"),
        look=code("study/configuration", "look"),
        tables=code("tables", "convergence", "published", "tidy"),
    output:
        png=report(
            LAYOUT.figure("{experiment}")[0],
            caption="../reports/snakemake/caption.rst",
            category="Figures",
            labels=lambda wildcards: {"name": captioned(wildcards.experiment, "title")},
        ),
        pdf=LAYOUT.figure("{experiment}")[1],
        svg=LAYOUT.figure("{experiment}")[2],
    log:
        f"{LAYOUT.logs}/figures/{{experiment}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/figures/{{experiment}}.tsv"
    wildcard_constraints:
        experiment=one_of(FIGURE_MODULES),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job("figure", "published", optional=("intervals",), style=STUDY.config.figures, scale=SCALE.name),
        module=lambda wildcards: FIGURE_MODULES[wildcards.experiment][0],
        told=in_words(STUDY.config.figures),
        caption=lambda wildcards, input: Caption(wildcards.experiment),
    message:
        "Drawing {wildcards.experiment}, style: {params.told}"
    shell:
        "python -m workflow_scripts.figures.{params.module} --table {input.table:q}"
        " --job {params.job:q} --png {output.png:q} --pdf {output.pdf:q} --svg {output.svg:q} > {log:q} 2>&1"
