"""What is not trusted does no harm: names with a shell's characters, quoting in every rule, a terminal's cursor."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.checked import Dataset
from tests.checkout import ROOT, Checkout
from workflow_scripts.data.check.findings import printable
from workflow_scripts.study.compile import compile_study
from workflow_scripts.study.layout.results import Layout

UNQUOTED = {"threads", "resources.runtime", "params.module"}
"""Numbers, and the name of a module that the rules list."""
HOSTILE = "a $(touch pwned) `touch pwned` ';touch pwned;' \" & | > pwned * ~ #"


def commands() -> list[str]:
    """The shell command of each rule."""
    text = "\n".join(
        path.read_text() for path in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    )
    return re.findall(r"^    shell:\n((?:        .*\n)+)", text, re.MULTILINE)


def test_every_path_in_a_command_is_quoted() -> None:
    found = commands()
    assert len(found) > 25 and all("python -m" in each or "cat" in each for each in found)
    for command in found:
        filled = re.findall(r"\{([^}]*)\}", command)
        assert filled
        assert {each for each in filled if not each.endswith(":q")} <= UNQUOTED, command


def test_shell_characters_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder that the workflow lies in, in that of results, of annotations and of images, and in file names."""
    checkout = Checkout.make(tmp_path / HOSTILE)
    dataset = Dataset(checkout.folder / HOSTILE)
    for split in ("train", "val"):
        for number, image in enumerate(getattr(dataset, split)["images"]):
            name = f"{number}{HOSTILE}.png"
            shutil.move(dataset.image(split, number), dataset.folder / split / name)
            image["file_name"] = name
    dataset.write()
    coco = {
        split: {"annotations": f"{HOSTILE}/{split}.json", "images": f"{HOSTILE}/{split}"}
        for split in ("train", "val")
    }
    changes = {"results": f"results {HOSTILE}", "datasets": {"coco": coco}, "experiments": ["fig1"]}
    study = yaml.safe_load((checkout.folder / "config.yaml").read_text()) | changes
    (checkout.folder / "config.yaml").write_text(yaml.safe_dump(study))
    monkeypatch.chdir(checkout.folder)
    layout = Layout(compile_study(study))
    wanted = [layout.check_of("coco", layout.check_text), layout.manifest("coco", "train")]
    wanted.append(layout.image_hashes("coco", "train"))
    done = checkout.snakemake("--cores", "1", "--quiet", "all", "--", *wanted)
    assert done.returncode == 0, done.stderr
    assert all(Path(path).stat().st_size for path in wanted)
    assert [path for path in tmp_path.rglob("*") if path.name == "pwned"] == []


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "a\nError: b", "\u202egpj.exe", "\x9b31m"])
def test_names_move_no_cursor(text: str) -> None:
    told = printable(text)
    assert told.isprintable() and told.isascii()


def test_tests_that_the_page_names_are_there() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (ROOT / "docs/trust.md").read_text())
    assert len(named) > 20
    for file, name in named:
        assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(), f"{file}::{name}"
