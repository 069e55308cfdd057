"""Searches: the data choose one point of a grid of hyper-parameters, and with it what is trained next."""


localrules:
    search,


checkpoint search:
    input:
        tables=lambda wildcards: LAYOUT.search_tables(wildcards.search),
        code=code("tables", "search", "tidy"),
    output:
        LAYOUT.search,
    log:
        f"{LAYOUT.logs}/search/{{search}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/search/{{search}}.tsv"
    conda:
        "../envs/environment.yaml"
    params:
        **job("search", "tables", search=lambda wildcards: STUDY.searches[wildcards.search].description()),
    message:
        "Choosing hyper-parameters: {wildcards.search}"
    shell:
        "python -m workflow_scripts.tables.search --job {params.job:q} --output {output:q} > {log:q} 2>&1"
