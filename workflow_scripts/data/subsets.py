"""Draws nested subsets of a COCO annotation file, all of them from one reading of it (paper, Fig. 7 and 8).

    python -m workflow_scripts.data.subsets --annotations instances_train2017.json \\
        --within instances_val2014.json --subsets 1k=1000 3.5k=3500 10k=10000 35k=all --seed 0 \\
        --output-dir subsets

writes `instances_NAME.json`, a COCO annotation file, and `manifest_NAME.json` for each NAME=SIZE.

SIZE is a number of images, or a share of all of them such as 8.5% (to the nearest image, and at least one), or
`all`. With `--within FILE`, only images whose ids stand in FILE too are drawn from, and `all` means exactly
those: with train2017 within val2014 that is the paper's val35k. The paper does not publish its 10k, 3.5k and
1k lists; here they are drawn from the same images.

The images are put in an order that depends on the seed and their ids alone, and a subset is the first SIZE of
it: each smaller subset lies within each larger one. Images without annotations count like all others (the
paper is silent). The files keep `info`, `licenses` and `categories`, and the kept images and annotations byte
by byte in their order.

The manifest has the fields of `workflow_scripts.data.manifest` for the file written, and

    seed      the seed
    source    `file` and `sha256` of the annotation file drawn from
    within    `file` and `sha256` of `--within`, or null
"""

import argparse
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import compress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UnsetType

from workflow_scripts.data import coco, manifest
from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256, write_atomically, write_json
from workflow_scripts.jobs.job import job

Size = int | float | None
"""Of a subset: a number of images, a share of all of them (above 0, at most 1), or all."""


def write_subsets(
    annotations: Path,
    sizes: Mapping[str, Size],
    seed: int,
    output_dir: Path,
    within: Path | None = None,
) -> None:
    """Write the annotation file and the manifest of each subset of `sizes`, by name.

    Raises `UserError`, before anything is written, for an input that `coco.read` refuses, for `within`
    without an image in common, and for a size above the number of images there are.
    """
    file = coco.read(annotations)
    ordered = seeded_order(drawn_from(file, within), seed)
    counts = {name: _count(size, len(ordered)) for name, size in sizes.items()}
    for name, count in counts.items():
        if count > len(ordered):
            among = f"{annotations} within {within}" if within else f"{annotations}"
            raise UserError(
                f"Subset {name}: {count:,} images wanted, but {among} has {len(ordered):,}. "
                f"Ask for at most {len(ordered):,}, or for `{name}=all`."
            )
        if (output_dir / f"instances_{name}.json").resolve() == annotations.resolve():
            raise UserError(
                f"Subset {name} would overwrite {annotations}. Choose another name or --output-dir."
            )
    origin = {"seed": seed, "source": _identity(annotations), "within": _identity(within) if within else None}
    for name, count in counts.items():
        path = output_dir / f"instances_{name}.json"
        described = write_part(file, set(ordered[:count]), path)
        write_json(output_dir / f"manifest_{name}.json", described | origin)
        print(f"{path}: {described['image_count']:,} images, {described['annotation_count']:,} annotations")


def _count(size: Size, images: int) -> int:
    """Images in a subset of so many."""
    if size is None:
        return images
    return size if isinstance(size, int) else max(1, round(size * images))


def seeded_order(image_ids: Iterable[int], seed: int) -> list[int]:
    """The ids in a random order: of any two, which comes first depends on `seed` and the two alone."""

    def key(image_id: int) -> tuple[bytes, int]:
        return hashlib.blake2b(f"{seed} {image_id}".encode(), digest_size=16).digest(), image_id

    return sorted(image_ids, key=key)


def drawn_from(file: coco.AnnotationFile, within: Path | None) -> list[int]:
    """The ids of the images to draw from. Raises `UserError` for `within` without an image in common."""
    image_ids = [image.id for image in file.images]
    if within is None:
        return image_ids
    allowed = coco.read_image_ids(within)
    shared = [image_id for image_id in image_ids if image_id in allowed]
    if not shared:
        raise UserError(
            f"None of the {len(image_ids):,} images of {file.path} is among the {len(allowed):,} of "
            f"{within}. Expected a file that shares image ids, as instances_val2014.json does with "
            "instances_train2017.json."
        )
    return shared


def write_part(
    file: coco.AnnotationFile, kept: Collection[int], path: Path, told: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write the part of `file` whose image ids are `kept`, and what is `told` of it; returns its manifest."""
    sections = file.sections
    image_kept = [image.id in kept for image in file.images]
    annotation_kept = [image_id in kept for image_id in file.annotation_image_ids]
    with write_atomically(path) as temporary, temporary.open("wb") as output:
        output.write(b"{")
        for name, value in (("info", sections.info), ("licenses", sections.licenses)):
            if not isinstance(value, UnsetType):
                output.writelines((f'"{name}": '.encode(), value, b", "))
        output.writelines((b'"images": [', b", ".join(compress(sections.images, image_kept))))
        output.writelines(
            (b'], "annotations": [', b", ".join(compress(sections.annotations, annotation_kept)))
        )
        output.writelines((b'], "categories": ', sections.categories))
        for name, value in (told or {}).items():
            output.writelines((f', "{name}": '.encode(), msgspec.json.encode(value)))
        output.write(b"}\n")
    images = list(compress(file.images, image_kept))
    return manifest.describe(path, images, sum(annotation_kept), file.categories)


def _identity(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": sha256(path)}


def parse_size(text: str) -> tuple[str, Size]:
    """`10k=10000` as ("10k", 10000), `10k=8.5%` as ("10k", 0.085) and `35k=all` as ("35k", None).

    Raises `UserError` for anything else.
    """
    match = re.fullmatch(r"([\w.-]+)=(?:(all)|(0*[1-9]\d*)|(\d+(?:\.\d+)?)%)", text, re.ASCII)
    if match is None or (match[4] and not 0 < float(match[4]) <= 100):
        raise UserError(
            f"--subsets {text}: expected NAME=IMAGES, as in 10k=10000, a share, as in 10k=8.5%, or NAME=all."
        )
    if match[4]:
        return match[1], float(match[4]) / 100
    return match[1], None if match[2] else int(match[3])


def parse_sizes(texts: Iterable[str]) -> dict[str, Size]:
    """The subsets by name. Raises `UserError` for a name given twice."""
    sizes: dict[str, Size] = {}
    for name, size in map(parse_size, texts):
        if name in sizes:
            raise UserError(f"--subsets: {name} is given twice. Give each name once.")
        sizes[name] = size
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True, help="COCO annotation file to draw from")
    parser.add_argument("--within", type=Path, help="draw only images whose ids are in this file as well")
    parser.add_argument(
        "--subsets",
        nargs="+",
        required=True,
        metavar="NAME=SIZE",
        help="SIZE: images, a share such as 8.5%%, or `all`",
    )
    parser.add_argument("--seed", type=int, required=True, help="fixes the order of the images")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder of the files written")
    arguments = parser.parse_args()
    sizes = parse_sizes(arguments.subsets)
    write_subsets(arguments.annotations, sizes, arguments.seed, arguments.output_dir, arguments.within)


if __name__ == "__main__":
    job(main)
