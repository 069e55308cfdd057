"""What travels within the report: the best picture to show, and files to save as they are."""

import base64
import gzip
from pathlib import Path

import pytest

from tests.report import PIXEL
from workflow_scripts.errors import UserError
from workflow_scripts.report import downloads
from workflow_scripts.report.downloads import by_stem, download, embed, shown
from workflow_scripts.report.links import home

SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'


def content(href: str) -> bytes:
    return base64.b64decode(href.partition(";base64,")[2])


def test_an_svg_is_shown_where_there_is_one(tmp_path: Path) -> None:
    paths = [tmp_path / f"fig1.{ending}" for ending in ("pdf", "png", "svg")]
    for path, data in zip(paths, (b"%PDF", PIXEL, SVG), strict=True):
        path.write_bytes(data)
    files = by_stem([*map(str, paths), str(tmp_path / "fig2.png")], "figure")
    assert [file.name for file in files["fig1"]] == ["fig1.svg", "fig1.png", "fig1.pdf"]
    assert [file.name for file in files["fig2"]] == ["fig2.png"]
    assert content(embed(shown(files["fig1"]))) == SVG
    assert embed(shown(files["fig1"])).startswith("data:image/svg+xml;")
    assert content(embed(shown(files["fig1"][1:]))) == PIXEL


def test_a_picture_is_what_its_ending_says(tmp_path: Path) -> None:
    (tmp_path / "fig1.svg").write_bytes(PIXEL)
    with pytest.raises(UserError, match=r"fig1.svg: not a SVG"):
        embed(tmp_path / "fig1.svg")
    with pytest.raises(UserError, match=r"fig1.pdf: not a picture that a page shows"):
        shown([tmp_path / "fig1.pdf"])


def test_a_large_table_is_compressed_and_a_larger_one_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit is what still passes. Of 1,000 equal lines, some 40 bytes are left."""
    path, page = tmp_path / "tables/fig 1.csv", tmp_path / "report.html"
    path.parent.mkdir()
    path.write_bytes(b"1,2,3\n" * 1000)
    monkeypatch.setattr(downloads, "COMPRESSED_FROM", 6000)
    monkeypatch.setattr(downloads, "LARGEST", 6000)
    plain = download(path, page)
    assert (plain["name"], plain["label"], plain["size"], plain["travels"]) == (
        "fig 1.csv",
        "CSV",
        "6 kB",
        True,
    )
    assert content(plain["href"]) == path.read_bytes()
    monkeypatch.setattr(downloads, "COMPRESSED_FROM", 5999)
    small = download(path, page, label="data")
    assert (small["name"], small["label"], small["size"]) == ("fig 1.csv.gz", "data, compressed", "1 kB")
    assert gzip.decompress(content(small["href"])) == path.read_bytes()
    assert small == download(path, page, label="data"), "the same bytes each time"
    monkeypatch.setattr(downloads, "COMPRESSED_FROM", 6000)
    monkeypatch.setattr(downloads, "LARGEST", 5999)
    large = download(path, page)
    assert (large["travels"], large["href"]) == (False, "tables/fig%201.csv")


@pytest.mark.parametrize(
    ("output", "place"), [("results/mini/report.html", "mini/report.html"), ("report.html", "report.html")]
)
def test_a_page_knows_its_place_and_no_machines_folder(output: str, place: str) -> None:
    assert home(output) == place
