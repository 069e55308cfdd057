"""Checks image folders to pre-train on, a folder a class: the classes of both sets, and every picture."""

from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.data.check import pictures
from workflow_scripts.data.check.findings import Findings, Kind, listed
from workflow_scripts.data.check.images import Seen, check_picture, compare_images, find_same_content
from workflow_scripts.data.check.pictures import Unfit
from workflow_scripts.data.class_folders import ENDINGS, class_files, is_picture
from workflow_scripts.errors import UserError

HIDDEN = Kind(
    "class-hidden",
    "error",
    "classes",
    "hidden folders, which would be classes",
    "a folder a class",
    "Remove it",
)
EMPTY = Kind(
    "class-empty",
    "error",
    "classes",
    "classes without a picture",
    f"pictures in each class's folder, ending in {', '.join(ENDINGS)}",
    "Put its pictures there, or remove the folder from both sets",
)
DIFFERENT = Kind(
    "classes-differ",
    "error",
    "classes",
    "classes of training and validation that differ",
    "folders of the same names in both sets: the classifier knows classes by their place in the alphabet alone",
    "Give both the same folders",
)
IGNORED = Kind(
    "file-ignored",
    "note",
    "files",
    "files that are no pictures to train on",
    f"pictures ending in {', '.join(ENDINGS)}",
    "None is needed; convert what should be trained on",
    "left out",
)


def check_folders(train: Path, val: Path, threads: int, findings: Findings) -> None:
    """Check both sets.

    Raises:
        UserError: a folder that is not there, cannot be read or holds no folders.
    """
    classes = {folder: _classes(folder, findings) for folder in (train, val)}
    _compare(train, classes[train], val, classes[val], findings)
    seen = {folder: _check_set(folder, classes[folder], threads, findings) for folder in (train, val)}
    compare_images(seen[train], seen[val], val, findings)


def _classes(folder: Path, findings: Findings) -> list[str]:
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be read: {error.strerror}. Expected a folder of pictures, with one folder a class."
        ) from None
    if not names:
        raise UserError(f"{folder}: found no folders. Expected one folder of pictures a class.")
    findings.total(folder, "classes", len(names))
    for name in names:
        if name.startswith("."):
            findings.add(HIDDEN, folder, name, "its name begins with a dot")
    return [name for name in names if not name.startswith(".")]


def _compare(
    train: Path, trained: Sequence[str], val: Path, evaluated: Sequence[str], findings: Findings
) -> None:
    missing = sorted(set(trained) - set(evaluated))
    further = sorted(set(evaluated) - set(trained))
    if missing:
        findings.add(DIFFERENT, val, "folders", f"none for {listed(missing)}, which {train} has")
    if further:
        findings.add(DIFFERENT, val, "folders", f"{listed(further)}, which {train} lacks")


def _check_set(folder: Path, classes: Sequence[str], threads: int, findings: Findings) -> list[Seen]:
    paths: list[Path] = []
    for name in classes:
        try:
            files = class_files(folder / name)
        except OSError as error:
            raise UserError(
                f"{folder / name}: cannot be read: {error.strerror}. Correct its permissions."
            ) from None
        own = list(filter(is_picture, files))
        if not own:
            findings.add(EMPTY, folder, name, f"{len(files):,} files, no picture")
        for path in files:
            if not is_picture(path):
                why = "it is hidden" if path.name.startswith(".") else f"its ending is {path.suffix!r}"
                findings.add(IGNORED, folder, str(path.relative_to(folder)), why)
        paths += own
    findings.total(folder, "images", len(paths))
    found = []
    for path, seen in zip(paths, pictures.look_at_each(paths, threads), strict=True):
        record = str(path.relative_to(folder))
        if isinstance(seen, Unfit):
            findings.add(seen.kind, folder, record, seen.found)
            continue
        check_picture(seen, record, folder, findings)
        found.append(Seen(record, path, seen))
    find_same_content(found, folder, findings)
    return found
