"""The compiled study: what the workflow's rules look up."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.experiments import experiments
from workflow_scripts.study.compiled.recipes import image_sides
from workflow_scripts.study.compiled.segments import iterations_planned, iterations_without_sharing
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.summary import notes, sharing, summary

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ["fig1", "fig2", "table1", "table2"]


def study(scale: str = "smoke", **changes: Any) -> Study:
    return compile_study({"scale": scale, "experiments": EXPERIMENTS} | changes)


@pytest.fixture
def paper(real_data: dict[str, Any]) -> Study:
    return study("paper", datasets=real_data)


def test_paper_costs_780k_iterations_for_each_initialisation(paper: Study) -> None:
    runs = paper.needed_runs(["fig1"])
    assert len(runs) == 10
    assert iterations_planned(runs) == 2 * 780_000
    assert iterations_without_sharing(runs) == 2 * 1_800_000


def test_a_call_for_one_experiment_is_told_of_that_one(real_data: dict[str, Any]) -> None:
    """The configuration asks for more."""
    paper = study("paper", experiments=["fig1", "fig3"], datasets=real_data)
    told = "1,560,000 iterations to train detectors; shared segments save 2,040,000 of 3,600,000"
    assert told in sharing(paper, {"fig1"})
    assert told not in sharing(paper)


def test_figures_3_and_4_are_figure_1_of_other_models(paper: Study) -> None:
    def form(name: str) -> list[tuple[str, ...]]:
        runs = paper.needed_runs([name])
        return [(run.recipe.initialisation, run.schedule.name) for run in runs]

    assert form("fig3") == form("fig4") == form("fig1")
    assert {run.recipe.label for run in paper.needed_runs(["fig3"])} == {"R101 GN"}
    assert {run.recipe.label for run in paper.needed_runs(["fig4"])} == {"R50 SyncBN"}
    assert iterations_planned(paper.needed_runs(["fig3"])) == 2 * 780_000


def test_tables_need_no_run_that_fig1_lacks(paper: Study) -> None:
    curves = {run.name for run in paper.needed_runs(["fig1"])}
    for name in ("fig2", "table1", "table2"):
        assert {run.name for run in paper.needed_runs([name])} <= curves
    assert {run.name for run in paper.needed_runs(["fig2"])} == {
        "coco-R50_GN-pretrained-seed0/2x",
        "coco-R50_GN-random-seed0/6x",
    }


def test_paper_trains_with_the_papers_settings(paper: Study) -> None:
    recipes = [run.recipe for run in paper.needed_runs(["fig1", "fig3", "fig4"])]
    assert {(recipe.label, recipe.initialisation) for recipe in recipes} == {
        (label, initialisation)
        for label in ("R50 GN", "R101 GN", "R50 SyncBN")
        for initialisation in ("random", "pretrained")
    }
    for recipe in recipes:
        assert (recipe.base_lr, recipe.momentum, recipe.weight_decay) == (0.02, 0.9, 1e-4)
        assert (recipe.decay_factor, recipe.batch) == (0.1, 16)
        assert (recipe.image_sides, recipe.longest_side) == ((800,), 1333)


def test_a_setting_tells_whose_search_it_was() -> None:
    """Found for pre-training and taken over by random init; on 1k images, the text tells of random init's own, too."""
    arms = [
        arm for name, each in experiments(("R50_GN",)).items() if name != "text_longer" for arm in each.arms
    ]
    assert {(arm.searched, arm.setting) for arm in arms if arm.searched} == {
        ("pretrained", "re-searched hyper-parameters"),
        ("random", "own grid search"),
    }


@pytest.mark.parametrize(
    ("shortest", "sides"),
    [(1, (60, 100)), (0.96, (96, 100)), (0.8, (80, 84, 88, 92, 96, 100))],
)
def test_shorter_sides_are_4_percent_apart(shortest: float, sides: tuple[int, ...]) -> None:
    """detectron2's 640, 672, ... 800 are."""
    assert image_sides((60, 100), shortest) == sides


def test_initialisations_differ_in_nothing_else(paper: Study) -> None:
    random, pretrained = (
        run.recipe for run in (paper.needed_runs(["fig1"])[0], paper.needed_runs(["fig1"])[-1])
    )
    told_apart = {"name", "initialisation", "pretraining", "freeze_at"}
    assert random.model_dump(exclude=told_apart) == pretrained.model_dump(exclude=told_apart)
    assert (random.pretraining, pretrained.pretraining) == ("skip", "train")
    assert (random.freeze_at, pretrained.freeze_at) == (0, 2)


