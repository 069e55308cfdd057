"""The report: one HTML page of whatever the study asked for."""


localrules:
    study,


rule study:
    output:
        f"{LAYOUT.root}/study.json",
    log:
        f"{LAYOUT.logs}/study.log",
    conda:
        "../envs/environment.yaml"
    params:
        summary=json.dumps(summary(STUDY)),
    message:
        "Summing up the study"
    shell:
        "printf '%s\n' {params.summary:q} > {output:q} 2> {log:q}"


rule report:
    input:
        study=f"{LAYOUT.root}/study.json",
        figures=[LAYOUT.figure(name)[0] for name in LAYOUT.asked("fig")],
        tables=[LAYOUT.table(name)[0] for name in LAYOUT.asked("table")],
        sources=LAYOUT.asked_sources(),
        recipes=LAYOUT.asked_recipes(),
        data=LAYOUT.asked_manifests(),
        pretrainings=LAYOUT.asked_pretrainings(),
        template=here("reports/report.html.j2"),
        captions=here("reports/captions.yaml"),
        code=code("report", "build", "inputs", "sections")
        + code("tables", "layout", "published", "results", "tidy"),
    output:
        f"{LAYOUT.root}/report.html",
    log:
        f"{LAYOUT.logs}/report.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    message:
        "Writing the report"
    shell:
        "python -m workflow_scripts.report.build --study {input.study:q} --figures {input.figures:q}"
        " --tables {input.tables:q} --sources {input.sources:q} --recipes {input.recipes:q}"
        " --manifests {input.data:q} {input.pretrainings:q} --template {input.template:q}"
        " --captions {input.captions:q} --output {output:q} > {log:q} 2>&1"
