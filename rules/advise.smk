"""Advice to someone with data of their own: whether to pre-train, and from how many images on it does not matter."""


localrules:
    advice,
    advice_figure,
    advice_page,


rule advice:
    input:
        table=LAYOUT.table_of("advise"),
        replicates=lambda wildcards: LAYOUT.replicates("advise", chosen),
        manifests=list(LAYOUT.advice_subsets().values()),
        code=code("report", "advice", "advice_words", "comparisons", "crossing", "intervals", "words")
        + code("tables", "advice", "convergence", "tidy"),
    output:
        LAYOUT.advice,
    log:
        f"{LAYOUT.logs}/advice.log",
    benchmark:
        f"{LAYOUT.benchmarks}/advice.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "advice",
            *("table", "replicates", "manifests"),
            subsets=list(LAYOUT.advice_subsets()),
            scale=SCALE.name,
        ),
    message:
        "Finding what pre-training is worth"
    shell:
        "python -m workflow_scripts.report.advice --job {params.job:q} --output {output:q} > {log:q} 2>&1"


rule advice_figure:
    input:
        advice=rules.advice.output,
        code=code("figures", "advice", "command", "style")
        + code("study/configuration", "look")
        + code("tables", "advice", "convergence", "published", "tidy"),
    output:
        multiext(f"{LAYOUT.root}/advice/advice", png=".png", pdf=".pdf", svg=".svg"),
    log:
        f"{LAYOUT.logs}/advice-figure.log",
    benchmark:
        f"{LAYOUT.benchmarks}/advice-figure.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job("advice_figure", style=STUDY.config.figures),
    message:
        "Drawing what pre-training is worth"
    shell:
        "python -m workflow_scripts.figures.advice --job {params.job:q} --advice {input.advice:q}"
        " --png {output.png:q} --pdf {output.pdf:q} --svg {output.svg:q} > {log:q} 2>&1"


rule advice_page:
    input:
        advice=rules.advice.output,
        table=LAYOUT.table_of("advise"),
        figures=rules.advice_figure.output,
        trainings=lambda wildcards: LAYOUT.trainings_of("advise", chosen),
        template=here("reports/advice.html.j2"),
        parts=[here(f"reports/parts/{name}.css") for name in ("style", "print")],
        code=code("report", "advice_page", "cost", "downloads", "links", "templates")
        + code("tables", "advice", "convergence", "tidy"),
    output:
        LAYOUT.advice_page,
    log:
        f"{LAYOUT.logs}/advice-page.log",
    benchmark:
        f"{LAYOUT.benchmarks}/advice-page.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "advice_page",
            *("table", "figures", "trainings", "template"),
            facts=facts(STUDY.advice, STUDY.config, SCALE),
            untracked={"planned": planned(STUDY, ["advise"])},
        ),
    message:
        "Writing the answer"
    shell:
        "python -m workflow_scripts.report.advice_page --job {params.job:q} --advice {input.advice:q}"
        " --output {output:q} > {log:q} 2>&1"
