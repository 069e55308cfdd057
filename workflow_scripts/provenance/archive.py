"""The bundle as an archive: a list of contents and the files in it, the same bytes each time, and read with care."""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from workflow_scripts.errors import UserError
from workflow_scripts.files import write_atomically
from workflow_scripts.jobs.record import digest_of

LIST = "bundle.json"
SCHEMA = 1
LIMIT = 2**30
"""Bytes that a bundle may unpack to."""


class Member(msgspec.Struct, frozen=True):
    """A file as it was when the bundle was made; `path` is relative to the folder that the workflow ran in."""

    path: str
    sha256: str
    bytes: int


class Contents(msgspec.Struct):
    """`bundle.json`: `results` is the folder of the results, `commits` are those that made them.

    `digest` is the SHA-256 of all the rest, as compact JSON in this order.
    """

    scale: str
    commits: list[str]
    results: str
    members: list[Member]
    schema: int = SCHEMA
    digest: str = ""


Files = Mapping[str, bytes]


def pack(contents: Contents, files: Files, output: Path) -> None:
    """Write a bundle atomically: the list first, then `files` in order of name; `contents` needs no members yet."""
    members = [
        Member(path, hashlib.sha256(files[path]).hexdigest(), len(files[path])) for path in sorted(files)
    ]
    contents = msgspec.structs.replace(contents, members=members)
    contents.digest = digest_of(contents)
    listed = msgspec.json.format(msgspec.json.encode(contents), indent=1) + b"\n"
    everything = {LIST: listed, **{member.path: files[member.path] for member in members}}
    with (
        write_atomically(output) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path, content in everything.items():
            member = tarfile.TarInfo(path)  # no date, owner 0, mode 644
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def read(bundle: Path) -> tuple[Contents, Files]:
    """A bundle's list, and the content of each file in it, which is as listed; nothing is written.

    Raises:
        UserError: naming the file that is not as listed, missing, not listed, a link, or outside of the results.
    """
    try:
        with bundle.open("rb") as file:
            unpacked, damage = _unpacked(file)
    except OSError as error:
        raise UserError(f"{bundle}: cannot be read ({error}); expected a bundle of results") from None
    if len(unpacked) > LIMIT:
        raise UserError(f"{bundle}: unpacks to more than {LIMIT:,} bytes; expected a bundle of a few million")
    files: dict[str, bytes] = {}
    contents = None
    try:
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None:
                    raise UserError(f"{bundle}: {member.name} is no plain file, which no bundle contains")
                if contents is None:
                    contents = _contents(bundle, member.name, content.read())
                    listed = {each.path: each for each in contents.members}
                else:
                    files[member.name] = _checked(bundle, listed, member.name, content.read(), files)
    except tarfile.TarError as error:
        damage = damage or str(error)
    if contents is None:
        raise UserError(f"{bundle}: {damage or 'it is empty'}; expected a bundle of results")
    missing = sorted(listed.keys() - files.keys())
    if missing:
        why = f" ({damage})" if damage else ""
        raise UserError(f"{bundle}: {missing[0]} is missing or damaged{why}; get the bundle again")
    if damage:
        raise UserError(f"{bundle}: it was altered or damaged ({damage}); get the bundle again")
    return contents, files


def is_below(path: str, folder: str) -> bool:
    """Whether a path is relative and stays within a relative folder."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and pure.is_relative_to(folder)


def _unpacked(file: BinaryIO) -> tuple[bytes, str]:
    """What can be decompressed, up to one byte beyond the limit, and why not the rest: the list tells what it hits."""
    unpacked = bytearray()
    try:
        with gzip.GzipFile(fileobj=file) as packed:
            while len(unpacked) <= LIMIT and (part := packed.read1(2**16)):
                unpacked += part
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        return bytes(unpacked), str(error)
    return bytes(unpacked), ""


def _contents(bundle: Path, name: str, content: bytes) -> Contents:
    """The list, which must be the first file."""
    try:
        if name != LIST:
            raise UserError(f"{bundle}: it begins with {name}; expected {LIST}: it is no bundle of results")
        contents = msgspec.json.decode(content, type=Contents)
    except msgspec.DecodeError as error:
        raise UserError(f"{bundle}: {LIST} is no list of a bundle: {error}") from None
    if contents.digest != digest_of(contents):
        raise UserError(f"{bundle}: {LIST} does not match its digest: it was altered; get the bundle again")
    return contents


def _checked(bundle: Path, listed: Mapping[str, Member], name: str, content: bytes, before: Files) -> bytes:
    """A file's content, which is as listed, and lies where a bundle's files lie."""
    if name not in listed or name in before:
        raise UserError(f"{bundle}: {name} is not listed in {LIST}, or twice in the bundle; do not trust it")
    if not is_below(name, "."):
        raise UserError(f"{bundle}: {name} would lie outside of the folder; do not trust this bundle")
    if hashlib.sha256(content).hexdigest() != listed[name].sha256:
        raise UserError(f"{bundle}: {name} is not what {LIST} lists: it was altered; get the bundle again")
    return content
