"""What random init and pre-training detect, side by side: pictures, and where the two differ.

    python -m workflow_scripts.evaluation.compare --compared '{"runs": [...]}' --annotations instances.json \\
        --images val --pictures coco.json --differences coco-differences.csv

The pictures are of the first seed. The differences are, for every run, AP by category and by size of object, and what
each kind of error costs of AP50, with replicates on the very resamples of images that `evaluate` draws.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hotcoco
import msgspec
import numpy as np
import pandas as pd

from workflow_scripts.data import coco
from workflow_scripts.data.voc import year_of
from workflow_scripts.errors import UserError
from workflow_scripts.evaluation import bootstrap, errors, pictures
from workflow_scripts.evaluation.coco_metrics import IouType, evaluations, read_detections
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job

COLUMNS = ["initialisation", "point", "part", "name", "seed", "replicate", "value"]
"""A row has a seed, or is a replicate: the mean over seeds."""
Quantities = dict[tuple[str, str], np.ndarray]
"""By part (`all`, `category`, `size`, `kind`) and name, in percent: the value, then its replicates."""


class ComparedRun(msgspec.Struct, frozen=True):
    """The end of a run: which of `points` (the `short` or the `long` schedule) it stands for, and its detections."""

    initialisation: str
    point: str
    schedule: str
    iteration: int
    seed: int
    detections: str


class Compared(msgspec.Struct, frozen=True):
    """Runs of one detector on one set of images; `seed` is the one of the pictures."""

    train_set: str
    model: str
    subset: str
    setting: str
    detector: str
    seed: int
    runs: list[ComparedRun]


class _Named(msgspec.Struct):
    id: int
    name: str
    keypoints: list[str] = []
    skeleton: list[list[int]] = []


def compare(
    compared: Compared, annotations: Path, images: Path, voc_year: int | None, count: int
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The pictures as plain data, and the differences as `COLUMNS`; `count` replicates.

    Raises `UserError` where a file is missing, malformed, or of other images.
    """
    truths = coco.read(annotations)
    objects = coco.decode_each(truths.sections.annotations, pictures.Truth, f"{annotations}: annotations")
    ids = sorted(image.id for image in truths.images)
    chosen = set(pictures.chosen_images({truth.image_id for truth in objects if truth.counts}))
    shown = {image.id: image for image in truths.images if image.id in chosen}
    weights = np.ones((1, len(ids)), dtype=np.int32)
    if count:
        weights = np.concatenate([weights, bootstrap.resamples(ids, count, seed=0)])
    sides: list[dict[str, Any]] = []
    tables: list[pd.DataFrame] = []
    for run in compared.runs:
        found = read_detections(Path(run.detections), "bbox", truths)
        quantities = _quantities(compared, run, truths, voc_year, weights)
        quantities |= _costs(_judged(truths, objects, found), weights)
        tables.append(_rows(run, quantities))
        sides.append(_side(compared, run, truths, objects, found, shown))
    return _pictures(compared, truths, objects, images, shown, sides), _over_seeds(tables)


def _quantities(
    compared: Compared,
    run: ComparedRun,
    truths: coco.AnnotationFile,
    voc_year: int | None,
    weights: np.ndarray,
) -> Quantities:
    """AP of all, by category and by size; VOC's AP50, and not by size, which VOC does not know."""
    path = Path(run.detections)
    if voc_year:
        recalls = bootstrap.VOC2007_RECALLS if voc_year == 2007 else None
        return _precisions(truths, bootstrap.voc_matches(truths, path), weights, recalls)
    iou_type: IouType = "keypoints" if compared.detector == "keypoint_rcnn" else "bbox"
    ((_, evaluation),) = evaluations(truths, path, (iou_type,))
    found = _precisions(truths, bootstrap.coco_matches(evaluation, truths), weights, bootstrap.RECALLS)
    for area in hotcoco.Params(iou_type).area_rng_lbl[1:]:
        of_area = bootstrap.coco_matches(evaluation, truths, area)
        if by_size := _precisions(truths, of_area, weights, bootstrap.RECALLS):
            found["size", area] = by_size["all", "AP"]
    return found


def _precisions(
    truths: coco.AnnotationFile,
    matches: dict[int, bootstrap.Matches],
    weights: np.ndarray,
    recalls: np.ndarray | None,
) -> Quantities:
    """AP of all categories that have truths, and of each."""
    found = {
        category.name: bootstrap.average_precision(matches[category.id], weights, recalls)
        for category in truths.categories
        if category.id in matches and matches[category.id].truths.any()
    }
    if not found:
        return {}
    by_category = {("category", name): 100 * values.mean(axis=1) for name, values in found.items()}
    return {("all", "AP"): 100 * bootstrap.mean_precision(np.stack(list(found.values())))} | by_category


def _judged(
    truths: coco.AnnotationFile, objects: list[pictures.Truth], found: list[dict[str, Any]]
) -> errors.Judged:
    known = [
        {
            "id": truth.id,
            "image_id": truth.image_id,
            "category_id": truth.category_id,
            "bbox": truth.bbox,
            "area": truth.area,
            "iscrowd": int(not truth.counts),
        }
        for truth in objects
    ]
    images, categories = sorted(image.id for image in truths.images), [each.id for each in truths.categories]
    return errors.judge(known, found, images, categories)


