"""Provenance: is every result still what its record tells?"""


# Of what is there, as it is: nothing is made anew before.
rule audit:
    log:
        f"{LAYOUT.logs}/audit.log",
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=LIGHT.mem_mb,
        runtime=EVALUATE.runtime,
    params:
        root=LAYOUT.root,
        study=json.dumps(config),
    message:
        "Auditing {params.root}"
    shell:
        "python -m workflow_scripts.provenance.audit {params.root:q} --study {params.study:q} | tee {log:q}"
