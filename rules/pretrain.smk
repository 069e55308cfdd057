"""Pre-training: a classifier trained here (a recipe of its own), or published weights fetched; `skip` needs no job."""


rule trained_backbone:
    input:
        recipe=LAYOUT.recipe.replace("{recipe}", "classification-{model}"),
        state=lambda wildcards: LAYOUT.classifier_output(wildcards.model, "state.safetensors"),
        images=LAYOUT.image_hashes("classification", "val"),
    output:
        backbone=f"{LAYOUT.trained}/backbone.safetensors",
        summary=f"{LAYOUT.trained}/summary.json",
    log:
        f"{LAYOUT.logs}/pretraining/train-{{model}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/pretraining/train-{{model}}.tsv"
    priority: PRETRAINING
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=EVALUATE.mem_mb,
        runtime=max(LIGHT.runtime, EVALUATE.runtime),
        gpu=EVALUATE.gpu,
    params:
        **job(
            "trained_backbone",
            "recipe",
            "state",
            "backbone",
            "summary",
            val=lambda wildcards: LAYOUT.classification().val,
        ),
    message:
        "Taking the backbone of the {wildcards.model} classifier"
    shell:
        "python -m workflow_scripts.training.backbone --job {params.job:q} > {log:q} 2>&1"


rule fetched_backbone:
    output:
        backbone=f"{LAYOUT.fetched}/backbone.safetensors",
        summary=f"{LAYOUT.fetched}/summary.json",
    log:
        f"{LAYOUT.logs}/pretraining/fetch-{{model}}.log",
    benchmark:
        f"{LAYOUT.benchmarks}/pretraining/fetch-{{model}}.tsv"
    priority: PRETRAINING
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job(
            "fetched_backbone",
            "model",
            weights=lambda wildcards: STUDY.config.pretraining.fetch[wildcards.model].model_dump(),
            untracked={
                "recipes": {
                    each.model: each.model_dump()
                    for each in STUDY.recipes.values()
                    if each.pretraining == "fetch"
                }
            },
        ),
    message:
        "Fetching published weights of {wildcards.model}"
    shell:
        "python -m workflow_scripts.models.published --job {params.job:q}"
        " --backbone {output.backbone:q} --summary {output.summary:q} > {log:q} 2>&1"
