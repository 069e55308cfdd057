"""How fast records hash files, against `openssl dgst -sha256` on the same file.

    python -m benchmarks.hashing --gigabytes 2

The file is read once before, so that both read it from memory; both must find the same hash. Prints the ratio of
speeds; above 1, ours is faster.

Needs the program `openssl`, besides the environment.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from workflow_scripts.files import sha256


def seconds(function: Callable[[], object], repeats: int) -> float:
    """The fastest of several calls."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        found.append(time.perf_counter() - began)
    return min(found)


def check_equal(ours: str, printed: str) -> None:
    """Refuse to compare with anything but the same hash: the last word that openssl prints."""
    if [ours] != printed.split()[-1:]:
        raise SystemExit(f"the hashes differ: ours is {ours}, openssl prints {printed.strip()}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if shutil.which("openssl") is None:
        raise SystemExit("found no openssl, whose speed ours is compared with; install it")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        chunks = max(1, int(arguments.gigabytes * 64))
        with path.open("wb") as file:
            for _ in range(chunks):
                file.write(os.urandom(2**24))
        command = ["openssl", "dgst", "-sha256", str(path)]
        check_equal(sha256(path), subprocess.check_output(command, text=True))
        ours = seconds(lambda: sha256(path), arguments.repeats)
        theirs = seconds(lambda: subprocess.run(command, check=True, capture_output=True), arguments.repeats)
    size = chunks * 2**24 / 1e9
    print(f"ours {size / ours:.2f} GB/s, openssl {size / theirs:.2f} GB/s, ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
