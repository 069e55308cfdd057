"""Pickles of plain numpy arrays, as Detectron's and detectron2's `.pkl` files, read without running what they name.

A pickle names functions that its reader calls. Here a few names are known, all but OrderedDict stand for code of this
module, and any other ends the reading. numpy sees bytes, a type out of a short list and a shape, never a pickled state.
"""

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


class NotArrays(Exception):
    """What stands in the way of reading a file as a pickle of arrays, in words for a message."""


def load_arrays(path: Path) -> Any:
    """What a pickle holds: arrays as tensors, in dicts, lists and tuples, among numbers and strings.

    Strings of Python 2 are read as latin1, as detectron2 reads them (`detectron2/checkpoint/detection_checkpoint.py`).

    Raises:
        NotArrays: it names anything but arrays, or is torn.
    """
    with path.open("rb") as file:
        try:
            return _plain(_Unpickler(file, encoding="latin1").load())
        except NotArrays:
            raise
        except Exception as error:  # an unpickler raises many kinds on what is no pickle
            raise NotArrays(f"no whole pickle, {type(error).__name__}: {error}") from None


class _Type:
    """A pickled `numpy.dtype`: booleans, integers and floats alone."""

    def __init__(self, code: str, *_: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch("[fiu][1248]|b1", code):
            raise NotArrays(f"found an array of type {code!r}, expected numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        _version, order, *_ = state
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """A pickled `numpy.ndarray`: made empty, and filled by its state."""

    def __init__(self, *_: Any) -> None:
        self.tensor = torch.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _version, shape, kind, in_columns, content = state
        self.fill(content, kind, shape, "F" if in_columns else "C")

    def fill(self, content: bytes | str, kind: _Type, shape: tuple[int, ...], order: Any = "C") -> "_Array":
        # Python 2 wrote bytes as a string.
        raw = content.encode("latin1") if isinstance(content, str) else content
        values = np.frombuffer(raw, kind.dtype).reshape(shape, order=order)
        self.tensor = torch.from_numpy(values.astype(kind.dtype.newbyteorder("="), order="C"))
        return self


def _from_buffer(content: bytes, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    return _Array().fill(content, kind, shape, order)


def _scalar(kind: _Type, content: bytes | str) -> _Array:
    return _Array().fill(content, kind, ())


def _encode(text: str, encoding: str) -> bytes:
    """How protocols below 3 write bytes."""
    if encoding != "latin1":
        raise NotArrays(f"found the encoding {encoding!r}, expected latin1")
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "ndarray",  # only ever told to _reconstruct
    ("numpy", "dtype"): _Type,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    **{
        (f"{core}.{module}", name): meant
        for core in ("numpy.core", "numpy._core")  # before and since numpy 2
        for module, name, meant in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable:
        if (module, name) not in _KNOWN:
            raise NotArrays(f"found {module}.{name}, expected numpy's arrays of numbers and nothing else")
        return _KNOWN[module, name]


def _plain(value: Any) -> Any:
    """`value` with tensors where arrays are to be."""
    if isinstance(value, _Array):
        return value.tensor
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return type(value)(map(_plain, value)) if isinstance(value, list | tuple) else value
