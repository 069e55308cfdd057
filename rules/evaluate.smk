"""Evaluation: what a segment's checkpoints detect, once, on a GPU; then, without, COCO's metrics from the dumps."""


rule detect:
    input:
        unpack(lambda wildcards: LAYOUT.evaluated_on(wildcards.recipe)),
        recipe=LAYOUT.recipe,
        checkpoints=f"{LAYOUT.segment}/checkpoints",
        code=code("evaluation", "detect", "pieces")
        + code("training", "examples")
        + code("models", "build", "config", "backbones", "cascade", "devices", "vgg"),
        checked=checked(
            f"{LAYOUT.evaluation}/detections", lambda wildcards: LAYOUT.evaluated_on(wildcards.recipe)
        ),
    output:
        stored("detections", directory(f"{LAYOUT.evaluation}/detections")),
    log:
        f"{LAYOUT.logs}/evaluation/{{recipe}}/{{segment}}/{{testing}}-detect.log",
    benchmark:
        f"{LAYOUT.benchmarks}/evaluation/{{recipe}}/{{segment}}/{{testing}}-detect.tsv"
    retries: RETRIES
    group:
        group_of("detect")
    conda:
        "../envs/environment.yaml"
    threads: EVALUATE.threads
    resources:
        gpu=EVALUATE.gpu,
        mem_mb=EVALUATE.mem_mb,
        in_turn=1,
        # What takes longer than a training may goes on in the next job.
        runtime=lambda wildcards: max(
            light_runtime("detect", wildcards),
            min(
                TRAIN.runtime,
                EVALUATE.runtime * versions(wildcards.testing) * len(checkpoints_of(wildcards)),
            ),
        ),
    params:
        **job(
            "detect",
            *("recipe", "checkpoints", "annotations", "code", "output"),
            iterations=checkpoints_of,
            images=lambda wildcards: LAYOUT.evaluated_images(wildcards.recipe),
            test_aug_sides=at_several_scales(list(SCALE.test_aug.image_sides)),
            test_aug_longest=at_several_scales(SCALE.test_aug.longest_side),
            untracked={"margin": SCALE.training.margin},
        ),
    message:
        "Detecting with {wildcards.recipe}, {wildcards.segment}"
    shell:
        "python -m workflow_scripts.evaluation.detect --job {params.job:q} --runtime {resources.runtime}"
        " > {log:q} 2>&1"


rule evaluate:
    input:
        unpack(lambda wildcards: LAYOUT.evaluated_on(wildcards.recipe)),
        recipe=LAYOUT.recipe,
        detections=f"{LAYOUT.evaluation}/detections",
        code=code("evaluation", "evaluate", "coco_metrics", "bootstrap", "voc_metrics")
        + code("data", "coco", "voc"),
    output:
        metrics=f"{LAYOUT.evaluation}/metrics.json",
        replicates=f"{LAYOUT.evaluation}/replicates.csv",
    log:
        f"{LAYOUT.logs}/evaluation/{{recipe}}/{{segment}}/{{testing}}-evaluate.log",
    benchmark:
        f"{LAYOUT.benchmarks}/evaluation/{{recipe}}/{{segment}}/{{testing}}-evaluate.tsv"
    group:
        group_of("evaluate")
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        in_turn=1,
        runtime=lambda wildcards: light_runtime("evaluate", wildcards, len(checkpoints_of(wildcards))),
    params:
        **job(
            "evaluate",
            *("recipe", "segment", "testing"),
            *("detections", "annotations", "metrics", "replicates"),
            iterations=checkpoints_of,
            stage=lambda wildcards: STUDY.segments[wildcards.recipe, wildcards.segment].stage,
            voc=lambda wildcards: voc_folder(wildcards.recipe),
            replicate_count=SCALE.evaluation.replicates,
        ),
    message:
        "Evaluating {wildcards.recipe}, {wildcards.segment}"
    shell:
        "python -m workflow_scripts.evaluation.evaluate --job {params.job:q} > {log:q} 2>&1"
