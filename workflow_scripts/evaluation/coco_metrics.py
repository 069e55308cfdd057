"""COCO's metrics of a detector's dump: the AP that the paper's figures and tables report.

The engine is hotcoco, which gives the very numbers of pycocotools in a fraction of the time (but for truths
of id 0, which COCO lacks: pycocotools takes whatever they match for unmatched). The dump is what detectron2's
COCOEvaluator writes, in COCO's results format (https://cocodataset.org/#format-results), and each IoU type is
evaluated as there: boxes and keypoints with the area of the detected box, masks with that of the mask.
"""

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import hotcoco
import msgspec
import numpy as np
from msgspec import Meta

from workflow_scripts.data import coco
from workflow_scripts.errors import UserError

IouType = Literal["bbox", "segm", "keypoints"]
METRICS: dict[IouType, tuple[str, ...]] = {
    "bbox": ("AP", "AP50", "AP75", "APs", "APm", "APl"),
    "segm": ("AP", "AP50", "AP75", "APs", "APm", "APl"),
    "keypoints": ("AP", "AP50", "AP75", "APm", "APl"),
}
KEYPOINTS = 17
"""COCO's keypoints of a person; its similarity measure (OKS) has a constant for each, and for no others."""

Box = Annotated[list[float], Meta(min_length=4, max_length=4)]
Points = Annotated[list[float], Meta(min_length=3 * KEYPOINTS, max_length=3 * KEYPOINTS)]


class RunLengths(TypedDict):
    """A mask in COCO's compressed run-length encoding; `size` is [height, width]."""

    size: Annotated[list[int], Meta(min_length=2, max_length=2)]
    counts: str


class _AnyRunLengths(msgspec.Struct):
    """Compressed or not."""

    size: tuple[int, int]
    counts: list[int] | str


class _Detection(TypedDict):
    image_id: int
    category_id: int
    score: float


class BoxDetection(_Detection):
    """`bbox` is [x, y, width, height] in pixels."""

    bbox: Box


class MaskDetection(_Detection):
    """Has no `bbox`: with one, COCO's code takes the box's area for the mask's in APs, APm and APl."""

    segmentation: RunLengths


class KeypointDetection(_Detection):
    """`keypoints` is x, y in pixels and a score, 17 times."""

    keypoints: Points
    bbox: NotRequired[Box]


class _Truth(msgspec.Struct):
    id: int
    image_id: int
    category_id: int
    area: float
    iscrowd: int


class _BoxTruth(_Truth):
    bbox: Box


class _MaskTruth(_Truth):
    segmentation: Annotated[list[list[float]], Meta(min_length=1)] | _AnyRunLengths


class _KeypointTruth(_BoxTruth):
    keypoints: Points
    num_keypoints: int


DETECTIONS: dict[IouType, Any] = {
    "bbox": list[BoxDetection],
    "segm": list[MaskDetection],
    "keypoints": list[KeypointDetection],
}
TRUTH: dict[IouType, Any] = {"bbox": _BoxTruth, "segm": _MaskTruth, "keypoints": _KeypointTruth}


def evaluate(
    annotations: Path, detections: Path, iou_types: Sequence[IouType]
) -> dict[IouType, dict[str, Any]]:
    """COCO's metrics in percent: {iou type: {"AP": 41.3, ..., "per_category": {"person": 55.1, ...}}}.

    The metrics of an IoU type are those of `METRICS`, over all images of `annotations`, with at most 100
    detections an image (keypoints: 20); AP is the mean over the IoU thresholds 0.50 to 0.95, and over recall
    and categories. A metric is None where there is no truth to find (pycocotools says -1), 0 where there is
    truth and no detection. `per_category` holds each category's AP, in ascending order of category id.

    Raises `UserError` when either file is missing, malformed or without the fields that an IoU type needs,
    and when a detection is of an image or category that `annotations` lacks.
    """
    truths = coco.read(annotations)
    metrics: dict[IouType, dict[str, Any]] = {}
    for iou_type, evaluation in evaluations(truths, detections, iou_types):
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.run()
        metrics[iou_type] = _metrics(evaluation, iou_type, truths.categories)
    return metrics


def evaluations(
    truths: coco.AnnotationFile, detections: Path, iou_types: Sequence[IouType]
) -> Iterator[tuple[IouType, hotcoco.COCOeval]]:
    """hotcoco's evaluation of each IoU type, loaded and not yet run. Raises `UserError` as `evaluate` does."""
    for iou_type in iou_types:
        engine_truths = hotcoco.COCO(_compared(truths, iou_type))
        found = read_detections(detections, iou_type, truths)
        yield iou_type, hotcoco.COCOeval(engine_truths, engine_truths.load_res(found), iou_type)


def _metrics(
    evaluation: hotcoco.COCOeval, iou_type: IouType, categories: Iterable[coco.Category]
) -> dict[str, Any]:
    assert evaluation.eval is not None
    # [IoU thresholds, recalls, categories] of [..., areas, detections an image]: all areas, most detections
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    overall: dict[str, Any] = {
        name: _percent(np.asarray(value))
        for name, value in zip(METRICS[iou_type], evaluation.stats, strict=False)
    }
    per_category = {category.name: _percent(precision[:, :, k]) for k, category in enumerate(categories)}
    return overall | {"per_category": per_category}


def _percent(precision: np.ndarray) -> float | None:
    """The mean of the precisions, without the -1 that stand for "no truth"."""
    known = precision[precision > -1]
    return float(np.mean(known) * 100) if known.size else None


def _compared(truths: coco.AnnotationFile, iou_type: IouType) -> dict[str, Any]:
    """The truths with the fields that `iou_type` compares and no other: whatever else a file tells, such as licences
    and scores, the engine would hold against types of its own.

    Raises `UserError` unless every truth has them: the engine would make up what is missing.
    """
    if iou_type == "keypoints":
        for category in truths.categories:
            if len(category.keypoints) != KEYPOINTS:
                raise UserError(
                    f"{truths.path}: category {category.name} has {len(category.keypoints)} `keypoints`. "
                    f"Expected COCO's {KEYPOINTS}, as in person_keypoints_val2017.json."
                )
    where = f"{truths.path}: {iou_type}: annotations"
    sections = {
        "images": truths.images,
        "annotations": coco.decode_each(truths.sections.annotations, TRUTH[iou_type], where),
        "categories": truths.categories,
    }
    return msgspec.to_builtins(sections)


def read_detections(path: Path, iou_type: IouType, truths: coco.AnnotationFile) -> list[dict[str, Any]]:
    """The detections, each with the fields that `iou_type` compares and no other.

    Raises `UserError` on a missing or malformed file, and on an image or category that `truths` lacks.
    """
    try:
        found: list[dict[str, Any]] = msgspec.json.decode(path.read_bytes(), type=DETECTIONS[iou_type])
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Expected detections in COCO's results format.") from None
    except msgspec.DecodeError as error:
        raise UserError(f"{path}: not {iou_type} detections in COCO's results format: {error}.") from None
    images, categories = ({entry.id for entry in entries} for entries in (truths.images, truths.categories))
    for field, known in (("image_id", images), ("category_id", categories)):
        unknown = {detection[field] for detection in found} - known
        if unknown:
            raise UserError(
                f"{path}: detections have {field} {min(unknown)}, which {truths.path} lacks "
                f"({len(unknown):,} such values). Evaluate on the annotation file the detector was run on."
            )
    return found
