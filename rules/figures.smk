"""Figures: each drawn from its tidy table, and from nothing else."""

DRAWING = ("command", "style")
DRAWING_CODE = {"fig1": ("fig1", "curves"), "fig2": ("fig2",)}


def figure_table(experiment):
    """The tidy table that a figure is drawn from, by hand too."""
    counted = STUDY.experiments[experiment].points == "counts"
    return f"{RESULTS}/tables/fig2-counts.csv" if counted else evaluations(experiment)


rule figure:
    message:
        "Drawing {wildcards.experiment}"
    input:
        table=lambda wildcards: figure_table(wildcards.experiment),
        published=template("published.yaml"),
        code=lambda wildcards: code(
            *[f"figures/{name}.py" for name in (*DRAWING, *DRAWING_CODE[wildcards.experiment])],
            "tables/published.py",
            "tables/tidy.py",
        ),
    output:
        figure("{experiment}"),
    wildcard_constraints:
        experiment=r"fig\d",
    params:
        style=json.dumps(STUDY.config.figures, sort_keys=True),
        scale=SCALE.name,
    log:
        f"{RESULTS}/logs/figures/{{experiment}}.log",
    resources:
        mem_mb=SCALE.resources.light.mem_mb,
        runtime=SCALE.resources.light.runtime,
    shell:
        "python -m workflow_scripts.figures.{wildcards.experiment} --table {input.table:q}"
        " --published {input.published:q} --style {params.style:q} --scale {params.scale}"
        " --png {output[0]:q} --pdf {output[1]:q} > {log:q} 2>&1"
