"""Figures: each drawn from its tidy table, and from nothing else."""

FIGURE_MODULES = {
    "fig1": ["fig1", "curves"],
    "fig2": ["fig2"],
    "fig3": ["fig3", "fig1", "curves"],
    "fig4": ["fig4", "fig1", "curves"],
    "fig6": ["fig6", "curves"],
}


rule figure:
    input:
        table=lambda wildcards: LAYOUT.figure_table(wildcards.experiment),
        published=here("reports/published.yaml"),
        drawing=lambda wildcards: code("figures", *FIGURE_MODULES[wildcards.experiment], "command", "style"),
        tables=code("tables", "published", "tidy"),
    output:
        **dict(zip(["png", "pdf"], LAYOUT.figure("{experiment}"))),
    log:
        f"{LAYOUT.logs}/figures/{{experiment}}.log",
    wildcard_constraints:
        experiment=r"fig\d",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        style=json.dumps(STUDY.config.figures, sort_keys=True),
        scale=SCALE.name,
    message:
        "Drawing {wildcards.experiment}"
    shell:
        "python -m workflow_scripts.figures.{wildcards.experiment} --table {input.table:q}"
        " --published {input.published:q} --style {params.style:q} --scale {params.scale}"
        " --png {output.png:q} --pdf {output.pdf:q} > {log:q} 2>&1"
