"""PASCAL VOC's metrics of a detector's dump, by detectron2's own evaluator (evaluation/pascal_voc_evaluation.py).

detectron2 brings torch: it is imported where it is called, for COCO's metrics do without.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from workflow_scripts.data import coco, voc
from workflow_scripts.errors import UserError
from workflow_scripts.evaluation.coco_metrics import Box, read_detections

METRICS = ("AP", "AP50", "AP75")


class _Truth(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: Box
    difficult: Annotated[int, Meta(ge=0, le=1)]


def evaluate_voc(annotations: Path, detections: Path, voc_folder: Path, split: str) -> dict[str, Any]:
    """VOC's metrics in percent: {"bbox": {"AP": 50.1, "AP50": 77.6, "AP75": ..., "per_category": {"cat": 90.2, ...}}}.

    AP50 is VOC's mAP; AP is the mean over the IoU thresholds 0.50 to 0.95. `per_category` holds each category's AP50.
    Precision is averaged at 11 recalls if the folder is named after 2007, else it is the area under the curve (2012).
    A detection of a difficult object counts neither for nor against; a category without other objects is None and
    in no mean, where detectron2's mean would not be a number.

    Args:
        annotations: what `workflow_scripts.data.voc` wrote for `split` of `voc_folder`; the truth is read from here
        detections: of those images, in COCO's results format
        voc_folder: the PASCAL VOC folder; its split is checked against `annotations`, its name tells the year
        split: such as "val"

    Raises:
        UserError: a file is missing or malformed, or `annotations` are not those of the split.
    """
    truths = coco.read(annotations)
    where = f"{annotations}: annotations as workflow_scripts.data.voc writes them"
    objects = coco.decode_each(truths.sections.annotations, _Truth, where)
    names = {image.id: Path(image.file_name).stem for image in truths.images}
    if sorted(names.values()) != sorted(voc.read_split(voc_folder, split)):
        raise UserError(
            f"{annotations}: its images are not those of split {split!r} of {voc_folder}. Evaluate on the split "
            "that the annotations were made from."
        )
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for detection in read_detections(detections, "bbox", truths):
        found[detection["category_id"]].append(detection)
    year = voc.year_of(voc_folder)
    scores: dict[str, dict[str, float]] = {}
    with TemporaryDirectory(prefix="voc_") as folder:
        _write_truths(Path(folder), names, objects)
        for category in truths.categories:
            if any(o.category_id == category.id and not o.difficult for o in objects):
                with _evaluator(folder, category.id, year) as evaluator:
                    scores[category.name] = _score(evaluator, found[category.id], names)
    overall = {metric: _mean([score[metric] for score in scores.values()]) for metric in METRICS}
    per_category = {c.name: scores[c.name]["AP50"] if c.name in scores else None for c in truths.categories}
    return {"bbox": {**overall, "per_category": per_category}}


def _write_truths(folder: Path, names: dict[int, str], objects: Iterable[_Truth]) -> None:
    """Write the truths as detectron2's evaluator reads them, classes named by category id.

    VOC's own files will not do: detectron2 stops at the fractions of two annotations of VOC2012. Here they are rounded.
    """
    of_image: dict[int, list[voc.Object]] = {image_id: [] for image_id in names}
    for truth in objects:
        x, y, width, height = truth.bbox
        box = (round(x + 1), round(y + 1), round(x + width), round(y + height))
        of_image[truth.image_id].append(voc.Object(str(truth.category_id), box, bool(truth.difficult)))
    (folder / "Annotations").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "split.txt").write_text("\n".join(names.values()))
    for image_id, several in of_image.items():
        text = voc.xml(f"{names[image_id]}.jpg", 0, 0, several)
        (folder / "Annotations" / f"{names[image_id]}.xml").write_text(text)


@contextmanager
def _evaluator(folder: str, category_id: int, year: int) -> Iterator[Any]:
    """detectron2's evaluator of one class: its mean over several does not say what each scored."""
    from detectron2.data import MetadataCatalog
    from detectron2.evaluation import PascalVOCDetectionEvaluator

    name = f"{folder}/{category_id}"
    MetadataCatalog.get(name).set(thing_classes=[str(category_id)], dirname=folder, year=year, split="split")
    try:
        yield PascalVOCDetectionEvaluator(name)
    finally:
        MetadataCatalog.remove(name)


def _score(evaluator: Any, detections: Iterable[dict[str, Any]], names: dict[int, str]) -> dict[str, float]:
    import torch
    from detectron2.structures import Boxes, BoxMode, Instances

    of_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for detection in detections:
        of_image[detection["image_id"]].append(detection)
    evaluator.reset()
    for image_id, several in of_image.items():
        boxes = BoxMode.convert(
            torch.tensor([d["bbox"] for d in several]), BoxMode.XYWH_ABS, BoxMode.XYXY_ABS
        )
        instances = Instances(
            (0, 0), pred_boxes=Boxes(boxes), scores=torch.tensor([d["score"] for d in several])
        )
        instances.pred_classes = torch.zeros(len(several), dtype=torch.int64)
        evaluator.process([{"image_id": names[image_id]}], [{"instances": instances}])
    return {metric: float(value) for metric, value in evaluator.evaluate()["bbox"].items()}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