def _costs(judged: errors.Judged, weights: np.ndarray) -> Quantities:
    return {("kind", kind): values for kind, values in errors.costs(judged, weights).items()}


def _rows(run: ComparedRun, quantities: Quantities) -> pd.DataFrame:
    """The values of one run: the first of each quantity has no number of a replicate."""
    parts = [
        pd.DataFrame({"part": part, "name": name, "replicate": range(-1, len(values) - 1), "value": values})
        for (part, name), values in quantities.items()
    ]
    table = pd.concat(parts) if parts else pd.DataFrame(columns=COLUMNS)
    return table.assign(initialisation=run.initialisation, point=run.point, seed=run.seed)


def _over_seeds(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Values by seed, and replicates as means over seeds."""
    table = pd.concat(tables, ignore_index=True)
    values = table[table["replicate"] < 0].assign(replicate=pd.NA)
    key = ["initialisation", "point", "part", "name", "replicate"]
    replicates = table[table["replicate"] >= 0].groupby(key, as_index=False, sort=False)["value"].mean()
    return pd.concat([values, replicates.assign(seed=pd.NA)], ignore_index=True)[COLUMNS]


def _side(
    compared: Compared,
    run: ComparedRun,
    truths: coco.AnnotationFile,
    objects: list[pictures.Truth],
    boxes: list[dict[str, Any]],
    shown: dict[int, coco.Image],
) -> dict[str, Any]:
    """One run: how often it errs among detections that are shown and, of the pictures' seed, what it detected."""
    kept = [place for place, box in enumerate(boxes) if box["score"] >= pictures.SHOWN]
    judged = _judged(truths, objects, [boxes[place] for place in kept])
    right = int((judged.kinds == errors.RIGHT).sum())
    side = {**msgspec.to_builtins(run), "counts": {errors.RIGHT: right, **judged.counts()}}
    if run.seed != compared.seed:
        return side
    whole = _dump(run)
    found = [whole[place] for place in kept]
    items = pictures.detected_items(judged, found, objects, shown)
    return {**side, "items": {str(image): of_image for image, of_image in items.items()}}


def _dump(run: ComparedRun) -> list[dict[str, Any]]:
    """Boxes with masks and keypoints; the file was checked when its boxes were read."""
    return msgspec.json.decode(Path(run.detections).read_bytes())


def _pictures(
    compared: Compared,
    truths: coco.AnnotationFile,
    objects: list[pictures.Truth],
    folder: Path,
    shown: dict[int, coco.Image],
    sides: list[dict[str, Any]],
) -> dict[str, Any]:
    named = msgspec.json.decode(truths.sections.categories, type=list[_Named])
    return {
        **{name: getattr(compared, name) for name in ("train_set", "model", "subset", "setting", "detector")},
        "seed": compared.seed,
        "annotations": str(truths.path),
        "images": len(truths.images),
        "truths": sum(truth.counts for truth in objects),
        "least_score": pictures.SHOWN,
        "categories": {str(each.id): each.name for each in named},
        "limbs": {str(each.id): each.skeleton for each in named if each.skeleton},
        "pictures": list(_shown(objects, folder, shown)),
        "sides": sides,
    }


def _shown(
    objects: list[pictures.Truth], folder: Path, shown: dict[int, coco.Image]
) -> Iterator[dict[str, Any]]:
    by_image: dict[int, list[pictures.Truth]] = {image: [] for image in shown}
    for truth in objects:
        if truth.image_id in by_image:
            by_image[truth.image_id].append(truth)
    for identity in pictures.chosen_images(shown):
        image = shown[identity]
        try:
            data = pictures.jpeg(folder / image.file_name)
        except OSError as error:
            raise UserError(
                f"{folder / image.file_name}: cannot be read as a picture ({error}). Put the image there that "
                "the annotations name."
            ) from None
        yield {
            **{"id": identity, "file": image.file_name, "width": image.width, "height": image.height},
            "jpeg": data,
            "items": pictures.truth_items(by_image[identity], image),
        }


def _compared(text: str) -> Compared:
    try:
        return msgspec.json.decode(text, type=Compared)
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(f"not the runs to compare: {error}") from None


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compared", type=_compared, required=True, help="the runs, as JSON")
    parser.add_argument("--annotations", type=Path, required=True, help="COCO annotations")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--voc", nargs=2, metavar=("FOLDER", "SPLIT"), help="score as VOC does")
    parser.add_argument(
        "--replicate-count", type=int, default=bootstrap.COUNT, help="resamples of the images"
    )
    parser.add_argument("--pictures", type=Path, required=True, help="output: pictures, as JSON")
    parser.add_argument("--differences", type=Path, required=True, help="output: differences, as CSV")
    arguments = parser.parse_args()
    year = year_of(arguments.voc[0]) if arguments.voc else None
    shown, differences = compare(
        arguments.compared, arguments.annotations, arguments.images, year, arguments.replicate_count
    )
    with write_atomically(arguments.differences) as temporary:
        differences.to_csv(temporary, index=False, float_format="%.4f")
    with write_atomically(arguments.pictures) as temporary:
        temporary.write_bytes(msgspec.json.encode(shown))


if __name__ == "__main__":
    job(main)
