"""Data: the miniature world where no real data is given, checks, manifests that identify the data, nested subsets."""


localrules:
    check,
    fit,
    manifest,


rule world:
    output:
        manifest=f"{LAYOUT.world}/manifest.json",
        annotations=expand(
            f"{LAYOUT.world}/coco/annotations/{{name}}_{{split}}.json",
            name=["instances", "person_keypoints"],
            split=["train", "val"],
        ),
    log:
        f"{LAYOUT.logs}/world.log",
    benchmark:
        f"{LAYOUT.benchmarks}/world.tsv"
    conda:
        "../envs/environment.yaml"
    threads: 2
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job("world", settings=SCALE.world),
        folder=lambda wildcards, output: folder(output.manifest),
    message:
        "Drawing the miniature world"
    shell:
        "python -m workflow_scripts.data.world --job {params.job:q} --output {params.folder:q}"
        " --manifest {output.manifest:q} --processes {threads} > {log:q} 2>&1"


rule check_data:
    input:
        unpack(lambda wildcards: LAYOUT.checked_inputs(wildcards.checked)),
    output:
        report=LAYOUT.check,
        text=LAYOUT.check_text,
    log:
        f"{LAYOUT.logs}/check-{{checked}}-{{paths}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/check-{{checked}}-{{paths}}.tsv"
    priority: pretraining_first
    conda:
        "../envs/environment.yaml"
    threads: EVALUATE.threads
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=EVALUATE.runtime,
    params:
        **job(
            "check_data",
            *("report", "text"),
            name=lambda wildcards: wildcards.checked,
            **{option: of_checked(option) for option in CHECKED_OPTIONS},
        ),
    message:
        "Checking {wildcards.checked}"
    shell:
        "python -m workflow_scripts.data.check --job {params.job:q} --threads {threads} > {log:q} 2>&1"


# How the images and boxes to train on fit the sizes that a detector sees; it stops nothing.
rule fit:
    input:
        annotations=lambda wildcards: LAYOUT.annotations(wildcards.train_set, "train"),
        checked=lambda wildcards: LAYOUT.check_of(wildcards.train_set, LAYOUT.check),
    output:
        LAYOUT.fit,
    log:
        f"{LAYOUT.logs}/fit-{{train_set}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/fit-{{train_set}}.tsv"
    conda:
        "../envs/environment.yaml"
    params:
        **job(
            "fit",
            "annotations",
            **{option: of_fit(option) for option in ("image_side", "longest_side", "anchor_sizes", "batch")},
        ),
    message:
        "Comparing {wildcards.train_set} with what a detector sees"
    shell:
        "python -m workflow_scripts.data.check.fit --job {params.job:q} --text {output:q} > {log:q} 2>&1"


# Settings of detectron2 that do not fit together, of any model, before anything trains.
rule check_models:
    output:
        report=LAYOUT.models_check,
        text=LAYOUT.models_text,
    log:
        f"{LAYOUT.logs}/check-models-{{models}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/check-models-{{models}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=EVALUATE.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "check_models",
            *("report", "text"),
            untracked={
                "recipes": {
                    "recipes": [recipe.model_dump(mode="json") for recipe in LAYOUT.tried_models.values()]
                }
            },
        ),
    message:
        "Trying each model on a small picture"
    shell:
        "python -m workflow_scripts.models.check --job {params.job:q} > {log:q} 2>&1"


# What the data and the models of the study are like, before anything trains.
rule check:
    input:
        lambda wildcards: [
            *LAYOUT.asked_checks(LAYOUT.check_text),
            *LAYOUT.asked_fits(),
            LAYOUT.models_of(LAYOUT.models_text),
        ],
    log:
        f"{LAYOUT.logs}/check.log",
    conda:
        "../envs/environment.yaml"
    message:
        "Showing what the checks found"
    shell:
        "cat {input:q} | tee {log:q}"


rule images:
    input:
        unpack(lambda wildcards: LAYOUT.image_source(wildcards.images)),
    output:
        LAYOUT.images,
    log:
        f"{LAYOUT.logs}/images-{{images}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/images-{{images}}.tsv"
    priority: pretraining_first
    conda:
        "../envs/environment.yaml"
    threads: EVALUATE.threads
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "images",
            folder=lambda wildcards: LAYOUT.image_folder(wildcards.images),
            parts=lambda wildcards: LAYOUT.image_parts(wildcards.images),
        ),
    message:
        "Hashing the images of {wildcards.images}"
    shell:
        "python -m workflow_scripts.data.image_hashes --job {params.job:q} --threads {threads} --output {output:q} > {log:q} 2>&1"


