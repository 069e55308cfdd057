#!/usr/bin/env bash
# Snakemake runs this after it made the environment of environment.yaml (`--software-deployment-method conda`).
# Upstream's detectron2, at a pinned commit, stands apart from the packages whose hashes are checked: a git commit is
# its own hash. It needs no GPU and no CUDA compiler: nothing in the study runs detectron2's own CUDA operators.
set -euo pipefail
pip install --no-deps --no-build-isolation \
    "detectron2 @ git+https://github.com/facebookresearch/detectron2@02b5c4e295e990042a714712c21dc79b731e8833"
