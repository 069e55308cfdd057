"""Installs the Python layer of detectron2 0.6 into the environment that runs this file.

detectron2 has no release on PyPI under its own name. `pb1-detectron2` is a source release whose Python files
equal upstream's tag v0.6 and which lacks the C++ and CUDA sources, so pip cannot build it. Everything that the
study trains needs only the Python layer, so this puts that layer into a wheel of its own and installs it.

Standard library and pip only. torch must be installed: pip runs the source release's `setup.py` to read its name.
"""

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

VERSION = "0.6"
SOURCE_RELEASE = f"pb1-detectron2=={VERSION}"
SHA256 = "5d2e9e51e523ec72f6a31cca04b0a515492e9514b773a3d134cedc0677170b29"

DIST_INFO = f"detectron2-{VERSION}.dist-info"
# No dependencies: requirements.txt pins them, and upstream's own list holds exact pins of tools it does not import.
METADATA = f"""\
Metadata-Version: 2.1
Name: detectron2
Version: {VERSION}
Summary: detectron2's Python layer, without its compiled operators
Home-page: https://github.com/facebookresearch/detectron2
License: Apache-2.0
Requires-Python: >=3.11
"""
WHEEL = """\
Wheel-Version: 1.0
Generator: install_detectron2
Root-Is-Purelib: true
Tag: py3-none-any
"""


class InstallError(Exception):
    """What went wrong and what to do about it."""


def pip(*arguments: str, advice: str) -> None:
    """Runs this environment's pip. Raises InstallError when it fails; pip has then printed why."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", *arguments]
    if subprocess.run(command).returncode != 0:
        raise InstallError(f"pip {arguments[0]} failed, see above. {advice}")


def download(folder: Path) -> Path:
    """Fetches the source release from the index that pip is configured with."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{SOURCE_RELEASE} --hash=sha256:{SHA256}\n")
    # Without isolation, since setup.py imports torch; with the hash, since pip runs setup.py before it returns.
    pip(
        *("download", "--no-deps", "--no-binary=:all:", "--no-build-isolation", "--require-hashes"),
        *("--dest", str(folder), "--requirement", str(requirement)),
        advice=f"pip from 26.3 on refuses {SOURCE_RELEASE}, for a URL among optional dependencies that are not "
        "installed here: use the pip of requirements.txt, or get the archive yourself and pass --archive",
    )
    return next(folder.glob("*.tar.gz"))


def verify(archive: Path) -> None:
    """Raises InstallError unless `archive` is, byte for byte, the release that was compared with upstream."""
    if not archive.is_file():
        raise InstallError(f"{archive}: no such file")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise InstallError(f"{archive}: its SHA-256 is {found}, expected {SHA256} ({SOURCE_RELEASE})")


def build_wheel(archive: Path, folder: Path) -> None:
    """Writes, in `folder`, a pure Python wheel of the package `detectron2` of a source release."""
    files: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            _, _, name = member.name.partition("/")
            stream = tar.extractfile(member)
            if stream and name == "LICENSE":
                files[f"{DIST_INFO}/{name}"] = stream.read()
            elif stream and name.startswith("detectron2/"):
                files[name] = stream.read()
    files[f"{DIST_INFO}/METADATA"] = METADATA.encode()
    files[f"{DIST_INFO}/WHEEL"] = WHEEL.encode()
    record = f"{DIST_INFO}/RECORD"
    files[record] = "".join(f"{name},,\n" for name in [*files, record]).encode()

    wheel = folder / f"detectron2-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)


def installed_version() -> str | None:
    try:
        return metadata.version("detectron2")
    except metadata.PackageNotFoundError:
        return None


def install(archive: Path | None) -> None:
    """Installs the Python layer from `archive`, or from the package index when None."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source_release = archive or download(folder)
        verify(source_release)
        build_wheel(source_release, folder)
        # By name, not by path: pip would record the path of a temporary folder.
        pip(
            *("install", "--no-deps", "--no-index", "-f", str(folder)),
            f"detectron2=={VERSION}",
            advice="Is the environment writable, and its disk not full?",
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Install detectron2's Python layer into this environment.")
    parser.add_argument(
        "--archive", type=Path, help=f"{SOURCE_RELEASE} as a .tar.gz, for a machine without an index"
    )
    options = parser.parse_args(arguments)
    if found := installed_version():
        print(f"detectron2 {found} is already installed in {sys.prefix}")
        return
    try:
        install(options.archive)
    except InstallError as error:
        parser.exit(1, f"install_detectron2: {error}\n")
    print(f"detectron2 {VERSION} (Python layer) installed in {sys.prefix}")


if __name__ == "__main__":
    main()
