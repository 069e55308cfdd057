"""Draws a miniature world into `OUTPUT/coco`, `OUTPUT/voc` and `OUTPUT/classification`, and its manifest."""

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from workflow_scripts.data import voc
from workflow_scripts.data.world import coco_layout, voc_layout
from workflow_scripts.data.world.coco_layout import FIRST_IMAGE_ID, Json
from workflow_scripts.data.world.scene import draw_classification_picture, draw_scene, generator
from workflow_scripts.data.world.settings import Settings, read_settings
from workflow_scripts.data.world.vocabulary import CLASS_NAMES
from workflow_scripts.errors import UserError
from workflow_scripts.files import sha256, write_json
from workflow_scripts.jobs.job import job

# Written into each drawn folder, so that no other folder of the same name is ever replaced.
MARKER = "miniature_world.json"
FOLDERS = ("coco", "voc", "classification")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", default="{}", help="JSON object; what is left out keeps its default")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for coco/, voc/ and classification/"
    )
    parser.add_argument(
        "--manifest", type=Path, required=True, help="file for counts and hashes, written last"
    )
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.processes < 1:
        raise UserError(f"--processes: found {arguments.processes}, expected at least 1.")
    settings = read_settings(arguments.settings)
    # A manifest stands for a finished world: the old one must not outlive the world it describes.
    arguments.manifest.unlink(missing_ok=True)
    write_json(arguments.manifest, draw_world(settings, arguments.output, arguments.processes))


def draw_world(settings: Settings, output: Path, processes: int = 1) -> Json:
    """Draw `output`/coco, `output`/voc and `output`/classification and return the manifest.

    Everything is drawn aside and moved into place at the end. Raises UserError if a folder stands there that
    no earlier drawing made.
    """
    for name in FOLDERS:
        folder = output / name
        files = any(path.is_file() for path in folder.rglob("*"))  # empty folders hold nothing to lose
        if files and not (folder / MARKER).exists():
            raise UserError(
                f"{folder} exists and was not drawn by this command. Choose another --output or move it away."
            )
    drawing = output / ".drawing"
    shutil.rmtree(drawing, ignore_errors=True)
    try:
        manifest = _draw(settings, drawing, processes)
        for name in FOLDERS:
            shutil.rmtree(output / name, ignore_errors=True)
            (drawing / name).rename(output / name)
    finally:
        shutil.rmtree(drawing, ignore_errors=True)
    return manifest


def _draw(settings: Settings, drawing: Path, processes: int) -> Json:
    for name in FOLDERS:
        (drawing / name).mkdir(parents=True)
        write_json(drawing / name / MARKER, settings.model_dump())
    with ProcessPoolExecutor(processes) as pool:
        run = map if processes == 1 else partial(pool.map, chunksize=32)
        scenes = _draw_coco(settings, drawing / "coco", run)
        voc_scenes = _draw_voc(settings, drawing / "voc", run)
        pictures = _draw_classification(settings, drawing / "classification", run)
    return _manifest(settings, drawing, scenes + voc_scenes + pictures)


def _draw_coco(settings: Settings, folder: Path, run: Any) -> list[Path]:
    """Draw the scenes of both splits and their annotation files; the image files in order."""
    (folder / "annotations").mkdir()
    paths: list[Path] = []
    for split, count in (("train", settings.train_images), ("val", settings.val_images)):
        (folder / split).mkdir()
        drawn = list(run(partial(_draw_scene_file, settings, folder / split), range(count)))
        images = [image for image, _ in drawn]
        annotations = [annotation for _, several in drawn for annotation in several]
        _write_json(
            folder / "annotations" / f"instances_{split}.json",
            coco_layout.instances_file(images, annotations),
        )
        _write_json(
            folder / "annotations" / f"person_keypoints_{split}.json",
            coco_layout.person_keypoints_file(images, annotations),
        )
        paths += [folder / split / image["file_name"] for image in images]
    return paths


