"""One set split by image into what is trained on and what is validated on, and subsets that follow the data."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.checked import Dataset
from tests.checked import run as command
from tests.checkout import Checkout
from workflow_scripts.data import manifest, split, subsets
from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.compiled.subsets import subset_sizes
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.study.summary import sharing, summary

Json = dict[str, Any]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Seven images, the last without an object, and what COCO's files also hold."""
    dataset = Dataset(tmp_path / "data")
    content = dataset.train
    content["images"] += dataset.val["images"]
    content["annotations"] += [each for each in dataset.val["annotations"] if each["image_id"] != 103]
    path = tmp_path / "whole.json"
    path.write_text(json.dumps({"info": {"year": 2026}, **content}, indent=1))
    return path


def parts(whole: Path, validation: float = 0.3, seed: int = 0) -> dict[str, Json]:
    outputs = {part: whole.parent / f"{part}.json" for part in ("train", "val")}
    split.write_split(whole, validation, seed, outputs)
    return {part: json.loads(path.read_bytes()) for part, path in outputs.items()}


def ids(content: Json) -> set[int]:
    return {image["id"] for image in content["images"]}


def test_each_image_is_in_one_part_with_its_annotations(whole: Path) -> None:
    given, found = json.loads(whole.read_text()), parts(whole)
    assert (len(found["train"]["images"]), len(found["val"]["images"])) == (5, 2), "0.3 of 7 is 2.1"
    assert not ids(found["train"]) & ids(found["val"])
    for section in ("images", "annotations"):
        both = found["train"][section] + found["val"][section]
        assert sorted(both, key=lambda each: each["id"]) == given[section]
    for content in found.values():
        assert {each["image_id"] for each in content["annotations"]} <= ids(content)
        assert content["categories"] == given["categories"] and content["info"] == given["info"]


def test_which_images_are_to_validate_on_follows_from_the_seed_and_the_ids(whole: Path) -> None:
    first = parts(whole)
    bytes_of = [(whole.parent / f"{part}.json").read_bytes() for part in ("train", "val")]
    assert parts(whole) == first
    assert [(whole.parent / f"{part}.json").read_bytes() for part in ("train", "val")] == bytes_of
    content = json.loads(whole.read_text())
    content["images"].reverse()
    content["annotations"] = content["annotations"][3:]
    whole.write_text(json.dumps(content))
    assert ids(parts(whole)["val"]) == ids(first["val"])
    drawn = {frozenset(ids(parts(whole, seed=seed)["val"])) for seed in range(8)}
    assert len(drawn) > 4, "of 21 pairs"
    assert ids(parts(whole)["val"]) < ids(parts(whole, validation=0.6)["val"])


