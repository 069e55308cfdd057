"""Provenance: is every result still what its record tells?"""


# Of what is there, as it is: nothing is made anew before.
rule audit:
    log:
        f"{LAYOUT.logs}/audit.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job("audit", study=config),
        root=LAYOUT.root,
    message:
        "Auditing {params.root}"
    shell:
        "python -m workflow_scripts.provenance.audit {params.root:q} --job {params.job:q} | tee {log:q}"


# All that a study found but for weights, images and detections, in one small archive.
rule bundle:
    input:
        f"{LAYOUT.root}/report.html",
    output:
        f"{LAYOUT.root}/bundle.tar.gz",
    log:
        f"{LAYOUT.logs}/bundle.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        **job("bundle", study=config),
        root=lambda wildcards, input: folder(input[0]),
    message:
        "Bundling {params.root}"
    shell:
        "python -m workflow_scripts.provenance.bundle make {params.root:q} --job {params.job:q}"
        " --output {output:q} > {log:q} 2>&1"


# The study as a Workflow Run RO-Crate.
rule crate:
    input:
        f"{LAYOUT.root}/report.html",
    output:
        f"{LAYOUT.root}/crate.zip",
    log:
        f"{LAYOUT.logs}/crate.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=LIGHT.runtime,
    params:
        root=lambda wildcards, input: folder(input[0]),
    message:
        "Describing {params.root} as an RO-Crate"
    shell:
        "python -m workflow_scripts.provenance.crate {params.root:q} --output {output:q} > {log:q} 2>&1"
