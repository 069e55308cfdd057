"""The backbone that a classifier trained here hands to detectors, and how well the classifier does.

python -m workflow_scripts.training.backbone --recipe recipe.json --state state.safetensors --val images/val ...
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_json
from workflow_scripts.jobs.job import job
from workflow_scripts.models.build import Classifier, backbone_weights, build
from workflow_scripts.models.devices import claimed_device, fix_arithmetic
from workflow_scripts.models.tensors import save_tensors
from workflow_scripts.study.compiled.reading import read_recipe
from workflow_scripts.training.examples import centre_crop, folder_records
from workflow_scripts.training.state import load_state


def accuracy(model: nn.Module, folder: Path, side: int, device: str) -> float:
    """Top-1 accuracy, in percent, on an image folder."""
    assert isinstance(model, Classifier)
    records, _ = folder_records(folder)
    model.eval()
    right = 0
    with torch.inference_mode():
        for first in range(0, len(records), 64):
            chunk = records[first : first + 64]
            images = torch.stack([centre_crop(record["file_name"], side) for record in chunk])
            labels = torch.tensor([record["label"] for record in chunk], device=device)
            right += int((model.logits(images).argmax(dim=1) == labels).sum())
    return 100 * right / len(records)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", type=Path, required=True, help="the classifier's recipe.json")
    parser.add_argument("--state", type=Path, required=True, help="the classifier's final state")
    parser.add_argument("--val", type=Path, required=True, help="image folder to measure accuracy on")
    parser.add_argument("--backbone", type=Path, required=True, help="output: the backbone's weights")
    parser.add_argument("--summary", type=Path, required=True, help="output: summary.json")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe)
    state = load_state(arguments.state)
    _, classes = folder_records(arguments.val)
    trained_on = len(state.weights["linear.bias"])
    if len(classes) != trained_on:
        raise UserError(
            f"{arguments.val}: found {len(classes)} classes (folders), expected the {trained_on} that {recipe.name} "
            "was trained on; the folders of both image sets must have the same names"
        )
    fix_arithmetic()
    device = claimed_device()
    model = build(recipe, trained_on, device)
    model.load_state_dict(state.weights)
    top1 = accuracy(model, arguments.val, recipe.image_sides[0], device)
    save_tensors(arguments.backbone, backbone_weights(recipe, state.weights), {"source": recipe.name})
    write_json(
        arguments.summary, {"kind": "train", "recipe": recipe.name, "classes": len(classes), "top1": top1}
    )
    print(f"{recipe.name}: top-1 accuracy {top1:.1f} % of {len(classes)} classes")


if __name__ == "__main__":
    job(main)
