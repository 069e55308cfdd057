"""Each benchmark at its smallest size: it runs, and compares the same work on both sides. Times are not looked at."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from benchmarks import (
    against_detectron2,
    coco_evaluation,
    dry_run,
    hashing,
    parts,
    redraw,
    subsets,
    training_step,
)

ROOT = Path(__file__).parents[1]
SMALLEST = {
    "against_detectron2": (
        [
            "--scale",
            "smoke",
            "--schedule",
            "2x",
            "--seeds",
            "2",
            "--val-images",
            "4",
            "--folder",
            "{tmp_path}",
        ],
        r"12 iterations of 2 images, 2 seeds a side\n(.|\n)*bbox AP, difference: .*, Welch\), p = (.|\n)*segm AP, ours",
    ),
    "coco_evaluation": (["--images", "40"], r"bbox .* 0\.0e\+00 .*\nsegm .* 0\.0e\+00 .*\ntogether"),
    "dry_run": (["--seeds", "1", "2", "--experiments", "fig1"], r"1 seeds: \d+ jobs.*\n2 seeds: \d+ jobs"),
    "gpu": (["--device", "cpu", "--small"], r"(?s)step +as trained: ours .*\nstudy +planning smoke"),
    "hashing": (["--gigabytes", "0.01", "--repeats", "1"], r"ours .* GB/s, openssl .* GB/s, ratio"),
    "parts": (["{tmp_path}"], r"training detectors +1 +1\.0 +66\.7%(.|\n)*all +2 +1\.5"),
    "subsets": (["--images", "300", "--repeats", "1"], r"300 images, 2,181 annotations(.|\n)*subset pass"),
    "training_step": (["--steps", "10", "--images", "12"], r"ours is .* times as fast \(1 pairs of 5 steps"),
}
"""Options, and what it prints."""


def run(name: str, *options: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """A benchmark as a person runs it; `path` is where it finds other programs."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    environment = None if path is None else {"PATH": path}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


NEEDS = {"gpu": pytest.mark.slow, "hashing": pytest.mark.needs_openssl}


@pytest.mark.parametrize("name", [pytest.param(name, marks=NEEDS.get(name, ())) for name in SMALLEST])
def test_it_runs(name: str, tmp_path: Path) -> None:
    for job, seconds in {
        "training/coco/trunk-0-2": 60,
        "evaluation/coco/trunk-0-2/single_scale-detect": 30,
    }.items():
        measurement = tmp_path / f"benchmarks/{job}.tsv"
        measurement.parent.mkdir(parents=True)
        measurement.write_text(f"s\th:m:s\n{seconds}.0\t-\n")
    options, printed = SMALLEST[name]
    done = run(name, *(option.format(tmp_path=tmp_path) for option in options))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(printed, done.stdout), done.stdout


def test_none_is_forgotten() -> None:
    folder = ROOT / "benchmarks"
    found = {path.relative_to(folder).parts[0].removesuffix(".py") for path in folder.rglob("*.py")}
    assert found == SMALLEST.keys() | {"coverage", "redraw"}, (
        "those need a study that ran: tests/test_workflow.py"
    )
    rows = (ROOT / "benchmarks/README.md").read_text()
    told = re.findall(r"^\| `python -m benchmarks\.(\w+)[^`]*`", rows, re.MULTILINE)
    assert sorted(told) == sorted(found)


def test_engines_that_disagree_are_not_compared() -> None:
    metrics = np.array([50.0, math.nan])
    coco_evaluation.check_equal("bbox", metrics, metrics.copy())
    with pytest.raises(SystemExit, match="bbox: the metrics differ"):
        coco_evaluation.check_equal("bbox", metrics, np.array([np.nextafter(50.0, 51.0), math.nan]))
    with pytest.raises(SystemExit, match="expected an AP above 0, found 0"):
        coco_evaluation.check_equal("bbox", np.zeros(2), np.zeros(2))


