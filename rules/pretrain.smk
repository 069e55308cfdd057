"""Pre-training: a classifier trained here (as a recipe of its own), or published weights fetched; `skip` needs no job."""

PRETRAINED = f"{RESULTS}/pretraining"


def classifier_segment(model, name):
    """An output of the one segment that trains a model's classifier."""
    recipe = f"classification-{model}"
    (segment,) = [segment for segment in STUDY.segments.values() if segment.recipe == recipe]
    return f"{RESULTS}/training/{recipe}/{segment.name}/{name}"


def published(wildcards):
    return STUDY.config.pretraining.fetch[wildcards.model]


wildcard_constraints:
    model=one_of([recipe.model for recipe in STUDY.recipes.values()]),


rule trained_backbone:
    message:
        "Taking the backbone of the {wildcards.model} classifier"
    input:
        recipe=f"{RESULTS}/recipes/classification-{{model}}.json",
        state=lambda wildcards: classifier_segment(wildcards.model, "state.safetensors"),
    output:
        backbone=f"{PRETRAINED}/train/{{model}}/backbone.safetensors",
        summary=f"{PRETRAINED}/train/{{model}}/summary.json",
    params:
        val=classification("val"),
    log:
        f"{RESULTS}/logs/pretraining/train-{{model}}.log",
    resources:
        mem_mb=SCALE.resources.evaluate.mem_mb,
        runtime=SCALE.resources.evaluate.runtime,
    shell:
        "python -m workflow_scripts.detection.pretrained trained --recipe {input.recipe:q} --state {input.state:q}"
        " --val {params.val:q} --backbone {output.backbone:q} --summary {output.summary:q} > {log:q} 2>&1"


rule fetched_backbone:
    message:
        "Fetching published weights of {wildcards.model}"
    output:
        backbone=f"{PRETRAINED}/fetch/{{model}}/backbone.safetensors",
        summary=f"{PRETRAINED}/fetch/{{model}}/summary.json",
    params:
        source=lambda wildcards: published(wildcards).source,
        sha256=lambda wildcards: published(wildcards).sha256,
        layout=lambda wildcards: published(wildcards).layout,
        colours=lambda wildcards: published(wildcards).colours,
    log:
        f"{RESULTS}/logs/pretraining/fetch-{{model}}.log",
    resources:
        mem_mb=SCALE.resources.light.mem_mb,
        runtime=SCALE.resources.light.runtime,
    shell:
        "python -m workflow_scripts.detection.pretrained fetched --source {params.source:q}"
        " --sha256 {params.sha256} --layout {params.layout} --colours {params.colours}"
        " --backbone {output.backbone:q} --summary {output.summary:q} > {log:q} 2>&1"
