"""Evaluation: the detections of a checkpoint once, then COCO's metrics from the dump."""


rule detect:
    message:
        "Detecting with {wildcards.recipe} after {wildcards.iteration} iterations"
    input:
        recipe=RECIPE,
        checkpoints=f"{SEGMENT}/checkpoints",
        manifest=manifest("val"),
        annotations=coco("val")[0],
        code=code("detection/detect.py"),
    output:
        f"{EVALUATION}/detections.json",
    params:
        weights=f"{SEGMENT}/checkpoints/{{iteration}}.safetensors",
        images=coco("val")[1],
    log:
        f"{RESULTS}/logs/evaluation/{{recipe}}/{{segment}}/{{iteration}}-detect.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluation/{{recipe}}/{{segment}}/{{iteration}}.tsv"
    threads: SCALE.resources.evaluate.threads
    resources:
        gpu=SCALE.resources.evaluate.gpu,
        mem_mb=SCALE.resources.evaluate.mem_mb,
        runtime=SCALE.resources.evaluate.runtime,
    shell:
        "python -m workflow_scripts.detection.detect --recipe {input.recipe:q} --weights {params.weights:q}"
        " --annotations {input.annotations:q} --images {params.images:q} --output {output:q} > {log:q} 2>&1"


rule evaluate:
    message:
        "Evaluating {wildcards.recipe} after {wildcards.iteration} iterations"
    input:
        recipe=RECIPE,
        detections=f"{EVALUATION}/detections.json",
        annotations=coco("val")[0],
        code=code("detection/evaluate.py", "detection/coco_metrics.py"),
    output:
        f"{EVALUATION}/metrics.json",
    params:
        stage=lambda wildcards: segment_of(wildcards).stage,
    log:
        f"{RESULTS}/logs/evaluation/{{recipe}}/{{segment}}/{{iteration}}-evaluate.log",
    resources:
        mem_mb=SCALE.resources.light.mem_mb,
        runtime=SCALE.resources.light.runtime,
    shell:
        "python -m workflow_scripts.detection.evaluate --recipe {input.recipe:q} --segment {wildcards.segment} --stage {params.stage}"
        " --iteration {wildcards.iteration} --detections {input.detections:q}"
        " --annotations {input.annotations:q} --output {output:q} > {log:q} 2>&1"
