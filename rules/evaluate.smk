"""Evaluation: the detections of a checkpoint once, then COCO's metrics from the dump."""


rule detect:
    input:
        unpack(lambda wildcards: LAYOUT.evaluated_on(wildcards.recipe)),
        recipe=LAYOUT.recipe,
        checkpoints=f"{LAYOUT.segment}/checkpoints",
        code=code("detection", "detect", "examples", "models", "config", "backbones", "vgg"),
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
        record=record_of("detect"),
        weights=lambda wildcards, input: f"{input.checkpoints}/{wildcards.iteration}.safetensors",
        images=lambda wildcards: LAYOUT.evaluated_images(wildcards.recipe),
        test_aug=lambda wildcards: test_aug(wildcards.testing),
    message:
        "Detecting with {wildcards.recipe} after {wildcards.iteration} iterations"
    shell:
        "python -m workflow_scripts.provenance.job {params.record} workflow_scripts.detection.detect --recipe {input.recipe:q} --weights {params.weights:q}"
        " --annotations {input.annotations:q} --images {params.images:q} {params.test_aug}"
        " --output {output:q} > {log:q} 2>&1"


rule evaluate:
    input:
        unpack(lambda wildcards: LAYOUT.evaluated_on(wildcards.recipe)),
        recipe=LAYOUT.recipe,
        detections=f"{LAYOUT.evaluation}/detections.json",
        code=code("detection", "evaluate", "coco_metrics", "bootstrap", "voc_metrics")
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
        record=record_of("evaluate"),
        stage=lambda wildcards: STUDY.segments[wildcards.recipe, wildcards.segment].stage,
        replicates=SCALE.evaluation.replicates,
        voc=lambda wildcards: voc_folder(wildcards.recipe),
    message:
        "Evaluating {wildcards.recipe} after {wildcards.iteration} iterations"
    shell:
        "python -m workflow_scripts.provenance.job {params.record} workflow_scripts.detection.evaluate --recipe {input.recipe:q} --segment {wildcards.segment}"
        " --stage {params.stage} --iteration {wildcards.iteration} --testing {wildcards.testing}"
        " --detections {input.detections:q} --annotations {input.annotations:q} {params.voc}"
        " --replicate-count {params.replicates} --replicates {output.replicates:q}"
        " --output {output.metrics:q} > {log:q} 2>&1"
