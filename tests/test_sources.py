"""Where a configuration was given: each mistake is told of the file and line, or the option, that it stands in."""

import re
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.errors import UserError
from workflow_scripts.study.configuration.sources import attributed, sources

# What a file says, and what a message about it says.
NO_YAML: dict[str, tuple[bytes, str]] = {
    "no end": (b"a: 1\nb: [2\n", "config.yaml, line 3: expected YAML; expected ',' or ']'"),
    "key twice": (
        b"a: 1\nb: {c: 1,\n  c: 2}\n",
        "config.yaml, line 3: expected YAML; c is given twice, first in line 2",
    ),
    "key twice in a line": (b"a: {c: 1, c: 2}", "config.yaml, line 1: expected YAML; c is given twice"),
    "tab": (b"a:\n\tb: 1\n", "config.yaml, line 2: expected YAML; "),
    "code": (
        b"a: !!python/object/apply:os.system [true]",
        "config.yaml, line 1: expected YAML; could not determine",
    ),
    "list": (b"- a\n", "config.yaml: found ['a'], expected keys such as scale"),
    "not text": (b"\xff\xfe\x00", "config.yaml: expected YAML in UTF-8; UnicodeDecodeError"),
    "too deep": (b"a: " + b"[" * 10_000, "config.yaml: expected YAML in UTF-8; RecursionError"),
    "a bomb of aliases": (
        b"a0: &a0 [1, 2]\n"
        + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40)),
        "config.yaml: found more than 100,000 values, aliases written out",
    ),
}


@pytest.mark.parametrize(("content", "said"), NO_YAML.values(), ids=NO_YAML)
def test_a_file_that_is_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=f"^{re.escape(said)}"):
        sources([], {}, [])


def test_an_empty_file_and_merged_keys_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").touch()
    (tmp_path / "merged.yaml").write_text("a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}\n")
    assert sources([tmp_path / "merged.yaml"], {}, [])[:2] == [
        ("config.yaml", {}),
        ("merged.yaml", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
    ]


MY, BY_HAND, PROFILE = "my.yaml", "--config", "config of the profile"
GIVEN: dict[str, tuple[list[tuple[str, dict[str, Any]]], str, str]] = {
    "in config.yaml": ([("config.yaml", {"seeds": [-1]}), (MY, {"scale": "mini"})], "seeds.0", "config.yaml"),
    "in a file": ([("config.yaml", {"seeds": [0]}), (MY, {"seeds": [-1]})], "seeds.0", MY),
    "in the last": ([(MY, {"seeds": [0]}), (BY_HAND, {"seeds": [-1]})], "seeds.0", BY_HAND),
    "within": (
        [
            (MY, {"pretraining": {"fetch": {"R50_GN": {"source": "x"}}}}),
            (PROFILE, {"pretraining": {"fetch": {}}}),
        ],
        "pretraining.fetch.R50_GN.source",
        MY,
    ),
    "by a key with points": (
        [(MY, {"numbers": {"subsets": {"3.5k": 1}}}), (BY_HAND, {"numbers": {"subsets": {"10k": 1}}})],
        "numbers.subsets.3.5k",
        MY,
    ),
    "by a name that another begins with": ([(MY, {"seed": 1}), ("config.yaml", {})], "seeds", "config.yaml"),
    "in a list": ([(MY, {"datasets": {"voc": {"train": []}}})], "datasets.voc.train[0]", MY),
    "nowhere": ([(MY, {"scale": "mini"})], "datasets.coco", "config.yaml"),
}


@pytest.mark.parametrize(("given", "field", "name"), GIVEN.values(), ids=GIVEN)
def test_a_message_names_where_the_value_was_given(
    given: list[tuple[str, dict[str, Any]]], field: str, name: str
) -> None:
    said = attributed(f"config.yaml: {field}: found x: and more\nconfig.yaml is told of", given)
    assert said == f"{name}: {field}: found x: and more\nconfig.yaml is told of"


def test_a_message_names_where_a_number_was_given() -> None:
    given = [
        ("config.yaml", {"numbers": {"detection": {"batch": 1}}}),
        (MY, {"numbers": {"costs": {"start": -1}}}),
    ]
    said = "scales/smoke.yaml with `numbers` of {}: costs.start: found -1"
    assert attributed(said.format("config.yaml"), given) == said.format(MY)
