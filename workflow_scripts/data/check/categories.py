"""Checks categories: within a file, and that training and validation mean the same by each number."""

from collections.abc import Container, Iterator, Sequence

from workflow_scripts.data import coco
from workflow_scripts.data.check.findings import Findings, Kind, listed
from workflow_scripts.data.world.people import KEYPOINTS

NONE = Kind(
    "categories-none",
    "error",
    "files",
    "no categories",
    "at least one category, with id and name",
    "Name the classes of the annotations",
)
NAME_EMPTY = Kind(
    "category-name-empty",
    "error",
    "categories",
    "categories without a name",
    "a name for each category",
    "Name it",
)
ID_NEGATIVE = Kind(
    "category-id-out-of-range",
    "error",
    "categories",
    "category ids that are negative, or too large",
    "whole numbers from 0 to 2^53",
    "Number them from 1",
)
UNUSED = Kind(
    "category-unused",
    "note",
    "categories",
    "categories without an annotation",
    "annotations of each category",
    "None is needed; a root category that some tools add may be removed",
    "cannot be learned where training lacks it, and is left out of AP where validation does",
)
DIFFERENT = Kind(
    "categories-differ",
    "error",
    "categories",
    "categories of training and validation that differ in names or order",
    "the same names, in the same order of their ids, in both files: a detector knows classes by their place alone",
    "Give both files the same categories, and correct the annotations' category_id to match",
)
OTHER_IDS = Kind(
    "category-ids-differ",
    "note",
    "categories",
    "categories of training and validation with the same names in the same order, under other ids",
    "the same ids in both files",
    "None is needed; it is safer to give both files the same ids",
    "taken as the same, by their place in the order of ids",
)
KEYPOINT_NAMES = Kind(
    "keypoint-names",
    "error",
    "categories",
    "keypoints other than COCO's 17 of a person",
    "the names and the order of person_keypoints_train2017.json: mirrored images and COCO's measure rest on them",
    "Put the keypoints in COCO's order",
)


def check_categories(
    file: coco.AnnotationFile, used: Container[int], keypoints: bool, findings: Findings
) -> None:
    """Check a file's own categories; `used` are the category ids of its annotations."""
    findings.total(file.path, "categories", len(file.categories))
    if not file.categories:
        findings.add(NONE, file.path, "categories", "an empty list")
    for category in file.categories:
        record = f"category id {category.id} ({category.name!r})"
        if not category.name.strip():
            findings.add(NAME_EMPTY, file.path, record, f"name is {category.name!r}")
        if not 0 <= category.id <= 2**53:
            findings.add(ID_NEGATIVE, file.path, record, f"id is {category.id}")
        if category.id not in used:
            findings.add(UNUSED, file.path, record, "no annotation is of it")
        if keypoints and category.keypoints != KEYPOINTS:
            findings.add(
                KEYPOINT_NAMES, file.path, record, f"keypoints are {_difference(category.keypoints)}"
            )


def compare_categories(train: coco.AnnotationFile, val: coco.AnnotationFile, findings: Findings) -> None:
    """Check that both files have the same names in the same places; else every AP is of the wrong classes."""
    for place, found in _different(train, val):
        findings.add(DIFFERENT, val.path, place, f"{found}, against {train.path}")
    names = [[category.name for category in file.categories] for file in (train, val)]
    ids = [[category.id for category in file.categories] for file in (train, val)]
    if names[0] == names[1] and ids[0] != ids[1]:
        findings.add(OTHER_IDS, val.path, "categories", f"ids {listed(ids[1])}, in training {listed(ids[0])}")


def _different(train: coco.AnnotationFile, val: coco.AnnotationFile) -> Iterator[tuple[str, str]]:
    trained, evaluated = train.categories, val.categories
    for number, (one, other) in enumerate(zip(trained, evaluated, strict=False), 1):
        if one.name != other.name:
            yield (
                f"category id {other.id}",
                f"the {number}. in order of id is {other.name!r}, in training {one.name!r} (id {one.id})",
            )
    if len(trained) != len(evaluated):
        yield "categories", f"{len(evaluated)} categories, in training {len(trained)}"


def _difference(names: Sequence[str]) -> str:
    if len(names) != len(KEYPOINTS):
        return f"{len(names)} names"
    number = next(k for k, name in enumerate(names) if name != KEYPOINTS[k])
    return f"{names[number]!r} in place {number + 1}, not {KEYPOINTS[number]!r}"
