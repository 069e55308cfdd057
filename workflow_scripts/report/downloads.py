"""Files that travel within the page: the pictures that it shows, and what of a figure or table can be saved from it."""

import base64
import gzip
from pathlib import Path
from typing import Any

from workflow_scripts.errors import UserError
from workflow_scripts.report.links import relative_link

TYPES = {
    ".svg": ("SVG", "image/svg+xml"),
    ".png": ("PNG", "image/png"),
    ".pdf": ("PDF", "application/pdf"),
    ".csv": ("CSV", "text/csv"),
    ".tex": ("LaTeX", "text/x-tex"),
    ".md": ("Markdown", "text/markdown"),
}
"""By ending: how a kind of file is called, and its media type."""
SHOWN = (".svg", ".png")
"""What a browser shows, the best first: an SVG is sharp at any size, and follows light and dark."""
COMPRESSED_FROM = 500_000
"""Bytes of a CSV from which on it is compressed, as pandas reads it all the same: some 20 times smaller."""
LARGEST = 1_000_000
"""Bytes of a file that travels; a larger one is linked where it lies."""


def by_stem(paths: list[str], what: str) -> dict[str, list[Path]]:
    """Files of each figure or table, in the order of `TYPES`. Raises `UserError` on a file of another kind."""
    found: dict[str, list[Path]] = {}
    for path in map(Path, paths):
        if path.suffix not in TYPES:
            raise UserError(f"{path}: no file of a {what}. Expected one that ends in {', '.join(TYPES)}.")
        found.setdefault(path.stem, []).append(path)
    order = list(TYPES)
    return {stem: sorted(files, key=lambda file: order.index(file.suffix)) for stem, files in found.items()}


def shown(files: list[Path]) -> Path:
    """The file of a figure that the page shows. Raises `UserError` where a browser could show none."""
    for ending in SHOWN:
        for file in files:
            if file.suffix == ending:
                return file
    raise UserError(f"{files[0]}: not a picture that a page shows. Give the figure's {' or '.join(SHOWN)}.")


def embed(path: Path) -> str:
    """A picture as a data URL. Raises `UserError` where it is missing or not what its ending says."""
    data = _bytes(path)
    begins = b"\x89PNG" if path.suffix == ".png" else b"<"
    if not data.lstrip().startswith(begins):
        raise UserError(f"{path}: not a {TYPES[path.suffix][0]}. Draw the figure again.")
    return _data_url(data, TYPES[path.suffix][1])


def download(path: Path, output: str | Path, label: str = "") -> dict[str, Any]:
    """A file to save from the page `output`: its `name`, `label`, `size` in words, `href`, and whether it `travels`."""
    data, name = _bytes(path), path.name
    kind, media_type = TYPES[path.suffix]
    label = label or kind
    if path.suffix == ".csv" and len(data) > COMPRESSED_FROM:
        data, name = gzip.compress(data, mtime=0), f"{name}.gz"
        label, media_type = f"{label}, compressed", "application/gzip"
    travels = len(data) <= LARGEST
    href = _data_url(data, media_type) if travels else relative_link(str(path), output)
    size = f"{max(1, round(len(data) / 1000)):,} kB"
    return {"name": name, "label": label, "size": size, "href": href, "travels": travels}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Draw or make it first.") from None


def _data_url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
