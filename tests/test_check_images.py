"""Checks of picture files before any training, of image folders, and of pictures that training and validation share."""

import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from detectron2.data import detection_utils
from PIL import Image

from tests.checked import HEIGHT, WIDTH, Dataset, Json, Spoil, noise, run
from workflow_scripts.data.check.images import ALIKE
from workflow_scripts.data.check.pictures import ORIENTATION, Picture, Unfit, difference_hash, look_at


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def bomb(side: int) -> bytes:
    """A PNG that says that it has side x side pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def content(data: Callable[[bytes], bytes] | bytes) -> Spoil:
    """Change the bytes of the first image to train on."""

    def spoil(dataset: Dataset) -> None:
        path = dataset.image()
        path.write_bytes(data(path.read_bytes()) if callable(data) else data)

    return spoil


def instead(make: Callable[[Path], object]) -> Spoil:
    """Put something else in the place of the first image to train on."""

    def spoil(dataset: Dataset) -> None:
        path = dataset.image()
        path.unlink()
        make(path)

    return spoil


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(noise(1), "JPEG", exif=exif, quality=95)


JPEG = encoded(noise(1), "JPEG")
DEEP = Image.fromarray(np.linspace(0, 65535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16))
FIRST = "image id 1 (train1.png)"

ERRORS: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "missing": (instead(lambda path: None), ("there is no such file", "Unpack")),
    "upper case": (
        instead(lambda path: noise(1).save(path.with_name("train1.PNG"))),
        ("there is train1.PNG",),
    ),
    "link to nowhere": (instead(lambda path: path.symlink_to("gone.png")), ("a link to gone.png",)),
    "folder": (instead(lambda path: path.mkdir()), ("it is a folder", "a file of a picture")),
    "fifo": (instead(lambda path: os.mkfifo(path)), ("it is no regular file",)),
    "empty": (content(b""), ("the file is empty",)),
    "text": (content(b"<html>404</html>"), ("begins with b'<html>40'", "Pillow reads")),
    "JPEG cut short": (content(JPEG[: len(JPEG) // 2]), ("truncated", "whole picture")),
    "JPEG without its last byte": (content(JPEG[:-40]), ("truncated",)),
    "JPEG header alone": (content(JPEG[:30]), ()),
    "PNG cut short": (content(lambda data: data[: len(data) // 2]), ("whole picture",)),
    "PNG altered": (content(lambda data: data[:120] + bytes(20) + data[140:]), ("whole picture",)),
    "bomb": (content(bomb(20_000)), ("400000000 pixels", "178,956,970 pixels", "tiles")),
    "16 bit": (content(encoded(DEEP, "PNG")), ("mode I", "8 bits a channel", "white")),
    "floats": (content(encoded(Image.new("F", (WIDTH, HEIGHT)), "TIFF")), ("mode F",)),
    "other size": (content(encoded(noise(1, 30, 20), "PNG")), ("60 x 40, the picture is 30 x 20",)),
    "turned by EXIF": (content(turned(6)), ("60 x 40, the picture is 40 x 60 as shown", "orientation is 6")),
}


@pytest.mark.parametrize(("spoil", "parts"), ERRORS.values(), ids=ERRORS.keys())
def test_spoilt_picture_is_refused(
    dataset: Dataset,
    spoil: Spoil,
    parts: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(dataset)
    dataset.write()
    assert run(dataset.arguments(), monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: ") and FIRST in said and str(dataset.folder) in said
    assert [part for part in parts if part not in said] == []
    assert not (dataset.folder / "check.json").exists()


def test_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root every file may be read: the system's refusal is made."""

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    path = tmp_path / "a.png"
    noise(1).save(path)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    seen = look_at(path)
    assert isinstance(seen, Unfit)
    assert (seen.kind.name, seen.found) == ("image-unreadable", "Permission denied")


