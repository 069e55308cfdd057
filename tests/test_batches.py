"""What is submitted to a cluster together, and what of it waits for what."""

from collections import Counter
from collections.abc import Callable
from graphlib import TopologicalSorter

import pytest
import yaml

from benchmarks.dry_run import datasets
from tests.checkout import ROOT, Checkout
from tests.submissions import submissions
from workflow_scripts.study.batches import batches
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.study import Study

SLURM = ("--profile", "slurm", "--config", "scale=smoke")
EVERY = ["fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "fig7", "fig8", "table1", "table2", "table3", "text"]
AT_MOST = 10
"""Minutes that a partition for trials gives."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout.make(tmp_path_factory.mktemp("batches"))


@pytest.fixture(scope="module")
def study() -> Study:
    """One with searches, seeds, and detectors that leave another's trunk."""
    return compile_study({"scale": "smoke", "experiments": EVERY, "models": ["R50_GN"], "seeds": [0, 1]})


def test_the_trial_asks_a_cluster_for_few_jobs(checkout: Checkout) -> None:
    """The study of `config.yaml`: 65 submissions when each segment had one to train and one to evaluate."""
    config = checkout.folder / "config.yaml"
    config.write_text((ROOT / "config.yaml").read_text())
    found = submissions(checkout.folder, *SLURM)
    segments = [rule for each in found for rule in each["rules"] if rule == "train"]
    assert len(segments) == 23
    assert len(found) == 26
    longest = max(each["asks"]["runtime"] for each in found)
    told = " ".join((ROOT / "docs/cluster.md").read_text().split())
    assert f"in {len(found)} submissions, each for at most {longest} minutes" in told
    for each in found:
        asks = each["asks"]
        assert asks["runtime"] <= AT_MOST, each
        assert asks["_cores"] == 1 or each["rules"] == ["world"], each
        assert asks["mem_mb"] <= 3000, each
        assert asks["slurm_partition"] == (
            "gpu" if {"train", "detect", "trained_backbone"} & {*each["rules"]} else "cpu"
        )


def test_a_local_run_knows_no_batches(checkout: Checkout) -> None:
    found = submissions(checkout.folder, "--profile", "profiles/local", "--config", "scale=smoke")
    assert sum(each["rules"] == ["train"] for each in found) == 23
    assert all(len(each["rules"]) == 1 for each in found)


def test_every_experiment_can_be_planned_in_batches(checkout: Checkout) -> None:
    """Snakemake refuses a group that waits for itself."""
    (checkout.folder / "every.yaml").write_text(yaml.safe_dump({"scale": "smoke", "experiments": EVERY}))
    found = submissions(checkout.folder, *SLURM, "--configfile", "config.yaml", "every.yaml")
    sizes = {
        rule: max(each["rules"].count(rule) for each in found) for rule in ("train", "detect", "evaluate")
    }
    assert sizes == {"train": 4, "detect": 8, "evaluate": 8}


def needed(study: Study, chosen: Callable[[str], str] | None) -> set[tuple[str, str]]:
    """Recipe and segment of what is trained once searches have chosen; of what is before, where they have not."""
    runs = [run for search in study.searches.values() for run in search.runs.values()]
    for members in study.members.values():
        for member in members:
            choice = member.choice
            if choice is None or (chosen is not None and chosen(choice.search) == choice.point):
                runs.append(member.run)
    return {(segment.recipe, segment.name) for run in runs for segment in run.segments}


def test_no_batch_grows_when_a_search_has_chosen(study: Study) -> None:
    """Its jobs may run by then; the points of a search are in batches themselves, but for their training."""
    before = needed(study, None)
    later = set()
    for position in (0, -1):

        def chosen(search: str, position: int = position) -> str:
            return list(study.searches[search].runs)[position]

        later |= needed(study, chosen) - before
    found = batches(study)
    assert later
    assert not [key for key in found if key[1:] in later]
    points = [run for search in study.searches.values() for run in search.runs.values()]
    ends = {(run.recipe.name, run.segments[-1].name) for run in points}
    assert {("evaluate", *end) for end in ends} <= found.keys()
    assert not [end for end in ends if ("train", *end) in found]


def test_no_batch_waits_for_one_that_waits_for_it(study: Study) -> None:
    found = batches(study)
    waits: dict[str, set[str]] = {}
    for segment in study.segments.values():
        own = found.get(("train", segment.recipe, segment.name))
        parent = found.get(("train", *segment.parent)) if segment.parent else None
        if own and parent and own != parent:
            waits.setdefault(own.name, set()).add(parent.name)
    assert len([*TopologicalSorter(waits).static_order()]) > len(study.config.seeds)  # or CycleError


def test_a_batch_is_no_larger_than_the_scale_says(study: Study) -> None:
    counted = Counter((key[0], batch.name, batch.size) for key, batch in batches(study).items())
    assert all(count == size for (_, _, size), count in counted.items())
    largest = {
        rule: max(size for key, _, size in counted if key == rule) for rule in ("train", "detect", "evaluate")
    }
    assert largest == study.scale.resources.together.model_dump() == {"train": 4, "detect": 8, "evaluate": 8}
    alone = compile_study(
        {
            "scale": "smoke",
            "experiments": EVERY,
            "numbers": {"resources": {"together": dict.fromkeys(largest, 1)}},
        }
    )
    assert batches(alone) == {}


def test_the_paper_asks_for_no_longer_jobs_than_a_training_s(checkout: Checkout) -> None:
    """With test augmentation, a job detects for eighteen hours; GPUs detect and train, and do nothing else."""
    (checkout.folder / "data").mkdir()
    paper = {"scale": "paper", "experiments": ["table3"], "datasets": datasets(checkout.folder / "data")}
    (checkout.folder / "paper.yaml").write_text(yaml.safe_dump(paper))
    study = ("--config", "scale=paper", "--configfile", "config.yaml", "paper.yaml")
    found = submissions(checkout.folder, "--profile", "slurm", *study)
    augmented = [each for each in found if "test_aug/detections" in each["files"][0]]
    assert augmented
    assert all(each["asks"]["runtime"] == 240 for each in augmented)
    assert max(each["asks"]["runtime"] for each in found) == 240
    on_gpus = {rule for each in found if each["asks"].get("gpu") for rule in each["rules"]}
    assert on_gpus == {"train", "detect"}
