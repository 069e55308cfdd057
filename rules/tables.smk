"""Tables: tidy CSVs along runs and experiments, and the paper's tables made from them."""


localrules:
    run_evaluations,
    run_training,
    concatenate,
    counts,
    figure_intervals,
    table_intervals,
    table,


rule run_evaluations:
    input:
        recipe=LAYOUT.recipe,
        metrics=lambda wildcards: LAYOUT.evaluations_of_run(**wildcards),
        code=code("tables", "runs", "tidy"),
    output:
        f"{LAYOUT.run}/{{points}}-{{testing}}.csv",
    log:
        f"{LAYOUT.logs}/runs/{{recipe}}/{{schedule}}-{{points}}-{{testing}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/runs/{{recipe}}/{{schedule}}-{{points}}-{{testing}}.tsv"
    conda:
        "../envs/environment.yaml"
    params:
        **job("run_evaluations", "recipe", "schedule", "points", "metrics", "output"),
    message:
        "Gathering evaluations along {wildcards.recipe}, {wildcards.schedule}"
    shell:
        "python -m workflow_scripts.tables.runs evaluations --job {params.job:q} > {log:q} 2>&1"


rule run_training:
    input:
        recipe=LAYOUT.recipe,
        metrics=lambda wildcards: LAYOUT.training_of_run(**wildcards),
        code=code("tables", "runs", "tidy"),
    output:
        f"{LAYOUT.run}/training.csv",
    log:
        f"{LAYOUT.logs}/runs/{{recipe}}/{{schedule}}-training.log",
    benchmark:
        f"{LAYOUT.benchmarks}/runs/{{recipe}}/{{schedule}}-training.tsv"
    conda:
        "../envs/environment.yaml"
    params:
        **job("run_training", "recipe", "schedule", "metrics", "output"),
    message:
        "Gathering the training of {wildcards.recipe}, {wildcards.schedule}"
    shell:
        "python -m workflow_scripts.tables.runs training --job {params.job:q} > {log:q} 2>&1"


rule concatenate:
    input:
        tables=lambda wildcards: LAYOUT.run_tables(wildcards.experiment, chosen),
        certain=lambda wildcards: LAYOUT.certain_tables(wildcards.experiment),
        searches=lambda wildcards: LAYOUT.searches(wildcards.experiment),
        code=code("tables", "concatenate", "tidy"),
    output:
        f"{LAYOUT.root}/tables/{{experiment}}-{{kind}}.csv",
    log:
        f"{LAYOUT.logs}/tables/{{experiment}}-{{kind}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/tables/{{experiment}}-{{kind}}.tsv"
    wildcard_constraints:
        kind="evaluations|training",
    conda:
        "../envs/environment.yaml"
    params:
        **job(
            "concatenate",
            "tables",
            settings=lambda wildcards: LAYOUT.settings(wildcards.experiment, chosen),
        ),
    message:
        "Gathering the runs of {wildcards.experiment}"
    shell:
        "python -m workflow_scripts.tables.concatenate --job {params.job:q} --output {output:q} > {log:q} 2>&1"


rule counts:
    input:
        training=LAYOUT.counted_runs(),
        pretraining=LAYOUT.counted_pretraining(),
        published=here("reports/published.yaml"),
        code=code("tables", "counts", "published", "tidy"),
    output:
        LAYOUT.table_of("fig2"),
    log:
        f"{LAYOUT.logs}/tables/fig2-counts.log",
    benchmark:
        f"{LAYOUT.benchmarks}/tables/fig2-counts.tsv"
    conda:
        "../envs/environment.yaml"
    params:
        **job("counts", "training", "pretraining", "published"),
    message:
        "Counting what was seen in all of training"
    shell:
        "python -m workflow_scripts.tables.counts --job {params.job:q} --output {output:q} > {log:q} 2>&1"


# What the ± of a table shows.
rule table_intervals:
    input:
        table=lambda wildcards: LAYOUT.table_of(wildcards.experiment),
        replicates=lambda wildcards: table_replicates(STUDY, LAYOUT, wildcards.experiment, chosen),
        published=here("reports/published.yaml"),
        code=code("report", "table_intervals", "comparisons", "intervals")
        + code("tables", "convergence", "latex", "layout", "published", "results", "tidy"),
        making=lambda wildcards: code("tables", table_module(wildcards.experiment)),
    output:
        f"{LAYOUT.root}/tables/{{experiment}}-cells.csv",
    log:
        f"{LAYOUT.logs}/tables/{{experiment}}-cells.log",
    benchmark:
        f"{LAYOUT.benchmarks}/tables/{{experiment}}-cells.tsv"
    wildcard_constraints:
        experiment=one_of(LAYOUT.named("table")),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "table_intervals",
            *("table", "replicates", "published", "output"),
            name=lambda wildcards: table_module(wildcards.experiment),
            scale=SCALE.name,
        ),
    message:
        "Finding how sure the values of {wildcards.experiment} are"
    shell:
        "python -m workflow_scripts.report.table_intervals --job {params.job:q} > {log:q} 2>&1"


# What bands and bars of figures show.
rule figure_intervals:
    input:
        table=lambda wildcards: LAYOUT.table_of(wildcards.experiment),
        replicates=lambda wildcards: LAYOUT.replicates(wildcards.experiment, chosen),
        code=code("report", "figure_intervals", "comparisons", "intervals")
        + code("tables", "convergence", "tidy"),
    output:
        LAYOUT.intervals,
    log:
        f"{LAYOUT.logs}/tables/{{experiment}}-intervals.log",
    benchmark:
        f"{LAYOUT.benchmarks}/tables/{{experiment}}-intervals.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job("figure_intervals", "table", "replicates"),
    message:
        "Finding how sure the values of {wildcards.experiment} are"
    shell:
        "python -m workflow_scripts.report.figure_intervals --job {params.job:q} --output {output:q} > {log:q} 2>&1"


rule table:
    input:
        table=lambda wildcards: LAYOUT.table_of(wildcards.experiment),
        intervals=f"{LAYOUT.root}/tables/{{experiment}}-cells.csv",
        published=here("reports/published.yaml"),
        making=lambda wildcards: code("tables", table_module(wildcards.experiment)),
        code=code("tables", "convergence", "latex", "layout", "published", "results", "tidy"),
    output:
        csv=report(
            LAYOUT.table("{experiment}")[0],
            caption="../reports/snakemake/caption.rst",
            category="Tables",
            labels=lambda wildcards: {"name": captioned(wildcards.experiment, "title")},
        ),
        markdown=LAYOUT.table("{experiment}")[1],
        latex=LAYOUT.table("{experiment}")[2],
    log:
        f"{LAYOUT.logs}/tables/{{experiment}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/tables/{{experiment}}.tsv"
    wildcard_constraints:
        experiment=one_of(LAYOUT.named("table")),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job("table", "intervals", "published", "markdown", "latex", scale=SCALE.name),
        module=lambda wildcards: table_module(wildcards.experiment),
        caption=lambda wildcards, input: Caption(wildcards.experiment),
    message:
        "Making {wildcards.experiment}"
    shell:
        "python -m workflow_scripts.tables.{params.module} --table {input.table:q} --csv {output.csv:q}"
        " --job {params.job:q} > {log:q} 2>&1"
