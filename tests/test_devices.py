"""Jobs side by side take a GPU each, and compute alike; what a GPU is sent is not waited for."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from detectron2.structures import BitMasks, Boxes, Instances, Keypoints, PolygonMasks
from torch import distributed, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.training import tiny_recipe
from workflow_scripts.models.build import build, build_optimizer
from workflow_scripts.models.devices import claimed_device, fix_arithmetic
from workflow_scripts.training.loop import Window
from workflow_scripts.training.processes import Processes, training_processes, weighted
from workflow_scripts.training.state import State, capture, restore
from workflow_scripts.training.transfer import on_device


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """GPUs of which the second has the most free memory; those that torch was told to use, in order."""
    chosen: list[int] = []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: SimpleNamespace(uuid=f"GPU-{gpu}"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: ((10, 40, 20)[gpu], 80))
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


def test_each_job_claims_a_gpu_and_one_too_many_takes_that_with_the_most_free_memory(
    three_gpus: list[int],
) -> None:
    assert [claimed_device() for _ in range(4)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:1"]
    assert three_gpus == [0, 1, 2, 1]


def test_a_training_of_one_process_takes_a_gpu_that_no_other_job_has(
    three_gpus: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert claimed_device() == "cuda:0"
    with training_processes() as processes:
        assert (processes.device, processes.count) == ("cuda:1", 1)


def test_without_a_gpu_jobs_use_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert claimed_device() == "cpu"


def test_arithmetic_is_the_same_whatever_was_set_before() -> None:
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.set_flush_denormal(False)
    fix_arithmetic()
    assert torch.backends.cudnn.conv.fp32_precision == "tf32"
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cudnn.benchmark
    # 1e-310 is no normal number.
    assert (torch.tensor([1e-310], dtype=torch.float64) * 1.0).item() == 0.0


def example() -> dict:
    """One with all that a mapper gives."""
    instances = Instances((4, 6))
    instances.gt_boxes = Boxes(torch.tensor([[0.0, 1.0, 2.0, 3.0]]))
    instances.gt_classes = torch.tensor([5])
    instances.gt_keypoints = Keypoints(torch.ones(1, 17, 3))
    instances.gt_masks = PolygonMasks([[np.arange(6.0)]])
    instances.gt_bit_masks = BitMasks(torch.ones(1, 4, 6, dtype=torch.bool))
    image = torch.zeros(3, 4, 6, dtype=torch.uint8)
    return {"image": image, "instances": instances, "file_name": "one.jpg", "height": 4}


def test_all_tensors_of_a_batch_are_sent_from_pinned_memory_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """torch's device without memory stands for a GPU: it shows what is there, and on what terms it was sent."""
    pinned: list[torch.Tensor] = []
    waited: list[bool] = []
    to = torch.Tensor.to

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor)
        return tensor

    def send(tensor: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        if args and args[0] == "meta":
            waited.append(not kwargs.get("non_blocking") or not any(tensor is each for each in pinned))
        return to(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", send)
    ((sent,),) = on_device([[example()]], "meta")
    assert waited == [False] * 5
    given, instances = example(), sent["instances"]
    assert sent["image"].device.type == "meta"
    assert (sent["file_name"], sent["height"], instances.image_size) == ("one.jpg", 4, (4, 6))
    assert instances.get_fields().keys() == given["instances"].get_fields().keys()
    for name, value in given["instances"].get_fields().items():
        found = instances.get(name)
        assert type(found) is type(value), name
        if name != "gt_masks":
            tensor, original = getattr(found, "tensor", found), getattr(value, "tensor", value)
            assert (tensor.device.type, tensor.shape) == ("meta", original.shape), name
    assert instances.gt_masks.polygons[0][0].tolist() == [0, 1, 2, 3, 4, 5]  # rasterised on the CPU


def test_on_the_cpu_a_batch_is_as_it_was() -> None:
    batch = [example()]
    (found,) = on_device([batch], "cpu")
    assert found is batch


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tensors without values say of themselves that they are on a GPU, and refuse to meet those of the CPU."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def on_the_gpu(model: nn.Module) -> nn.Module:
    for module in model.modules():
        for name, value in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(torch.empty_like(value, device="cuda:0")))
        for name, value in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.empty_like(value, device="cuda:0"))
    return model


def devices(tensors: Iterable[torch.Tensor]) -> set[str]:
    return {str(tensor.device) for tensor in tensors}


def test_a_training_keeps_all_that_it_needs_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    recipe = tiny_recipe("classification")
    built = build(recipe, 5, "cpu")
    weights = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    momentum = {name: torch.ones_like(tensor) for name, tensor in built.named_parameters()}
    request.getfixturevalue("pretended_gpu")
    model = on_the_gpu(built)
    optimizer = build_optimizer(recipe, model)
    restore(State(1, weights, momentum), model, optimizer)
    state = capture(model, optimizer, 1)
    assert state.momentum.keys() == momentum.keys()
    assert devices(state.weights.values()) == devices(state.momentum.values()) == {"cuda:0"}

    picture = {"image": torch.zeros(3, 32, 32, dtype=torch.uint8), "label": 1}
    ((*examples,),) = on_device([[picture] * 4], "cuda:0")
    reduced: list[torch.Tensor] = []
    monkeypatch.setattr(distributed, "all_reduce", reduced.append)
    counts = {"loss_cls": 3, "loss_mask": torch.tensor(2, device="cuda:0")}
    losses = weighted(model(examples), counts, Processes(0, 2, "cuda:0"))
    window = Window()
    window.add(losses, 0.1, examples)
    assert devices([examples[0]["image"], *losses.values(), *window.losses, *reduced]) == {"cuda:0"}
    assert window.counts == [4, 4, 4 * 32 * 32]