@pytest.mark.parametrize("scale", ["smoke", "mini"])
def test_every_lookup_finds_what_it_names(scale: str) -> None:
    found = study(scale, seeds=[0, 1])
    assert all(recipe.name == name for name, recipe in found.recipes.items())
    assert all(schedule.name == name for name, schedule in found.schedules.items())
    for (recipe, schedule), run in found.runs.items():
        assert (run.recipe.name, run.schedule.name) == (recipe, schedule)
        assert found.recipes[recipe] == run.recipe
        assert all(found.segments[segment.recipe, segment.name] == segment for segment in run.segments)
    for (recipe, name), segment in found.segments.items():
        assert (segment.recipe, segment.name) == (recipe, name)
        assert segment.parent is None or segment.parent in found.segments
        assert recipe in found.recipes
    members = [member for several in found.members.values() for member in several]
    searched = [run for search in found.searches.values() for run in search.runs.values()]
    assert {run.name for run in [*searched, *(member.run for member in members)]} == {
        run.name for run in found.runs.values()
    }


def test_search_decides_which_run_an_experiment_reads() -> None:
    found = study()
    for point in found.searches["10k-R50_GN-pretrained"].runs:
        random, pretrained = found.members_of("fig7_right", lambda _, point=point: point)
        assert pretrained.run is found.searches["10k-R50_GN-pretrained"].runs[point]
        assert random.run.recipe.decay_factor == pretrained.run.recipe.decay_factor


@pytest.mark.parametrize("more", ["7x", "2.5x", "explicit"])
def test_one_more_schedule_changes_nothing_that_is_trained(more: str) -> None:
    before = study()
    schedules = [*before.schedules, before.schedules["2x"].iterations + 1 if more == "explicit" else more]
    after = study(schedules=schedules)
    assert before.segments.items() < after.segments.items()
    assert before.runs.items() < after.runs.items()
    assert before.recipes == after.recipes


@pytest.mark.parametrize("seeds", [[0, 1], [7, 0]])
def test_one_more_seed_changes_nothing_that_is_trained(seeds: list[int]) -> None:
    before, after = study(), study(seeds=seeds)
    assert before.segments.items() < after.segments.items()
    assert before.runs.items() < after.runs.items()
    assert before.recipes.items() < after.recipes.items()


def test_experiments_asked_for_change_no_segment() -> None:
    assert study(experiments=["fig1"]).segments == study().segments


def test_each_seed_is_a_recipe_and_all_share_the_classifier() -> None:
    found = study(seeds=[0, 3])
    named = {run.recipe.name for run in found.needed_runs(["fig1"])}
    assert [name for name in found.recipes if name in named or name == "classification-R50_GN"] == [
        "coco-R50_GN-random-seed0",
        "coco-R50_GN-random-seed3",
        "coco-R50_GN-pretrained-seed0",
        "coco-R50_GN-pretrained-seed3",
        "classification-R50_GN",
    ]
    trainings = [segment.recipe for segment in found.segments.values() if segment.stage == "cosine"]
    assert trainings.count("classification-R50_GN") == 1


def test_published_weights_leave_no_classifier_to_train() -> None:
    weights = {"source": "https://example.org/r50.pth", "sha256": "0" * 64}
    found = study(pretraining={"fetch": {"R50_GN": weights}})
    assert {recipe.task for recipe in found.recipes.values() if recipe.model == "R50_GN"} == {"detection"}
    found_here = {recipe.pretraining for recipe in found.recipes.values() if recipe.model == "R50_GN"}
    assert found_here == {"skip", "fetch"}


def test_published_weights_need_no_images_to_pretrain_on(real_data: dict[str, Any]) -> None:
    weights = {"source": "https://example.org/r50.pth", "sha256": "0" * 64}
    del real_data["classification"]
    assert study("paper", datasets=real_data, pretraining={"fetch": {"R50_GN": weights}}).runs


def test_explicit_iterations_may_be_written_as_a_number() -> None:
    found = study(schedules=["2x", 18])
    assert found.schedules["18"].iterations == 18


def test_numbers_change_the_scale_in_depth_and_nothing_beside() -> None:
    plain, changed = study().scale, study(numbers={"detection": {"batch": 6}}).scale
    assert changed.detection.batch == 6
    assert changed.model_copy(update={"detection": plain.detection}) == plain
    assert changed.detection.model_copy(update={"batch": plain.detection.batch}) == plain.detection


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_sides", (48, 56)),
        ("longest_side", 99),
        ("base_lr", 0.5),
        ("decay_factor", 0.02),
        ("momentum", 0.5),
        ("weight_decay", 0.5),
        ("batch", 6),
    ],
)
def test_number_reaches_every_detection_recipe_and_no_classifier(name: str, value: Any) -> None:
    found = study(numbers={"detection": {name: value}})
    detectors = [run.recipe for run in found.needed_runs(["fig1", "fig3", "fig4"])]
    assert {getattr(recipe, name) for recipe in detectors} == {value}
    classifier = "classification-R50_GN"
    assert found.recipes[classifier] == study().recipes[classifier]


def test_results_folder_has_one_spelling() -> None:
    assert study(results="results/").config.results == "results"


def test_summary_counts_the_asked_runs_once() -> None:
    found = study(experiments=["fig2", "table1"])
    assert (
        len({run.name for run in found.needed_runs(found.config.experiments)})
        == len(found.needed_runs(found.config.experiments))
        == 10
    )
    told = summary(found)
    assert told["iterations"] == {
        "planned": iterations_planned(found.needed_runs(["table1"])),
        "without_sharing": iterations_without_sharing(found.needed_runs(["table1"])),
    }
    assert [experiment["name"] for experiment in told["experiments"]] == ["fig2", "table1"]
    assert told["schedules"]["6x"]["iterations"] == found.schedules["6x"].iterations


