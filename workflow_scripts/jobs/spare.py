"""What a training keeps of its outputs under second names, until a job that reads them begins.

Snakemake starts such a job once it has taken note that the training is done. A training that fails until then, in its
last seconds, is not trained again, and neither is one whose outputs were removed with a failed job.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

IDENTITY = "training.sha256"
"""The file in a spare that tells which training it is of; no other folder is taken for one."""


def spare_of(segment: Path) -> Path:
    """Where the spare of a segment's folder lies."""
    return segment.with_name(f"{segment.name}.spare")


def drop_spares(files: Iterable[str | Path]) -> None:
    """Remove the spares of the segments that files are outputs of: whoever reads them has no need of more."""
    for spare in {spare_of(Path(file).absolute().parent) for file in files}:
        if (spare / IDENTITY).exists():
            shutil.rmtree(spare, ignore_errors=True)
