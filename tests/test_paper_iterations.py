"""What the paper's scale trains, against iteration counts worked out by hand from the paper.

k is 1,000 iterations; the trunk of `k`x ends 60k before it does.
"""

from typing import Any

import pytest

from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.experiments import ADVICE
from workflow_scripts.study.compiled.segments import iterations_planned
from workflow_scripts.study.compiled.study import Study

FIVE_SCHEDULES = 480 + 5 * 60
"""2x to 6x of one recipe: the trunk of 6x, and five tails."""
GRID_10K = 12 * 40 + 36 * 20
"""Four rates and three scale ranges each have a trunk, which three decay factors leave: 60k, two thirds of it trunk."""
GRID_3500 = 12 * 14 + 36 * 7
GRID_1K = 12 * 4 + 36 * 2
OWN_GRID_1K = 12 * 14.667 + 36 * 7.333

BY_HAND = {
    "fig1": 2 * FIVE_SCHEDULES,
    "fig2": 180 + 540,
    "fig3": 2 * FIVE_SCHEDULES,
    "fig4": 2 * FIVE_SCHEDULES,
    # By model: baselines of 6x; random init 9x and a cascade's last 270k; after pre-training 6x and a cascade's 6x.
    "fig5": 2 * (2 * 540 + (810 + 270) + (540 + 540)),
    # 2x and 3x share a trunk of 120k.
    "fig6": 2 * (210 + 2 * 60),
    "fig7_left": 480 + 2 * 60,
    "fig7_middle": 2 * 540,
    # The pre-trained run is the point that won.
    "fig7_right": GRID_10K + 220,
    "fig7": 480 + 2 * 60 + 2 * 540 + GRID_10K + 220,
    "fig8": GRID_1K + 22,
    "table1": 4 * FIVE_SCHEDULES,
    "table2": 4 * FIVE_SCHEDULES,
    "table3": 810 + (810 + 270),
    # VGG-16's 9x and 11x share a trunk of 750k, its 11x and 13x one of 930k.
    "text_longer": (930 + 2 * 60) + (1110 + 2 * 60) + GRID_10K + 220 + 220 + 18 + 144 + 288,
    "text_vgg": 810 + 990,
    "text_voc": 18 + 144,
    "text": sum(
        (
            2 * 180,  # keypoints 2x
            810 + 990,  # VGG-16: 9x after pre-training, 11x from random init
            540 + 270,  # X152 from random init: plain for 540k, then a cascade
            540,  # X152 after pre-training: a cascade from the start
            GRID_3500 + 77,
            GRID_1K + OWN_GRID_1K,  # random init with either's choice is a point of its own grid
            18 + 144,  # PASCAL VOC
        )
    ),
}


@pytest.fixture
def paper(complete_data: dict[str, Any]) -> Study:
    values = {"scale": "paper", "experiments": list(BY_HAND), "models": ["R50_GN", "R101_GN"]}
    return compile_study(values | {"datasets": complete_data})


def test_every_experiment_is_worked_out_here(paper: Study) -> None:
    assert paper.experiments.keys() == BY_HAND.keys() | {ADVICE}


@pytest.mark.parametrize("experiment", BY_HAND)
def test_iterations_of_an_experiment(paper: Study, experiment: str) -> None:
    assert iterations_planned(paper.needed_runs([experiment])) == pytest.approx(1000 * BY_HAND[experiment])


def test_iterations_do_not_depend_on_what_a_search_chooses(paper: Study) -> None:
    for experiment in ("fig7", "fig8", "text"):
        planned = {
            iterations_planned(
                paper.needed_runs([experiment], lambda name: list(paper.searches[name].runs)[-1])
            ),
            iterations_planned(paper.needed_runs([experiment])),
        }
        assert len(planned) == 1


def test_the_whole_paper_shares_what_its_parts_have_in_common(paper: Study) -> None:
    together = sum(
        (
            3
            * BY_HAND[
                "fig1"
            ],  # R50 GN, R101 GN, R50 SyncBN; Fig. 2, Tables 1 and 2 and Fig. 5's baselines lie in them
            BY_HAND["fig5"] - 4 * 540,
            810 + 270,  # Table 3's X152; its R101 is Fig. 5's
            BY_HAND["fig6"],
            BY_HAND["fig7"],
            BY_HAND["text"]
            - 2 * 180
            - (540 + 270),  # keypoints are Fig. 6's, X152 from random init is Table 3's
            2 * (180 + 60)
            + 220
            + 288,  # longer: each VGG-16 by two more x, pre-training on 10k, random init on VOC
        )
    )  # Fig. 8's runs are the text's
    runs = paper.needed_runs(BY_HAND)
    assert iterations_planned(runs) == pytest.approx(1000 * together)


def test_cascade_from_random_init_leaves_the_plain_trunk_270k_before_the_end(paper: Study) -> None:
    run = paper.runs["coco-cascade-R101_GN-random-side0.8-seed0", "9x"]
    own = [segment for segment in run.segments if segment.recipe == run.recipe.name]
    assert (own[0].start, own[-1].stop) == (540_000, 810_000)
    assert own[0].parent == ("coco-R101_GN-random-side0.8-seed0", "trunk-480000-540000")
    assert {paper.recipes[segment.recipe].detector for segment in run.segments} == {
        "mask_rcnn",
        "cascade_mask_rcnn",
    }
    plain = paper.runs["coco-R101_GN-random-side0.8-seed0", "9x"]
    assert plain.segments[: len(run.segments) - len(own)] == run.segments[: -len(own)]
    pretrained = paper.runs["coco-cascade-R101_GN-pretrained-side0.8-seed0", "6x"]
    assert {segment.recipe for segment in pretrained.segments} == {pretrained.recipe.name}


def test_settings_of_the_paper(paper: Study) -> None:
    augmented = paper.recipes["coco-R50_GN-random-side0.8-seed0"]
    assert augmented.image_sides == (640, 672, 704, 736, 768, 800)
    searched = paper.recipes["coco-35k-R50_GN-pretrained-lr2-decay0.02-side0.64-seed0"]
    assert (searched.base_lr, searched.decay_factor) == (0.04, 0.02)
    assert (searched.image_sides[0], searched.image_sides[-1]) == (512, 800)
    voc = paper.runs["voc-faster_rcnn-R101_GN-pretrained-side0.8-seed0", "voc-pretrained"]
    assert voc.schedule.iterations == 18_000
    vgg = paper.recipes["coco-faster_rcnn-VGG-16-random-side0.8-seed0"]
    assert (vgg.norm, vgg.base_lr, vgg.detector) == ("", 0.02, "faster_rcnn")
