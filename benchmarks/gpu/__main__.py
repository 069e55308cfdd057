"""What one GPU does with this project, in one table of under ten minutes.

    python -m benchmarks.gpu [--json FILE] [--without study ...]
    python -m benchmarks.gpu --device cpu --small      # tries the kit itself

Each part runs in a process of its own, so that what breaks one, even the GPU's state, does not lose the others; a part
that fails is a row of the table, and the exit code is 1. Pictures are drawn into a temporary folder.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from benchmarks.gpu.kit import Kit, Row, Rows, as_json, draw_pictures
from benchmarks.gpu.rates import augmented, detecting, loading
from benchmarks.gpu.resuming import resumed
from benchmarks.gpu.steps import PRECISIONS, step_times, where_time_goes
from benchmarks.gpu.study import smoke
from benchmarks.gpu.together import together
from benchmarks.gpu.waits import waiting_places
from workflow_scripts.jobs import environment

Part = Callable[[Kit], Rows]
PATIENCE = 5.0
"""Seconds that a part has to end once it has told all, or was told to end."""
LONGEST = 300
"""Characters of a failure in the table; all of it is printed where errors go."""


def machine(kit: Kit) -> Rows:
    """What the numbers are of."""
    if kit.device != "cpu":
        torch.cuda.init()  # fails here and with its reason, where there is no GPU
    told = environment.machine()
    yield Row("machine", "GPUs: name, driver", "; ".join(told["gpus"]) or "none")
    yield Row("machine", "processor", f"{told['processor']}, {told['cores']} cores")
    versions = environment.versions()
    for name in ("python", "torch", "torchvision", "cuda", "cudnn", "detectron2", "detectron2 build"):
        yield Row("machine", name, str(versions.get(name)))
    yield Row("machine", "commit", environment.commit() or "no checkout")


PARTS: dict[str, Part] = {
    "machine": machine,
    **{f"step {precision}": partial(step_times, precision) for precision in PRECISIONS},
    "time": where_time_goes,
    "waits": waiting_places,
    "loader": loading,
    "detection": detecting,
    "test aug": augmented,
    "resume": resumed,
    "processes": together,
    "study": smoke,
}


def rows_of(name: str, part: Part, kit: Kit, until: float) -> list[Row]:
    """A part's rows, from a process of its own, printed as they come; the last says so where it failed."""
    context = multiprocessing.get_context("fork")  # fast; this process never uses the GPU, so that others can
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(part, kit, sender))
    process.start()
    sender.close()
    rows: list[Row] = []
    failure = ""
    try:
        while not failure and receiver.poll(max(0.0, until - time.monotonic())):
            told = receiver.recv()
            if isinstance(told, Row):
                print(told, flush=True)
                rows.append(told)
            else:
                failure = told
        failure = failure or "the time was up"
    except EOFError:  # it has told everything
        process.join()
        failure = f"ended with {process.exitcode}" if process.exitcode else ""
    finally:
        _end(process)
    if failure:
        rows.append(Row(name, "failed", failure))
        print(rows[-1], flush=True)
    return rows


def _end(process: BaseProcess) -> None:
    """End a part that has not ended by itself, and what it has started."""
    process.join(PATIENCE)
    for end in (signal.SIGTERM, signal.SIGKILL):
        if process.is_alive() and process.pid:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, end)
            process.join(PATIENCE)


def _tell(part: Part, kit: Kit, sender: Connection) -> None:
    os.setsid()
    try:
        with redirect_stdout(sys.stderr):  # what trainings print is not of the table
            for row in part(kit):
                sender.send(row)
    except BaseException as error:
        traceback.print_exc()
        sender.send(" ".join(f"{type(error).__name__}: {error}".split())[:LONGEST])
        sys.exit(1)


def run(kit: Kit, parts: dict[str, Part], minutes: float) -> tuple[list[Row], bool]:
    """All rows, and whether every part passed; parts that the time does not reach have failed."""
    until = time.monotonic() + 60 * minutes
    for name, part in parts.items():
        rows = rows_of(name, part, kit, until)
        kit.found.extend(rows)
        if name == "machine" and rows[-1].what == "failed":
            break
    return kit.found, not any(row.what == "failed" for row in kit.found)


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda:0", help="the GPU, or cpu")
    parser.add_argument("--small", action="store_true", help="tiny numbers, at scale smoke")
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument(
        "--without", nargs="+", default=[], choices=[*PARTS], metavar="PART", help="leave out"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="after which parts fail")
    arguments = parser.parse_args(words)
    parts = {name: part for name, part in PARTS.items() if name not in arguments.without}
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit(arguments.device, arguments.small, Path(folder))
        draw_pictures(kit.folder, kit.sized(64, 6))
        rows, passed = run(kit, parts, arguments.minutes)
    if arguments.json:
        arguments.json.write_text(as_json(rows))
    raise SystemExit(not passed)


if __name__ == "__main__":
    main()