# Pictures to pre-train on, where real data comes without.
rule crops:
    input:
        unpack(lambda wildcards: LAYOUT.crops_inputs()),
    output:
        folder=directory(LAYOUT.crops),
        manifest=f"{LAYOUT.crops}.json",
    log:
        f"{LAYOUT.logs}/crops.log",
    benchmark:
        f"{LAYOUT.benchmarks}/crops.tsv"
    priority: PRETRAINING
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=EVALUATE.runtime,
    params:
        **job("crops", "train_annotations", "val_annotations", "manifest", **LAYOUT.crops_options()),
    message:
        "Cutting objects out to pre-train on"
    shell:
        "python -m workflow_scripts.data.crops --job {params.job:q} --output {output.folder:q} > {log:q} 2>&1"


rule manifest:
    input:
        annotations=lambda wildcards: LAYOUT.annotations(wildcards.train_set, wildcards.split),
    output:
        LAYOUT.manifest("{train_set}", "{split}"),
    log:
        f"{LAYOUT.logs}/manifest-{{train_set}}-{{split}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/manifest-{{train_set}}-{{split}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "manifest",
            "annotations",
            images=lambda wildcards: LAYOUT.image_set(wildcards.train_set, wildcards.split).images,
        ),
    message:
        "Identifying {wildcards.train_set} {wildcards.split}"
    shell:
        "python -m workflow_scripts.data.manifest --job {params.job:q} --output {output:q} > {log:q} 2>&1"


rule voc_annotations:
    input:
        unpack(lambda wildcards: LAYOUT.voc_inputs(wildcards.split)),
    output:
        LAYOUT.voc_annotations,
    log:
        f"{LAYOUT.logs}/voc-{{split}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/voc-{{split}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "voc_annotations",
            optional=["classes"],
            folders=lambda wildcards: [part.folder for part in LAYOUT.voc_parts(wildcards.split)],
            splits=lambda wildcards: [part.split for part in LAYOUT.voc_parts(wildcards.split)],
        ),
    message:
        "Reading VOC {wildcards.split}"
    shell:
        "python -m workflow_scripts.data.voc --job {params.job:q} --output {output:q} > {log:q} 2>&1"


rule split:
    input:
        annotations=LAYOUT.whole(),
    output:
        train=LAYOUT.part.format(split="train"),
        val=LAYOUT.part.format(split="val"),
    log:
        f"{LAYOUT.logs}/split.log",
    benchmark:
        f"{LAYOUT.benchmarks}/split.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job("split", "annotations", "train", "val", **LAYOUT.split_options()),
    message:
        "Splitting the images into those to train on and those to validate on"
    shell:
        "python -m workflow_scripts.data.split --job {params.job:q} > {log:q} 2>&1"


rule subsets:
    input:
        annotations=LAYOUT.annotations("coco", "train"),
        within=LAYOUT.val2014(),
    output:
        instances=LAYOUT.subset_files("instances"),
        manifests=LAYOUT.subset_files("manifest"),
    log:
        f"{LAYOUT.logs}/subsets.log",
    benchmark:
        f"{LAYOUT.benchmarks}/subsets.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "subsets", "annotations", "within", subsets=LAYOUT.subset_sizes(), seed=STUDY.config.subset_seed
        ),
        folder=lambda wildcards, output: folder(output.manifests[0]),
    message:
        "Drawing nested subsets of COCO train"
    shell:
        "python -m workflow_scripts.data.subsets --job {params.job:q} --output-dir {params.folder:q} > {log:q} 2>&1"


# The nested shares on which advice trains, drawn likewise.
use rule subsets as shares with:
    input:
        annotations=lambda wildcards: LAYOUT.annotations(wildcards.train_set, "train"),
    output:
        instances=LAYOUT.share_files("instances"),
        manifests=LAYOUT.share_files("manifest"),
    log:
        f"{LAYOUT.logs}/shares-{{train_set}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/shares-{{train_set}}.tsv"
    params:
        **job("shares", "annotations", subsets=LAYOUT.share_sizes(), seed=STUDY.config.subset_seed),
        folder=lambda wildcards, output: folder(output.manifests[0]),
    message:
        "Drawing nested shares of {wildcards.train_set} train"
