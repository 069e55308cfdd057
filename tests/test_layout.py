"""Where everything lies, and what each job reads: written out, for the drawn world and for real data."""

from pathlib import Path
from typing import Any

import pytest

from tests.smoke_layout import (
    DATA,
    DECAYED,
    DRAWN,
    PRETRAINED,
    RANDOM,
    ROOT,
    USUAL,
    VOC,
    WORLD,
    chose,
    layout,
    raw,
)
from workflow_scripts.errors import UserError
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.layout.results import Layout


def test_a_segment_starts_from_its_parent_or_a_backbone_or_nothing() -> None:
    data = {
        "manifest": f"{DATA}/coco-train.json",
        "annotations": f"{WORLD}/coco/annotations/instances_train.json",
        "images": f"{DATA}/images-coco-train.csv",
    }
    for name, begins in (
        (RANDOM, {}),
        (PRETRAINED, {"backbone": f"{ROOT}/pretraining/train/R50_GN/backbone.safetensors"}),
    ):
        recipe = {"recipe": f"{ROOT}/recipes/{name}.json"}
        assert DRAWN.training_inputs(name, "trunk-0-2") == recipe | data | begins
        parent = {"parent": f"{ROOT}/training/{name}/trunk-0-2/state.safetensors"}
        assert DRAWN.training_inputs(name, "trunk-2-8") == recipe | data | parent
    assert DRAWN.training_inputs("classification-R50_GN", "cosine-0-6") == {
        "recipe": f"{ROOT}/recipes/classification-R50_GN.json",
        "images": f"{DATA}/images-classification-train.csv",
    }


def test_a_tail_of_another_decay_starts_from_the_usual_trunk() -> None:
    inputs = DRAWN.training_inputs("coco-1k-R50_GN-random-decay0.02-seed0", "tail-6-8-9")
    assert inputs["parent"] == f"{ROOT}/training/coco-1k-R50_GN-random-seed0/trunk-0-6/state.safetensors"
    assert inputs["manifest"] == f"{DATA}/subsets/manifest_1k.json"
    assert inputs["annotations"] == f"{DATA}/subsets/instances_1k.json"
    assert inputs["images"] == f"{DATA}/images-coco-train.csv"


def test_fetched_weights_are_what_a_pretrained_run_starts_from() -> None:
    weights = {"R50_GN": {"source": "https://example.org/w.pth", "sha256": "0" * 64}}
    fetched = layout("fig1", "fig2", pretraining={"fetch": weights})
    inputs = fetched.training_inputs(PRETRAINED, "trunk-0-2")
    assert inputs["backbone"] == f"{ROOT}/pretraining/fetch/R50_GN/backbone.safetensors"
    assert fetched.asked_pretrainings(chose("")) == [f"{ROOT}/pretraining/fetch/R50_GN/summary.json"]
    assert fetched.counted_pretraining() == []
    assert fetched.asked_recipes(chose("")) == [
        f"{ROOT}/recipes/{name}.json" for name in (RANDOM, PRETRAINED)
    ]


def test_data_of_the_drawn_world() -> None:
    coco, keypoints, voc = ((DRAWN.image_set(name, "val")) for name in ("coco", "keypoints", "voc"))
    assert coco.annotations == f"{WORLD}/coco/annotations/instances_val.json"
    assert keypoints.annotations == f"{WORLD}/coco/annotations/person_keypoints_val.json"
    assert coco.images == keypoints.images == f"{WORLD}/coco/val"
    assert voc.annotations == DRAWN.annotations("voc", "val") == f"{DATA}/voc/val.json"
    assert voc.images == f"{WORLD}/voc/VOC2012"
    assert DRAWN.annotations("coco", "train") == f"{WORLD}/coco/annotations/instances_train.json"
    assert [(part.folder, part.split) for part in DRAWN.voc_parts("train")] == [
        (f"{WORLD}/voc/VOC2007", "trainval"),
        (f"{WORLD}/voc/VOC2012", "train"),
    ]
    (val,) = DRAWN.voc_parts("val")
    assert (val.folder, val.split) == (f"{WORLD}/voc/VOC2012", "val")
    assert DRAWN.voc_inputs("train") == {"world": f"{WORLD}/manifest.json"}
    assert DRAWN.voc_inputs("val") == {
        "world": f"{WORLD}/manifest.json",
        "classes": f"{DATA}/voc/train.json",
    }
    assert DRAWN.image_source("classification-val") == {"world": f"{WORLD}/manifest.json"}
    assert DRAWN.image_folder("coco-train") == f"{WORLD}/coco/train"
    assert DRAWN.image_folder("voc-train") == f"{WORLD}/voc"
    assert DRAWN.image_folder("classification-train") == f"{WORLD}/classification/train"
    assert DRAWN.image_folder("classification-val") == f"{WORLD}/classification/val"
    assert DRAWN.image_parts("coco-val") == [f"{WORLD}/coco/val"]
    assert DRAWN.image_parts("voc-train") == [
        f"{WORLD}/voc/{folder}/JPEGImages" for folder in ("VOC2007", "VOC2012")
    ]
    assert DRAWN.image_parts("voc-val") == [f"{WORLD}/voc/VOC2012/JPEGImages"]


