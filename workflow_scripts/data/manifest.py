"""Writes a data set's manifest: what its annotation file and image list are, as hashes and counts.

    python -m workflow_scripts.data.manifest --annotations instances_train2017.json --images train2017 \\
        --output manifest.json

The manifest is the identity of a data set in this study. Its fields:

    file                name of the annotation file, without its folder
    bytes               size of the annotation file
    sha256              SHA-256 of the annotation file
    image_count         entries of `images`
    annotation_count    entries of `annotations`, crowds included
    categories          category names in ascending order of category id
    image_list_sha256   SHA-256 of the lines "ID FILE_NAME" in ascending order of id: the same for the same
                        images in whatever order and with whatever annotations. By hand:
                        jq -r '.images[]|"\\(.id) \\(.file_name)"' FILE | sort -n | sha256sum
    mask_format         `bitmask` where masks are learned as bitmaps (`data/mask_format.py`); else it is not there
    split_of            of a part of a file that was split (`data/split.py`): what it is a part of

Every listed image must exist as a file below `--images`; their pixels are not read.
"""

import argparse
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UnsetType

from workflow_scripts.data import coco
from workflow_scripts.data.mask_format import mask_format
from workflow_scripts.files import sha256, write_json
from workflow_scripts.jobs.job import job


def describe(
    path: Path, images: Sequence[coco.Image], annotation_count: int, categories: Iterable[coco.Category]
) -> dict[str, Any]:
    """The manifest of the annotation file at `path`, whose content the caller has already read."""
    described = {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "image_count": len(images),
        "annotation_count": annotation_count,
        "categories": [category.name for category in categories],
        "image_list_sha256": image_list_sha256(images),
    }
    learned_as = mask_format(path)
    return described if learned_as == "polygon" else described | {"mask_format": learned_as}


def image_list_sha256(images: Iterable[coco.Image]) -> str:
    """The hash that identifies a list of images, whatever its order: see the module's docstring."""
    lines = (f"{image.id} {image.file_name}\n" for image in sorted(images, key=lambda image: image.id))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True, help="COCO annotation file")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--output", type=Path, required=True, help="manifest to write")
    arguments = parser.parse_args()
    file = coco.read(arguments.annotations)
    coco.require_image_files(file, arguments.images)
    described = describe(file.path, file.images, len(file.annotation_image_ids), file.categories)
    if not isinstance(file.sections.split_of, UnsetType):
        described["split_of"] = msgspec.json.decode(file.sections.split_of)
    write_json(arguments.output, described)


if __name__ == "__main__":
    job(main)
