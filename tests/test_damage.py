"""Files that someone altered, or that may not be read: told of in one message, or passed over; no traceback."""

import errno
from pathlib import Path

import pytest

from workflow_scripts.errors import MISTAKE, command
from workflow_scripts.jobs.record import Attempt, Code, File, Record
from workflow_scripts.provenance.hashes import Hashes
from workflow_scripts.provenance.images import listed_images, wrong_images
from workflow_scripts.study.trainings import points
from workflow_scripts.training.progress import Progress


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_what_may_not_be_read_or_written_is_a_mistake(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise OSError(number, "refused", "my/file")

    with pytest.raises(SystemExit) as ended:
        command(main)
    assert ended.value.code == MISTAKE
    said = capsys.readouterr().err
    assert said.startswith(
        "Error: my/file: refused; expected one that this job may read or write: correct its"
    )


def test_other_errors_keep_their_traceback() -> None:
    def main() -> None:
        raise FileNotFoundError(errno.ENOENT, "gone", "my/file")

    with pytest.raises(FileNotFoundError):
        command(main)


def list_of_images(path: Path, content: bytes | None, settings: dict[str, str]) -> Record:
    """The record of a job that hashed images, and its list as it is now."""
    if content is not None:
        path.write_bytes(content)
    attempt = Attempt(start="2026-01-01T00:00:00+00:00", host="a", exit=0)
    output = File(str(path), "0" * 64, 1, 0)
    return Record("images", settings, [], [], [output], Code(None, None, {}), {}, {}, [attempt])


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (b"\xff\xfe\x00", {"folder": "images"}),
        (b"name,size\na.png,3\n", {"folder": "images"}),
        (b"name,sha256,bytes\na.png,0,many\n", {"folder": "images"}),
        (b"name,sha256,bytes\na.png\n", {"folder": "images"}),
        (b"name,sha256,bytes\na.png,0,3\n", {}),
    ],
    ids=["binary", "other columns", "no number", "cut short", "record without folder"],
)
def test_an_audit_names_a_list_of_images_that_is_none(
    tmp_path: Path, content: bytes, settings: dict[str, str]
) -> None:
    record = list_of_images(tmp_path / "images.csv", content, settings)
    (problem,) = wrong_images(record, fast=False)
    assert (problem.kind, problem.path) == ("altered", str(tmp_path / "images.csv"))
    assert problem.what.startswith("no list of images any more")
    assert list(listed_images(record)) == []


def test_an_audit_takes_a_folder_in_a_files_place_for_another_content(tmp_path: Path) -> None:
    file = File(str(tmp_path), "0" * 64, 1, 0)
    assert Hashes().of(file) == ""


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"[1]",
        b"3",
        b'{"checkpoints": 3}',
        b'{"checkpoints": [{"metrics": {}}]}',
        b'{"checkpoints": [1]}',
    ],
)
def test_status_passes_over_damaged_metrics(tmp_path: Path, content: bytes) -> None:
    good = b'{"stage": "trunk", "checkpoints": [{"iteration": 3, "metrics": {"bbox": {"AP": 7}}}]}'
    for segment, each in (("trunk-0-3", good), ("trunk-3-6", content)):
        path = tmp_path / "evaluation/r" / segment / "single_scale/metrics.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(each)
    assert [(point.iteration, point.ap) for point in points(tmp_path, "r")] == [(3, 7)]


def test_a_progress_folder_whose_identity_is_no_text_is_begun_anew(tmp_path: Path) -> None:
    first = Progress(tmp_path / "segment.progress", "one")
    identity = next(path for path in first.folder.iterdir() if path.is_file())
    (first.folder / "more").touch()
    assert Progress(first.folder, "one") and (first.folder / "more").exists()
    identity.write_bytes(b"\xff\xfe")
    assert Progress(first.folder, "one") and not (first.folder / "more").exists()
    assert identity.read_text() == "one"