def test_data_that_is_given(given_data: dict[str, Any]) -> None:
    real = layout(datasets=given_data)
    coco, voc = given_data["coco"], given_data["voc"]
    for split in ("train", "val"):
        assert real.image_set("coco", split).annotations == coco[split]["annotations"]
        assert real.annotations("coco", split) == raw(coco[split]["annotations"])
        assert real.annotations("keypoints", split) == raw(coco["keypoints"][split])
        assert real.image_set("keypoints", split).images == coco[split]["images"]
        assert real.image_folder(f"coco-{split}") == coco[split]["images"]
        assert real.image_folder(f"classification-{split}") == given_data["classification"][split]
        assert real.annotations("voc", split) == f"{DATA}/voc/{split}.json"
        assert real.image_source(f"coco-{split}") == {}
    assert real.voc_parts("train")[0].folder == voc["train"][0]["folder"]
    assert real.image_folder("voc-val") == voc["val"]["folder"]
    assert real.voc_inputs("train") == {}
    assert real.voc_inputs("val") == {"classes": f"{DATA}/voc/train.json"}
    assert real.annotations("coco", "train", "1k") == f"{DATA}/subsets/instances_1k.json"
    assert real.training_images(RANDOM) == coco["train"]["images"]
    assert real.training_images("classification-R50_GN") == given_data["classification"]["train"]
    assert real.evaluated_images(RANDOM) == coco["val"]["images"]


def test_keypoints_that_are_not_given_are_missed(real_data: dict[str, Any]) -> None:
    given = layout("fig1", datasets=real_data)
    with pytest.raises(UserError, match=r"datasets\.coco\.keypoints: missing"):
        given.image_set("keypoints", "train")


def test_data_of_a_scale_without_a_world_is_missed(real_data: dict[str, Any]) -> None:
    weights = {"R50_GN": {"source": "https://example.org/w.pth", "sha256": "0" * 64}}
    datasets = {"coco": real_data["coco"]}
    paper = layout("fig1", scale="paper", datasets=datasets, pretraining={"fetch": weights})
    with pytest.raises(UserError, match=r"datasets\.voc: missing"):
        paper.voc_parts("val")
    with pytest.raises(UserError, match=r"datasets\.classification: missing"):
        paper.classification()


def test_keypoints_share_the_hashes_of_their_images() -> None:
    assert DRAWN.image_hashes("keypoints", "val") == f"{DATA}/images-coco-val.csv"
    assert DRAWN.image_hashes("voc", "train") == f"{DATA}/images-voc-train.csv"


def test_subsets_and_their_sizes(complete_data: dict[str, Any]) -> None:
    names = ("35k", "10k", "3.5k", "1k")
    assert DRAWN.subset_files("manifest") == [f"{DATA}/subsets/manifest_{name}.json" for name in names]
    assert DRAWN.subset_sizes() == ["35k=12", "10k=8", "3.5k=4", "1k=2"]
    assert DRAWN.val2014() == []
    within = str(Path(complete_data["coco"]["train"]["annotations"]))
    coco = complete_data["coco"] | {"val2014_annotations": within}
    paper = layout("fig1", datasets=complete_data | {"coco": coco})
    assert paper.subset_sizes() == ["35k=all", "10k=20%", "3.5k=10%", "1k=5%"]
    assert paper.val2014() == [raw(within)]
    shares = ["35k=30%", "10k=20%", "3.5k=10%", "1k=5%"]
    assert layout("fig1", datasets=complete_data).subset_sizes() == shares, "of the world's 40 images"
    assert layout("fig1", datasets=complete_data).val2014() == []


def test_checkpoints_are_evaluated_on_the_validation_set_of_what_they_train_on() -> None:
    assert DRAWN.evaluated_on(VOC) == {
        "manifest": f"{DATA}/voc-val.json",
        "annotations": f"{DATA}/voc/val.json",
        "images": f"{DATA}/images-voc-val.csv",
    }
    assert DRAWN.evaluated_images(VOC) == f"{WORLD}/voc/VOC2012"
    assert DRAWN.evaluated_images(RANDOM) == f"{WORLD}/coco/val"
    assert DRAWN.training_images(VOC) == f"{WORLD}/voc"


