"""Evaluation: the detections of a checkpoint once, then COCO's metrics from the dump."""


rule detect:
    input:
        unpack(lambda wildcards: LAYOUT.evaluated_on(wildcards.recipe)),
        recipe=LAYOUT.recipe,
        checkpoints=f"{LAYOUT.segment}/checkpoints",
        code=code("evaluation", "detect")
        + code("training", "examples")
        + code("models", "build", "config", "backbones", "cascade", "devices", "vgg"),
    output:
        stored("detections", f"{LAYOUT.evaluation}/detections.json"),
    log:
        f"{LAYOUT.logs}/evaluation/{{recipe}}/{{segment}}/{{iteration}}-{{testing}}-detect.log",
    benchmark:
        f"{LAYOUT.benchmarks}/evaluation/{{recipe}}/{{segment}}/{{iteration}}-{{testing}}.tsv"
    conda:
        "../envs/environment.yaml"
    threads: EVALUATE.threads
    resources:
        gpu=EVALUATE.gpu,
        mem_mb=EVALUATE.mem_mb,
        runtime=lambda wildcards: EVALUATE.runtime * versions(wildcards.testing),
    params:
        **job(
            "detect",
            *("recipe", "annotations", "output"),
            weights=lambda wildcards: f"{LAYOUT.segment}/checkpoints/{{iteration}}.safetensors".format(
                **wildcards
            ),
            images=lambda wildcards: LAYOUT.evaluated_images(wildcards.recipe),
            test_aug_sides=at_several_scales(list(SCALE.test_aug.image_sides)),
            test_aug_longest=at_several_scales(SCALE.test_aug.longest_side),
        ),
    message:
        "Detecting with {wildcards.recipe} after {wildcards.iteration} iterations"
    shell:
        "python -m workflow_scripts.evaluation.detect --job {params.job:q} > {log:q} 2>&1"


rule evaluate:
    input:
        unpack(lambda wildcards: LAYOUT.evaluated_on(wildcards.recipe)),
        recipe=LAYOUT.recipe,
        detections=f"{LAYOUT.evaluation}/detections.json",
        code=code("evaluation", "evaluate", "coco_metrics", "bootstrap", "voc_metrics")
        + code("data", "coco", "voc"),
    output:
        metrics=f"{LAYOUT.evaluation}/metrics.json",
        replicates=f"{LAYOUT.evaluation}/replicates.csv",
    log:
        f"{LAYOUT.logs}/evaluation/{{recipe}}/{{segment}}/{{iteration}}-{{testing}}-evaluate.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "evaluate",
            *("recipe", "segment", "iteration", "testing"),
            *("detections", "annotations", "metrics", "replicates"),
            stage=lambda wildcards: STUDY.segments[wildcards.recipe, wildcards.segment].stage,
            voc=lambda wildcards: voc_folder(wildcards.recipe),
            replicate_count=SCALE.evaluation.replicates,
        ),
    message:
        "Evaluating {wildcards.recipe} after {wildcards.iteration} iterations"
    shell:
        "python -m workflow_scripts.evaluation.evaluate --job {params.job:q} > {log:q} 2>&1"
