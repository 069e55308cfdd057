"""What trainings cost on this machine and these data: a configuration that makes budgets and plans true."""

# Trainings that share a machine slow each other down.
SIDE_BY_SIDE = 1 if TRAIN.gpu else STUDY.config.advice.devices


rule costs:
    input:
        lambda wildcards: LAYOUT.tried_inputs(),
    output:
        LAYOUT.costs,
    log:
        f"{LAYOUT.logs}/costs.log",
    conda:
        "../envs/environment.yaml"
    threads: TRAIN.threads * SIDE_BY_SIDE
    resources:
        **machines(TRAIN),
        mem_mb=TRAIN.mem_mb * SIDE_BY_SIDE,
        runtime=TRAIN.runtime,
    params:
        **job(
            "costs",
            "output",
            trainings=lambda wildcards: {"trainings": LAYOUT.tried_options()},
            detection=lambda wildcards: LAYOUT.tried_detection(),
            copies=SIDE_BY_SIDE,
            threads=TRAIN.threads,
            untracked=how_trained(),
        ),
    message:
        "Trying a few iterations of each kind of training"
    shell:
        "python -m workflow_scripts.training.measure --job {params.job:q} > {log:q} 2>&1"
