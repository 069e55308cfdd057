"""Training: one job a segment. Code is not an input: raise a recipe's `version` when its results should change."""


def training_inputs(wildcards):
    """Recipe, data, and what the segment starts from: its parent's state, a backbone, or nothing."""
    recipe = STUDY.recipes[wildcards.recipe]
    segment = segment_of(wildcards)
    inputs = {"recipe": RECIPE.format(recipe=recipe.name)}
    if recipe.task == "classification":
        inputs["manifest"] = classification_manifest()
    else:
        inputs["manifest"] = manifest("train")
        inputs["annotations"] = coco("train")[0]
    if segment.parent:
        inputs["parent"] = f"{SEGMENT.format(recipe=recipe.name, segment=segment.parent)}/state.safetensors"
    elif recipe.pretraining != "skip":
        inputs["backbone"] = f"{PRETRAINED}/{recipe.pretraining}/{recipe.model}/backbone.safetensors"
    return inputs


def training_images(wildcards):
    detection = STUDY.recipes[wildcards.recipe].task == "detection"
    return coco("train")[1] if detection else classification("train")


localrules:
    recipe,


rule recipe:
    message:
        "Writing recipe {wildcards.recipe}"
    output:
        RECIPE,
    params:
        recipe=lambda wildcards: STUDY.recipes[wildcards.recipe].model_dump_json(indent=1),
    log:
        f"{RESULTS}/logs/recipes/{{recipe}}.log",
    shell:
        "printf '%s\n' {params.recipe:q} > {output:q} 2> {log:q}"


rule train:
    message:
        "Training {wildcards.recipe}, {wildcards.segment}"
    input:
        unpack(training_inputs),
    output:
        state=f"{SEGMENT}/state.safetensors",
        metrics=f"{SEGMENT}/metrics.jsonl",
        checkpoints=directory(f"{SEGMENT}/checkpoints"),
    params:
        segment=lambda wildcards: segment_of(wildcards).model_dump_json(),
        images=training_images,
        start=options("annotations", "parent", "backbone"),
        progress=f"{SEGMENT}.progress",
        log_period=SCALE.training.log_period,
    log:
        f"{RESULTS}/logs/training/{{recipe}}/{{segment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/training/{{recipe}}/{{segment}}.tsv"
    threads: SCALE.resources.train.threads
    resources:
        gpu=SCALE.resources.train.gpu,
        mem_mb=SCALE.resources.train.mem_mb,
        runtime=SCALE.resources.train.runtime,
        processes=SCALE.training.processes,
        workers=SCALE.training.workers,
        save_period=SCALE.training.save_period,
    shell:
        "python -m workflow_scripts.detection.train --recipe {input.recipe:q} --segment {params.segment:q}"
        " --images {params.images:q} {params.start} --log-period {params.log_period}"
        " --processes {resources.processes} --workers {resources.workers} --save-period {resources.save_period}"
        " --progress {params.progress:q} --state {output.state:q} --metrics {output.metrics:q}"
        " --checkpoints {output.checkpoints:q} > {log:q} 2>&1"
