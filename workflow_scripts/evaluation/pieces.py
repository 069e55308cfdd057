"""What a detection keeps as it goes, so that a job that is killed or stops in time goes on and ends in the same bytes.

The folder lies beside the detections and is not declared to the workflow, which would delete it when the job fails.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from workflow_scripts.files import write_atomically


class Pieces:
    """Results of one detection, in pieces that are whole or absent; those of another one are dropped."""

    def __init__(self, folder: Path, detection: str) -> None:
        """`detection` identifies all that the results depend on; it is the name of a folder within `folder`."""
        self._all = folder
        self._own = folder / detection
        for other in folder.glob("*"):
            if other != self._own:
                shutil.rmtree(other, ignore_errors=True)

    def kept(self, name: str) -> bytes | None:
        """A piece in COCO's results format; None where it was not kept."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def keep(self, name: str, results: Iterable[dict[str, Any]]) -> bytes:
        """Keep a piece; returns it in COCO's results format."""
        content = orjson.dumps(results, option=orjson.OPT_SERIALIZE_NUMPY)
        with write_atomically(self._path(name)) as temporary:
            temporary.write_bytes(content)
        return content

    def drop(self) -> None:
        """All is in its place."""
        shutil.rmtree(self._all, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._own / f"{name}.json"


def joined(pieces: Iterable[bytes]) -> bytes:
    """The results of all pieces, in the same bytes as if they had never been apart."""
    return b"[" + b",".join(piece[1:-1] for piece in pieces if piece != b"[]") + b"]"