@pytest.mark.parametrize(
    ("job", "part"),
    [
        ("training/classification-R50_GN/cosine-0-6", "pre-training"),
        ("pretraining/train-R50_GN", "pre-training"),
        ("training/coco-R50_GN-random-seed0/trunk-0-2", "training detectors"),
        ("evaluation/coco-R50_GN-random-seed0/trunk-0-2/single_scale-detect", "detecting"),
        ("evaluation/coco-R50_GN-random-seed0/trunk-0-2/test_aug-evaluate", "scoring"),
        ("runs/coco-R50_GN-random-seed0/2x-curve-single_scale", "gathering tables"),
        ("tables/fig1-evaluations", "gathering tables"),
        ("figures/fig1", "figures and report"),
        ("report", "figures and report"),
        ("images-coco-val", "data"),
        ("world", "data"),
    ],
)
def test_each_job_belongs_to_a_part(job: str, part: str) -> None:
    assert parts.part_of(Path(f"{job}.tsv")) == part


def test_plans_without_more_jobs_are_not_compared() -> None:
    dry_run.check_more(2, 11, before=10)
    for jobs, before in ((0, 0), (10, 10)):
        with pytest.raises(SystemExit, match=f"2 seeds: found {jobs} jobs"):
            dry_run.check_more(2, jobs, before)


PLAN = "job       count\n------  -------\nfigure        {}\nfig1          1\n{}total         {}\n"


def test_only_a_figures_own_job_is_timed() -> None:
    redraw.check_plan(PLAN.format(1, "", 2), "fig1")
    for other in (PLAN.format(1, "train         1\n", 3), PLAN.format(2, "", 3), "Nothing to be done"):
        with pytest.raises(SystemExit, match="expected a study that has made fig1"):
            redraw.check_plan(other, "fig1")


def test_where_no_figure_is_it_says_so(tmp_path: Path) -> None:
    done = run("redraw", "--results", str(tmp_path))
    assert done.returncode == 1
    assert "fig1.png: no such figure; run the study first" in done.stderr


@pytest.mark.parametrize("seeds", [["3", "1"], ["1", "1"], ["0", "1"]])
def test_seeds_ascend(
    seeds: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["dry_run", "--seeds", *seeds])
    with pytest.raises(SystemExit, match="2"):
        dry_run.main()
    assert "expected ascending numbers from 1 on" in capsys.readouterr().err


def test_different_hashes_are_not_compared() -> None:
    digest = "0" * 64
    hashing.check_equal(digest, f"SHA2-256(file)= {digest}\n")
    for ours, printed in ((digest, f"SHA2-256(file)= {'1' * 64}\n"), ("", f"= {digest}\n"), (digest, "")):
        with pytest.raises(SystemExit, match="the hashes differ"):
            hashing.check_equal(ours, printed)


