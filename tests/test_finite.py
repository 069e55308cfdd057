"""Losses and weights that are not finite end a training, and say where and what to do."""

import pytest
import torch

from workflow_scripts.training.loop import NonFiniteLoss, Window
from workflow_scripts.training.processes import Processes
from workflow_scripts.training.segment import _check_finite
from workflow_scripts.training.state import State


def test_weights_that_are_not_finite_are_not_saved() -> None:
    _check_finite(State(3, {"weight": torch.ones(2)}, {}))
    with pytest.raises(NonFiniteLoss, match="iteration 3: weights bias are not finite"):
        _check_finite(State(3, {"weight": torch.ones(2), "bias": torch.tensor([1.0, torch.inf])}, {}))


def test_divergence_names_the_iteration_its_losses_and_its_rate() -> None:
    """Of iterations 7, 8 and 9, since the last line of metrics, the second."""
    window = Window()
    for loss, rate in ((1.0, 0.1), (torch.inf, 0.2), (2.0, 0.3)):
        window.add({"loss_cls": torch.tensor(loss)}, rate, [])
    with pytest.raises(NonFiniteLoss, match=r"iteration 8: losses \{'loss_cls': inf\}, learning rate 0\.2;"):
        window.line(10, Processes(0, 1, "cpu"))
