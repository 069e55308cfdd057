"""The report: one HTML page of whatever the study asked for."""

from workflow_scripts.study.summary import asked_runs, summary

ASKED = STUDY.config.experiments


def asked(kind):
    return [name for name in ASKED if name.startswith(kind)]


def asked_recipes():
    """Recipes of the asked runs, and of the pre-trainings that they start from."""
    recipes = {run.recipe.name: run.recipe for run in asked_runs(STUDY)}
    trained = {f"classification-{recipe.model}" for recipe in recipes.values() if recipe.pretraining == "train"}
    return [RECIPE.format(recipe=name) for name in [*recipes, *sorted(trained)]]


def asked_pretrainings():
    """Summaries of the pre-trainings behind the asked runs."""
    kinds = {(run.recipe.pretraining, run.recipe.model) for run in asked_runs(STUDY)}
    return [f"{PRETRAINED}/{kind}/{model}/summary.json" for kind, model in sorted(kinds) if kind != "skip"]


localrules:
    study,


rule study:
    message:
        "Summing up the study"
    output:
        f"{RESULTS}/study.json",
    params:
        summary=json.dumps(summary(STUDY)),
    log:
        f"{RESULTS}/logs/study.log",
    shell:
        "printf '%s\n' {params.summary:q} > {output:q} 2> {log:q}"


rule report:
    message:
        "Writing the report"
    input:
        study=f"{RESULTS}/study.json",
        figures=[figure(name)[0] for name in asked("fig")],
        tables=[table(name)[0] for name in asked("table")],
        sources=[figure_table(name) for name in asked("fig")] + [evaluations(name) for name in asked("table")],
        recipes=asked_recipes(),
        manifests=[manifest("train"), manifest("val"), *[subset(name, "manifest") for name in SCALE.subsets], *asked_pretrainings()],
        template=template("report.html.j2"),
        captions=template("captions.yaml"),
        code=code(*[f"report/{name}.py" for name in ("build", "inputs", "sections")], "tables/layout.py"),
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    resources:
        mem_mb=SCALE.resources.light.mem_mb,
        runtime=SCALE.resources.light.runtime,
    shell:
        "python -m workflow_scripts.report.build --study {input.study:q} --figures {input.figures:q}"
        " --tables {input.tables:q} --sources {input.sources:q} --recipes {input.recipes:q}"
        " --manifests {input.manifests:q} --template {input.template:q} --captions {input.captions:q}"
        " --output {output:q} > {log:q} 2>&1"
