"""What a file that is not found by its name may be called."""

import functools
import os
import unicodedata


def other_name(folder: str | os.PathLike[str], name: str) -> str:
    """`there is IMG_1.JPG`: a file of the folder whose name differs in upper and lower case alone, in its ending, which
    `name` may lack, or in the Unicode form of its letters. Empty where there is none."""
    for key in (_letters(name), _letters(os.path.splitext(name)[0])):
        other = _by_letters(os.fspath(folder)).get(key)
        if other and other != name:
            named = (other, os.path.splitext(other)[0])
            otherwise = name not in named and _composed(name) in map(_composed, named)
            return f"there is {other}{', the same letters in another Unicode form' if otherwise else ''}"
    return ""


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _letters(name: str) -> str:
    return _composed(name).casefold()


@functools.lru_cache
def _by_letters(folder: str) -> dict[str, str]:
    """The names in a folder, with their endings and without; listed once, however many files are missing."""
    try:
        names = sorted(os.listdir(folder))
    except (OSError, ValueError):  # ValueError: a name that no folder can have
        return {}
    without = {_letters(os.path.splitext(name)[0]): name for name in names}
    return without | {_letters(name): name for name in names}
