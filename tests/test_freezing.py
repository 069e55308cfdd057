"""The first stages of a pre-trained backbone stay as they were, and all else is trained."""

import pytest
import torch

from tests.training import segment, tiny_recipe, tiny_world
from workflow_scripts.models.build import backbone_weights, build
from workflow_scripts.models.tensors import save_tensors
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.examples import detection_examples
from workflow_scripts.training.processes import Processes
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.segment import train_segment
from workflow_scripts.training.state import write_state

VGG = {
    "backbone": "VGG-16",
    "norm": "",
    "detector": "faster_rcnn",
    "detectron2": {
        "MODEL.VGG.STAGE_DEPTHS": [1, 2, 1],
        "MODEL.VGG.STAGE_CHANNELS": [8, 12, 16],
        "MODEL.ROI_BOX_HEAD.FC_DIM": 20,
    },
}
FROZEN = {
    "R50 GN": ({}, ("backbone.bottom_up.stem.", "backbone.bottom_up.res2.")),
    "R50 SyncBN": ({"norm": "SyncBN"}, ("backbone.bottom_up.stem.", "backbone.bottom_up.res2.")),
    "VGG-16": (VGG, ("backbone.conv1_1.", "backbone.conv2_1.", "backbone.conv2_2.")),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tiny_world(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("architecture", FROZEN)
def test_stem_and_second_stage_keep_the_pre_trained_weights(architecture, world, tmp_path):
    changes, frozen = FROZEN[architecture]
    recipe = tiny_recipe(**changes, freeze_at=2)
    examples = detection_examples(recipe, world.annotations, world.images)
    source = build(recipe.model_copy(update={"seed": 7, "freeze_at": 0}), len(examples.classes), "cpu")
    given = backbone_weights(recipe, source.state_dict())
    save_tensors(tmp_path / "backbone.safetensors", given, {})

    def trained(start, stop, folder, parent=None):
        return train_segment(
            recipe,
            segment(start, stop),
            examples,
            TrainingNumbers(log_period=1, save_period=2, workers=0),
            Progress(tmp_path / folder),
            Processes(rank=0, count=1, device="cpu"),
            parent,
            tmp_path / "backbone.safetensors",
        )

    state = trained(0, 4, "straight")
    before = source.state_dict()
    stay = {name for name, weight in state.weights.items() if torch.equal(weight, before[name])}
    own = {name for name in state.weights if name.startswith(frozen)}
    assert own and own <= stay
    parameters = {name for name, _ in source.named_parameters()}
    assert not {name for name in stay & parameters if name.startswith("backbone.")} - own
    assert state.momentum.keys() == parameters - own

    write_state(tmp_path / "half.safetensors", trained(0, 2, "half"))
    resumed = trained(2, 4, "resumed", tmp_path / "half.safetensors")
    assert all(torch.equal(weight, resumed.weights[name]) for name, weight in state.weights.items())
