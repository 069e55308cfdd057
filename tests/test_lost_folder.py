"""A folder that another job moves away while something is saved into it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from workflow_scripts.models import tensors
from workflow_scripts.training.lock import Superseded, held


def test_whoever_saves_into_a_folder_that_is_gone_was_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """safetensors has an error of its own for what the system refuses."""
    folder, write = tmp_path / "progress", tensors.save_file
    folder.mkdir()

    def write_late(*saved: Any) -> None:
        shutil.rmtree(folder)
        (tmp_path / "lock").unlink()  # its heir has finished
        write(*saved)

    monkeypatch.setattr(tensors, "save_file", write_late)
    with pytest.raises(Superseded, match="taken over by another job"), held(tmp_path / "lock"):
        tensors.save_tensors(folder / "state.safetensors", {"weight": torch.ones(1)}, {})
