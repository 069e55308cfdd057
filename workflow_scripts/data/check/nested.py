"""Checks that a training set holds the subsets that are to be drawn of it."""

from collections.abc import Iterable
from pathlib import Path

from workflow_scripts.data import coco
from workflow_scripts.data.check.findings import Findings, Kind
from workflow_scripts.data.subsets import drawn_from, parse_sizes

TOO_LARGE = Kind(
    "subset-too-large",
    "error",
    "subsets",
    "subsets of more images than there are",
    "at most as many images as the file holds",
    "Write numbers that fit the data below `numbers: {subsets: ...}` in the configuration, or leave out the "
    "experiments that train on subsets",
)


def check_subsets(
    file: coco.AnnotationFile, within: Path | None, subsets: Iterable[str], findings: Findings
) -> None:
    """Check the subsets, each as NAME=SIZE of `data/subsets.py`, of a training file, within another where one is given.

    Raises:
        UserError: `within` cannot be read, or holds none of the file's images.
    """
    sizes = parse_sizes(subsets)
    if not sizes:
        return
    findings.total(file.path, "subsets", len(sizes))
    images = len(drawn_from(file, within))
    place = f" within {within}" if within else ""
    for name, size in sizes.items():
        if isinstance(size, int) and size > images:
            findings.add(TOO_LARGE, file.path, f"subset {name}", f"{size:,} images of {images:,}{place}")
