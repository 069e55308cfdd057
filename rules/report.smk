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
        record=record_of("study"),
        summary=json.dumps(summary(STUDY)),
    message:
        "Summing up the study"
    shell:
        "python -m workflow_scripts.provenance.job {params.record} workflow_scripts.study.write --text {params.summary:q} --output {output:q} > {log:q} 2>&1"


rule verdicts:
    input:
        tables=LAYOUT.asked_tables("evaluations"),
        training=LAYOUT.asked_tables("training"),
        replicates=lambda wildcards: LAYOUT.asked_replicates(chosen),
        code=code("report", "verdicts", "conclusions", "comparisons", "intervals") + code("tables", "tidy"),
    output:
        LAYOUT.verdicts,
    log:
        f"{LAYOUT.logs}/verdicts.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        record=record_of("verdicts"),
        scale=SCALE.name,
        training=options("training"),
    message:
        "Judging the paper's conclusions"
    shell:
        "python -m workflow_scripts.provenance.job {params.record} workflow_scripts.report.verdicts --scale {params.scale} --tables {input.tables:q}"
        " {params.training} --replicates {input.replicates:q} --output {output:q} > {log:q} 2>&1"


rule report:
    input:
        study=f"{LAYOUT.root}/study.json",
        verdicts=LAYOUT.verdicts,
        figures=[LAYOUT.figure(name)[0] for name in LAYOUT.asked(figures=True)],
        tables=[LAYOUT.table(name)[0] for name in LAYOUT.asked(figures=False)],
        searches=LAYOUT.asked_searches(),
        sources=LAYOUT.asked_tables(),
        recipes=lambda wildcards: LAYOUT.asked_recipes(chosen),
        data=lambda wildcards: LAYOUT.asked_manifests(chosen),
        pretrainings=lambda wildcards: LAYOUT.asked_pretrainings(chosen),
        template=here("reports/report.html.j2"),
        captions=here("reports/captions.yaml"),
        code=code("report", "build", "inputs", "sections")
        + code("tables", "layout", "published", "results", "tidy"),
    output:
        report(f"{LAYOUT.root}/report.html", category="Report"),
    log:
        f"{LAYOUT.logs}/report.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        record=record_of("report"),
    message:
        "Writing the report"
    shell:
        "python -m workflow_scripts.provenance.job {params.record} workflow_scripts.report.build --study {input.study:q} --verdicts {input.verdicts:q}"
        " --figures {input.figures:q} --tables {input.tables:q} --searches {input.searches:q}"
        " --sources {input.sources:q} --recipes {input.recipes:q}"
        " --manifests {input.data:q} {input.pretrainings:q} --template {input.template:q}"
        " --captions {input.captions:q} --output {output:q} > {log:q} 2>&1"
