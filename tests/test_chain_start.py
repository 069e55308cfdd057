"""What a training starts from and sees, by the command that the rules run: weights, data, and saves of other data."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.chain.data import EMPTY, FIRST_ID, ONLY_CROWD, STEP, TRAIN_IMAGES, torchvision_weights, write_data
from tests.chain.study import SMALL, TWO_STAGES
from tests.training import segment, tiny_recipe
from workflow_scripts.models import published
from workflow_scripts.models.tensors import load_tensors, save_tensors
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.configuration.scales import Warmup
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.training import train
from workflow_scripts.training.examples import detection_examples

R18 = (2, 2)
AT_ONCE, STANDING = Warmup(iterations=0, factor=1), Warmup(iterations=9, factor=0)
"""The whole rate from the first iteration; in which the other one has a rate of 0."""


def small_recipe(**changes: Any) -> Recipe:
    """Of a ResNet-18's first two stages."""
    recipe = tiny_recipe(**changes)
    return recipe.model_copy(update={"detectron2": recipe.detectron2 | SMALL | TWO_STAGES})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module", autouse=True)
def datasets(data: Path) -> dict[str, Any]:
    """What a configuration says of the data drawn there."""
    return write_data(data)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def trained(data: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command for one or two iterations in this process; returns the tensors of the state."""

    def run(folder: Path, recipe: Recipe, stop: int = 1, start: int = 0, **options: Path) -> dict[str, Any]:
        folder.mkdir(exist_ok=True)
        (folder / "recipe.json").write_text(recipe.model_dump_json())
        paths = {"recipe": folder / "recipe.json", "images": data / "coco/train"}
        paths |= {"annotations": data / "coco/instances_train.json", "progress": folder / "progress"}
        paths |= {"metrics": folder / "metrics.jsonl", "checkpoints": folder / "checkpoints"}
        paths |= {"state": folder / "state.safetensors", **options}
        words = [str(word) for name, path in paths.items() for word in (f"--{name}", path)]
        told = [
            "--segment",
            segment(start, stop).model_dump_json(),
            "--log-period",
            "1",
            "--save-period",
            "1",
        ]
        monkeypatch.setattr(sys, "argv", ["train", *words, *told])
        train.main()
        return load_file(paths["state"])

    return run


@pytest.fixture
def backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Published weights as the rules fetch them: their file, and the tensors that a detector must hold."""
    entry, held = torchvision_weights(tmp_path / "weights.safetensors", R18)
    path = tmp_path / "backbone.safetensors"
    words = ["--weights", json.dumps(entry), "--backbone", path, "--summary", tmp_path / "summary.json"]
    monkeypatch.setattr(sys, "argv", ["published", *map(str, words)])
    published.main()
    return path, {f"weights/backbone.bottom_up.{name}": value for name, value in held.items()}


def test_the_first_iteration_finds_published_weights_in_the_backbone(trained, backbone, tmp_path):
    """By name and by colour; with a rate of 0 the state after it holds them to the bit."""
    path, held = backbone
    recipe = small_recipe(initialisation="pretrained", pretraining="fetch", warmup=STANDING)
    state = trained(tmp_path / "pretrained", recipe, backbone=path)
    of_backbone = {name for name in state if name.startswith("weights/backbone.bottom_up.")}
    assert of_backbone == held.keys()
    assert all(torch.equal(state[name], value) for name, value in held.items())
    random = trained(tmp_path / "random", small_recipe(warmup=STANDING))
    assert not any(torch.equal(random[name], value) for name, value in held.items())


def test_norms_do_not_decay_and_all_else_does(trained, tmp_path):
    """After one step of SGD, weights with and without decay differ by rate times decay times the weight before."""
    rate, decay = 0.01, 0.5
    before = trained(tmp_path / "before", small_recipe(warmup=STANDING))
    without, decayed = (
        trained(tmp_path / f"{some}", small_recipe(warmup=AT_ONCE, base_lr=rate, weight_decay=some))
        for some in (0.0, decay)
    )
    norms = {name for name in before if name.startswith("weights/") and ".norm." in name}
    others = {name for name in before if name.startswith("weights/") and name not in norms}
    assert len(norms) > 20 and len(others) > 20
    assert all(torch.equal(decayed[name], without[name]) for name in norms)
    assert all(before[name].any() for name in norms if name.endswith("weight"))
    for name in others:
        lost = without[name] - decayed[name]
        assert torch.allclose(lost, rate * decay * before[name], atol=1e-6), name


def test_no_crowd_is_learned_and_no_image_without_an_object(data):
    """Each image that holds an object shows all of them but crowds; ids ascend, as detectron2 reads them."""
    examples = detection_examples(small_recipe(), data / "coco/instances_train.json", data / "coco/train")
    truth = json.loads((data / "coco/instances_train.json").read_text())
    assert any(each["iscrowd"] for each in truth["annotations"])
    kept = [FIRST_ID["train"] + STEP * n for n in range(TRAIN_IMAGES) if n not in (EMPTY, ONLY_CROWD)]
    found = [examples[0, 0, index] for index in range(len(examples))]
    assert [each["image_id"] for each in found] == kept
    numbers = {category["id"]: number for number, category in enumerate(truth["categories"])}
    for example in found:
        own = [
            each
            for each in truth["annotations"]
            if each["image_id"] == example["image_id"] and not each["iscrowd"]
        ]
        assert example["instances"].gt_classes.tolist() == [numbers[each["category_id"]] for each in own]


class Killed(BaseException):
    """Stands for the end of a job between its last save and its outputs."""


def killed(*_: Any) -> None:
    raise Killed


@pytest.fixture(params=["annotations", "backbone", "parent"])
def two(request, trained, backbone, data, tmp_path):
    """A kind of file that a training reads, and two of it."""
    if request.param == "parent":
        for seed in (1, 2):
            trained(tmp_path / f"seed{seed}", small_recipe(seed=seed))
        return request.param, *(tmp_path / f"seed{seed}/state.safetensors" for seed in (1, 2))
    other = tmp_path / "other"
    if request.param == "backbone":
        weights = load_tensors(backbone[0])[0]
        save_tensors(other, {name: -value for name, value in weights.items()}, {})
        return request.param, backbone[0], other
    truth = json.loads((data / "coco/instances_train.json").read_text())
    for each in truth["annotations"]:
        each["category_id"] = {1: 3, 3: 18, 18: 44, 44: 1}[each["category_id"]]
    other.write_text(json.dumps(truth))
    return request.param, data / "coco/instances_train.json", other


def test_a_save_of_other_data_is_not_gone_on_from(trained, two, tmp_path, monkeypatch):
    """A job that finds a save made from other annotations, another backbone or another parent trains anew."""
    kind, before, now = two
    recipe = small_recipe(initialisation="pretrained", pretraining="fetch", warmup=AT_ONCE)
    start, path = int(kind == "parent"), tmp_path / kind
    job = {"recipe": recipe, "start": start, "stop": start + 1, kind: path}
    path.write_bytes(before.read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(train.Progress, "finish", killed)
        with pytest.raises(Killed):
            trained(tmp_path / "cut", **job)
    path.write_bytes(now.read_bytes())
    found, anew = trained(tmp_path / "cut", **job), trained(tmp_path / "anew", **job)
    assert all(torch.equal(found[name], value) for name, value in anew.items())


def test_tests_with_and_without_augmentation_are_not_exchanged():
    """The table of a run's tests, and what it is gathered from, are those that the setting's name says."""
    names = ["fig5", "table3", "text"]
    study = compile_study({"scale": "smoke", "experiments": names})
    layout = Layout(study)
    for name in names:
        tables, settings = (files(name, study.first_point) for files in (layout.run_tables, layout.settings))
        for table, setting in zip(tables, settings, strict=True):
            recipe, schedule, file = Path(table).parts[-3:]
            points, testing = Path(file).stem.split("-")
            assert testing == ("test_aug" if setting.endswith("test aug") else "single_scale")
            gathered = layout.evaluations_of_run(recipe, schedule, points, testing)
            assert {Path(metrics).parent.name for metrics in gathered} == {testing}


def test_each_task_reads_its_own_annotations(data, datasets):
    """Training reads those to train on, of the subset that a recipe is named after, and detection those to test on."""
    names = ["fig1", "fig6", "fig7", "fig8", "text_voc"]
    study = compile_study({"scale": "smoke", "experiments": names, "datasets": datasets})
    layout, own = Layout(study), "results/smoke/data"
    seen = set()
    for run in study.needed_runs(names):
        task, subset, *_ = run.recipe.name.split("-")
        train, val = {
            "coco": (f"{data}/coco/instances_train.json", f"{data}/coco/instances_val.json"),
            "keypoints": (
                f"{data}/coco/person_keypoints_train.json",
                f"{data}/coco/person_keypoints_val.json",
            ),
            "voc": (f"{own}/voc/train.json", f"{own}/voc/val.json"),
        }[task]
        if subset[0].isdigit():
            train = f"{own}/subsets/instances_{subset}.json"
        segment = run.segments[0]
        assert layout.training_inputs(segment.recipe, segment.name)["annotations"] == train
        assert layout.evaluated_on(run.recipe.name)["annotations"] == val
        seen |= {task, subset}
    assert {"coco", "keypoints", "voc", "35k", "10k", "1k"} <= seen
