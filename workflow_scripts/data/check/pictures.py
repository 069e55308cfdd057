"""Looks at a picture file as training will: what it is, its size, whether all of it can be decoded, and its look."""

import hashlib
import io
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
from PIL import Image, UnidentifiedImageError

from workflow_scripts.data.check.findings import Kind

ORIENTATION = 0x0112
"""EXIF's tag; from 5 on, the picture is turned by a quarter, and its sides change places."""
QUEUE = 10_000
"""Images that wait for a thread at one time: a million would take a gigabyte."""
PERIOD = 10
"""Seconds between lines of progress."""

MISSING = Kind(
    "image-missing",
    "error",
    "images",
    "images that are not there",
    "a file of that name below the folder of images",
    "Unpack the images there, correct file_name, or name the folder that holds them",
)
NOT_A_FILE = Kind(
    "image-not-a-file",
    "error",
    "images",
    "images that are no files",
    "a file of a picture",
    "Put the picture there",
)
UNREADABLE = Kind(
    "image-unreadable",
    "error",
    "images",
    "images that cannot be read",
    "a file that may be read",
    "Correct its permissions, or copy it anew",
)
NO_PICTURE = Kind(
    "image-no-picture",
    "error",
    "images",
    "files that are no pictures",
    "a picture that Pillow reads, such as JPEG or PNG",
    "Fetch it anew, or convert it",
)
DAMAGED = Kind(
    "image-damaged",
    "error",
    "images",
    "pictures that are cut short or damaged",
    "a whole picture",
    "Fetch it anew, or remove it and its annotations",
)
BOMB = Kind(
    "image-bomb",
    "error",
    "images",
    "pictures of more pixels than Pillow opens",
    f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels",
    "Cut it into tiles, or make it smaller",
)
DEEP = Kind(
    "image-16-bit",
    "error",
    "images",
    "pictures of more than 8 bits a channel",
    "8 bits a channel: training would clip all above 255 to white",
    "Convert it to 8 bits, scaled as fits the data",
)
CONVERTED = Kind(
    "image-converted",
    "note",
    "images",
    "pictures with transparency, a palette or inks",
    "RGB or grey",
    "None is needed",
    "converted to RGB, transparency dropped, in training and evaluation alike",
)
TURNED = Kind(
    "image-turned",
    "note",
    "images",
    "pictures that EXIF turns or mirrors",
    "annotations on the picture as it is shown",
    "Save the picture as it is shown, and see that its annotations fit",
    "turned when it is read, in training and evaluation alike",
)


@dataclass(frozen=True)
class Picture:
    """A picture that can be read.

    `size` is width and height as training sees it, `stored` as the file holds it; `digest` the SHA-256 of its bytes;
    `look` 64 bits of how bright neighbouring parts are (`difference_hash`).
    """

    size: tuple[int, int]
    stored: tuple[int, int]
    mode: str
    orientation: int
    digest: bytes
    look: int


@dataclass(frozen=True)
class Unfit:
    """A file that is no picture to train on."""

    kind: Kind
    found: str


def look_at_each(paths: Sequence[Path], threads: int) -> Iterator[Picture | Unfit]:
    """`look_at` each path, in order, several side by side, with a line of progress every few seconds."""
    told = monotonic()
    with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pictures that are looked at here, and named
        for first in range(0, len(paths), QUEUE):
            for number, seen in enumerate(pool.map(look_at, paths[first : first + QUEUE]), first + 1):
                if monotonic() - told > PERIOD:
                    told = monotonic()
                    print(f"{number:,} of {len(paths):,} images looked at", flush=True)
                yield seen


def look_at(path: Path) -> Picture | Unfit:
    """Read and decode a picture. Never waits: what is no regular file is not opened."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            return Unfit(NOT_A_FILE, f"it is {kind}")
        content = path.read_bytes()
    except FileNotFoundError:
        target = f", a link to {os.readlink(path)}" if path.is_symlink() else ""
        return Unfit(MISSING, f"there is no such file{target}")
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        return Unfit(UNREADABLE, str(getattr(error, "strerror", None) or error))
    if not content:
        return Unfit(NO_PICTURE, "the file is empty")
    return _decoded(content)


def _decoded(content: bytes) -> Picture | Unfit:
    try:
        with Image.open(io.BytesIO(content)) as picture:
            stored, mode = picture.size, picture.mode
            if mode.startswith(("I", "F")):
                return Unfit(DEEP, f"its pixels are of Pillow's mode {mode}")
            picture.draft("L", (16, 16))  # a JPEG's bytes are all read, and decoded at an eighth of its size
            picture.load()
            orientation = picture.getexif().get(ORIENTATION, 1)
            look = difference_hash(picture)
    except UnidentifiedImageError:
        return Unfit(NO_PICTURE, f"it begins with {content[:8]!r}")
    except Image.DecompressionBombError as error:
        return Unfit(BOMB, str(error).partition(",")[0])
    except MemoryError:
        return Unfit(DAMAGED, "it asks for more memory than there is")
    except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them
        return Unfit(DAMAGED, str(error) or type(error).__name__)
    turned = isinstance(orientation, int) and 5 <= orientation <= 8
    size = stored[::-1] if turned else stored
    digest = hashlib.sha256(content).digest()
    return Picture(size, stored, mode, orientation if isinstance(orientation, int) else 1, digest, look)


def difference_hash(picture: Image.Image) -> int:
    """64 bits: whether each of 8 x 8 parts is brighter than its right neighbour. Alike pictures differ in few.

    Source: https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html
    """
    small = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    return int.from_bytes(np.packbits(small[:, :-1] > small[:, 1:]).tobytes())
