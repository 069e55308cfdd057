"""Pickles of arrays: what Python and numpy wrote is read, and nothing that a pickle names is run."""

import builtins
import functools
import os
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_scripts.models.pickles import NotArrays, load_arrays

VALUES = np.arange(-3, 3, dtype="f4").reshape(2, 3) / 2
ARRAYS = {
    "floats": VALUES,
    "columns first": np.asfortranarray(VALUES),
    "every second": VALUES[:, ::2],
    "other byte order": VALUES.astype(">f8"),
    "halves": VALUES.astype("f2"),
    "integers": np.arange(-2, 2, dtype="i8"),
    "bytes": np.arange(256, dtype="u1"),
    "booleans": np.array([True, False]),
    "a counter": np.array(7),
    "a scalar": np.float64(0.1),
}


@pytest.fixture
def load(tmp_path: Path) -> Callable[[bytes], Any]:
    """Reads a pickle given as bytes."""

    def load(content: bytes) -> Any:
        (tmp_path / "w.pkl").write_bytes(content)
        return load_arrays(tmp_path / "w.pkl")

    return load


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_every_kind_and_protocol_are_read(load, protocol):
    written = {"blobs": OrderedDict(ARRAYS), "rest": [("é", 1.5), None, True, 2**70]}
    found = load(pickle.dumps(written, protocol))
    assert found["rest"] == written["rest"]
    assert list(found["blobs"]) == list(ARRAYS)
    for name, array in ARRAYS.items():
        tensor = found["blobs"][name]
        assert str(tensor.dtype) == f"torch.{array.dtype.newbyteorder('=').name}", name
        assert (tuple(tensor.shape), tensor.tolist()) == (array.shape, array.tolist()), name


def test_what_python_2_wrote_is_read(load):
    """By hand: 1 and -2 as little-endian floats, 00 00 80 3f and 00 00 00 c0, in a string of bytes beyond ASCII."""
    text = (
        b"(dp1\nS'w'\np2\ncnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4\n(I0\ntp5\nS'b'\np6\ntp7\nRp8\n"
        b"(I1\n(I2\ntp9\ncnumpy\ndtype\np10\n(S'f4'\np11\nI0\nI1\ntp12\nRp13\n(I3\nS'<'\np14\nNNNI-1\nI-1\nI0\n"
        b"tp15\nbI00\nS'\\x00\\x00\\x80?\\x00\\x00\\x00\\xc0'\np16\ntp17\nbs."
    )
    string = lambda value: b"U" + bytes([len(value)]) + value  # noqa: E731 - an opcode of Python 2 alone
    binary = (
        b"\x80\x02}" + string(b"w") + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        b"" + string(b"b") + b"\x87R(K\x01K\x02\x85cnumpy\ndtype\n" + string(b"f4") + b"K\x00K\x01\x87R(K\x03"
        b"" + string(b"<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"" + string(b"\x00\x00\x80?\x00\x00\x00\xc0") + b"tbs."
    )
    for content in (text, binary):
        (name,), (found,) = zip(*load(content).items(), strict=True)
        assert (name, str(found.dtype), found.tolist()) == ("w", "torch.float32", [1.0, -2.0])


class Call:
    """Pickled as a call of anything."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple:
        return self.call


def touch(path: Path) -> dict[str, bytes]:
    """Pickles that would make the file, by what they name."""
    command = f"touch {path}"
    as_text = f"(S'{command}'\n".encode()
    return {
        "posix.system": pickle.dumps({"w": Call(os.system, command)}, 2),
        "os.system": b"cos\nsystem\n" + as_text + b"tR.",
        "nt.system": b"(S'w'\n(S'%b'\nint\nsystem\nd." % command.encode(),
        "builtins.eval": pickle.dumps(Call(builtins.eval, f"open({str(path)!r}, 'w')"), 4),
        "__builtin__.file": b"c__builtin__\nfile\n(S'%b'\nS'w'\ntR." % str(path).encode(),
        "numpy.memmap": pickle.dumps(Call(np.memmap, str(path), "u1", "w+", 0, 8)),
        "numpy.load": pickle.dumps(Call(np.load, str(path))),
        "numpy.fromfile": pickle.dumps(Call(np.fromfile, str(path))),
        "numpy.testing._private.utils.runstring": b"cnumpy.testing._private.utils\nrunstring\n"
        + as_text
        + b"}tR.",
        "builtins.getattr": pickle.dumps(Call(getattr, np.zeros(1), "tofile")),
        "functools.partial": pickle.dumps(functools.partial(os.system, command)),
        "collections.defaultdict": pickle.dumps(defaultdict(list)),
        "collections.OrderedDict.fromkeys": b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93)R.",
    }


@pytest.mark.parametrize("named", [*touch(Path("."))])
def test_anything_else_that_a_pickle_names_is_refused_and_not_run(load, tmp_path, named):
    path = tmp_path / "made"
    with pytest.raises(NotArrays, match=f"^found {named}, expected numpy's arrays"):
        load(touch(path)[named])
    assert not path.exists()


def crafted(dtype: str, shape: tuple[int, ...], content: object) -> bytes:
    """An array whose parts do not belong together."""
    kind = Call(np.dtype, dtype, False, True, state=(3, "<", None, None, None, -1, -1, 0))
    rebuild = pickle.loads(pickle.dumps(VALUES.__reduce__()[0]))
    return pickle.dumps(Call(rebuild, np.ndarray, (0,), b"b", state=(1, shape, kind, False, content)), 2)


REFUSED = {
    "objects": (pickle.dumps(np.array([Call(print)], object), 2), "found an array of type 'O8'"),
    "objects that are only numbers": (
        pickle.dumps({"w": np.array([1], object)}),
        "found an array of type 'O8'",
    ),
    "strings": (pickle.dumps(np.array(["a"])), "found an array of type 'U1'"),
    "records": (pickle.dumps(np.zeros(1, "f4,f4")), "found an array of type 'V8'"),
    "more than is there": (crafted("f4", (1000, 1000), b"\0" * 8), "cannot reshape"),
    "less than is there": (crafted("f4", (1,), b"\0" * 8), "cannot reshape"),
    "an address": (crafted("f4", (1,), 140_000_000_000), "no whole pickle"),
    "a codec": (
        pickle.dumps(Call(pickle.loads(b"c_codecs\nencode\n."), "a", "rot13")),
        "found the encoding 'rot13'",
    ),
    "an array's class, called": (pickle.dumps(Call(np.ndarray, (8,))), "not callable"),
    "something outside": (b"Pelsewhere\n.", "no whole pickle"),
    "a registered extension": (b"\x80\x02\x82\x01.", "no whole pickle"),
    "torn": (pickle.dumps(ARRAYS)[:-20], "no whole pickle"),
    "in itself": (b"}q\x00U\x01wh\x00s.", "no whole pickle, RecursionError"),
    "nothing": (b"", "no whole pickle"),
    "text": (b"<!DOCTYPE html>", "no whole pickle"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_pickle_of_numbers_is_refused(load, capsys, case):
    content, message = REFUSED[case]
    with pytest.raises(NotArrays, match=message):
        load(content)
    assert not capsys.readouterr().out