def evaluation(recipe: str, *checkpoints: str, name: str = "metrics.json") -> list[str]:
    return [f"{ROOT}/evaluation/{recipe}/{checkpoint}/{name}" for checkpoint in checkpoints]


def test_files_along_a_run() -> None:
    along = ("trunk-0-2/single_scale", "trunk-2-8/single_scale", "tail-8-10-12/single_scale")
    assert DRAWN.evaluations_of_run(RANDOM, "2x", "curve", "single_scale") == evaluation(RANDOM, *along)
    assert DRAWN.evaluations_of_run(RANDOM, "2x", "end", "test_aug") == evaluation(
        RANDOM, "tail-8-10-12/test_aug"
    )
    assert DRAWN.training_of_run(RANDOM, "2x") == [
        f"{ROOT}/training/{RANDOM}/{segment}/metrics.jsonl"
        for segment in ("trunk-0-2", "trunk-2-8", "tail-8-10-12")
    ]
    assert DRAWN.classifier_output("R50_GN", "state.safetensors") == (
        f"{ROOT}/training/classification-R50_GN/cosine-0-6/state.safetensors"
    )


SEARCHED = "1k-R50_GN-pretrained"
FIG1 = [f"{ROOT}/runs/{name}/2x/curve-single_scale.csv" for name in (RANDOM, PRETRAINED)]
TABLE1 = [f"{ROOT}/runs/{name}/2x/end-single_scale.csv" for name in (RANDOM, PRETRAINED)]
FIG8 = [
    f"{ROOT}/runs/coco-1k-R50_GN-{name}-decay0.02-seed0/1k-{name}/training.csv"
    for name in ("random", "pretrained")
]


def test_tables_of_an_experiments_runs_follow_its_searches() -> None:
    assert DRAWN.run_tables("fig1", chose("")) == DRAWN.certain_tables("fig1") == FIG1
    assert DRAWN.run_tables("table1", chose("")) == TABLE1
    assert DRAWN.run_tables("fig8", chose(DECAYED)) == FIG8
    assert DRAWN.run_tables("fig8", chose(USUAL)) == [path.replace("-decay0.02", "") for path in FIG8]
    assert DRAWN.certain_tables("fig8") == []
    assert DRAWN.settings("fig8", chose(USUAL)) == ["re-searched hyper-parameters"] * 2
    assert DRAWN.settings("text_voc", chose("")) == ["train aug"] * 2
    assert DRAWN.searches("fig1") == []
    assert DRAWN.searches("fig8") == DRAWN.asked_searches() == [f"{ROOT}/search/{SEARCHED}.json"]
    assert DRAWN.search_tables(SEARCHED) == [
        f"{ROOT}/runs/coco-1k-R50_GN-pretrained{decay}-seed0/1k-pretrained/end-single_scale.csv"
        for decay in ("", "-decay0.02")
    ]


def test_fig2_counts_the_first_seed_and_its_pretraining() -> None:
    several = layout("fig2", seeds=[3, 0])
    for study, seed in ((DRAWN, 0), (several, 3)):
        assert study.counted_runs() == [
            f"{ROOT}/runs/coco-R50_GN-pretrained-seed{seed}/2x/training.csv",
            f"{ROOT}/runs/coco-R50_GN-random-seed{seed}/6x/training.csv",
        ]
    counted = [f"{ROOT}/training/classification-R50_GN/cosine-0-6/metrics.jsonl"]
    assert DRAWN.counted_pretraining() == several.counted_pretraining() == counted


def test_figures_and_tables_and_what_they_are_made_from() -> None:
    tidy = [
        f"{ROOT}/tables/{name}.csv"
        for name in (
            "fig1-evaluations",
            "fig8-training",
            "fig2-counts",
            "text_voc-evaluations",
            "table1-evaluations",
        )
    ]
    assert [DRAWN.table_of(name) for name in ("fig1", "fig8", "fig2", "text_voc", "table1")] == tidy
    assert DRAWN.asked("figure") == ["fig1", "fig8", "fig2"]
    assert DRAWN.asked("table") == ["text_voc", "table1"]
    assert DRAWN.asked_tables() == tidy
    assert DRAWN.asked_tables("training") == [tidy[1]]
    assert DRAWN.asked_tables("evaluations") == [tidy[0], *tidy[3:]]
    assert DRAWN.figure("fig1") == [f"{ROOT}/figures/fig1.{ending}" for ending in ("png", "pdf", "svg")]
    assert [DRAWN.intervals_of(name) for name in ("fig1", "fig8", "fig2")] == [
        [f"{ROOT}/tables/fig1-intervals.csv"],
        [],
        [],
    ]
    assert DRAWN.table("table1") == [f"{ROOT}/tables/table1.{ending}" for ending in ("csv", "md", "tex")]
    assert set(DRAWN.named("table")) >= {"table1", "table2", "table3", "text", "text_voc"}
    assert set(DRAWN.named("figure")) >= {f"fig{number}" for number in range(1, 9)}
    assert not set(DRAWN.named("figure")) & set(DRAWN.named("table"))


