"""The training loop: one function of a state, a recipe and a range of iterations."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from detectron2.utils.events import EventStorage
from torch import Tensor, nn

from workflow_scripts.training.draws import DrawsPerImage
from workflow_scripts.training.examples import Example
from workflow_scripts.training.processes import Processes, SampleCounts, summed, weighted
from workflow_scripts.training.transfer import on_device


class NonFiniteLoss(Exception):
    """A loss became infinite or not a number."""


@dataclass
class Window:
    """Losses and counts since the last line of metrics, on the model's device; read once a line."""

    losses: list[Tensor] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    names: tuple[str, ...] = ()
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])

    def add(self, losses: dict[str, Tensor], rate: float, batch: Sequence[Example]) -> None:
        """One iteration's losses, learning rate and this process's share of its batch."""
        self.names = tuple(losses)
        self.losses.append(torch.stack([value.detach() for value in losses.values()]))
        self.rates.append(rate)
        for number, count in enumerate(seen(batch)):
            self.counts[number] += count

    def line(self, iteration: int, processes: Processes) -> dict[str, Any]:
        """The line of metrics that ends after `iteration` iterations.

        Raises:
            NonFiniteLoss: naming the iteration, its losses and its learning rate.
        """
        means = self.check(iteration, processes).mean(dim=0).tolist()
        counts = summed(torch.tensor(self.counts, device=processes.device), processes).tolist()
        line: dict[str, Any] = {"iteration": iteration, "learning_rate": self.rates[-1], "loss": sum(means)}
        line |= dict(zip(self.names, means, strict=True))
        return line | dict(zip(("images", "instances", "pixels"), counts, strict=True))

    def check(self, iteration: int, processes: Processes) -> Tensor:
        """Losses of the global batch, iterations x names, on the CPU; raises as `line` does."""
        if not self.losses:
            return torch.empty(0, len(self.names))
        losses = summed(torch.stack(self.losses).double() / processes.count, processes).cpu()
        for number in (~torch.isfinite(losses)).any(dim=1).nonzero().flatten().tolist():
            values = dict(zip(self.names, losses[number].tolist(), strict=True))
            at = iteration - len(self.losses) + number
            raise NonFiniteLoss(_stopped(at, f"losses {values}", self.rates[number]))
        return losses


def _stopped(iteration: int, why: str, rate: float) -> str:
    return (
        f"iteration {iteration}: {why}, learning rate {rate:g}; the last good state is kept; lower base_lr or "
        "lengthen the warm-up"
    )


def seen(batch: Sequence[Example]) -> tuple[int, int, int]:
    """Images, instances and pixels of a batch, as the network sees them; a picture to classify is one instance."""
    instances = sum(len(example["instances"]) if "instances" in example else 1 for example in batch)
    return (
        len(batch),
        instances,
        sum(example["image"].shape[-2] * example["image"].shape[-1] for example in batch),
    )


@dataclass
class Loop:
    """Trains a model from iteration `start` to `stop`; what happens after a line of metrics is the caller's.

    Between two lines, nothing here waits for a GPU: only detectron2's losses and samplers do. With several processes,
    `diverge_together` does, too.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    batches: Iterable[Sequence[Example]]
    rate: Callable[[int], float]
    draws: DrawsPerImage
    counts: SampleCounts
    batch: int
    processes: Processes
    log_period: int

    def train(
        self,
        start: int,
        stop: int,
        pauses: frozenset[int],
        report: Callable[[dict[str, Any], float], None],
        pause: Callable[[int, bool], None],
        leave: Callable[[float], bool],
    ) -> int:
        """Train; returns the iteration that was reached: `stop`, or that of the line after which `leave` said so.

        `report` gets each line of metrics with its seconds per iteration, `leave` the seconds that the line took, and
        `pause` the chosen iterations and that of leaving, and whether this is it. All processes must leave together.
        """
        self.model.train()
        first_position = self.processes.rank * (self.batch // self.processes.count)
        window, began, since = Window(), time.perf_counter(), start
        batches = on_device(self.batches, self.processes.device)
        for iteration, batch in zip(range(start, stop), batches, strict=True):
            self.draws.begin(iteration, first_position)
            rate = self.rate(iteration)
            try:
                losses = self._step(batch, rate)
            except FloatingPointError as error:  # of boxes that are not numbers, in all processes together
                window.check(iteration, self.processes)
                raise NonFiniteLoss(_stopped(iteration, str(error), rate)) from None
            window.add(losses, rate, batch)
            done = iteration + 1
            if done % self.log_period == 0 or done == stop:
                line = window.line(done, self.processes)
                seconds = time.perf_counter() - began
                report(line, seconds / (done - since))
                if done < stop and leave(seconds):
                    pause(done, True)
                    return done
                window, began, since = Window(), time.perf_counter(), done
            if done in pauses:
                pause(done, False)
        return stop

    def _step(self, batch: Sequence[Example], rate: float) -> dict[str, Tensor]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with EventStorage():  # detectron2's losses put scalars there; what is reported is in `Window`
            losses = weighted(self.model(batch), self.counts.of, self.processes)
        self.optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        self.optimizer.step()
        return losses
