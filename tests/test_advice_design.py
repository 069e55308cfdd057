"""What a budget buys: shares of the images, lengths of trainings, and that they cost what was given and no more."""

from typing import Any

import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.study.advice import facts, in_words
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.advice import Design
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.study.plan import plan

WEIGHTS = {"R50_GN": {"source": "https://example.org/r50.pth", "sha256": "0" * 64}}


def study(
    scale: str = "mini",
    datasets: dict[str, Any] | None = None,
    numbers: dict[str, Any] | None = None,
    **advice: Any,
) -> Study:
    values = {"scale": scale, "experiments": ["advise"], "advice": advice, "datasets": datasets or {}}
    return compile_study(values | {"numbers": numbers or {}}, planning=True)


def bought(found: Study) -> Design:
    assert found.advice is not None
    return found.advice


@pytest.mark.parametrize("search", ["none", "pretrained", "both"])
@pytest.mark.parametrize("minutes", [20, 60, 240])
def test_the_plan_of_what_was_bought_is_the_budget(minutes: int, search: str) -> None:
    found = study(minutes=minutes, devices=3, search=search)
    hours = plan(found)[-1].hours
    assert hours == pytest.approx(bought(found).seconds / 3600, rel=0.01)
    longest = max(bought(found).lengths.values())
    assert hours == pytest.approx(0.85 * 3 * minutes / 60, rel=0.01) or longest == 3600, (
        "6x, the longest there is"
    )


def test_larger_pictures_make_trainings_shorter() -> None:
    """Four times the pixels of a detector: the classifier's are as before."""
    numbers = {"detection": {"image_sides": [160], "longest_side": 160}}
    usual, larger = study(minutes=120), study(minutes=120, numbers=numbers)
    assert plan(larger)[-1].hours == pytest.approx(0.85 * 4, rel=0.01)
    assert bought(larger).lengths["all"] < bought(usual).lengths["all"] / 2


def test_measured_costs_keep_what_larger_pictures_cost_a_detection() -> None:
    """Four times the pixels: 16 s instead of 4 a checkpoint, which costs that were measured would hide."""
    numbers = {"detection": {"image_sides": [160], "longest_side": 160}}
    assert Layout(study(minutes=120, numbers=numbers)).tried_detection() == {"R50": 16}
    measured = numbers | {"costs": {"detection": {"R50": 16}}}
    assert Layout(study(minutes=120, numbers=measured)).tried_detection() == {"R50": 16}


def test_shares_and_lengths_by_hand() -> None:
    """Of 20 minutes on 2 cores 2,040 s are planned. The classifier takes 4,000 x 0.075 + 7; two shares, three seeds,
    two initialisations and lengths are 24 runs of 7 + 7 + 4 + 1 s beside their iterations, of which the shares have
    3 x 2 x 1.5 x (1 + 0.7071) times the longest's, at 0.23 s: 361. With a third share it would be 229, and a quarter's
    shortest training 57, less than two warm-ups of 30."""
    found = bought(study(minutes=20))
    assert found.lengths == {"all": 360, "half": 256}
    assert {name: each.iterations for name, each in found.schedules.items()} == {
        **{"all-random": 180, "all-pretrained": 180, "all-longer": 360},
        **{"half-random": 128, "half-pretrained": 128, "half-longer": 256},
    }


def test_a_classifier_of_crops_is_trained_for_less(complete_data: dict[str, Any]) -> None:
    """1,000 iterations and not 4,000 leave 225 s to detectors: (2,040 - 82 - 36 x 19) / (0.23 x 9 x 2.2071) is 278."""
    found = study(minutes=20, datasets={"coco": complete_data["coco"]})
    assert bought(found).lengths == {"all": 278, "half": 196, "quarter": 140}
    assert found.segments["classification-R50_GN", "cosine-0-1000"].stop == 1000
    numbers = {"classification": {"iterations_on_crops": 120}}
    asked = study(datasets={"coco": complete_data["coco"]}, numbers=numbers)
    assert ("classification-R50_GN", "cosine-0-120") in asked.segments


def test_more_time_buys_more_shares_and_no_training_beyond_six_x() -> None:
    assert list(bought(study(minutes=60)).lengths) == ["all", "half", "quarter", "eighth", "sixteenth"]
    assert bought(study(minutes=10_000)).lengths["all"] == 6 * 600


def test_a_training_is_one_segment_evaluated_at_its_end() -> None:
    found = study(minutes=20)
    (segment,) = found.runs["coco-half-R50_GN-random-seed0", "half-longer"].segments
    assert (segment.start, segment.stop, segment.decay.drops) == (0, 256, (171, 228))
    assert segment.evaluations == (256,)


