"""As many training processes as GPUs, started as a job starts them: NCCL, a step's time, equal batches."""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from benchmarks.gpu.kit import Kit, Row, Rows, go, new_model, our_loop, wait
from workflow_scripts.study.configuration.scales import TrainingNumbers
from workflow_scripts.training.examples import Example
from workflow_scripts.training.launch import start_here
from workflow_scripts.training.processes import (
    Processes,
    diverge_together,
    summed,
    synchronised,
    training_processes,
)
from workflow_scripts.training.segment import training_batches

NUMBERS = TrainingNumbers(log_period=1, save_period=1, workers=0)
WARM = 2


def together(kit: Kit) -> Rows:
    """Starts the processes and compares the batches that they saw with those that one process loads."""
    count = 2 if kit.device == "cpu" else torch.cuda.device_count()
    steps = WARM + kit.sized(10, 1)
    out = kit.folder / "together.json"
    options = ["--device", kit.device, "--folder", str(kit.folder), "--steps", str(steps)]
    if kit.small:
        options.append("--small")
    words = ["--standalone", f"--nproc-per-node={count}", "-m", __name__, *options, "--output", str(out)]
    try:
        start_here(words)
    except SystemExit as stopped:
        raise RuntimeError(f"the processes ended with {stopped.code}") from None
    told = json.loads(out.read_text())
    yield Row("processes", "processes", told["processes"], told["backend"])
    yield Row("processes", "a step", told["seconds"], "s")
    recipe = kit.recipe.model_copy(update={"batch": 2 * count})
    alone = training_batches(recipe, kit.examples, NUMBERS, Processes(0, 1, "cpu"), 0, steps)
    expected = [fingerprint(example) for batch in alone for example in batch]
    same = sum(map(str.__eq__, expected, told["images"]))
    yield Row("processes", "images equal to those of one process", 100 * same / len(expected), "%")
    if expected != told["images"]:
        raise RuntimeError("the processes saw other batches than one process sees")


def fingerprint(example: Example) -> str:
    """Of an example's picture, wherever it is."""
    return hashlib.sha256(example["image"].cpu().numpy().tobytes()).hexdigest()


def noted(batches: Iterator[list[Example]], found: list[list[str]]) -> Iterator[list[Example]]:
    """The batches, with fingerprints of their pictures."""
    for batch in batches:
        found.append([fingerprint(example) for example in batch])
        yield batch


def one_of_many(kit: Kit, processes: Processes, steps: int) -> dict:
    """Trains as one of the processes; what the first of them tells."""
    recipe = kit.recipe.model_copy(update={"batch": 2 * processes.count})
    model = new_model(kit)
    diverge_together(model, processes)
    found: list[list[str]] = []
    batches = training_batches(recipe, kit.examples, NUMBERS, processes, 0, steps)
    loop = our_loop(kit, model, noted(batches, found), rate=recipe.base_lr / 10)
    loop.batch, loop.processes = recipe.batch, processes
    if processes.count > 1:
        loop.model = synchronised(model, processes)
    else:  # what one GPU can show of NCCL
        loop.model = DistributedDataParallel(model, [processes.device], broadcast_buffers=False)
    given = loop.batches
    loop.batches = [next(given) for _ in range(WARM)]  # type: ignore[call-overload]
    go(loop, 0, WARM)
    loop.batches = [next(given) for _ in range(steps - WARM)]  # type: ignore[call-overload]
    wait(processes.device)
    began = time.perf_counter()
    go(loop, WARM, steps)
    wait(processes.device)
    seconds = (time.perf_counter() - began) / (steps - WARM)
    everyones: list[list[list[str]]] = [[] for _ in range(processes.count)]
    distributed.all_gather_object(everyones, found)
    images = [name for shares in zip(*everyones, strict=True) for share in shares for name in share]
    ranks = int(summed(torch.tensor(1, device=processes.device), processes))
    return {
        "processes": ranks,
        "backend": distributed.get_backend(),
        "seconds": seconds,
        "images": images,
    }


def main() -> None:
    """One of the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with training_processes() as processes:
        if processes.count == 1:
            backend = "gloo" if processes.device == "cpu" else "nccl"
            distributed.init_process_group(backend)
        told = one_of_many(
            Kit(processes.device, arguments.small, arguments.folder), processes, arguments.steps
        )
        if processes.first:
            arguments.output.write_text(json.dumps(told))
        if processes.count == 1:
            distributed.destroy_process_group()


if __name__ == "__main__":
    main()
