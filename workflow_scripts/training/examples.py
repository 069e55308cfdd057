"""Training examples: detectron2's dataset dicts and mapper, with every random draw keyed by iteration and position."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.data import DatasetMapper, MetadataCatalog, detection_utils
from detectron2.data import transforms as T
from detectron2.data.build import (
    filter_images_with_few_keypoints,
    filter_images_with_only_crowd_annotations,
)
from detectron2.data.common import DatasetFromList
from detectron2.data.datasets import load_coco_json
from detectron2.data.datasets.builtin_meta import COCO_PERSON_KEYPOINT_FLIP_MAP, COCO_PERSON_KEYPOINT_NAMES
from torch.utils.data import Dataset

from workflow_scripts.data.class_folders import class_pictures
from workflow_scripts.data.mask_format import mask_format
from workflow_scripts.errors import UserError
from workflow_scripts.models.config import detectron2_config
from workflow_scripts.models.seeds import key, seed_everything
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.training.sampler import Draw

Example = dict[str, Any]


class Examples(Dataset):
    """What a recipe trains on. Index it by a draw: iteration, position in the batch, index."""

    def __init__(
        self,
        records: Sequence[Example],
        classes: Sequence[str],
        mapper: Callable[[Example], Example],
        seed: int,
    ) -> None:
        self.classes = tuple(classes)
        self.wide = [record["width"] > record["height"] for record in records]
        self._records = DatasetFromList(list(records))
        self._mapper = mapper
        self._seed = seed

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, draw: Draw) -> Example:
        iteration, position, index = draw
        seed_everything(key(self._seed, "augmentation", iteration, position))
        return self._mapper(self._records[index])


def detection_examples(recipe: Recipe, annotations: Path, images: Path) -> Examples:
    """Images of a COCO annotation file that hold an object, scaled and flipped as the recipe says.

    Boxes are enough for a detector without masks. Masks are polygons or, where `mask_format` says so, bitmaps.

    Raises:
        UserError: no image holds an object, or the detector learns masks and an object has none.
    """
    records, classes = coco_records(annotations, images)
    config = detectron2_config(recipe, len(classes))
    if config.MODEL.MASK_ON:
        _require_masks(annotations, records)
    kept = filter_images_with_only_crowd_annotations(records)
    if config.MODEL.KEYPOINT_ON:
        kept = filter_images_with_few_keypoints(kept, config.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE)
    if not kept:
        raise UserError(
            f"{annotations}: found no image with what to train on; expected objects, or keypoints"
        )
    augmentations = [
        T.ResizeShortestEdge(recipe.image_sides, recipe.longest_side, sample_style="choice"),
        T.RandomFlip(),
    ]
    mapper = DatasetMapper(
        is_train=True,
        augmentations=augmentations,
        image_format=config.INPUT.FORMAT,
        use_instance_mask=config.MODEL.MASK_ON,
        instance_mask_format=mask_format(annotations),
        use_keypoint=config.MODEL.KEYPOINT_ON,
        keypoint_hflip_indices=_hflip_indices(str(annotations)) if config.MODEL.KEYPOINT_ON else None,
    )
    return Examples(kept, classes, mapper, recipe.seed)


def _require_masks(annotations: Path, records: Sequence[Example]) -> None:
    for record in records:
        for annotation in record["annotations"]:
            if not annotation.get("iscrowd", 0) and "segmentation" not in annotation:
                raise UserError(
                    f"{annotations}: annotation id {annotation['id']} of image id {record['image_id']} has no "
                    "segmentation; expected polygons or run lengths, for the detector learns masks. Draw its outline, "
                    "or train a detector of boxes alone"
                )


def _hflip_indices(name: str) -> np.ndarray:
    """COCO's person keypoints in the order in which a mirrored person shows them."""
    metadata = MetadataCatalog.get(name)
    metadata.set(keypoint_names=COCO_PERSON_KEYPOINT_NAMES, keypoint_flip_map=COCO_PERSON_KEYPOINT_FLIP_MAP)
    return detection_utils.create_keypoint_hflip_indices([name])


def coco_records(annotations: Path, images: Path) -> tuple[list[Example], list[str]]:
    """detectron2's dataset dicts of a COCO annotation file, and its class names in order of category id."""
    name = str(annotations)
    records = load_coco_json(name, str(images), name, extra_annotation_keys=["id"])
    for record in records:
        for annotation in record["annotations"]:
            # The mapper copies each record it is given: an array copies many times as fast as a list of floats.
            if isinstance(annotation.get("segmentation"), list):
                annotation["segmentation"] = [np.asarray(polygon) for polygon in annotation["segmentation"]]
    return records, MetadataCatalog.get(name).thing_classes


def category_ids(annotations: Path) -> dict[int, int]:
    """COCO's category id of each class number; call `coco_records` first."""
    mapping = MetadataCatalog.get(str(annotations)).thing_dataset_id_to_contiguous_id
    return {number: category for category, number in mapping.items()}


def classification_examples(recipe: Recipe, folder: Path) -> Examples:
    """Pictures of an image folder (a folder a class), randomly cropped, resized and flipped."""
    records, classes = folder_records(folder)
    side = recipe.image_sides[0]
    augmentations = T.AugmentationList([RandomResizedCrop(side), T.RandomFlip()])

    def mapper(record: Example) -> Example:
        image = T.AugInput(detection_utils.read_image(record["file_name"], format="RGB"))
        augmentations(image)
        return {**record, "image": _channels_first(image.image)}

    return Examples(records, classes, mapper, recipe.seed)


def folder_records(folder: Path) -> tuple[list[Example], list[str]]:
    """The pictures of an image folder with their class number, and the class names.

    Raises:
        UserError: the folder holds no folders of pictures.
    """
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    records = [
        {"file_name": str(path), "label": number, "width": 1, "height": 1}
        for number, name in enumerate(classes)
        for path in class_pictures(folder / name)
    ]
    if not records:
        raise UserError(
            f"{folder}: found no pictures; expected one folder a class, with .jpg or .png files in it"
        )
    return records, classes


def centre_crop(file_name: str, side: int) -> torch.Tensor:
    """A picture for evaluation, uint8, 3 x side x side: shorter side to 8/7 of `side`, then the centre."""
    image = detection_utils.read_image(file_name, format="RGB")
    height, width = image.shape[:2]
    scale = side * 8 / 7 / min(height, width)
    resized = T.ResizeTransform(height, width, round(height * scale), round(width * scale)).apply_image(image)
    top, left = (resized.shape[0] - side) // 2, (resized.shape[1] - side) // 2
    return _channels_first(resized[top : top + side, left : left + side])


class RandomResizedCrop(T.Augmentation):
    """A crop of 25 to 100 % of the area and ratio 3/4 to 4/3, resized: what classifiers are usually trained on."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self._init(locals())

    def get_transform(self, image: np.ndarray) -> T.Transform:
        """The crop and the resize for one image."""
        height, width = image.shape[:2]
        area = height * width * np.random.uniform(0.25, 1.0)
        ratio = np.exp(np.random.uniform(np.log(3 / 4), np.log(4 / 3)))
        crop_width = min(width, max(1, round(np.sqrt(area * ratio))))
        crop_height = min(height, max(1, round(np.sqrt(area / ratio))))
        left = np.random.randint(width - crop_width + 1)
        top = np.random.randint(height - crop_height + 1)
        crop = T.CropTransform(left, top, crop_width, crop_height)
        return T.TransformList([crop, T.ResizeTransform(crop_height, crop_width, self.side, self.side)])


def _channels_first(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