def test_a_budget_too_small_says_how_much_is_enough() -> None:
    with pytest.raises(
        UserError, match=r"advice.minutes: found 13, expected 14 at least on 2 cores"
    ) as refused:
        study(minutes=13)
    assert "with 3 seeds at scale mini" in str(refused.value)
    study(minutes=14)


def test_a_study_that_does_not_ask_is_not_refused() -> None:
    found = compile_study({"scale": "mini", "experiments": ["fig1"], "advice": {"minutes": 3}})
    assert found.advice is None
    assert "advice.minutes" in (Layout(found).refusal("advise") or "")


def test_each_initialisation_searches_or_one_or_none() -> None:
    assert study(minutes=240).searches.keys() & {"half-R50_GN-random", "half-R50_GN-pretrained"} == set()
    own = study(minutes=240, search="both")
    assert own.searches["half-R50_GN-random"].description()["schedule"] == "half-random"
    one = study(minutes=240, search="pretrained").searches
    assert "half-R50_GN-pretrained" in one
    assert "half-R50_GN-random" not in one


def test_seeds_are_its_own() -> None:
    values = {"scale": "mini", "experiments": ["fig1", "advise"], "seeds": [7], "advice": {"seeds": [1, 2]}}
    found = compile_study(values)
    assert {member.run.recipe.seed for member in found.members["advise"]} == {1, 2}
    assert {member.run.recipe.seed for member in found.members["fig1"]} == {7}


def test_what_is_learned_follows_from_the_data(complete_data: dict[str, Any]) -> None:
    coco, voc = complete_data["coco"], complete_data["voc"]
    for datasets, train_set, detector in (
        ({"coco": coco}, "coco", "mask_rcnn"),
        ({"coco": coco | {"masks": False}}, "coco", "faster_rcnn"),
        ({"voc": voc}, "voc", "faster_rcnn"),
        ({"coco": coco, "voc": voc}, "coco", "mask_rcnn"),
        ({}, "coco", "mask_rcnn"),
    ):
        recipes = [member.run.recipe for member in study(datasets=datasets).members["advise"]]
        assert {(recipe.train_set, recipe.detector) for recipe in recipes} == {(train_set, detector)}


def test_shares_of_each_data_set_lie_apart_and_all_is_the_set_itself(complete_data: dict[str, Any]) -> None:
    found = Layout(study(minutes=30, datasets={"voc": complete_data["voc"]}))
    data = "results/mini/data"
    assert found.advice_subsets() == {
        "all": f"{data}/voc-train.json",
        "half": f"{data}/shares-voc/manifest_half.json",
        "quarter": f"{data}/shares-voc/manifest_quarter.json",
        "eighth": f"{data}/shares-voc/manifest_eighth.json",
    }
    inputs = found.training_inputs("voc-half-faster_rcnn-R50_GN-random-seed0", "tail-0-123-138")
    assert inputs["annotations"] == f"{data}/shares-voc/instances_half.json"
    assert found.share_sizes() == ["half=50%", "quarter=25%", "eighth=12.5%", "sixteenth=6.25%"]


def test_real_data_without_pictures_to_pre_train_on_is_cut_into_some(complete_data: dict[str, Any]) -> None:
    coco, classification = complete_data["coco"], complete_data["classification"]
    cropped = Layout(study(datasets={"coco": coco}))
    assert cropped.classification().train == "results/mini/data/crops/train"
    assert cropped.image_source("classification-train") == {"crops": "results/mini/data/crops"}
    given = Layout(study(datasets={"coco": coco, "classification": classification}))
    assert given.classification().train == classification["train"]
    assert given.image_source("classification-train") == {}
    drawn = Layout(study())
    assert drawn.classification().train == "results/mini/world/classification/train"


def test_the_page_says_what_pre_training_is(complete_data: dict[str, Any]) -> None:
    def told(**changes: Any) -> str:
        values = {"scale": "mini", "experiments": ["advise"]} | changes
        found = compile_study(values, planning=True)
        return facts(found.advice, found.config, found.scale)[0]

    coco = {"coco": complete_data["coco"]}
    assert "objects of the training images themselves, cut out" in told(datasets=coco)
    assert "example.org" in told(datasets=coco, pretraining={"fetch": WEIGHTS})
    assert complete_data["classification"]["train"] in told(datasets=complete_data)
    assert "miniature world" in told()


def test_a_person_is_told_before_anything_runs() -> None:
    found = study(minutes=20)
    assert in_words(bought(found), found.config, found.scale) == (
        "Advice within 20 min on 2 cores: both initialisations, 3 seeds, iterations: 360 on all images, 256 on a half, "
        "and half of each; 17 min planned"
    )
