"""Tables: tidy CSVs along runs and experiments, and the paper's tables made from them."""


def evaluations_of_run(points):
    """Metrics of the checkpoints along a run: all of its `curve`, or its `end`."""

    def paths(wildcards):
        checkpoints = [
            EVALUATION.format(recipe=segment.recipe, segment=segment.name, iteration=iteration)
            for segment in run_of(wildcards).segments
            for iteration in segment.evaluations
        ]
        chosen = checkpoints if points == "curve" else checkpoints[-1:]
        return [f"{checkpoint}/metrics.json" for checkpoint in chosen]

    return paths


def runs_of(experiment, name):
    """The table `name` of each run of an experiment."""
    return [
        RUN.format(recipe=run.recipe.name, schedule=run.schedule.name) + f"/{name}.csv"
        for run in STUDY.runs_of[experiment]
    ]


def evaluations(experiment):
    return f"{RESULTS}/tables/{experiment}-evaluations.csv"


def counted_runs(wildcards):
    """Training tables of Fig. 2's runs, of the first seed alone: every seed sees as much."""
    first = STUDY.config.seeds[0]
    runs = [run for run in STUDY.runs_of["fig2"] if run.recipe.seed == first]
    return [
        RUN.format(recipe=run.recipe.name, schedule=run.schedule.name) + "/training.csv" for run in runs
    ]


def counted_pretraining(wildcards):
    trained = {recipe.model for recipe in STUDY.recipes.values() if recipe.pretraining == "train"}
    return [classifier_segment("R50_GN", "metrics.jsonl")] if "R50_GN" in trained else []


localrules:
    concatenate,
    run_training,
    counts,
    curve,
    end,


rule curve:
    message:
        "Gathering evaluations along {wildcards.recipe}, {wildcards.schedule}"
    input:
        recipe=RECIPE,
        metrics=evaluations_of_run("curve"),
        code=code("tables/runs.py"),
    output:
        f"{RUN}/curve.csv",
    log:
        f"{RESULTS}/logs/runs/{{recipe}}/{{schedule}}-curve.log",
    shell:
        "python -m workflow_scripts.tables.runs evaluations --recipe {input.recipe:q}"
        " --schedule {wildcards.schedule} --metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


use rule curve as end with:
    message:
        "Gathering the evaluation at the end of {wildcards.recipe}, {wildcards.schedule}"
    input:
        recipe=RECIPE,
        metrics=evaluations_of_run("end"),
        code=code("tables/runs.py"),
    output:
        f"{RUN}/end.csv",
    log:
        f"{RESULTS}/logs/runs/{{recipe}}/{{schedule}}-end.log",


rule run_training:
    message:
        "Gathering the training of {wildcards.recipe}, {wildcards.schedule}"
    input:
        recipe=RECIPE,
        metrics=lambda wildcards: [
            SEGMENT.format(recipe=segment.recipe, segment=segment.name) + "/metrics.jsonl"
            for segment in run_of(wildcards).segments
        ],
        code=code("tables/runs.py"),
    output:
        f"{RUN}/training.csv",
    log:
        f"{RESULTS}/logs/runs/{{recipe}}/{{schedule}}-training.log",
    shell:
        "python -m workflow_scripts.tables.runs training --recipe {input.recipe:q}"
        " --schedule {wildcards.schedule} --metrics {input.metrics:q} --output {output:q} > {log:q} 2>&1"


rule concatenate:
    message:
        "Gathering the runs of {wildcards.experiment}"
    input:
        tables=lambda wildcards: runs_of(
            wildcards.experiment, STUDY.experiments[wildcards.experiment].points
        ),
        code=code("tables/concatenate.py"),
    output:
        evaluations("{experiment}"),
    log:
        f"{RESULTS}/logs/tables/{{experiment}}-evaluations.log",
    shell:
        "python -m workflow_scripts.tables.concatenate --tables {input.tables:q} --output {output:q} > {log:q} 2>&1"


rule counts:
    message:
        "Counting what was seen in all of training"
    input:
        training=counted_runs,
        pretraining=counted_pretraining,
        published=template("published.yaml"),
        code=code("tables/counts.py", "tables/published.py"),
    output:
        f"{RESULTS}/tables/fig2-counts.csv",
    params:
        pretraining=lambda wildcards, input: f"--pretraining {input.pretraining}" if input.pretraining else "",
    log:
        f"{RESULTS}/logs/tables/fig2-counts.log",
    shell:
        "python -m workflow_scripts.tables.counts --training {input.training:q} {params.pretraining}"
        " --published {input.published:q} --output {output:q} > {log:q} 2>&1"


rule table:
    message:
        "Making {wildcards.experiment}"
    input:
        table=evaluations("{experiment}"),
        published=template("published.yaml"),
        code=lambda wildcards: code(
            f"tables/{wildcards.experiment}.py",
            *[f"tables/{name}.py" for name in ("layout", "published", "results", "tidy")],
        ),
    output:
        table("{experiment}"),
    wildcard_constraints:
        experiment=r"table\d",
    params:
        scale=SCALE.name,
    log:
        f"{RESULTS}/logs/tables/{{experiment}}.log",
    resources:
        mem_mb=SCALE.resources.light.mem_mb,
        runtime=SCALE.resources.light.runtime,
    shell:
        "python -m workflow_scripts.tables.{wildcards.experiment} --table {input.table:q}"
        " --published {input.published:q} --scale {params.scale} --csv {output[0]:q} --markdown {output[1]:q}"
        " --latex {output[2]:q} > {log:q} 2>&1"
