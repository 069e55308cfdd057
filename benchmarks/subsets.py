"""Time and memory of the subset pass on an annotation file of COCO's size, against `orjson.loads`.

    python -m benchmarks.subsets [--require]

Draws an annotation file with the numbers of instances_train2017.json (448 MB, 118,287 images, 860,001
annotations), then runs each contender as a process of its own: wall time from start to exit, peak resident
memory from the kernel's accounting (`ru_maxrss`, which counts the pages of the mapped file too). They take
turns; the best of `--repeats` counts. `orjson.loads` runs with the garbage collector off, its fastest
setting. The subsets must be nested, of the sizes asked for, and hold their images and all annotations of
those as they stand in the file.

Needs nothing but the environment, and for that last check memory of ten times the file.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

IMAGES = 118_287
ANNOTATIONS = 860_001
CATEGORIES = 80
SUBSETS = {"1k": 1000, "3.5k": 3500, "10k": 10_000, "35k": 35_000}
MOST_SECONDS_TO_ORJSON = 1.5
MOST_BYTES = 2_500_000_000

LOAD_WITH_ORJSON = (
    "import gc, orjson, pathlib, sys; gc.disable(); orjson.loads(pathlib.Path(sys.argv[1]).read_bytes())"
)


class Cost(NamedTuple):
    seconds: float
    peak_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--images", type=int, default=IMAGES, help="fewer scale annotations and subsets with them"
    )
    parser.add_argument(
        "--require", action="store_true", help="exit with 1 where the pass is not within its bounds"
    )
    parser.add_argument("--folder", type=Path, help="where the file is drawn (default: a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        annotations = Path(folder) / "instances.json"
        share = arguments.images / IMAGES
        count = round(ANNOTATIONS * share)
        draw_annotation_file(annotations, arguments.images, count)
        megabytes = annotations.stat().st_size / 1e6
        print(
            f"{megabytes:.0f} MB, {arguments.images:,} images, {count:,} annotations, best of {arguments.repeats}"
        )
        subsets = {name: max(1, round(size * share)) for name, size in SUBSETS.items()}
        costs = measure_in_turns(annotations, subsets, Path(folder) / "subsets", arguments.repeats)
        check_subsets(annotations, subsets, Path(folder) / "subsets")
    met = report(*costs)
    raise SystemExit(arguments.require and not met)


def check_subsets(annotations: Path, subsets: dict[str, int], folder: Path) -> None:
    """Refuse to compare with a pass that did not keep the images asked for, with all of their annotations."""
    whole = orjson.loads(annotations.read_bytes())
    before: set[int] = set()
    for name, size in subsets.items():
        kept = orjson.loads((folder / f"instances_{name}.json").read_bytes())
        images = {image["id"] for image in kept["images"]}
        if len(images) != size or not before <= images or kept != part(whole, images):
            raise SystemExit(f"subset {name}: expected {size} images, nested, with all of their annotations")
        before = images


def part(whole: dict[str, Any], images: set[int]) -> dict[str, Any]:
    """Of an annotation file, these images and what is annotated in them, in its order."""
    return whole | {
        "images": [image for image in whole["images"] if image["id"] in images],
        "annotations": [each for each in whole["annotations"] if each["image_id"] in images],
    }


def measure_in_turns(
    annotations: Path, subsets: dict[str, int], output_dir: Path, repeats: int
) -> tuple[Cost, Cost]:
    """The cost of `orjson.loads` and of the subset pass, each the least of `repeats` processes."""
    load = [sys.executable, "-c", LOAD_WITH_ORJSON, str(annotations)]
    subset = [sys.executable, "-m", "workflow_scripts.data.subsets", "--annotations", str(annotations)]
    sizes = [f"{name}={size}" for name, size in subsets.items()]
    subset += ["--subsets", *sizes, "--seed", "0", "--output-dir", str(output_dir)]
    loads, passes = zip(*((measure(load), measure(subset)) for _ in range(repeats)), strict=True)
    return least(loads), least(passes)


def measure(command: list[str]) -> Cost:
    """Wall seconds and peak resident bytes of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[1])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"failed: {command}")
    return Cost(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def least(costs: tuple[Cost, ...]) -> Cost:
    return Cost(min(cost.seconds for cost in costs), min(cost.peak_bytes for cost in costs))


def report(load: Cost, subset: Cost) -> bool:
    """Print both; whether the pass is within its bounds."""
    ratio = subset.seconds / load.seconds
    print(f"{'':24}{'seconds':>10}{'x orjson':>10}{'peak MB':>10}{'x orjson':>10}")
    for name, cost in (("orjson.loads", load), ("subset pass, 4 sizes", subset)):
        seconds, peak = cost.seconds / load.seconds, cost.peak_bytes / load.peak_bytes
        print(f"{name:24}{cost.seconds:10.2f}{seconds:10.2f}{cost.peak_bytes / 1e6:10.0f}{peak:10.2f}")
    met = ratio <= MOST_SECONDS_TO_ORJSON and subset.peak_bytes < MOST_BYTES
    bounds = f"{MOST_SECONDS_TO_ORJSON} x the time and {MOST_BYTES / 1e9:.1f} GB"
    print(f"within {bounds}" if met else f"NOT within {bounds}")
    return met


def draw_annotation_file(path: Path, images: int, annotations: int) -> None:
    """Write an annotation file of COCO's shape, the same bytes every time, entry by entry."""
    rng = random.Random(0)
    polygons = [draw_polygon(rng) for _ in range(4096)]
    image_ids = rng.sample(range(1, 600_000), images)
    with path.open("w") as file:
        file.write(
            '{"info": {"description": "COCO-sized", "year": 2017}, "licenses": [{"id": 1, "name": "none"}], '
        )
        file.write('"images": [')
        file.writelines(separated(draw_image(image_id) for image_id in image_ids))
        file.write('], "annotations": [')
        file.writelines(
            separated(draw_annotation(rng, number, image_ids, polygons) for number in range(annotations))
        )
        file.write('], "categories": [')
        names = range(1, CATEGORIES + 1)
        file.writelines(
            separated(f'{{"supercategory": "thing", "id": {n}, "name": "thing {n}"}}' for n in names)
        )
        file.write("]}")


def separated(items: Iterable[str]) -> Iterator[str]:
    for number, item in enumerate(items):
        yield f", {item}" if number else item


def draw_polygon(rng: random.Random) -> str:
    corners = max(3, int(rng.lognormvariate(3.065, 0.6)))
    return "[[" + ",".join(f"{rng.uniform(0, 640):.2f}" for _ in range(2 * corners)) + "]]"


def draw_image(image_id: int) -> str:
    name = f"{image_id:012}.jpg"
    return (
        f'{{"license": 1,"file_name": "{name}","coco_url": "http://images.cocodataset.org/train2017/{name}",'
        '"height": 480,"width": 640,"date_captured": "2013-11-14 11:18:45",'
        f'"flickr_url": "http://farm9.staticflickr.com/8186/{image_id}_a1b2c3d4e5_z.jpg","id": {image_id}}}'
    )


def draw_annotation(rng: random.Random, number: int, image_ids: list[int], polygons: list[str]) -> str:
    x, y, width, height = (rng.uniform(1, 300) for _ in range(4))
    return (
        f'{{"segmentation": {rng.choice(polygons)},"area": {width * height:.4f},"iscrowd": 0,'
        f'"image_id": {rng.choice(image_ids)},"bbox": [{x:.2f},{y:.2f},{width:.2f},{height:.2f}],'
        f'"category_id": {rng.randint(1, CATEGORIES)},"id": {number + 1}}}'
    )


if __name__ == "__main__":
    main()
