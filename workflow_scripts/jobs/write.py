"""Writes a text to a file, with a newline at the end, whole or not at all."""

import argparse
from pathlib import Path

from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.job import job


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with write_atomically(arguments.output) as temporary:
        temporary.write_text(f"{arguments.text}\n")


if __name__ == "__main__":
    job(main)
