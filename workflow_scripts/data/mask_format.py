"""How the masks of an annotation file in COCO's format are learned: the one place where that is decided."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from workflow_scripts.errors import UserError

MaskFormat = Literal["polygon", "bitmask"]


class _Annotation(msgspec.Struct, gc=False):
    iscrowd: Raw | UnsetType = UNSET
    segmentation: Raw | UnsetType = UNSET


class _File(msgspec.Struct):
    annotations: list[_Annotation]


def mask_format(path: Path) -> MaskFormat:
    """How the masks of a file are learned, in detectron2's words (`INPUT.MASK_FORMAT`).

    As bitmaps if any object, crowds aside, has its mask as run lengths, which polygons cannot express; the file's
    polygons are drawn as bitmaps then, so that all masks of a training are of one kind.

    Raises:
        UserError: it is not in COCO's format.
    """
    try:
        annotations = msgspec.json.decode(path.read_bytes(), type=_File).annotations
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{path}: expected annotations in COCO's format, cannot be read ({error})") from None
    return "bitmask" if any(map(_needs_bitmap, annotations)) else "polygon"


def _needs_bitmap(annotation: _Annotation) -> bool:
    if isinstance(annotation.segmentation, UnsetType):
        return False
    crowd = not isinstance(annotation.iscrowd, UnsetType) and bytes(annotation.iscrowd) != b"0"
    return not crowd and bytes(annotation.segmentation).startswith(b"{")
