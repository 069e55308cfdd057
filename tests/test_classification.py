"""What a classifier sees of its pictures: crops, units and poolings are those of torchvision."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp
from torch import nn
from torchvision.models import vgg16
from torchvision.transforms import RandomResizedCrop as RandomCrop
from torchvision.transforms import v2

from tests.training import tiny_recipe
from workflow_scripts.models.build import Classifier, build
from workflow_scripts.training.examples import RandomResizedCrop, centre_crop


class Whole(nn.Module):
    """A backbone that hands on all that it sees."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"all": images}


def test_pictures_are_seen_in_the_units_that_torchvision_uses() -> None:
    classifier = Classifier(Whole(), nn.Identity(), nn.Flatten(), 3 * 4 * 5, num_classes=7)
    nn.init.normal_(classifier.linear.bias)
    images = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    normalise = v2.Compose(
        [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    )
    theirs = classifier.linear(normalise(images).flatten(1))
    torch.testing.assert_close(classifier.logits(images), theirs)


def test_vgg_16_pools_as_torchvisions_before_its_linear_layers() -> None:
    small = {
        "MODEL.VGG.STAGE_DEPTHS": [1, 1],
        "MODEL.VGG.STAGE_CHANNELS": [4, 6],
        "MODEL.ROI_BOX_HEAD.FC_DIM": 8,
    }
    recipe = tiny_recipe("classification")
    update = {"backbone": "VGG-16", "norm": "", "detectron2": small}
    ours = build(recipe.model_copy(update=update), 5, "cpu").pool
    with torch.device("meta"):
        vgg = vgg16()
    features = torch.randn(2, 6, 28, 42)
    assert torch.equal(ours(features), vgg.avgpool(vgg.features[-1](features)))


@pytest.mark.parametrize("size", [(140, 100), (60, 75)], ids=["wide", "high"])
@pytest.mark.parametrize("mode", ["RGB", "L"], ids=["in colour", "grey"])
def test_pictures_for_evaluation_are_scaled_and_cropped_as_torchvision_does(tmp_path, size, mode) -> None:
    """ImageNet's 256 and 224, or 8/7: here 80 and 70."""
    noise = torch.randint(0, 256, (size[1], size[0], 3), dtype=torch.uint8)
    picture = Image.fromarray(noise.numpy()).convert(mode)
    picture.save(tmp_path / "picture.png")
    theirs = v2.Compose([v2.Resize(80), v2.CenterCrop(70), v2.PILToTensor()])(picture.convert("RGB"))
    assert torch.equal(centre_crop(str(tmp_path / "picture.png"), 70), theirs)


def test_crops_to_train_on_are_drawn_as_torchvisions() -> None:
    """Area, ratio and place; where neither can reach over the edge, for there torchvision draws again and ours cuts."""
    side, share, ratio = 1000, (0.25, 1.0), (3 / 4, 4 / 3)
    np.random.seed(0)
    torch.manual_seed(0)
    image = np.zeros((side, side, 3), dtype=np.uint8)
    crops = [RandomResizedCrop(32).get_transform(image).transforms[0] for _ in range(2000)]
    ours = pd.DataFrame([(crop.y0, crop.x0, crop.h, crop.w) for crop in crops])
    blank = torch.zeros(3, side, side)
    theirs = pd.DataFrame([RandomCrop.get_params(blank, share, ratio) for _ in range(2000)])
    assert ours[2].mul(ours[3]).max() > 0.95 * side**2
    drawn = []
    for frame in (ours, theirs):
        top, left, height, width = (frame[column] for column in frame)
        frame = pd.DataFrame({"area": height * width, "ratio": np.log(width / height)})
        frame["left"], frame["top"] = left / (side - width), top / (side - height)
        drawn.append(frame[frame["area"] < 0.75 * side**2])
    for column in drawn[0]:
        assert ks_2samp(drawn[0][column], drawn[1][column]).pvalue > 0.01, column