def test_the_summary_says_how_many_images_subsets_hold(real_data: dict[str, Any]) -> None:
    coco = {"coco": real_data["coco"]}
    within = {"coco": coco["coco"] | {"val2014_annotations": coco["coco"]["val"]["annotations"]}}
    assert summary(study("mini", experiments=["fig1"]))["subsets"] == {}
    assert summary(study("mini", experiments=["fig8"]))["subsets"] == {"1k": "17 training images"}
    assert summary(study("mini", experiments=["fig8"], datasets=coco))["subsets"] == {
        "1k": "0.85% of the training images"
    }
    told = summary(study("paper", experiments=["fig7_middle"], datasets=real_data | within))["subsets"]
    assert told == {"35k": "the images of val2014"}


def test_parsing_imports_nothing_heavy() -> None:
    """Every job on a cluster parses the workflow again."""
    code = (
        "import sys, workflow_scripts.study.compiled.study, workflow_scripts.study.summary\n"
        "heavy = {'torch', 'detectron2', 'numpy', 'pandas', 'matplotlib', 'PIL', 'pycocotools', 'snakemake'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_package_does_not_use_snakemake() -> None:
    uses = re.compile(r"^\s*(import|from) snakemake|\bsnakemake\.", re.MULTILINE)
    files = (ROOT / "workflow_scripts").rglob("*.py")
    assert [str(file) for file in files if uses.search(file.read_text())] == []


def test_a_random_35k_is_told_of_at_the_start_and_in_the_report(real_data: dict[str, Any]) -> None:
    coco = real_data["coco"]
    within = coco | {"val2014_annotations": coco["val"]["annotations"]}

    def told(experiment: str, coco: dict[str, Any]) -> tuple[bool, bool]:
        found = study("paper", experiments=[experiment], datasets=real_data | {"coco": coco})
        return "val2014_annotations" in sharing(found), any(
            "val2014_annotations" in note for note in notes(found)
        )

    assert told("fig7_middle", coco) == (True, True)
    assert told("fig7_middle", within) == (False, False)
    assert told("fig1", coco) == (False, False)


def test_the_miniature_world_is_told_of_where_it_is_used(
    complete_data: dict[str, Any], tmp_path: Path
) -> None:
    weights = {"fetch": {"R50_GN": {"source": "https://example.org/r50.pth", "sha256": "0" * 64}}}
    coco = {"coco": complete_data["coco"]}

    def told(*experiments: str, **changes: Any) -> str:
        return " ".join(
            note
            for note in notes(study("mini", experiments=experiments, **changes))
            if "miniature" in note.replace(str(tmp_path), "")
        )

    assert told("fig1").startswith("All images are of the miniature world")
    assert told("fig1", datasets=coco).startswith("All other images are of"), "pre-training's"
    assert told("fig1", datasets=coco, pretraining=weights) == told("fig1", datasets=complete_data) == ""
    assert told("text_voc", datasets=coco, pretraining=weights), "VOC is drawn"


def test_which_checkpoints_are_evaluated_does_not_depend_on_what_is_asked_for() -> None:
    one, all_of_it = (
        compile_study({"scale": "mini", "experiments": names})
        for names in (["table1"], ["fig1", "fig5", "text"])
    )
    assert one.evaluated == all_of_it.evaluated


def test_a_segment_is_evaluated_where_any_experiment_reads_it() -> None:
    """Fig. 1's curves, Table 1's ends of a model that no figure shows, test aug's ends beside the same run's curve."""
    numbers = {
        "schedule": {"iterations_per_x": 450, "tail": 300, "second_tail": 100},
        "evaluation": {"trunk_period": 225, "tail_period": 100},
    }
    asked = {"experiments": ["table1"], "models": ["R50_GN", "X152_GN"]}
    study = compile_study({"scale": "mini", "numbers": numbers} | asked)
    tail = "tail-2400-2600-2700"
    assert study.evaluated["coco-R50_GN-random-seed0", "trunk-150-600", "single_scale"] == (375, 600)
    assert study.evaluated["coco-R50_GN-random-seed0", tail, "single_scale"] == (2500, 2600, 2700)
    assert study.evaluated["coco-X152_GN-random-seed0", tail, "single_scale"] == (2700,)
    assert ("coco-X152_GN-random-seed0", "trunk-150-600", "single_scale") not in study.evaluated
    cascade = "coco-cascade-R50_GN-pretrained-side0.8-seed0"
    assert study.evaluated[cascade, tail, "single_scale"] == (2500, 2600, 2700)
    assert study.evaluated[cascade, tail, "test_aug"] == (2700,)
    for (recipe, segment, _), iterations in study.evaluated.items():
        assert set(iterations) <= set(study.segments[recipe, segment].evaluations)
