"""Training: one job a segment. Code is not an input: raise a recipe's `version` when its results should change."""


localrules:
    recipe,


rule recipe:
    output:
        LAYOUT.recipe,
    log:
        f"{LAYOUT.logs}/recipes/{{recipe}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/recipes/{{recipe}}.tsv"
    priority: pretraining_first
    conda:
        "../envs/environment.yaml"
    params:
        **job("recipe", "output", text=lambda wildcards: as_json(STUDY.recipes[wildcards.recipe], indent=1)),
    message:
        "Writing recipe {wildcards.recipe}"
    shell:
        "python -m workflow_scripts.jobs.write --job {params.job:q} > {log:q} 2>&1"


rule train:
    input:
        unpack(lambda wildcards: LAYOUT.training_inputs(wildcards.recipe, wildcards.segment)),
        checked=checked(
            f"{LAYOUT.segment}/metrics.jsonl",
            lambda wildcards: LAYOUT.trained_on(STUDY.recipes[wildcards.recipe]),
        ),
    output:
        metrics=f"{LAYOUT.segment}/metrics.jsonl",
        state=stored("states", f"{LAYOUT.segment}/state.safetensors"),
        checkpoints=stored("checkpoints", directory(f"{LAYOUT.segment}/checkpoints")),
    log:
        f"{LAYOUT.logs}/training/{{recipe}}/{{segment}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/training/{{recipe}}/{{segment}}.tsv"
    priority: pretraining_first
    retries: RETRIES
    group:
        group_of("train")
    conda:
        "../envs/environment.yaml"
    threads: TRAIN.threads
    resources:
        **machines(TRAIN),
        in_turn=1,
        mem_mb=TRAIN.mem_mb,
        runtime=TRAIN.runtime,
    params:
        **job(
            "train",
            *("recipe", "state", "metrics", "checkpoints"),
            optional=["annotations", "parent", "backbone"],
            segment=lambda wildcards: as_json(STUDY.segments[wildcards.recipe, wildcards.segment]),
            images=lambda wildcards: LAYOUT.training_images(wildcards.recipe),
            log_period=SCALE.training.log_period,
            progress=lambda wildcards: f"{LAYOUT.segment}.progress".format(**wildcards),
            untracked=how_trained(),
        ),
    message:
        "Training {wildcards.recipe}, {wildcards.segment}"
    shell:
        "python -m workflow_scripts.training.train --job {params.job:q} --runtime {resources.runtime}"
        " > {log:q} 2>&1"


# Of what is trained, in detectron2's own terms: `config.yaml` of each run, and TensorBoard's events of its training.
rule detectron2:
    input:
        lambda wildcards: exported_files(exported_runs(STUDY, LAYOUT, chosen)),
    output:
        directory(f"{LAYOUT.root}/detectron2"),
    log:
        f"{LAYOUT.logs}/detectron2.log",
    benchmark:
        f"{LAYOUT.benchmarks}/detectron2.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=EVALUATE.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job("detectron2", "output", runs=lambda wildcards: {"runs": exported_runs(STUDY, LAYOUT, chosen)}),
    message:
        "Writing detectron2's configurations and TensorBoard's events"
    shell:
        "python -m workflow_scripts.training.for_detectron2 --job {params.job:q} > {log:q} 2>&1"
