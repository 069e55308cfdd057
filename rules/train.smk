"""Training: one job a segment. Code is not an input: raise a recipe's `version` when its results should change."""


localrules:
    recipe,


rule recipe:
    output:
        LAYOUT.recipe,
    log:
        f"{LAYOUT.logs}/recipes/{{recipe}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        record=record_of("recipe"),
        recipe=lambda wildcards: as_json(STUDY.recipes[wildcards.recipe], indent=1),
    message:
        "Writing recipe {wildcards.recipe}"
    shell:
        "python -m workflow_scripts.provenance.job {params.record} workflow_scripts.study.write --text {params.recipe:q} --output {output:q} > {log:q} 2>&1"


rule train:
    input:
        unpack(lambda wildcards: LAYOUT.training_inputs(wildcards.recipe, wildcards.segment)),
    output:
        metrics=update(f"{LAYOUT.segment}/metrics.jsonl"),
        state=stored("states", update(f"{LAYOUT.segment}/state.safetensors")),
        checkpoints=stored("checkpoints", update(directory(f"{LAYOUT.segment}/checkpoints"))),
    log:
        f"{LAYOUT.logs}/training/{{recipe}}/{{segment}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/training/{{recipe}}/{{segment}}.tsv"
    retries: RETRIES
    conda:
        "../envs/environment.yaml"
    threads: TRAIN.threads
    resources:
        **machines(TRAIN),
        mem_mb=TRAIN.mem_mb,
        runtime=TRAIN.runtime,
        processes=SCALE.training.processes,
        job=lambda wildcards, attempt: job_options(attempt),
    params:
        record=record_of("train"),
        segment=lambda wildcards: as_json(STUDY.segments[wildcards.recipe, wildcards.segment]),
        images=lambda wildcards: LAYOUT.training_images(wildcards.recipe),
        start=options("annotations", "parent", "backbone"),
        progress=f"{LAYOUT.segment}.progress",
        log_period=SCALE.training.log_period,
    message:
        "Training {wildcards.recipe}, {wildcards.segment}"
    shell:
        "python -m workflow_scripts.provenance.job {params.record} workflow_scripts.detection.train --recipe {input.recipe:q} --segment {params.segment:q}"
        " --images {params.images:q} {params.start} --log-period {params.log_period}"
        " --processes {resources.processes} --nodes {resources.nodes} --runtime {resources.runtime} {resources.job}"
        " --progress {params.progress:q} --state {output.state:q} --metrics {output.metrics:q}"
        " --checkpoints {output.checkpoints:q} > {log:q} 2>&1"
