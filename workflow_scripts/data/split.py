"""Splits a COCO annotation file by image into a part to train on and a part to validate on.

    python -m workflow_scripts.data.split --annotations all.json --validation 0.2 --seed 0 \\
        --train train.json --val val.json

The images are put in an order that depends on the seed and their ids alone; the first `validation` of them, to the
nearest image, are to validate on, and the others to train on. An image's annotations go with it. Images and annotations
are kept byte by byte, and both files hold all categories. In each, and in its manifest, `split_of` says what
it is a part of:

    file, sha256    of the annotation file that was split
    validation      the fraction
    seed            the seed
    part            `train` or `val`
"""

import argparse
from pathlib import Path
from typing import Any

from workflow_scripts.data import coco
from workflow_scripts.data.subsets import seeded_order, write_part
from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256
from workflow_scripts.jobs.job import job


def parts_of(image_ids: list[int], validation: float, seed: int) -> dict[str, set[int]]:
    """The image ids of `train` and `val`.

    Raises:
        UserError: one of the two would be without an image.
    """
    count = round(len(image_ids) * validation)
    if not 0 < count < len(image_ids):
        raise UserError(
            f"datasets.coco.validation: found {validation:g} of {len(image_ids):,} images, which is {count:,}; "
            "expected at least one image to train on and one to validate on. Change the fraction"
        )
    ordered = seeded_order(image_ids, seed)
    return {"train": set(ordered[count:]), "val": set(ordered[:count])}


def write_split(
    annotations: Path, validation: float, seed: int, outputs: dict[str, Path]
) -> dict[str, dict[str, Any]]:
    """Write the files of `train` and `val`; returns their manifests.

    Raises:
        UserError: before anything is written, for a file that `coco.read` refuses, or a part without an image.
    """
    file = coco.read(annotations)
    parts = parts_of([image.id for image in file.images], validation, seed)
    origin = {"file": annotations.name, "sha256": sha256(annotations), "validation": validation, "seed": seed}
    return {
        part: write_part(file, kept, outputs[part], {"split_of": {**origin, "part": part}})
        for part, kept in parts.items()
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True, help="COCO annotation file to split")
    parser.add_argument(
        "--validation", type=float, required=True, help="fraction of the images, above 0 and below 1"
    )
    parser.add_argument("--seed", type=int, required=True, help="fixes which images these are")
    parser.add_argument("--train", type=Path, required=True, help="output: the part to train on")
    parser.add_argument("--val", type=Path, required=True, help="output: the part to validate on")
    arguments = parser.parse_args()
    outputs = {"train": arguments.train, "val": arguments.val}
    for part, told in write_split(
        arguments.annotations, arguments.validation, arguments.seed, outputs
    ).items():
        print(
            f"{outputs[part]}: {told['image_count']:,} images, {told['annotation_count']:,} annotations to {part}"
        )


if __name__ == "__main__":
    job(main)
