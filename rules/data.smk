"""Data: the miniature world where no real data is given, manifests that identify the data, nested subsets."""


def coco(split):
    """Annotations and images of a split; raw data is `ancient`, its identity is its manifest."""
    given = STUDY.config.datasets.coco
    if given is None:
        return f"{WORLD}/coco/annotations/instances_{split}.json", f"{WORLD}/coco/{split}"
    image_set = getattr(given, split)
    return ancient(image_set.annotations), image_set.images


def classification(split):
    """The image folder of a split, to pre-train on."""
    given = STUDY.config.datasets.classification
    return f"{WORLD}/classification/{split}" if given is None else getattr(given, split)


def manifest(split):
    return f"{RESULTS}/data/coco-{split}.json"


def classification_manifest():
    """What a pre-training depends on: the drawn world, or nothing that the workflow makes."""
    return [f"{WORLD}/manifest.json"] if STUDY.config.datasets.classification is None else []


def val2014(wildcards):
    given = STUDY.config.datasets.coco
    return [ancient(given.val2014_annotations)] if given and given.val2014_annotations else []


rule world:
    message:
        "Drawing the miniature world"
    output:
        manifest=f"{WORLD}/manifest.json",
        annotations=[f"{WORLD}/coco/annotations/instances_{split}.json" for split in ("train", "val")],
    params:
        settings=json.dumps(SCALE.world, sort_keys=True),
        folder=WORLD,
    log:
        f"{RESULTS}/logs/world.log",
    benchmark:
        f"{RESULTS}/benchmarks/world.tsv"
    threads: 2
    resources:
        mem_mb=SCALE.resources.light.mem_mb,
        runtime=SCALE.resources.light.runtime,
    shell:
        "python -m workflow_scripts.data.world --settings {params.settings:q} --output {params.folder:q}"
        " --manifest {output.manifest:q} --processes {threads} > {log:q} 2>&1"


rule manifest:
    message:
        "Identifying COCO {wildcards.split}"
    input:
        annotations=lambda wildcards: coco(wildcards.split)[0],
    output:
        manifest("{split}"),
    params:
        images=lambda wildcards: coco(wildcards.split)[1],
    log:
        f"{RESULTS}/logs/manifest-{{split}}.log",
    resources:
        mem_mb=SCALE.resources.light.mem_mb,
        runtime=SCALE.resources.light.runtime,
    shell:
        "python -m workflow_scripts.data.manifest --annotations {input.annotations:q} --images {params.images:q}"
        " --output {output:q} > {log:q} 2>&1"


def subset_sizes():
    """The scale's subsets as NAME=SIZE; with val2014 given, 35k is the paper's val35k: all of train2017 within it."""
    given = STUDY.config.datasets.coco
    val35k = {"35k": "all"} if given and given.val2014_annotations else {}
    return [f"{name}={size}" for name, size in (SCALE.subsets | val35k).items()]


def subset(name, what="instances"):
    return f"{RESULTS}/data/subsets/{what}_{name}.json"


rule subsets:
    message:
        "Drawing nested subsets of COCO train"
    input:
        annotations=coco("train")[0],
        within=val2014,
        code=code("data/subsets.py", "data/coco.py", "data/manifest.py"),
    output:
        [subset(name, what) for name in SCALE.subsets for what in ("instances", "manifest")],
    params:
        subsets=subset_sizes(),
        seed=STUDY.config.subset_seed,
        folder=f"{RESULTS}/data/subsets",
        within=lambda wildcards, input: f"--within {input.within}" if input.within else "",
    log:
        f"{RESULTS}/logs/subsets.log",
    resources:
        mem_mb=SCALE.resources.light.mem_mb,
        runtime=SCALE.resources.light.runtime,
    shell:
        "python -m workflow_scripts.data.subsets --annotations {input.annotations:q} {params.within}"
        " --subsets {params.subsets} --seed {params.seed} --output-dir {params.folder:q} > {log:q} 2>&1"