def test_without_openssl_it_says_so(tmp_path: Path) -> None:
    done = run("hashing", "--gigabytes", "0.01", path=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "found no openssl, whose speed ours is compared with; install it\n"


def test_wrong_subsets_are_not_compared(tmp_path: Path) -> None:
    whole = {
        "images": [{"id": number} for number in (1, 2, 3)],
        "annotations": [{"id": number, "image_id": number} for number in (1, 2, 3)],
    }
    annotations = tmp_path / "instances.json"
    annotations.write_text(json.dumps(whole))

    def check(small: dict, large: dict) -> None:
        for name, part in (("small", small), ("large", large)):
            (tmp_path / f"instances_{name}.json").write_text(json.dumps(part))
        subsets.check_subsets(annotations, {"small": 1, "large": 2}, tmp_path)

    first, first_two, last_two = (subsets.part(whole, ids) for ids in ({1}, {1, 2}, {2, 3}))
    check(first, first_two)
    for small, large in (
        (first, last_two),  # not nested
        (first, first),  # too few
        ({**first, "annotations": []}, first_two),  # an annotation is lost
        ({**first, "images": [{"id": 4}], "annotations": []}, first_two),  # an image that is not in the file
    ):
        with pytest.raises(SystemExit, match="nested, with all of their annotations"):
            check(small, large)


class Detector(nn.Module):
    """What a training needs of one: a weight, and the loss of a batch."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([weight]))

    def forward(self, batch: list[float]) -> dict[str, torch.Tensor]:
        """The loss of a batch."""
        return {"loss": self.weight.sum() * sum(batch)}


def trained(batches: list[list[float]], rate: float = 0.1) -> training_step.Witness:
    """The witness of a training from a weight of 1."""
    witness = training_step.Witness("ours", Detector(1.0))
    optimizer = torch.optim.SGD(witness.model.parameters(), lr=rate)
    for batch in batches:
        optimizer.zero_grad()
        witness.model(batch)["loss"].backward()
        optimizer.step()
    return witness


def test_trainings_of_as_many_steps_are_compared() -> None:
    training_step.check_trained(trained([[1.0, 2.0]] * 3), steps=3, batch=2)


@pytest.mark.parametrize(
    ("batches", "rate", "message"),
    [
        ([[1.0, 2.0]] * 2, 0.1, r"found 2 steps of \[2\] images, expected 3 of 2"),
        ([[1.0, 2.0], [1.0, 2.0], [1.0]], 0.1, r"found 3 steps of \[1, 2\] images"),
        ([[1.0, math.nan]] * 3, 0.1, "step 0: expected finite losses"),
        ([[1.0, 2.0]] * 3, 0.0, "expected finite weights that training has changed"),
        ([[1e-3, 1e-3]] * 2 + [[1e3, 1e3]], 1e36, "expected finite weights"),
    ],
    ids=[
        "fewer steps",
        "fewer images",
        "losses that are no numbers",
        "weights as before",
        "infinite weights",
    ],
)
def test_other_trainings_are_not_compared(batches: list[list[float]], rate: float, message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        training_step.check_trained(trained(batches, rate), steps=3, batch=2)


def test_different_models_are_not_compared() -> None:
    one, other = (training_step.Witness(name, Detector(1.0)) for name in ("ours", "detectron2's"))
    training_step.check_same_start(one, other)
    with pytest.raises(SystemExit, match="do not start from the same weights"):
        training_step.check_same_start(one, training_step.Witness("detectron2's", Detector(2.0)))
    with pytest.raises(SystemExit, match="the losses differ"):
        training_step.check_same_losses(one, other)  # neither has trained


@pytest.mark.parametrize("steps", ["5", "12"])
def test_steps_come_in_chunks(
    steps: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["training_step", "--steps", steps])
    with pytest.raises(SystemExit, match="2"):
        training_step.main()
    assert "expected a multiple of 5, 10 or more" in capsys.readouterr().err


def test_means_are_compared_by_welchs_test() -> None:
    """By hand: means 3 and 6, variances 2.5 and 10 of five each; t = -3 / sqrt(2.5), 6.25 / (0.0625 + 1) degrees."""
    found = against_detectron2.compare([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])
    assert found.difference.value == -3
    expected = stats.ttest_ind([1, 2, 3, 4, 5], [2, 4, 6, 8, 10], equal_var=False)
    assert (found.p, found.difference.freedom) == pytest.approx((expected.pvalue, 6.25 / 1.0625))
    assert found.sides["ours"].interval[0] == pytest.approx(3 - 2.776 * math.sqrt(0.5), abs=1e-3)
    assert found.difference.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    same = against_detectron2.compare([1, 1], [1, 1])
    assert (same.p, same.found_difference) == (1, 0)
    assert against_detectron2.compare([1, 1], [2, 2]).p == 0


def test_power_is_that_of_cohens_tables() -> None:
    """Five of each side find a difference of 2.02 deviations with 80%, many 1.96 + 0.84 standard errors."""
    assert against_detectron2.noncentrality(8) == pytest.approx(2.024 * math.sqrt(5 / 2), rel=5e-3)
    assert against_detectron2.noncentrality(1e6) == pytest.approx(1.96 + 0.8416, rel=1e-3)


def test_trainings_that_were_kept_are_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    trained = []

    def train(folder: Path, scale: str, schedule: str, seeds: int, task: tuple[str, int]) -> None:
        trained.append(task)
        against_detectron2.write_json(against_detectron2.kept(folder, *task), {"bbox": 30.0, "segm": 20.0})

    monkeypatch.setattr(against_detectron2, "train", train)
    against_detectron2.train_missing(tmp_path, "smoke", "2x", 2, 1)
    assert trained == [("ours", 0), ("detectron2's", 0), ("ours", 1), ("detectron2's", 1)]
    against_detectron2.kept(tmp_path, "ours", 1).unlink()
    against_detectron2.train_missing(tmp_path, "smoke", "2x", 3, 1)
    assert trained[4:] == [("ours", 1), ("ours", 2), ("detectron2's", 2)]
    against_detectron2.kept(tmp_path, "ours", 0).write_text('{"bbox": NaN, "segm": 1}')
    with pytest.raises(SystemExit, match="expected AP of bbox, segm"):
        against_detectron2.read_ap(tmp_path, "ours", 0)
