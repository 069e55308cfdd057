"""Data of boxes alone: the study that the configuration's `masks: false` compiles to, and what is refused of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.checked import Dataset
from tests.checked import run as checked
from tests.test_tables import evaluations
from workflow_scripts.errors import UserError
from workflow_scripts.evaluation.evaluate import IOU_TYPES
from workflow_scripts.models.config import detectron2_config
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.compiled.experiments import experiments
from workflow_scripts.study.compiled.recipes import MODELS
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.layout.results import Layout
from workflow_scripts.study.summary import sharing, summary
from workflow_scripts.tables import table2
from workflow_scripts.tables.layout import LAYOUTS, WITHOUT_MASKS_NOTE, grid
from workflow_scripts.tables.published import read_published

CASCADES = ["fig5", "table3", "text"]
"""Of the paper's experiments, those with a cascade (sections 5.1 and 5.2)."""


def study(real_data: dict[str, Any], masks: bool | None = False, **changes: Any) -> Study:
    coco = real_data["coco"] | ({} if masks is None else {"masks": masks})
    asked = {"scale": "smoke", "experiments": ["fig1", "table1"], "datasets": {"coco": coco}}
    return compile_study(asked | changes)


def test_faster_rcnn_trains_where_mask_rcnn_did_with_all_else_the_same(real_data: dict[str, Any]) -> None:
    boxes, masks = (study(real_data, each) for each in (False, True))
    for name in ("fig1", "fig2", "fig7", "table1", "text_vgg"):
        pairs = list(zip(boxes.needed_runs([name]), masks.needed_runs([name]), strict=True))
        for ours, theirs in pairs:
            same = {"detector": "faster_rcnn", "name": ours.recipe.name}
            assert ours.recipe == theirs.recipe.model_copy(update=same)
            assert "faster_rcnn" in ours.recipe.name
            assert [each.stop for each in ours.segments] == [each.stop for each in theirs.segments]
            config = detectron2_config(ours.recipe, 3)
            assert not config.MODEL.MASK_ON and IOU_TYPES[ours.recipe.detector] == ("bbox",)
        assert pairs


def test_what_is_said_by_default_changes_nothing(real_data: dict[str, Any]) -> None:
    assert study(real_data, None).recipes == study(real_data, True).recipes
    assert experiments(tuple(MODELS)) == experiments(tuple(MODELS), masks=True)


def test_cascades_need_masks_and_are_named(complete_data: dict[str, Any]) -> None:
    boxes = study(complete_data)
    assert sorted(boxes.unfit) == CASCADES
    assert all(recipe.detector != "cascade_mask_rcnn" for recipe in boxes.recipes.values())
    refused = Layout(boxes).refusal("fig5")
    assert refused is not None and "datasets.coco.masks: found false, expected true for fig5" in refused
    for name in CASCADES:
        with pytest.raises(UserError, match=f"masks: found false, expected true for {name}"):
            study(complete_data, experiments=["fig1", name])


def test_the_study_says_so_and_the_check_asks_for_no_masks(real_data: dict[str, Any]) -> None:
    boxes, masks = (study(real_data, each) for each in (False, True))
    assert "boxes alone" in sharing(boxes) and any("no mask AP" in note for note in summary(boxes)["notes"])
    assert "boxes alone" not in sharing(masks) and "boxes alone" not in str(summary(masks)["notes"])
    assert Layout(boxes).checked_options("coco")["needs"] == []
    assert Layout(masks).checked_options("coco")["needs"] == ["masks"]


def test_without_the_setting_the_check_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = Dataset(tmp_path)
    for entry in dataset.train["annotations"] + dataset.val["annotations"]:
        del entry["segmentation"]
    dataset.write()
    assert checked(dataset.arguments(["masks"]), monkeypatch) == 2
    told = capsys.readouterr().err
    assert "segmentation is missing" in told and "`masks: false` below datasets.coco" in told
    assert not (tmp_path / "check.json").exists()
    assert checked(dataset.arguments([]), monkeypatch) == 0


def test_areas_of_masks_that_were_taken_away_make_no_corners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object of 476.3 pixels within [7, 5, 26, 30]; as corners, that is a box of 19 x 25, or 475 pixels."""
    dataset = Dataset(tmp_path)
    first = dataset.train["annotations"][0]
    del first["segmentation"]
    first |= {"bbox": [7, 5, 26, 30], "area": 476.3}
    dataset.write()
    assert checked(dataset.arguments([]), monkeypatch) == 0


@pytest.mark.parametrize("iou_types", [{"bbox"}, {"bbox", "segm"}])
def test_table_2_says_where_masks_are_missing(iou_types: set[str]) -> None:
    published = read_published(Path("reports/published.yaml"))
    scored = evaluations()
    made = table2.make(scored[scored["iou_type"].isin(iou_types)], published, "mini")
    shown = grid(made, LAYOUTS["table2"])
    assert (WITHOUT_MASKS_NOTE in shown.note) == ("segm" not in iou_types)
    (row,) = [row for row in shown.rows if row.whose == "ours" and row.labels[1].startswith("random init")]
    filled = {name.split()[0] for name, cell in zip(shown.header, row.cells, strict=True) if cell}
    assert filled == ({"box"} if iou_types == {"bbox"} else {"box", "mask"})
