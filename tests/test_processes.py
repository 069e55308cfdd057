"""Processes meet in the same collectives, share a machine's threads, and find their GPUs."""

import json
import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import distributed, nn

from workflow_scripts.errors import UserError
from workflow_scripts.training.draws import DrawsPerImage
from workflow_scripts.training.loop import Loop, NonFiniteLoss
from workflow_scripts.training.processes import (
    Processes,
    SampleCounts,
    diverge_together,
    same_everywhere,
    synchronised,
    threads_each,
    training_processes,
    weighted,
)


class _DivergesInOneProcess(nn.Module):
    """A model whose proposals are refused at its second step, in the second of two processes alone."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.rank, self.step = rank, 0
        self.proposal_generator = SimpleNamespace(predict_proposals=self._proposals)

    def _proposals(self) -> None:
        self.step += 1
        if self.rank == 1 and self.step == 2:
            raise FloatingPointError("Predicted boxes or scores contain Inf/NaN.")

    def forward(self, _batch: object) -> dict[str, torch.Tensor]:
        self.proposal_generator.predict_proposals()
        return {"loss_cls": self.weight}


def _one_of_two(rank: int, folder: Path) -> None:
    distributed.init_process_group(
        "gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2, timeout=timedelta(minutes=1)
    )
    processes = Processes(rank, 2, "cpu")
    share = weighted(
        {"loss_cls": torch.ones(()), "loss_rpn_cls": torch.ones(())}, {"loss_cls": 4 * rank}, processes
    )
    model = _DivergesInOneProcess(rank)
    diverge_together(model, processes)
    loop = Loop(
        model=synchronised(model, processes),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        batches=[[{"image": torch.zeros(3, 2, 2), "label": 0}]] * 4,
        rate=lambda t: 0.1,
        draws=DrawsPerImage(nn.Identity(), 0),
        counts=SampleCounts(model),
        batch=2,
        processes=processes,
        log_period=1,
    )
    with pytest.raises(NonFiniteLoss) as stopped:
        loop.train(
            0,
            4,
            frozenset(),
            lambda line, seconds: None,
            lambda iteration, leaving: None,
            lambda seconds: False,
        )
    same = [same_everywhere(number, processes) for number in (7, rank)]
    ends = {"at": str(stopped.value), "same": same} | {name: float(value) for name, value in share.items()}
    (folder / f"{rank}.json").write_text(json.dumps(ends))
    distributed.destroy_process_group()


def test_processes_wait_for_none_that_diverged_or_sampled_nothing(tmp_path):
    torch.multiprocessing.spawn(_one_of_two, (tmp_path,), nprocs=2)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["at"].startswith("iteration 1") and second["at"].startswith("iteration 1")
    assert first["same"] == second["same"] == [True, False]
    assert (first["loss_cls"], second["loss_cls"]) == (0.0, 2.0)
    assert (first["loss_rpn_cls"], second["loss_rpn_cls"]) == (1.0, 1.0)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with (
        pytest.raises(UserError, match="training process 3 of this machine: found 2 GPUs"),
        training_processes(),
    ):
        pass


@pytest.mark.parametrize(("given", "processes", "each"), [("8", 2, 4), ("1", 2, 1), ("6", 4, 1)])
def test_processes_share_the_threads(monkeypatch, given, processes, each):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert threads_each(processes) == each


def test_processes_share_the_processors_where_no_number_of_threads_is_given(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)))
    assert threads_each(4) == 3


@pytest.mark.parametrize(("others", "weight"), [((8, 18, 0), 1.0), ((20, 45, 0), 0.5)])
def test_counts_that_a_gpu_holds_weigh_as_those_that_are_known(monkeypatch, others, weight):
    """Of three processes: this one has 4 of 12 or of 24, and 9 of 27 or of 54."""
    monkeypatch.setattr(distributed, "all_reduce", lambda values: values.add_(torch.tensor(others)))
    losses = {name: torch.tensor(value) for name, value in (("mask", 2.0), ("keypoint", 5.0), ("rpn", 7.0))}
    counts = {"mask": 4, "keypoint": torch.tensor(9), "none": 0}
    found = weighted(losses, counts, Processes(0, 3, "cpu"))
    assert {name: value.item() for name, value in found.items()} == {
        "mask": 2 * weight,
        "keypoint": 5 * weight,
        "rpn": 7.0,
    }
    assert all(value.dtype == torch.float32 for value in found.values())


@pytest.mark.parametrize(
    ("boxes", "error"),
    [([[0.0, 0.0, 1.0, 1.0]], AssertionError), ([[0.0, 0.0, 1.0, float("nan")]], FloatingPointError)],
)
def test_boxes_of_a_cascade_that_are_no_numbers_diverge_and_other_errors_stay(boxes, error):
    from detectron2.structures import Boxes

    def create(given, _sizes):
        for each in given:
            Boxes(each).clip((4, 4))
        raise AssertionError("something else")

    heads = SimpleNamespace(_create_proposals_from_boxes=create)
    diverge_together(SimpleNamespace(roi_heads=heads), Processes(0, 1, "cpu"))
    with pytest.raises(error):
        heads._create_proposals_from_boxes([torch.tensor(boxes)], [(4, 4)])
