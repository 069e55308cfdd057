"""Checks a data set before anything trains on it: annotations, images, and training against validation.

    python -m workflow_scripts.data.check --name coco --needs masks --train-annotations instances_train2017.json \\
        --train-images train2017 --val-annotations instances_val2017.json --val-images val2017 \\
        --report check.json --text check.txt --threads 8

    python -m workflow_scripts.data.check --name classification --train imagenet/train --val imagenet/val ...

The first is of a data set in COCO's format, the second of image folders, a folder a class. What cannot be trained on,
or would give wrong numbers without a word, is an error: one message, exit code 2, no report written; the whole list is
printed before it. What training leaves out by itself is counted, and an error where it is more than a few. Checks
change nothing: what is trained on is the data as it is.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from workflow_scripts.data import coco
from workflow_scripts.data.check import report
from workflow_scripts.data.check.annotations import Needs, check_annotations
from workflow_scripts.data.check.categories import check_categories, compare_categories
from workflow_scripts.data.check.findings import Findings
from workflow_scripts.data.check.folders import check_folders
from workflow_scripts.data.check.images import check_images, compare_images
from workflow_scripts.data.check.nested import check_subsets
from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically, write_json
from workflow_scripts.jobs.job import job


@dataclass(frozen=True)
class Drawn:
    """The subsets that are drawn of a training set, each as NAME=SIZE, within another file's images if there is one."""

    subsets: tuple[str, ...] = ()
    within: Path | None = None


def check_detection(
    annotations: tuple[Path, Path],
    images: tuple[Path, Path],
    needs: Needs,
    drawn: Drawn,
    threads: int,
    findings: Findings,
) -> None:
    """Check a data set in COCO's format: (training, validation) of annotation files and of folders of images.

    Raises:
        UserError: what `coco.read` refuses, or a folder of images that is not there.
    """
    files = [_called(coco.read(path)) for path in annotations]
    for file, evaluated in zip(files, (False, True), strict=True):
        used = check_annotations(file, needs, evaluated, findings)
        check_categories(file, used, needs.keypoints, findings)
    compare_categories(files[0], files[1], findings)
    check_subsets(files[0], drawn.within, drawn.subsets, findings)
    for folder in images:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder. Expected the folder of the images.")
    seen = [check_images(file, folder, threads, findings) for file, folder in zip(files, images, strict=True)]
    compare_images(seen[0], seen[1], files[1].path, findings)


class _Origin(msgspec.Struct):
    """`split_of`, as data/split.py writes it."""

    file: str
    part: Literal["train", "val"]


def _called(file: coco.AnnotationFile) -> coco.AnnotationFile:
    """The same, its path that of the file that a person gave, where this is a part of one."""
    if isinstance(file.sections.split_of, msgspec.UnsetType):
        return file
    origin = msgspec.json.decode(file.sections.split_of, type=_Origin)
    purpose = {"train": "train", "val": "validate"}[origin.part]
    return replace(file, path=Path(f"{origin.file}, its part to {purpose} on"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", required=True, help="what the data set is called in the report")
    for split in ("train", "val"):
        parser.add_argument(f"--{split}-annotations", type=Path, help="annotation file in COCO's format")
        parser.add_argument(f"--{split}-images", type=Path, help="folder of its images")
        parser.add_argument(f"--{split}", type=Path, help="image folders, a folder a class")
    parser.add_argument(
        "--needs",
        nargs="*",
        choices=("masks", "keypoints"),
        default=[],
        help="what detectors learn beside boxes",
    )
    parser.add_argument(
        "--subsets",
        nargs="*",
        default=[],
        metavar="NAME=SIZE",
        help="what is to be drawn of the training set",
    )
    parser.add_argument("--within", type=Path, help="annotation file whose images alone are drawn from")
    parser.add_argument("--report", type=Path, required=True, help="output: the report as JSON")
    parser.add_argument("--text", type=Path, required=True, help="output: the report as text")
    parser.add_argument("--threads", type=int, default=1, help="images to read side by side")
    return parser


def main() -> None:
    """Run the command line."""
    arguments = _parser().parse_args()
    findings = Findings()
    if arguments.train and arguments.val:
        check_folders(arguments.train, arguments.val, arguments.threads, findings)
    elif not all(
        (
            arguments.train_annotations,
            arguments.train_images,
            arguments.val_annotations,
            arguments.val_images,
        )
    ):
        raise UserError(
            "Expected --train-annotations, --train-images, --val-annotations and --val-images, or --train and --val."
        )
    else:
        check_detection(
            (arguments.train_annotations, arguments.val_annotations),
            (arguments.train_images, arguments.val_images),
            Needs(masks="masks" in arguments.needs, keypoints="keypoints" in arguments.needs),
            Drawn(tuple(arguments.subsets), arguments.within),
            arguments.threads,
            findings,
        )
    text = report.as_text(arguments.name, findings)
    print(text, flush=True)
    if errors := findings.of_outcome("error"):
        raise UserError(report.message(errors))
    with write_atomically(arguments.text) as temporary:
        temporary.write_text(text)
    write_json(arguments.report, report.as_json(arguments.name, findings))


if __name__ == "__main__":
    job(main)
