"""The report: one HTML page of whatever the study asked for."""


report: "../reports/snakemake/study.rst"


REPORT_PARTS = sorted(os.listdir(os.path.join(workflow.basedir, "reports/parts")))


localrules:
    study,
    verdicts,


rule study:
    output:
        f"{LAYOUT.root}/study.json",
    log:
        f"{LAYOUT.logs}/study.log",
    benchmark:
        f"{LAYOUT.benchmarks}/study.tsv"
    conda:
        "../envs/environment.yaml"
    params:
        **job("study", text=json.dumps(summary(STUDY))),
    message:
        "Summing up the study"
    shell:
        "python -m workflow_scripts.jobs.write --job {params.job:q} --output {output:q} > {log:q} 2>&1"


rule verdicts:
    input:
        tables=LAYOUT.asked_tables("evaluations"),
        training=LAYOUT.asked_tables("training"),
        replicates=lambda wildcards: LAYOUT.asked_replicates(chosen),
        code=code(
            "report", "verdicts", "conclusions", "claims", "pairs", "comparisons", "intervals", "words"
        )
        + code("tables", "convergence", "tidy"),
    output:
        LAYOUT.verdicts,
    log:
        f"{LAYOUT.logs}/verdicts.log",
    benchmark:
        f"{LAYOUT.benchmarks}/verdicts.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job("verdicts", "tables", "training", "replicates", scale=SCALE.name),
    message:
        "Judging the paper's conclusions"
    shell:
        "python -m workflow_scripts.report.verdicts --job {params.job:q} --output {output:q} > {log:q} 2>&1"


rule report:
    input:
        study=f"{LAYOUT.root}/study.json",
        verdicts=LAYOUT.verdicts,
        figures=[file for name in LAYOUT.asked("figure") for file in LAYOUT.figure(name)],
        tables=[file for name in LAYOUT.asked("table") for file in LAYOUT.table(name)],
        intervals=[file for name in LAYOUT.asked("figure") for file in LAYOUT.intervals_of(name)],
        metrics=lambda wildcards: LAYOUT.asked_metrics(chosen),
        searches=LAYOUT.asked_searches(),
        pictures=LAYOUT.asked_comparisons(LAYOUT.pictures),
        differences=LAYOUT.asked_comparisons(LAYOUT.differences),
        sources=LAYOUT.asked_tables(),
        recipes=lambda wildcards: LAYOUT.asked_recipes(chosen),
        manifests=lambda wildcards: LAYOUT.asked_manifests(chosen),
        pretrainings=lambda wildcards: LAYOUT.asked_pretrainings(chosen),
        trainings=lambda wildcards: LAYOUT.asked_trainings(chosen),
        template=here("reports/report.html.j2"),
        parts=[here(f"reports/parts/{name}") for name in REPORT_PARTS],
        captions=here("reports/captions.yaml"),
        code=code("report", "build", "inputs", "sections", "words", "detections", "intervals")
        + code("report", "answer", "captions", "cost", "downloads", "links", "wording")
        + code("report", "checkpoints", "comparisons", "curves", "templates")
        + code("figures", "style")
        + code("study/configuration", "look")
        + code("tables", "convergence", "latex", "layout", "published", "results", "tidy"),
    output:
        report(LAYOUT.report, caption="../reports/snakemake/page.rst", category="Report"),
    log:
        f"{LAYOUT.logs}/report.log",
    benchmark:
        f"{LAYOUT.benchmarks}/report.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "report",
            *("study", "verdicts", "figures", "tables", "searches", "pictures", "differences"),
            *("sources", "recipes", "manifests", "pretrainings", "trainings", "intervals", "metrics"),
            *("template", "captions"),
            style=STUDY.config.figures,
            untracked={"planned": planned(STUDY)},
        ),
    message:
        "Writing the report"
    shell:
        "python -m workflow_scripts.report.build --job {params.job:q} --output {output:q} > {log:q} 2>&1"
