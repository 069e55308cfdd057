"""A study's outputs, made up, and the report of any part of them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.report import build

REPORTS = Path(__file__).parent.parent / "reports"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
FIGURES = [f"figures/fig{number}.png" for number in (*range(1, 9), 99)]
STUDY = {
    "scale": "mini",
    "notes": ["ResNet-18 stands for R50 <here>."],
    "experiments": [{"name": "fig1", "title": "Curves"}, {"name": "fig99", "title": "An untold figure"}],
    "iterations": {"planned": 780, "without_sharing": 1800},
    "schedules": {
        "10x": {"iterations": 900, "first_drop": 840, "second_drop": 880},
        "2x": {"iterations": 180, "first_drop": 120, "second_drop": 160},
    },
}
EVALUATIONS = """\
run,recipe,train_set,subset,setting,model,initialisation,schedule,seed,segment,stage,iteration,iou_type,metric,value,source
coco-random/2x,coco-random,coco,all,baseline,R50 GN,random,2x,0,tail-120,tail,180,bbox,AP,36.84,results/180/metrics.json
coco-random/2x,coco-random,coco,all,baseline,R50 GN,random,2x,0,tail-120,tail,180,segm,AP,,results/180/metrics.json
"""
TRAINING = """\
run,recipe,train_set,subset,setting,model,initialisation,schedule,seed,iteration,learning_rate,loss,source
few/1k-random,few,coco,1k,own grid search,R50 GN,random,1k-random,0,20,0.02,2.5,r/metrics.jsonl
few/1k-random,few,coco,1k,own grid search,R50 GN,random,1k-random,0,1040,0.02,1.25,r/metrics.jsonl
"""
COUNTS = """\
quantity,initialisation,part,value,source,from
images,random,training,14400,counted,results/training/metrics.jsonl
images,pretrained,pre-training,128000000,declared,"Fig. 2, from the text"
"""
HEAD = (
    "train_set,subset,model,setting,initialisation,schedule,point,iteration,iou_type,metric,"
    "value,standard_deviation,seeds,converged,published,comparable,source,low,high\n"
)
TABLES = {
    "table1": """\
coco,all,R50 GN,baseline,random,2x,end,180,bbox,AP,36.84,,1,,36.8,sign,results/180/metrics.json
coco,all,R50 GN,baseline,random,3x,end,270,bbox,AP,39.0,0.5,3,,39.5,sign,results/a.json; results/b.json
coco,all,R50 GN,baseline,random,6x,end,540,bbox,AP,41.0,0.5,3,,41.3,sign,results/a.json; results/b.json
coco,all,R50 GN,baseline,pretrained,2x,end,180,bbox,AP,40.1,0.2,2,,40.3,sign,results/a.json; results/b.json
coco,all,R50 GN,baseline,pretrained,3x,end,270,bbox,AP,40.6,0.2,2,,40.8,sign,results/a.json; results/b.json
coco,all,R50 GN,baseline,pretrained,6x,end,540,bbox,AP,41.2,0.2,2,,41.1,sign,results/a.json; results/b.json
""",
    "table2": """\
coco,all,R50 GN,baseline,random,2x,end,180,bbox,AP,36.84,,1,,41.3,sign,results/180/metrics.json
coco,all,R50 GN,baseline,random,2x,end,180,segm,AP,33.1,,1,,36.6,sign,results/180/metrics.json
""",
    "table3": """\
coco,all,X152 GN,train aug,random,6x,end,540,bbox,AP,46.1,,1,,46.4,sign,results/540/metrics.json
coco,all,X152 GN,cascade + train aug,random,,end,,bbox,AP,,,,,48.6,sign,
""",
    "text": """\
