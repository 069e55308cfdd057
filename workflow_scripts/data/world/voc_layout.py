"""Scenes in PASCAL VOC's layout: few things of few categories, boxes alone, some of them difficult.

Against the miniature COCO's about five things of ten categories, as VOC's 2.4 of 20 against COCO's 7 of 80
(the paper's discussion of VOC): 1 to 3 things of six categories, and no crowds.
"""

from workflow_scripts.data.voc import Object
from workflow_scripts.data.world.coco_layout import FIRST_IMAGE_ID, tight_box
from workflow_scripts.data.world.scene import Instance
from workflow_scripts.data.world.vocabulary import CATEGORIES

# Year and split, by the name of their random stream.
SPLITS = {
    "voc_2007_trainval": (2007, "trainval"),
    "voc_2012_train": (2012, "train"),
    "voc_2012_val": (2012, "val"),
}
THINGS = (1, 3)
VOC_CATEGORIES = tuple(c for c in CATEGORIES if c.name in ("person", "ball", "wheel", "fish", "kite", "mug"))

# A thing of which less can be seen, or that covers less of the picture, is difficult.
EASY_VISIBLE_SHARE = 0.6
EASY_AREA = 0.02


def image_name(year: int, split: str, number: int) -> str:
    """Name of an image, without ending: the same however many are drawn, and never shared by train and val."""
    return f"{year}_{FIRST_IMAGE_ID['val' if split == 'val' else 'train'] + number:07d}"


def objects(instances: list[Instance]) -> list[Object]:
    """VOC's objects of a scene's instances; a truncated one is cut off by the picture's edge."""
    return [_object(instance) for instance in instances]


def _object(instance: Instance) -> Object:
    mask = instance.mask
    height, width = mask.shape
    x, y, box_width, box_height = tight_box(mask)
    area = mask.sum()
    return Object(
        instance.category.name,
        (x + 1, y + 1, x + box_width, y + box_height),
        difficult=bool(area < EASY_VISIBLE_SHARE * instance.whole or area < EASY_AREA * mask.size),
        truncated=x == 0 or y == 0 or x + box_width == width or y + box_height == height,
    )
