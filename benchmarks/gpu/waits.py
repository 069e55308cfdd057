"""Where the host waits for the GPU within a step: found by torch's sync debug mode, or told beforehand on a CPU."""

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from benchmarks.gpu.kit import Kit, Row, Rows, go, new_model, our_loop
from workflow_scripts.models.devices import fix_arithmetic

OURS = "workflow_scripts"
LINES = ("line", "check")
"""Functions of `training/loop.py` that wait by design: once a line of metrics."""
ASK = {
    getattr(Tensor, name)
    for name in (
        *("item", "tolist", "cpu", "numpy", "nonzero", "equal", "masked_select", "unique"),
        *("__bool__", "__int__", "__float__", "__index__"),
    )
} | {torch.nonzero, torch.equal, torch.masked_select, torch.unique}
"""Calls that need a tensor's values, or how many of them there are: with a GPU, they wait for it."""


@contextmanager
def waits(device: str) -> Iterator[Counter[str]]:
    """Counts the places that wait: `detectron2/modeling/matcher.py:76 __call__`, as told by `place`."""
    found = Counter[str]()
    if device == "cpu":
        with _Asking(found):
            yield found
        return
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("always")

        def note(message: Warning | str, *_: Any) -> None:
            if "synchronizing CUDA operation" in str(message):
                found[place(sys._getframe(1))] += 1

        warnings.showwarning = note  # type: ignore[assignment]
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(before)


class _Asking(TorchFunctionMode):
    """Notes calls that would wait for a GPU, were the tensors there."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self._found = found

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in ASK or _by_mask(func, args) or (func is torch.tensor and (kwargs or {}).get("device")):
            self._found[place(sys._getframe(1))] += 1
        return func(*args, **(kwargs or {}))


def _by_mask(func: Callable[..., Any], args: tuple) -> bool:
    """Whether elements are taken, or put from a tensor, where a mask is true: how many decides the mask."""
    if func is Tensor.__setitem__ and not (isinstance(args[2], Tensor) and args[2].ndim):
        return False
    if func not in (Tensor.__getitem__, Tensor.__setitem__):
        return False
    index = args[1] if isinstance(args[1], tuple) else (args[1],)
    return any(isinstance(part, Tensor) and part.dtype == torch.bool for part in index)


def place(frame: FrameType | None) -> str:
    """The innermost caller outside torch, as file, line and function; `autograd` for what backward passes do."""
    while frame is not None:
        path = frame.f_code.co_filename
        if frame.f_code.co_name == "_engine_run_backward":
            return "autograd"
        parts = Path(path).parts
        if not {"torch", "warnings.py", "waits.py", "contextlib.py"} & set(parts):
            package = next((part for part in reversed(parts) if part in (OURS, "site-packages")), parts[-1])
            name = "/".join(parts[parts.index(package) + (package == "site-packages") :])
            return f"{name}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return "unknown"


def once_a_line(where: str) -> bool:
    """Whether a place waits once a line of metrics, by design."""
    return where.startswith(f"{OURS}/training/loop.py") and where.split()[-1] in LINES


def waiting_places(kit: Kit) -> Rows:
    """How often a step waits, and where; fails where it is in this project's part of it."""
    fix_arithmetic()
    steps = kit.sized(4, 1)
    loop = our_loop(kit, new_model(kit), kit.batches(1) * (steps + 1), kit.recipe.base_lr / 10)
    batches = iter(loop.batches)
    loop.batches = [next(batches)]
    go(loop, 0, 1)  # what is made once, such as anchors
    loop.batches = batches
    with waits(kit.device) as found:
        go(loop, 1, 1 + steps)
    by_design = {where for where in found if once_a_line(where)}
    ours = {where for where in found if where.startswith(OURS)} - by_design
    others = found.keys() - ours - by_design
    yield Row("waits", "of this project's part, a step", sum(found[where] for where in ours) / steps)
    yield Row("waits", "of detectron2's part, a step", sum(found[where] for where in others) / steps)
    for where in sorted(others | ours, key=lambda where: -found[where]):
        yield Row("waits", where, found[where] / steps, "a step")
    if ours:
        raise RuntimeError(f"this project's part of a step waits for the GPU: {', '.join(sorted(ours))}")
    if not by_design:
        raise RuntimeError("lines of metrics are not seen to wait, so nothing would be")