def report_of(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> dict[str, Json]:
    dataset.write()
    assert run(dataset.arguments(), monkeypatch) == 0
    return {each["kind"]: each for each in json.loads((dataset.folder / "check.json").read_text())["found"]}


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_is_as_good_as_colour(dataset: Dataset, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content(encoded(noise(1).convert(mode), "PNG"))(dataset)
    assert report_of(dataset, monkeypatch) == {}


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("CMYK", "JPEG")])
def test_what_is_converted_is_noted(
    dataset: Dataset, mode: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content(encoded(noise(1).convert(mode), kind))(dataset)
    (found,) = report_of(dataset, monkeypatch).values()
    assert (found["kind"], found["outcome"], found["count"]) == ("image-converted", "note", 1)
    assert found["examples"][0]["found"].endswith(f"mode {mode}")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("told", [(WIDTH, HEIGHT), (HEIGHT, WIDTH)])
def test_sizes_are_those_that_detectron2_accepts(
    dataset: Dataset,
    orientation: int,
    told: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """detectron2 turns a picture as EXIF says, and then compares its size with the annotation file's."""
    content(turned(orientation))(dataset)
    dataset.train["images"][0].update(width=told[0], height=told[1])
    dataset.train["annotations"][0]["bbox"] = dataset.train["annotations"][1]["bbox"] = [5, 5, 20, 20]
    for entry in dataset.train["annotations"][:2]:
        entry |= {"segmentation": [[5, 5, 25, 5, 25, 25]], "area": 200}
    read = detection_utils.read_image(str(dataset.image()), format="RGB")
    try:
        detection_utils.check_image_size({"width": told[0], "height": told[1]}, read)
        accepted = True
    except detection_utils.SizeMismatchError:
        accepted = False
    dataset.write()
    assert (run(dataset.arguments(), monkeypatch) == 0) == accepted
    if accepted and orientation > 1:
        report = json.loads((dataset.folder / "check.json").read_text())
        assert "image-turned" in {each["kind"] for each in report["found"]}


def test_16_bits_are_what_detectron2_clips(dataset: Dataset) -> None:
    """The reason for the refusal: three quarters of this ramp are above 255 / 65535 of white, and read as white."""
    content(encoded(DEEP, "PNG"))(dataset)
    read = detection_utils.read_image(str(dataset.image()), format="RGB")
    assert (read == 255).mean() > 0.9


def test_the_same_bytes_twice_are_noted(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset.image(number=1).write_bytes(dataset.image().read_bytes())
    (found,) = report_of(dataset, monkeypatch).values()
    assert (found["kind"], found["count"]) == ("content-twice", 1)
    assert found["examples"] == [
        {"record": "image id 2 (train2.png)", "found": "the same bytes as image id 1 (train1.png)"}
    ]


SHARED: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "link": (lambda train, val: val.symlink_to(train), "the file of image id 1 (train1.png) of training"),
    "bytes": (lambda train, val: val.write_bytes(train.read_bytes()), "the same bytes as image id 1"),
}


@pytest.mark.parametrize(("share", "part"), SHARED.values(), ids=SHARED.keys())
def test_an_image_to_train_on_and_to_validate_on_is_refused(
    dataset: Dataset,
    share: Callable[[Path, Path], object],
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset.write()
    dataset.image("val").unlink()
    share(dataset.image(), dataset.image("val"))
    assert run(dataset.arguments(), monkeypatch) == 2
    said = capsys.readouterr().err
    assert "val.json: image id 101 (val101.png)" in said and part in said


def test_the_same_set_twice_is_refused(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset.write()
    words = [
        word.replace("/val.json", "/train.json").replace("/val", "/train") for word in dataset.arguments()
    ]
    assert run(words, monkeypatch) == 2
    assert "4 of 4 images: files to validate on that are trained on" in capsys.readouterr().err


def test_a_picture_that_was_saved_anew_is_noted(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    train = Image.open(dataset.image())
    dataset.image("val").write_bytes(encoded(train, "JPEG", quality=70))
    (found,) = report_of(dataset, monkeypatch).values()
    assert (found["kind"], found["outcome"], found["count"]) == ("shared-look", "note", 1)
    assert found["examples"][0]["found"] == "looks like image id 1 (train1.png) of training"


def test_looks_tell_saved_anew_from_another(tmp_path: Path) -> None:
    """Of 40 pictures, each saved at another quality and half as large keeps its look, and no two look alike."""
    looks = []
    for seed in range(40):
        picture = noise(seed, 144, 128)
        looks.append(difference_hash(picture))
        for other in (
            Image.open(io.BytesIO(encoded(picture, "JPEG", quality=60))),
            picture.resize((72, 64), Image.Resampling.BOX),
        ):
            assert (difference_hash(other) ^ looks[-1]).bit_count() <= ALIKE
    pairs = [(one, two) for k, one in enumerate(looks) for two in looks[:k]]
    assert min((one ^ two).bit_count() for one, two in pairs) > ALIKE


def test_plain_pictures_do_not_look_alike(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(dataset.image())
    Image.new("RGB", (WIDTH, HEIGHT), (200, 90, 90)).save(dataset.image("val"))
    assert report_of(dataset, monkeypatch) == {}


def test_an_eighth_of_a_jpeg_shows_its_size_and_damage(tmp_path: Path) -> None:
    """Pillow decodes JPEGs at an eighth here: what is told is the whole picture's size, and any cut is found."""
    path = tmp_path / "a.jpg"
    whole = encoded(noise(3, 640, 480), "JPEG")
    path.write_bytes(whole)
    seen = look_at(path)
    assert isinstance(seen, Picture) and seen.size == seen.stored == (640, 480) and seen.mode == "RGB"
    for part in (0.3, 0.6, 0.9, 0.99):
        path.write_bytes(whole[: int(part * len(whole))])
        assert isinstance(look_at(path), Unfit)


# Image folders


class Folders:
    """Two image folders of two classes, with two pictures each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.train, self.val = folder, folder / "train", folder / "val"
        for seed, name in enumerate(("train/ant", "train/bee", "val/ant", "val/bee")):
            (folder / name).mkdir(parents=True)
            for number in (0, 1):
                noise(2 * seed + number).save(folder / name / f"{number}.png")

    @property
    def words(self) -> list[str]:
        outputs = ["--report", str(self.folder / "check.json"), "--text", str(self.folder / "check.txt")]
        return ["--name", "classes", "--train", str(self.train), "--val", str(self.val), *outputs]


def emptied(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()


def removed(path: Path) -> None:
    emptied(path)
    path.rmdir()


FOLDERS: dict[str, tuple[Callable[[Folders], object], tuple[str, ...]]] = {
    "other names": (
        lambda given: (given.val / "bee").rename(given.val / "wasp"),
        ("val: folders:", "none for bee, which", "the same names in both", "classes"),
    ),
    "a class less": (lambda given: removed(given.val / "bee"), ("none for bee",)),
    "a class more": (
        lambda given: (given.val / "bee").rename(given.val / "x") and (given.val / "bee").symlink_to("x"),
        ("x, which", "lacks"),
    ),
    "hidden": (
        lambda given: (given.train / ".ipynb_checkpoints").mkdir(),
        (".ipynb_checkpoints", "Remove it"),
    ),
    "class empty": (
        lambda given: emptied(given.train / "bee"),
        (
            "train: bee:",
            "0 files, no picture",
        ),
    ),
    "pictures of another ending": (
        lambda given: [path.rename(path.with_suffix(".bmp")) for path in (given.train / "bee").iterdir()],
        ("train: bee:", "2 files, no picture", ".jpeg"),
    ),
    "broken picture": (
        lambda given: (given.val / "ant/0.png").write_bytes(b"no"),
        ("val: ant/0.png", "b'no'"),
    ),
    "16 bit": (
        lambda given: (given.train / "ant/0.png").write_bytes(encoded(DEEP, "PNG")),
        ("train: ant/0.png", "mode I"),
    ),
    "no classes": (
        lambda given: [removed(given.train / name) for name in ("ant", "bee")],
        ("train: found no folders", "one folder of pictures a class"),
    ),
    "not there": (
        lambda given: given.train.rename(given.folder / "x"),
        ("train: cannot be read", "No such file"),
    ),
    "the same folder": (lambda given: setattr(given, "val", given.train), ("4 of 4 images", "trained on")),
}


@pytest.mark.parametrize(("spoil", "parts"), FOLDERS.values(), ids=FOLDERS.keys())
def test_spoilt_image_folders_are_refused(
    tmp_path: Path,
    spoil: Callable[[Folders], object],
    parts: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = Folders(tmp_path)
    spoil(given)
    assert run(given.words, monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: ")
    assert [part for part in parts if part not in said] == []
    assert not (tmp_path / "check.json").exists()


def test_other_files_in_image_folders_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Folders(tmp_path)
    (given.train / "ant/Thumbs.db").touch()
    (given.train / "ant/1.png").rename(given.train / "ant/1.JPEG")  # a PNG is read as one, whatever its name
    assert run(given.words, monkeypatch) == 0
    report = json.loads((tmp_path / "check.json").read_text())
    assert [(each["kind"], each["examples"][0]["record"]) for each in report["found"]] == [
        ("file-ignored", "ant/Thumbs.db")
    ]
    assert {"file": str(given.train), "classes": 2, "images": 4} in report["files"]
