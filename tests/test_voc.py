"""PASCAL VOC: folders become COCO's format with detectron2's boxes, and are scored as detectron2 scores them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.data.datasets.pascal_voc import load_voc_instances
from detectron2.evaluation import PascalVOCDetectionEvaluator
from detectron2.structures import Boxes, Instances
from training import tiny_recipe

from workflow_scripts.data import coco, voc
from workflow_scripts.data.check.annotations import Needs, check_annotations
from workflow_scripts.data.check.findings import Findings
from workflow_scripts.data.world.__main__ import draw_world
from workflow_scripts.data.world.settings import Settings
from workflow_scripts.errors import UserError
from workflow_scripts.evaluation.voc_metrics import evaluate_voc
from workflow_scripts.files import write_json
from workflow_scripts.training.examples import detection_examples

WORLD = Settings(
    train_images=1,
    val_images=1,
    voc_train_images=16,
    voc_val_images=30,
    classification_images_per_class=1,
    classification_val_images_per_class=1,
)
OBJECT = """<object><name>{name}</name>{more}<part><name>head</name></part><bndbox><xmax>{box[2]}</xmax>
<ymin>{box[1]}</ymin><xmin>{box[0]}</xmin><ymax>{box[3]}</ymax></bndbox></object>"""


def voc_object(name: str, box: tuple, more: str = "") -> str:
    return OBJECT.format(name=name, box=box, more=more)


def voc_folder(folder: Path, split: str, images: dict[str, str]) -> Path:
    """A VOC folder whose images, of 30 x 20 pixels, have the given objects."""
    for part in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, objects in images.items():
        size = "<size><width>30</width><height>20</height><depth>3</depth></size>"
        (folder / f"Annotations/{name}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
        (folder / f"JPEGImages/{name}.jpg").touch()
    (folder / f"ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in images))
    return folder


def convert(output: Path, folders: list[Path], splits: list[str], classes: Path | None = None) -> dict:
    """What the command writes, in this process."""
    given = ["--classes", str(classes)] if classes else []
    line = ["voc", "--folders", *map(str, folders), "--splits", *splits, *given, "--output", str(output)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", line)
        voc.main()
    return json.loads(output.read_text())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("world")
    draw_world(WORLD, output)
    return output / "voc"


def test_two_folders_become_one_annotation_file(tmp_path: Path) -> None:
    difficult = voc_object("dog", (1, 1, 30, 20), "<difficult>1</difficult>")
    first = voc_folder(
        tmp_path / "VOC2007", "trainval", {"b": voc_object("cat", (2, 3, 4, 8)) + difficult, "a": ""}
    )
    second = voc_folder(
        tmp_path / "VOC2012", "train", {"c": voc_object("ant", (5, 5.5, 5, 7), "<difficult>0</difficult>")}
    )
    output = tmp_path / "train.json"
    command = [sys.executable, "-m", "workflow_scripts.data.voc", "--folders", first, second]
    command += ["--splits", "trainval", "train", "--output", output]
    subprocess.run(list(map(str, command)), check=True, cwd=Path(__file__).parents[1])
    file = json.loads(output.read_text())
    assert file["categories"] == [
        {"id": 1, "name": "ant"},
        {"id": 2, "name": "cat"},
        {"id": 3, "name": "dog"},
    ]
    names = ["VOC2007/JPEGImages/b.jpg", "VOC2007/JPEGImages/a.jpg", "VOC2012/JPEGImages/c.jpg"]
    assert file["images"] == [
        {"id": number, "file_name": name, "width": 30, "height": 20} for number, name in enumerate(names, 1)
    ]
    fields = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "difficult")
    assert [tuple(annotation[field] for field in fields) for annotation in file["annotations"]] == [
        (1, 1, 2, [1, 2, 3, 6], 18, 0, 0),
        (2, 1, 3, [0, 0, 30, 20], 600, 0, 1),
        (3, 3, 1, [4, 4.5, 1, 2.5], 2.5, 0, 0),
    ]
    coco.require_image_files(coco.read(output), voc.common_folder([first, second]))


def test_file_names_are_relative_to_the_common_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert voc.common_folder(["data/VOC2007/"]) == "data/VOC2007"
    assert voc.common_folder(["data/VOC2007", Path("data/VOC2012")]) == "data"
    assert voc.common_folder(["VOC2007", "VOC2012"]) == "."
    assert voc.common_folder(["../VOC2007", "VOC2012"]) == ".."
    assert voc.common_folder([tmp_path / "a", "b"]) == str(tmp_path)


def test_the_categories_are_those_of_the_training_file(tmp_path: Path) -> None:
    images = {"a": voc_object("cat", (2, 3, 4, 8)) + voc_object("ant", (2, 3, 4, 8))}
    train = voc_folder(tmp_path / "VOC", "train", images)
    categories = convert(tmp_path / "train.json", [train], ["train"])["categories"]
    val = voc_folder(tmp_path / "VOC", "val", {"v": voc_object("cat", (2, 3, 4, 8))})
    file = convert(tmp_path / "val.json", [val], ["val"], tmp_path / "train.json")
    assert file["categories"] == categories
    assert file["annotations"][0]["category_id"] == 2
    voc_folder(tmp_path / "VOC", "odd", {"o": voc_object("owl", (2, 3, 4, 8))})
    with pytest.raises(UserError, match=r"o\.xml.*'owl'.*ant, cat"):
        convert(tmp_path / "odd.json", [val], ["odd"], tmp_path / "train.json")


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _box(*box: float) -> Callable[[Path], object]:
    return lambda folder: voc_folder(folder, "train", {"a": voc_object("cat", box)})


def test_box_that_reaches_beyond_its_image_is_cut_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = voc_object("cat", (0, -2, 40, 5)) + voc_object("cat", (2, 2, 5, 5))
    folder = voc_folder(tmp_path / "VOC", "train", {"a": boxes})
    file = convert(tmp_path / "train.json", [folder], ["train"])
    width = file["images"][0]["width"]
    assert [annotation["bbox"] for annotation in file["annotations"]] == [[0, 0, width, 5], [1, 1, 4, 4]]
    assert [annotation.get("cut", 0) for annotation in file["annotations"]] == [1, 0]
    assert "1 images, 1 boxes cut" in capsys.readouterr().out
    findings = Findings()
    check_annotations(coco.read(tmp_path / "train.json"), Needs(), evaluated=False, findings=findings)
    (found,) = findings.all()
    assert (found.kind.name, found.count, found.of) == ("box-cut", 1, 2)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / "ImageSets/Main/train.txt").unlink(),
            "train.txt: cannot be read: .* Expected a list of the images of split 'train': write one",
        ),
        (_write("ImageSets/Main/train.txt", ""), "list of images is empty"),
        (_write("ImageSets/Main/train.txt", "a\na\n"), "line 2 is 'a'"),
        (_write("ImageSets/Main/train.txt", "a  -1\n"), "line 1 is 'a  -1'"),
        (_write("ImageSets/Main/train.txt", "a\nz\n"), "1 of the 2 images.*missing, first z.jpg"),
        (lambda folder: (folder / "Annotations/a.xml").unlink(), "a.xml: cannot be read"),
        (
            lambda folder: (folder / "Annotations/a.xml").rename(folder / "Annotations/A.XML"),
            r"a\.xml: cannot be read: .*; there is A\.XML\. Expected the image's annotation",
        ),
        (_write("Annotations/a.xml", "<annotation><size>"), "a.xml: not XML"),
        (_write("Annotations/a.xml", "<!DOCTYPE x [<!ENTITY y 'z'>]><annotation/>"), "a.xml: has a DOCTYPE"),
        (_write("Annotations/a.xml", "<annotation/>"), "a.xml: size/width is None"),
        (
            _write(
                "Annotations/a.xml",
                "<annotation><size><width>0</width><height>9</height></size></annotation>",
            ),
            "size is 0 x 9",
        ),
        (lambda folder: (folder / "Annotations/a.xml").write_bytes("é".encode("latin-1")), "not UTF-8"),
        (_box(31, 1, 35, 5), r"a.xml: object 1 \(cat\): box 31, 1, 35, 5 is empty or outside"),
        (_box(1, -5, 3, 0), "or outside the image"),
        (_box(6, 1, 5, 5), "is empty"),
        (_box(1, 6, 5, 5), "is empty"),
        (_box(35, 1, 32, 5), "is empty"),
        (_box(-1, 1, -2, 5), "is empty"),
        (_box(float("nan"), 1, 5, 5), "bndbox/xmin is 'nan'"),
        (
            lambda folder: voc_folder(folder, "train", {"a": voc_object(" ", (1, 1, 2, 2))}),
            "object 1: has no `name`",
        ),
        (
            lambda folder: voc_folder(
                folder, "train", {"a": voc_object("cat", (1, 1, 2, 2), "<difficult>2</difficult>")}
            ),
            "difficult is '2'",
        ),
        (lambda folder: voc_folder(folder, "train", {"a": ""}), "hold no object"),
    ],
)
def test_bad_folders_are_refused(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    folder = voc_folder(tmp_path / "VOC", "train", {"a": voc_object("cat", (1, 1, 5, 5))})
    convert(tmp_path / "good.json", [folder], ["train"])
    spoil(folder)
    with pytest.raises(UserError, match=message):
        convert(tmp_path / "bad.json", [folder], ["train"])


def _renamed(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "JPEGImages/a.jpg").rename(folder / "JPEGImages" / name)


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (_renamed("a.bmp"), r"first a\.jpg: there is a\.bmp, expected \.jpg, \.jpeg, \.png\. Unpack"),
        (_renamed("A.jpg"), r"first a\.jpg: there is A\.jpg, expected"),
        (
            _write("ImageSets/Main/train.txt", "a.jpg\n"),
            "the list names files with their endings, which it must not",
        ),
        (
            lambda folder: (folder / "JPEGImages").rename(folder / "images"),
            r"first a\.jpg: there is no such folder\.",
        ),
        (_renamed("b.jpg"), r"first a\.jpg\. Unpack the images there"),
        (
            lambda folder: (
                voc_folder(folder, "train", {"Bild \u00fc": ""}),
                (folder / "JPEGImages/Bild \u00fc.jpg").rename(folder / "JPEGImages/Bild u\u0308.jpg"),
            ),
            "there is Bild u\u0308.jpg, the same letters in another Unicode form, expected",
        ),
    ],
)
def test_a_picture_that_is_called_otherwise_is_told(
    tmp_path: Path, spoil: Callable[[Path], object], hint: str
) -> None:
    folder = voc_folder(tmp_path / "VOC", "train", {"a": voc_object("cat", (1, 1, 5, 5))})
    spoil(folder)
    with pytest.raises(UserError, match=hint):
        convert(tmp_path / "bad.json", [folder], ["train"])


def test_all_annotations_that_are_refused_are_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = {name: voc_object("cat", (5, 1, 1, 5)) for name in "ab"} | {"c": voc_object("cat", (1, 1, 5, 5))}
    folder = voc_folder(tmp_path / "VOC", "train", images)
    with pytest.raises(UserError, match=r"a\.xml: object 1 .* So are 1 more of its 3 annotations\.$"):
        convert(tmp_path / "bad.json", [folder], ["train"])
    said = capsys.readouterr().out
    assert "a.xml: object 1" in said and "b.xml: object 1" in said and "c.xml" not in said


def test_names_may_hold_spaces(tmp_path: Path) -> None:
    cat = voc_object("cat", (1, 1, 5, 5), "<truncated>Unspecified</truncated>")
    folder = voc_folder(tmp_path / "VOC", "train", {"day 1": cat, "left side": cat})
    images = convert(tmp_path / "train.json", [folder], ["train"])["images"]
    assert [image["file_name"] for image in images] == ["JPEGImages/day 1.jpg", "JPEGImages/left side.jpg"]


def test_objects_that_the_metric_leaves_out_cannot_be_evaluated_on(tmp_path: Path) -> None:
    hard = voc_object("cat", (1, 1, 5, 5), "<difficult>1</difficult>")
    train = voc_folder(tmp_path / "VOC", "train", {"a": hard})
    convert(tmp_path / "train.json", [train], ["train"])
    voc_folder(train, "val", {"b": hard, "c": hard + hard})
    with pytest.raises(UserError, match="all 3 objects are difficult, which VOC's metric leaves out"):
        convert(tmp_path / "val.json", [train], ["val"], tmp_path / "train.json")
    voc_folder(train, "val", {"b": hard, "c": hard + voc_object("cat", (1, 1, 5, 5))})
    assert len(convert(tmp_path / "val.json", [train], ["val"], tmp_path / "train.json")["annotations"]) == 3


def test_an_image_of_two_splits_is_refused(tmp_path: Path) -> None:
    folder = voc_folder(tmp_path / "VOC", "train", {"a": voc_object("cat", (1, 1, 5, 5))})
    with pytest.raises(UserError, match="in two of the given splits"):
        convert(tmp_path / "train.json", [folder, folder], ["train", "train"])


def test_boxes_are_those_of_detectron2(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = convert(tmp_path / "train.json", [world / "VOC2007", world / "VOC2012"], ["trainval", "train"])
    classes = [category["name"] for category in file["categories"]]
    monkeypatch.setitem(vars(np), "str", str)  # detectron2 0.6's loader asks for NumPy 1's name
    records = [
        record
        for folder, split in (("VOC2007", "trainval"), ("VOC2012", "train"))
        for record in load_voc_instances(str(world / folder), split, classes)
    ]
    assert [str(world / image["file_name"]) for image in file["images"]] == [r["file_name"] for r in records]
    theirs = [
        (number, *annotation["bbox"], classes[annotation["category_id"]])
        for number, record in enumerate(records, 1)
        for annotation in record["annotations"]
    ]
    ours = [
        (a["image_id"], *a["bbox"][:2], a["bbox"][0] + a["bbox"][2], a["bbox"][1] + a["bbox"][3], name)
        for a in file["annotations"]
        for name in [classes[a["category_id"] - 1]]
    ]
    assert ours == theirs


def test_boxes_alone_train_a_detector_of_boxes_but_not_of_masks(world: Path, tmp_path: Path) -> None:
    folders = [world / "VOC2007", world / "VOC2012"]
    annotations = tmp_path / "train.json"
    file = convert(annotations, folders, ["trainval", "train"])
    images = Path(voc.common_folder(folders))
    boxes_only = tiny_recipe(detector="faster_rcnn", train_set="voc")
    examples = detection_examples(boxes_only, annotations, images)
    assert examples.classes == tuple(category["name"] for category in file["categories"])
    assert examples[0, 0, 0]["instances"].gt_boxes.tensor.numel() > 0
    with pytest.raises(UserError, match="annotation id 1 of image id 1 has no segmentation"):
        detection_examples(tiny_recipe(), annotations, images)


def _made_up(file: dict, rng: np.random.Generator) -> list[dict]:
    """Detections near most objects, difficult ones among them, some twice, some of another class."""
    found = []
    for annotation in file["annotations"]:
        for _ in range(rng.integers(0, 3)):
            box = np.array(annotation["bbox"]) + rng.normal(0, 1.5, 4).round()
            category = annotation["category_id"] if rng.random() < 0.8 else int(rng.integers(1, 7))
            found.append(
                {
                    "image_id": annotation["image_id"],
                    "category_id": category,
                    "bbox": [*box[:2].tolist(), *np.maximum(box[2:], 1).tolist()],
                    "score": float(rng.random()),
                }
            )
    return found


def _by_detectron2(folder: Path, year: int, file: dict, detections: list[dict]) -> dict:
    """detectron2's evaluator on VOC's own files, image by image."""
    name = f"{folder}-{year}"
    classes = [category["name"] for category in file["categories"]]
    MetadataCatalog.get(name).set(thing_classes=classes, dirname=str(folder), year=year, split="val")
    evaluator = PascalVOCDetectionEvaluator(name)
    evaluator.reset()
    for image in file["images"]:
        mine = [d for d in detections if d["image_id"] == image["id"]]
        corners = [[x, y, x + w, y + h] for x, y, w, h in (d["bbox"] for d in mine)]
        instances = Instances((80, 80), pred_boxes=Boxes(torch.tensor(corners).reshape(-1, 4)))
        instances.scores = torch.tensor([d["score"] for d in mine])
        instances.pred_classes = torch.tensor([d["category_id"] - 1 for d in mine], dtype=torch.int64)
        evaluator.process([{"image_id": Path(image["file_name"]).stem}], [{"instances": instances}])
    return evaluator.evaluate()["bbox"]


@pytest.mark.parametrize("year", [2007, 2012])
def test_the_metric_is_detectron2s(world: Path, tmp_path: Path, year: int) -> None:
    folder = tmp_path / f"VOC{year}"
    folder.symlink_to(world / "VOC2012")
    annotations, dump = tmp_path / "val.json", tmp_path / "detections.json"
    file = convert(annotations, [folder], ["val"])
    assert sum(annotation["difficult"] for annotation in file["annotations"]) >= 3
    detections = _made_up(file, np.random.default_rng(0))
    write_json(dump, detections)
    metrics = evaluate_voc(annotations, dump, folder, "val")["bbox"]
    per_category = metrics.pop("per_category")
    assert metrics == pytest.approx(_by_detectron2(folder, year, file, detections), rel=1e-12)
    assert 5 < metrics["AP75"] < metrics["AP50"] < 95
    assert list(per_category) == [category["name"] for category in file["categories"]]
    assert np.mean(list(per_category.values())) == pytest.approx(metrics["AP50"])


def test_difficult_objects_count_neither_for_nor_against(tmp_path: Path) -> None:
    hard = voc_object("dog", (1, 1, 10, 10), "<difficult>1</difficult>")
    images = {"a": voc_object("cat", (2.4, 3, 8, 8)) + voc_object("cow", (2, 3, 8, 8)) + hard}
    folder = voc_folder(tmp_path / "VOC", "val", images)
    file = convert(tmp_path / "val.json", [folder], ["val"])
    detections = [
        {"image_id": 1, "category_id": number, "bbox": box, "score": 0.5}
        for number, box in ((1, file["annotations"][0]["bbox"]), (3, [0, 0, 10, 10]), (3, [20, 0, 10, 10]))
    ]
    write_json(tmp_path / "detections.json", detections)
    metrics = evaluate_voc(tmp_path / "val.json", tmp_path / "detections.json", folder, "val")["bbox"]
    assert metrics["per_category"] == {"cat": pytest.approx(100), "cow": 0, "dog": None}
    assert metrics["AP50"] == pytest.approx(50)


def test_metrics_are_of_the_split_that_was_detected(tmp_path: Path) -> None:
    folder = voc_folder(tmp_path / "VOC", "val", {"a": voc_object("cat", (2, 3, 8, 8))})
    convert(tmp_path / "val.json", [folder], ["val"])
    voc_folder(folder, "train", {"b": ""})
    write_json(tmp_path / "detections.json", [])
    assert evaluate_voc(tmp_path / "val.json", tmp_path / "detections.json", folder, "val")["bbox"]["AP"] == 0
    with pytest.raises(UserError, match="not those of split 'train'"):
        evaluate_voc(tmp_path / "val.json", tmp_path / "detections.json", folder, "train")