def _draw_scene_file(settings: Settings, folder: Path, number: int) -> tuple[Json, list[Json]]:
    """Draw scene `number` of the split that `folder` is named after; its image record and annotations."""
    split = folder.name
    image_id = FIRST_IMAGE_ID[split] + number
    scene = draw_scene(generator(settings.seed, split, number), settings.image_size)
    record = coco_layout.image_record(image_id, settings.image_size)
    scene.image.save(folder / record["file_name"], quality=95)
    return record, coco_layout.annotations(scene.instances, image_id)


def _draw_voc(settings: Settings, folder: Path, run: Any) -> list[Path]:
    """Draw the folders VOC2007 and VOC2012, pictures, annotations and splits; the image files in order."""
    train = settings.voc_train_images
    counts = (train - train // 2, train // 2, settings.voc_val_images)
    paths: list[Path] = []
    for (stream, (year, split)), count in zip(voc_layout.SPLITS.items(), counts, strict=True):
        year_folder = folder / f"VOC{year}"
        for part in ("Annotations", "ImageSets/Main", "JPEGImages"):
            (year_folder / part).mkdir(parents=True, exist_ok=True)
        names = [voc_layout.image_name(year, split, number) for number in range(count)]
        paths += run(partial(_draw_voc_files, settings, year_folder, stream), range(count), names)
        lines = "".join(f"{name}\n" for name in names)
        (year_folder / "ImageSets" / "Main" / f"{split}.txt").write_text(lines)
    return paths


def _draw_voc_files(settings: Settings, folder: Path, stream: str, number: int, name: str) -> Path:
    size = settings.image_size
    rng = generator(settings.seed, stream, number)
    scene = draw_scene(
        rng, size, things=voc_layout.THINGS, categories=voc_layout.VOC_CATEGORIES, crowd_share=0
    )
    path = folder / "JPEGImages" / f"{name}.jpg"
    scene.image.save(path, quality=95)
    annotation = voc.xml(path.name, size, size, voc_layout.objects(scene.instances))
    (folder / "Annotations" / f"{name}.xml").write_text(annotation)
    return path


def _draw_classification(settings: Settings, folder: Path, run: Any) -> list[Path]:
    """Draw the image folders of both splits, `split`/`class`/`number`.jpg; the image files in order."""
    paths: list[Path] = []
    for split, count in (
        ("train", settings.classification_images_per_class),
        ("val", settings.classification_val_images_per_class),
    ):
        for name in CLASS_NAMES:
            (folder / split / name).mkdir(parents=True)
        pictures = [(index, number) for index in range(len(CLASS_NAMES)) for number in range(count)]
        paths += run(partial(_draw_classification_file, settings, folder / split), pictures)
    return paths


def _draw_classification_file(settings: Settings, folder: Path, picture: tuple[int, int]) -> Path:
    class_index, number = picture
    rng = generator(settings.seed, f"classification_{folder.name}", class_index, number)
    image = draw_classification_picture(rng, class_index, settings.classification_image_size)
    path = folder / CLASS_NAMES[class_index] / f"{number + 1:06d}.jpg"
    image.save(path, quality=95)
    return path


def _write_json(path: Path, value: Json) -> None:
    path.write_text(json.dumps(value, separators=(",", ":")))


def _manifest(settings: Settings, drawing: Path, images: list[Path]) -> Json:
    """Settings, number of images, and hashes: one a COCO annotation file, one over VOC's, one over all images."""
    voc_files = [
        *(drawing / "voc").glob("*/ImageSets/Main/*.txt"),
        *(drawing / "voc").glob("*/Annotations/*.xml"),
    ]
    return {
        "settings": settings.model_dump(),
        "images": len(images),
        "annotations": {path.name: sha256(path) for path in sorted((drawing / "coco/annotations").iterdir())},
        "voc_annotations_sha256": _joint_sha256(sorted(voc_files)),
        "images_sha256": _joint_sha256(images),
    }


def _joint_sha256(paths: Iterable[Path]) -> str:
    """One hash over the contents of files, in order."""
    joint = hashlib.sha256()
    for path in paths:
        joint.update(path.read_bytes())
    return joint.hexdigest()


if __name__ == "__main__":
    job(main)
