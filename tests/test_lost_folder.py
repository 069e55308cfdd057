"""A folder that another job moves away while something is saved into it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from workflow_scripts.models import tensors
from workflow_scripts.training.lock import Superseded, held
from workflow_scripts.training.progress import Progress
from workflow_scripts.training.state import State


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


class Elsewhere(dict[str, torch.Tensor]):
    """Weights of a training that is stopped as it reads them, until another job has moved its folder away."""

    def __init__(self, folder: Path) -> None:
        super().__init__(weight=torch.ones(1))
        self.folder = folder

    def items(self) -> Any:
        self.folder.rename(self.folder.with_suffix(".spare"))
        return super().items()


@pytest.mark.parametrize("what", ["save", "save_checkpoint"])
def test_a_folder_that_was_moved_away_does_not_come_back(tmp_path: Path, what: str) -> None:
    """It would be taken for a training that was begun, and what was moved away be left alone."""
    folder = tmp_path / "progress"
    progress = Progress(folder)
    weights = Elsewhere(folder)
    with pytest.raises(FileNotFoundError):
        progress.save(State(1, weights, {}), []) if what == "save" else progress.save_checkpoint(1, weights)
    assert not folder.exists()
    with pytest.raises(FileNotFoundError):
        progress.note_divergence("it went on regardless")
    assert not folder.exists()


def test_of_several_processes_one_alone_drops_what_was_saved_of_another_training(tmp_path: Path) -> None:
    """Another may look before it sees what the first has written."""
    folder = tmp_path / "progress"
    Progress(folder, "one").save(State(10, {"weight": torch.ones(2)}, {}), [{"iteration": 10}])
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    Progress(folder, "another", prepare=False)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    Progress(folder, "another")
    assert not list(folder.glob("state-*"))