def test_the_report_reads_what_was_asked_for() -> None:
    curve = ("trunk-0-2/single_scale", "trunk-2-8/single_scale", "tail-8-10-12/single_scale")
    voc = {
        "random": ("trunk-0-6/single_scale", "tail-6-8-9/single_scale"),
        "pretrained": ("trunk-0-4/single_scale", "tail-4-5-6/single_scale"),
    }
    replicates = [
        *(path for name in (RANDOM, PRETRAINED) for path in evaluation(name, *curve, name="replicates.csv")),
        *(
            path
            for name, segments in voc.items()
            for path in evaluation(VOC.replace("pretrained", name), *segments, name="replicates.csv")
        ),
    ]
    assert DRAWN.asked_replicates(chose(DECAYED)) == replicates
    assert DRAWN.replicates("fig1", chose(DECAYED)) == [
        path for name in (RANDOM, PRETRAINED) for path in evaluation(name, *curve, name="replicates.csv")
    ]
    assert DRAWN.replicates("fig8", chose(DECAYED)) == []
    assert DRAWN.asked_metrics(chose(DECAYED)) == [
        path for name in (RANDOM, PRETRAINED) for path in evaluation(name, *curve, name="metrics.json")
    ]
    seeds = [name.replace("seed0", f"seed{seed}") for seed in (0, 1) for name in (RANDOM, PRETRAINED)]
    assert sorted(layout("fig1", seeds=[0, 1]).asked_replicates(chose(""))) == sorted(
        path for name in seeds for path in evaluation(name, *curve, name="replicates.csv")
    )

    few = [
        f"coco-1k-R50_GN-{name}{end}-seed0" for name in ("random", "pretrained") for end in ("", "-decay0.02")
    ]
    trained = [RANDOM, PRETRAINED, *few, VOC.replace("pretrained", "random"), VOC]
    classifiers = ["classification-R50_GN", "classification-R101_GN"]
    assert DRAWN.asked_recipes(chose(DECAYED)) == [
        f"{ROOT}/recipes/{name}.json" for name in (*trained, *classifiers)
    ]
    assert DRAWN.asked_manifests(chose(USUAL)) == [
        f"{DATA}/{name}.json"
        for name in ("coco-train", "subsets/manifest_1k", "voc-train", "coco-val", "voc-val")
    ]
    assert DRAWN.asked_pretrainings(chose(USUAL)) == [
        f"{ROOT}/pretraining/train/{model}/summary.json" for model in ("R50_GN", "R101_GN")
    ]


def test_what_the_data_do_not_serve_is_refused(real_data: dict[str, Any]) -> None:
    given = layout("fig1", scale="paper", datasets=real_data)
    assert given.refusal("fig1") is None
    refusal = given.refusal("fig6")
    assert refusal is not None and "keypoints" in refusal
    assert DRAWN.refusal("fig6") is None


def test_the_report_counts_every_training_once() -> None:
    """Those of classifiers, and all points of a search: they cost, too."""
    whole = [
        f"{ROOT}/training/{name}/{segment}/metrics.jsonl"
        for name in (RANDOM, PRETRAINED)
        for segment in ("trunk-0-2", "trunk-2-8", "tail-8-10-12")
    ]
    classifier = DRAWN.classifier_output("R50_GN", "metrics.jsonl")
    assert layout("fig1", "table1").asked_trainings(chose("")) == [classifier, *whole]
    study = compile_study({"scale": "smoke", "experiments": ["fig8"]})
    searched = [run for name in study.searches_of("fig8") for run in study.searches[name].runs.values()]
    points = {
        f"{ROOT}/training/{part.recipe}/{part.name}/metrics.jsonl"
        for run in searched
        for part in run.segments
    }
    found = Layout(study).asked_trainings(chose(USUAL))
    assert len(points) > 2 and points <= set(found) and len(set(found)) == len(found)
