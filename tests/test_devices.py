"""Evaluations side by side take a GPU each."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from workflow_scripts.models.devices import evaluation_device


def test_each_evaluation_claims_a_gpu_and_one_too_many_takes_that_with_the_most_free_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert torch.cuda.is_available() or evaluation_device() == "cpu"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: SimpleNamespace(uuid=f"GPU-{gpu}"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: ((10, 40, 20)[gpu], 80))
    assert [evaluation_device() for _ in range(4)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:1"]