coco,3.5k,R50 GN,re-searched hyper-parameters,random,3.5k-random,peak,40,bbox,AP,8.8,,1,,9.3,sign,r/40.json
coco,3.5k,R50 GN,re-searched hyper-parameters,pretrained,3.5k-pretrained,peak,30,bbox,AP,15.5,,1,,16,sign,r/30.json
coco,3.5k,R50 GN,re-searched hyper-parameters,difference,,peak,,bbox,AP,-6.7,,1,,-6.7,sign,r/40.json; r/30.json
""",
}
SEARCH = {
    "search": "10k-R50_GN-pretrained",
    "subset": "10k",
    "model": "R50 GN",
    "initialisation": "pretrained",
    "schedule": "10k-pretrained",
    "seed": 0,
    "metric": "bbox AP",
    "chosen": "high",
    "points": [
        {"point": "low", "recipe": "r-low", "base_lr": 0.02, "decay_factor": 0.1, "image_sides": [800]}
        | {"value": None, "source": "results/low/metrics.json"},
        {"point": "high", "recipe": "r-high", "base_lr": 0.04, "decay_factor": 0.02}
        | {"image_sides": [512, 656, 800], "value": 25.125, "source": "results/high/metrics.json"},
    ],
}


def evidence(what: str, value: float, low: float | None, high: float | None, **more: Any) -> dict[str, Any]:
    """A claim on random init beside pre-training, as `verdicts.json` has it."""
    usual = {
        "expects": "behind: below 0.0",
        "means": "behind",
        "outcome": "holds",
        "reason": "",
        "method": "3 seeds",
    }
    words = {"below": "behind pre-training", "above": "ahead of pre-training", "unit": ""}
    number = {"what": f"{what}: random − pre-train", "value": value, "low": low, "high": high}
    return number | usual | words | {"convergence": [], "sources": ["results/evidence/metrics.json"]} | more


NO_WORSE = {"means": "no worse, at most 2.5% short", "expects": "no worse, at most 2.5% short: above −0.90"}
TOO_SHORT = {
    "outcome": "not judged",
    "reason": "random init has not converged: twice the length would add 12.0",
}
MAIN = [
    evidence("R101 GN, box AP, 6x", 0.6, 0.1, 1.1, **NO_WORSE),
    evidence("R50 GN, box AP, 2x", -3.5, -4.26, -2.74),
    evidence("R50 GN, box AP, 6x", -0.36, -1.8, 1.1, **NO_WORSE, **TOO_SHORT),
]
"""Evidence of the study's own question."""
OTHERS = ["shown", "indicated", "undecided", "not judged", "not run", "indicated against", "contradicted"]
VERDICTS: list[dict[str, Any]] = [
    {"number": 2, "conclusion": "It <needs> more iterations.", "verdict": "not judged", "why": "All climb."}
    | {"evidence": MAIN},
    {"number": 1, "conclusion": "Training from random init is possible.", "verdict": "shown", "why": "It is."}
    | {
        "evidence": [
            evidence(
                f"R{depth} GN, mask AP, end", 1.25, 0.5, 2.0, outcome="undecided" if depth == 53 else "holds"
            )
            for depth in (50, 51, 52, 53, 54)
        ]
        + [{"what": "alone", "value": None, "low": None, "high": None, "method": "", "sources": []}],
    },
    *(
        {"number": number, "conclusion": f"Conclusion {number}.", "verdict": word, "why": "", "evidence": []}
        | {"missing": ["runs on 10k images"] if word == "not run" else []}
        for number, word in enumerate(OTHERS[1:], 3)
    ),
]


def write_study(folder: Path) -> None:
    """All that the report may read."""
    recipe = {
        "name": "coco-random-seed0",
        "initialisation": "random",
        "seed": 0,
        "batch": 8,
        "pretraining": "skip",
    }
    files: dict[str, str] = {
        "study.json": json.dumps(STUDY),
        "fig1-evaluations.csv": EVALUATIONS,
        "table1-counts.csv": COUNTS,
        "fig8-training.csv": TRAINING,
        "search.json": json.dumps(SEARCH),
        "verdicts.json": json.dumps(VERDICTS),
        "random0.json": json.dumps(recipe),
        "random1.json": json.dumps(recipe | {"name": "coco-random-seed1", "seed": 1}),
        "pretrained.json": json.dumps(
            recipe | {"name": "coco-pretrained-seed0", "initialisation": "pretrained", "pretraining": "train"}
        ),
        "few.json": json.dumps(
            recipe | {"name": "few", "label": "R50 GN", "train_set": "coco", "subset": "1k"}
        ),
        "data/train/manifest.json": json.dumps(
            {"image_count": 2000, "sha256": "ab" * 32, "categories": ["c"] * 80}
        ),
        "table1.tex": "\\begin{tabular}{l}ours\\end{tabular}",
    }
    files |= {f"{name}.csv": HEAD + rows for name, rows in TABLES.items()}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "figures").mkdir()
    for name in FIGURES:
        (folder / name).write_bytes(PIXEL)


def report(monkeypatch: pytest.MonkeyPatch, output: str = "out/report.html", **inputs: list[str]) -> str:
    """The page of these inputs, written and read."""
    line = ["build", "--study", "study.json", "--output", output]
    line += ["--template", str(REPORTS / "report.html.j2"), "--captions", str(REPORTS / "captions.yaml")]
    for name, paths in inputs.items():
        line += [f"--{name}", *paths]
    monkeypatch.setattr(sys, "argv", line)
    build.main()
    return Path(output).read_text(encoding="utf-8")


def whole(monkeypatch: pytest.MonkeyPatch, output: str = "out/report.html", **more: list[str]) -> str:
    """The page with everything."""
    inputs = {
        "figures": FIGURES[::-1],
        "tables": ["text.csv", "table3.csv", "table1.csv", "table1.tex", "table2.csv"],
        "searches": ["search.json"],
        "verdicts": ["verdicts.json"],
        "sources": ["fig1-evaluations.csv", "fig8-training.csv", "table1-counts.csv"],
        "recipes": ["random0.json", "random1.json", "pretrained.json", "few.json"],
        "manifests": ["data/train/manifest.json"],
        "planned": ['{"hours": 2.5, "device": "core", "training": 1, "evaluation": 1}'],
    }
    return report(monkeypatch, output, **inputs | more)
