"""Pictures in subfolders, behind links, and of names that end in upper case, in every step that reads them."""

from pathlib import Path

import pytest

from tests.checked import Dataset, noise
from tests.checked import run as checked
from tests.test_voc import convert, voc_folder, voc_object
from tests.training import tiny_recipe
from workflow_scripts.data import coco, voc
from workflow_scripts.data import image_hashes as hashing
from workflow_scripts.data.image_hashes import image_hashes
from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256
from workflow_scripts.training.examples import detection_examples, folder_records


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Class `ant` is a link to another disk, `bee` has a subfolder, a hidden one of Jupyter's, a file of macOS's."""
    folder, disk = tmp_path / "set", tmp_path / "disk"
    for number, path in enumerate(
        (
            disk / "1.JPG",
            disk / "2.Png",
            folder / "bee/3.jpeg",
            folder / "bee/wild/4.PNG",
            folder / "bee/.ipynb_checkpoints/3-checkpoint.jpeg",
            folder / "bee/read.me",
        )
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(number, 9, 8).save(path, "PNG")
    (folder / "bee/._3.jpeg").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    (folder / "ant").symlink_to(disk)
    return folder


PICTURES = ["ant/1.JPG", "ant/2.Png", "bee/3.jpeg", "bee/wild/4.PNG"]


def test_a_class_may_be_a_link_and_have_subfolders(classes: Path) -> None:
    records, names = folder_records(classes)
    assert names == ["ant", "bee"]
    found = [(str(Path(each["file_name"]).relative_to(classes)), each["label"]) for each in records]
    assert found == list(zip(PICTURES, [0, 0, 1, 1], strict=True))


def test_the_check_looks_at_what_is_trained_on(
    classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--name", "classification", "--train", str(classes), "--val", str(classes)]
    words += ["--report", str(tmp_path / "check.json"), "--text", str(tmp_path / "check.txt")]
    assert checked(words, monkeypatch) == 2
    told = capsys.readouterr()
    assert "4 of 4 images" in told.err, "they are those to validate on, too"
    assert "bee/read.me" in told.out
    assert "bee/._3.jpeg: it is hidden" in told.out
    assert "ipynb_checkpoints" not in told.out


def test_hashes_are_of_all_files_behind_links_too_and_loops_end(classes: Path, tmp_path: Path) -> None:
    (classes / "bee/wild/again").symlink_to(classes)
    (classes / "bee/gone").symlink_to(tmp_path / "nowhere")
    rows = image_hashes(classes, [classes], threads=2)
    others = ["bee/.ipynb_checkpoints/3-checkpoint.jpeg", "bee/read.me", "bee/._3.jpeg"]
    # In the order of paths, part by part: that of the files of hashes that there are.
    assert [name for name, _, _ in rows] == [
        *PICTURES[:2],
        others[2],
        others[0],
        PICTURES[2],
        others[1],
        PICTURES[3],
    ]
    assert {name: digest for name, digest, _ in rows}["ant/1.JPG"] == sha256(tmp_path / "disk/1.JPG")
    assert all(size == (classes / name).stat().st_size for name, _, size in rows)


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(folder / "closed"))

    monkeypatch.setattr(hashing, "files_below", refuse)
    with pytest.raises(UserError, match="closed: cannot be read: Permission denied"):
        image_hashes(tmp_path, [tmp_path], threads=1)


def test_cocos_names_may_lead_into_subfolders_and_end_in_upper_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset(tmp_path)
    for number, image in enumerate(dataset.train["images"]):
        name = f"day {number % 2}/IMG_{number}.JPG"
        (tmp_path / "train" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "train" / image["file_name"]).rename(tmp_path / "train" / name)
        image["file_name"] = name
    assert checked_whole(dataset, monkeypatch)
    file, images = tmp_path / "train.json", tmp_path / "train"
    coco.require_image_files(coco.read(file), images)
    examples = detection_examples(tiny_recipe(), file, images)
    assert [examples[0, 0, index]["image"].shape[0] for index in range(len(examples))] == [3] * 4
    names = [name for name, _, _ in image_hashes(images, [images], threads=1)]
    assert names == ["day 0/IMG_0.JPG", "day 0/IMG_2.JPG", "day 1/IMG_1.JPG", "day 1/IMG_3.JPG"]


def checked_whole(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> bool:
    dataset.write()
    return checked(dataset.arguments(), monkeypatch) == 0


@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".jpeg", ".JPEG", ".png", ".Png"])
def test_vocs_pictures_have_any_of_these_endings(tmp_path: Path, ending: str) -> None:
    folder = voc_folder(tmp_path / "VOC", "train", {"a.b": voc_object("dog", (2, 2, 9, 9)), "c": ""})
    (folder / "JPEGImages/a.b.jpg").rename(folder / f"JPEGImages/a.b{ending}")
    images = convert(tmp_path / "out.json", [folder], ["train"])["images"]
    assert [each["file_name"] for each in images] == [f"JPEGImages/a.b{ending}", "JPEGImages/c.jpg"]


def test_vocs_own_ending_comes_first_and_names_may_be_in_subfolders(tmp_path: Path) -> None:
    (tmp_path / "VOC/Annotations/x").mkdir(parents=True)
    (tmp_path / "VOC/JPEGImages/x").mkdir(parents=True)
    folder = voc_folder(tmp_path / "VOC", "train", {"x/a": voc_object("dog", (2, 2, 9, 9))})
    for other in ("a.png", "a.JPG", "a.jpeg", "a.txt"):
        (folder / "JPEGImages/x" / other).touch()
    images = convert(tmp_path / "out.json", [folder], ["train"])["images"]
    assert [each["file_name"] for each in images] == ["JPEGImages/x/a.jpg"]
    (folder / "JPEGImages/x/a.jpg").unlink()
    images = convert(tmp_path / "out.json", [folder], ["train"])["images"]
    assert [each["file_name"] for each in images] == ["JPEGImages/x/a.JPG"]


@pytest.mark.parametrize("name", ["../a", "x/../../a", "/{folder}/JPEGImages/a"])
def test_vocs_names_do_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = voc_folder(tmp_path / "VOC", "train", {"a": voc_object("dog", (2, 2, 9, 9))})
    (folder / "a.jpg").touch()
    (tmp_path / "a.jpg").touch()
    (folder / "ImageSets/Main/train.txt").write_text(name.format(folder=str(folder)[1:]))
    with pytest.raises(UserError, match="1 of the 1 images of split 'train' are missing"):
        convert(tmp_path / "out.json", [folder], ["train"])


def test_folders_may_be_named_in_several_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One from the root of the disk, one from here, one through another."""
    monkeypatch.chdir(tmp_path)
    for year in ("2007", "2012"):
        (tmp_path / year / "JPEGImages").mkdir(parents=True)
        (tmp_path / year / "JPEGImages/a.jpg").write_bytes(b"picture")
    folders = [tmp_path / "2007", Path("2012"), Path("2007/../2012")]
    common = Path(voc.common_folder(folders))
    rows = image_hashes(common, [Path(voc.pictures_folder(each)) for each in folders], threads=1)
    assert [name for name, _, _ in rows] == [f"{year}/JPEGImages/a.jpg" for year in ("2007", "2012", "2012")]
