"""The settings of a miniature world."""

import json

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflow_scripts.errors import UserError

# Room for every image identifier of the train split below the first one of val.
MOST_IMAGES = 1_000_000
LARGEST_IMAGE = 4096


class Settings(BaseModel):
    """How many pictures to draw, and how large (side in pixels); `seed` chooses the world.

    `voc_train_images` are shared out evenly between VOC2007's trainval and VOC2012's train.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    seed: int = Field(default=0, ge=0, lt=2**63)
    image_size: int = Field(default=80, ge=48, le=LARGEST_IMAGE)
    train_images: int = Field(default=2000, ge=1, le=MOST_IMAGES)
    val_images: int = Field(default=250, ge=1, le=MOST_IMAGES)
    voc_train_images: int = Field(default=600, ge=2, le=MOST_IMAGES)
    voc_val_images: int = Field(default=100, ge=1, le=MOST_IMAGES)
    classification_image_size: int = Field(default=64, ge=24, le=LARGEST_IMAGE)
    classification_images_per_class: int = Field(default=200, ge=1, le=MOST_IMAGES)
    classification_val_images_per_class: int = Field(default=20, ge=1, le=MOST_IMAGES)


def read_settings(text: str) -> Settings:
    """Settings from JSON text; what is left out keeps its default.

    Raises UserError that lists every unknown key, wrong type and value out of range.
    """
    try:
        return Settings.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise UserError(
            f"--settings is not JSON: {error}. Pass an object such as '{{\"seed\": 0}}'."
        ) from None
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'all'}: {problem['msg']}, found {problem['input']!r}"
            for problem in error.errors()
        )
        known = ", ".join(Settings.model_fields)
        raise UserError(
            f"The miniature world's settings are wrong: {problems}. Known settings: {known}."
        ) from None
