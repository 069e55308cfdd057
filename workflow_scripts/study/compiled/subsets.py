"""How many images the nested subsets hold."""

from workflow_scripts.data.world.settings import Settings
from workflow_scripts.study.compiled.study import Study


def subset_sizes(study: Study) -> dict[str, str]:
    """By name, a number of images or a share of the training images, such as `8.5%`.

    The scale's own numbers, but where real data takes the place of its miniature world and the configuration has no
    `numbers.subsets`: then the shares that they are of the world's training images, which are the paper's of
    train2017's 118,287 at `mini`.
    """
    config, scale = study.config, study.scale
    if config.datasets.coco is None or scale.world is None or "subsets" in config.numbers:
        return {name: str(size) for name, size in scale.subsets.items()}
    images = Settings(**scale.world).train_images
    return {name: f"{100 * size / images:.4g}%" for name, size in scale.subsets.items()}