def test_the_manifests_say_what_they_are_parts_of(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, folder = sha256(whole), whole.parent
    parts(whole, seed=5)
    for part, images in (("train", 5), ("val", 2)):
        words = ["--annotations", str(folder / f"{part}.json"), "--output", str(folder / f"m-{part}.json")]
        pictures = folder / "pictures"
        for name in (*(f"train{k}" for k in range(1, 5)), *(f"val{k}" for k in range(101, 104))):
            pictures.mkdir(exist_ok=True)
            (pictures / f"{name}.png").touch()
        monkeypatch.setattr(sys, "argv", ["manifest", *words, "--images", str(pictures)])
        manifest.main()
        told = json.loads((folder / f"m-{part}.json").read_text())
        assert told["image_count"] == images
        assert told["split_of"] == {
            "file": "whole.json",
            "sha256": digest,
            "validation": 0.3,
            "seed": 5,
            "part": part,
        }


def test_the_check_of_a_part_names_the_file_that_a_person_can_mend(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(whole.read_text())
    for entry in content["annotations"]:
        del entry["iscrowd"]
    whole.write_text(json.dumps(content))
    outputs = {part: tmp_path / f"{part}.json" for part in ("train", "val")}
    split.write_split(whole, 0.3, 0, outputs)
    words = [
        "--name",
        "mine",
        "--report",
        str(tmp_path / "check.json"),
        "--text",
        str(tmp_path / "check.txt"),
    ]
    for part, path in outputs.items():
        words += [f"--{part}-annotations", str(path), f"--{part}-images", str(tmp_path / "data/train")]
    assert command(words, monkeypatch) == 2
    told = capsys.readouterr()
    assert f"{whole.name}, its part to validate on: annotation id" in told.err
    assert f"{whole.name}, its part to train on: 8 annotations" in told.out
    assert str(outputs["val"]) not in told.out + told.err


@pytest.mark.parametrize(("validation", "count"), [(0.05, 0), (0.95, 7)])
def test_a_part_without_an_image_is_refused_before_anything_is_written(
    whole: Path, monkeypatch: pytest.MonkeyPatch, validation: float, count: int, capsys: Any
) -> None:
    outputs = [str(whole.parent / f"{part}.json") for part in ("train", "val")]
    words = ["--annotations", str(whole), "--validation", str(validation), "--seed", "0"]
    words += ["--train", outputs[0], "--val", outputs[1]]
    assert command(words, monkeypatch, split.main) == 2
    told = capsys.readouterr().err
    assert f"validation: found {validation} of 7 images, which is {count};" in told and "at least one" in told
    assert not any(Path(path).exists() for path in outputs)


# The configuration


def study(tmp_path: Path, **changes: Any) -> Study:
    (tmp_path / "all.json").touch()
    (tmp_path / "images").mkdir(exist_ok=True)
    one = {"annotations": str(tmp_path / "all.json"), "images": str(tmp_path / "images"), "validation": 0.2}
    return compile_study(
        {
            "scale": "mini",
            "experiments": ["fig1"],
            "datasets": {"coco": {**one, **changes.pop("coco", {})}},
            **changes,
        }
    )


def test_a_study_trains_and_validates_on_what_is_split_off(tmp_path: Path) -> None:
    layout = Layout(study(tmp_path, coco={"seed": 3}))
    data = "results/mini/data"
    assert [str(each) for each in layout.whole()] == [str(tmp_path / "all.json")]
    assert layout.split_options() == {"validation": 0.2, "seed": 3}
    for part in ("train", "val"):
        assert layout.annotations("coco", part) == f"{data}/split/{part}.json"
        assert layout.image_set("coco", part).images == str(tmp_path / "images")
        assert layout.checked_options("coco")[f"{part}_annotations"] == f"{data}/split/{part}.json"
    told = summary(layout._study)["notes"]
    assert (
        f"Detectors are trained on {tmp_path / 'all.json'}, of whose images 20% are to validate on (seed 3)."
        in told
    )


def test_a_file_made_here_is_an_input_like_any_other_and_a_given_one_is_not(
    tmp_path: Path, real_data: Json
) -> None:
    """What is given has its manifest for identity: it is marked, and not compared by time."""
    marked = Layout(study(tmp_path), raw=lambda path: ("raw", path))
    assert marked.whole() == [("raw", str(tmp_path / "all.json"))]
    assert isinstance(marked.annotations("coco", "train"), str)
    given = compile_study({"scale": "mini", "experiments": ["fig1"], "datasets": real_data})
    assert Layout(given, raw=lambda path: ("raw", path)).annotations("coco", "train")[0] == "raw"
    assert Layout(given).whole() == [] and Layout(given).split_options() == {}


def test_the_workflow_splits_before_it_reads_a_part(tmp_path: Path, real_data: Json) -> None:
    part = real_data["coco"]["train"]
    checkout = Checkout.make(tmp_path / "checkout")
    jobs = checkout.jobs("fig1", datasets={"coco": {**part, "validation": 0.2}})
    assert jobs["split"] == {"data/split/train.json", "data/split/val.json"}
    assert {"data/coco-train.json", "data/coco-val.json"} <= jobs["manifest"]
    assert any(name.startswith("data/check-coco-") for name in jobs["check_data"])


@pytest.mark.parametrize(
    ("coco", "told"),
    [
        ({"validation": None}, "datasets.coco: expected train and val, or annotations, images, validation"),
        ({"images": None}, "datasets.coco: expected train and val, or"),
        ({"train": {"annotations": "a", "images": "b"}}, "datasets.coco: expected train and val, or"),
        ({"validation": 20}, "datasets.coco.validation: .*less than 1; found 20"),
        ({"validation": 0}, "datasets.coco.validation: .*greater than 0; found 0"),
        ({"val2014_annotations": "c"}, "datasets.coco: one set to split has neither keypoints nor val2014"),
        ({"annotations": "nowhere.json"}, "datasets.coco.annotations: found 'nowhere.json', expected a file"),
        ({"images": "nowhere"}, "datasets.coco.images: found 'nowhere', expected a folder"),
    ],
)
def test_half_a_set_is_refused(tmp_path: Path, coco: Json, told: str) -> None:
    with pytest.raises(UserError, match=f"config.yaml: {told}"):
        study(tmp_path, coco=coco)


def test_one_part_without_the_other_is_refused(real_data: Json) -> None:
    for part in ("train", "val"):
        coco = copy.deepcopy(real_data["coco"])
        del coco[part]
        with pytest.raises(UserError, match=r"datasets\.coco: expected train and val, or"):
            compile_study({"scale": "mini", "experiments": ["fig1"], "datasets": {"coco": coco}})


# Subsets


def test_subsets_of_real_data_are_shares_of_it(tmp_path: Path) -> None:
    """At `mini` nearly the paper's: 35k, 10k, 3.5k and 1k of train2017's 118,287 images."""
    shares = subset_sizes(study(tmp_path))
    assert shares == {"35k": "30%", "10k": "8.5%", "3.5k": "3%", "1k": "0.85%"}
    for name, images in (("35k", 35_000), ("10k", 10_000), ("3.5k", 3_500), ("1k", 1_000)):
        assert float(shares[name][:-1]) == pytest.approx(100 * images / 118_287, rel=0.02)
    assert Layout(study(tmp_path)).subset_sizes() == [f"{name}={size}" for name, size in shares.items()]


def test_numbers_that_are_given_stay_and_so_do_the_worlds_and_the_papers(
    tmp_path: Path, real_data: Json
) -> None:
    given = study(tmp_path, numbers={"subsets": {"10k": 30}})
    assert subset_sizes(given) == {"10k": "30"}
    drawn = compile_study({"scale": "mini", "experiments": ["fig1"]})
    assert subset_sizes(drawn) == {"35k": "600", "10k": "170", "3.5k": "60", "1k": "17"}
    paper = compile_study({"scale": "paper", "experiments": ["fig1"], "datasets": real_data})
    assert subset_sizes(paper) == {"35k": "35000", "10k": "10000", "3.5k": "3500", "1k": "1000"}


def test_the_study_says_which_subsets_are_shares(tmp_path: Path) -> None:
    used = study(tmp_path, experiments=["fig7"])
    assert "35k is 30%, 10k is 8.5%." in sharing(used) and "1k is" not in sharing(used)
    assert "30% of the training images at random" in sharing(used)
    assert any("35k is 30%" in note for note in summary(used)["notes"])
    assert "30%" not in sharing(study(tmp_path))


def test_a_share_is_drawn_to_the_nearest_image_and_at_least_one(whole: Path) -> None:
    sizes = subsets.parse_sizes(["most=80%", "half=35%", "least=0.85%", "every=100%", "all=all", "two=2"])
    folder = whole.parent / "drawn"
    subsets.write_subsets(whole, sizes, 0, folder)
    drawn = {name: ids(json.loads((folder / f"instances_{name}.json").read_text())) for name in sizes}
    # Of 7 images: 5.6, 2.45 and 0.06.
    assert {name: len(found) for name, found in drawn.items()} == {
        "most": 6,
        "half": 2,
        "least": 1,
        "every": 7,
        "all": 7,
        "two": 2,
    }
    assert drawn["least"] < drawn["half"] == drawn["two"] < drawn["most"] < drawn["every"]


@pytest.mark.parametrize("text", ["1k=0%", "1k=100.1%", "1k=%", "1k=-3%", "1k=1e1%"])
def test_shares_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"expected NAME=IMAGES, as in 10k=10000, a share, as in 10k=8\.5%"):
        subsets.parse_sizes([text])


def test_splitting_needs_no_torch() -> None:
    told = "import sys, workflow_scripts.data.split; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
