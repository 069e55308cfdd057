"""What random init and pre-training detect, side by side, for the report: pictures, and where the two differ."""


rule compare:
    input:
        unpack(lambda wildcards: LAYOUT.validated_on(wildcards.train_set)),
        detections=lambda wildcards: LAYOUT.compared_detections(wildcards.train_set, chosen),
        code=code("evaluation", "compare", "errors", "pictures", "coco_metrics", "bootstrap")
        + code("data", "coco", "voc"),
    output:
        pictures=LAYOUT.pictures,
        differences=LAYOUT.differences,
    log:
        f"{LAYOUT.logs}/detections/{{train_set}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/detections/{{train_set}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=EVALUATE.mem_mb,
        runtime=lambda wildcards, input: EVALUATE.runtime * len(input.detections),
    params:
        **job(
            "compare",
            *("annotations", "pictures", "differences"),
            compared=lambda wildcards: LAYOUT.compared(wildcards.train_set, chosen),
            images=lambda wildcards: LAYOUT.image_set(wildcards.train_set, "val").images,
            voc=lambda wildcards: voc_set(wildcards.train_set),
            replicate_count=SCALE.evaluation.replicates,
        ),
    message:
        "Comparing detections on {wildcards.train_set}"
    shell:
        "python -m workflow_scripts.evaluation.compare --job {params.job:q} > {log:q} 2>&1"
