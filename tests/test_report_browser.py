"""The report in a browser: in place and moved, at any width, in both themes, printed, by keyboard."""

import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urljoin, urlparse

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser

from tests.browser import NOT_LOADED, chromium, visit
from tests.report import FIGURES, report, whole, write_study

pytestmark = pytest.mark.needs_chromium
LINKS = "() => [...document.querySelectorAll('a[href]')].map((each) => each.getAttribute('href'))"
SERIOUS = ("serious", "critical")
WIDTHS = (375, 768, 1280, 2560)
COLOUR = (200, 30, 160)
TALL = ("figures/fig5.png", "figures/fig7.png")
INK = "#22272e"
DRAWN = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1400 700">'
    f'<rect width="1400" height="20" fill="{INK}"/></svg>'
)
"""A figure without a ground."""
PARTS = {"whole": whole, "partial": partial(report, figures=FIGURES[1:2], tables=["table2.csv"])}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A study with everything and one with little; figures have the usual size, and sources are there."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        write_study(folder)
        for name in FIGURES:
            figure = Image.new("RGB", (1400, 1300 if name in TALL else 700), "white")
            figure.paste(COLOUR, (0, 0, 1400, 20))
            figure.save(name)
        Path("figures/fig1.pdf").write_bytes(b"%PDF-1.4 made up")
        Path("figures/fig2.svg").write_text(DRAWN, encoding="utf-8")
        for name, write in PARTS.items():
            figures = (
                {"figures": [*FIGURES, "figures/fig1.pdf", "figures/fig2.svg"]} if name == "whole" else {}
            )
            page = Path(name, "report.html")
            text = write(monkeypatch, str(page), **figures)
            for link in re.findall(r'<a href="(\.\./[^"]*)"', text):
                file = page.parent / unquote(link)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
    return folder


@pytest.fixture(params=PARTS)
def page(request: pytest.FixtureRequest, study: Path) -> Path:
    return study / request.param / "report.html"


@pytest.fixture
def everything(study: Path) -> str:
    return (study / "whole" / "report.html").as_uri()


def test_in_place_it_asks_for_nothing_and_every_link_leads_somewhere(browser: Browser, page: Path) -> None:
    with visit(browser, page.as_uri()) as opened:
        assert (opened.complaints, opened.requests, opened.look(NOT_LOADED)) == ([], [], [])
        links = [link for link in opened.look(LINKS) if not re.match(r"data:|https://arxiv.org/", link)]
        files = [urlparse(urljoin(page.as_uri(), link)) for link in links]
        assert [file.geturl() for file in files if not Path(unquote(file.path)).exists()] == []
        assert [
            file.fragment
            for file in files
            if opened.page.query_selector(f"[id='{file.fragment or 'main'}']") is None
        ] == []
        assert not opened.page.is_visible("#apart")


def test_moved_it_says_which_links_are_not_beside_it(browser: Browser, page: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copy(page, tmp_path / "sent.html"))
    with visit(browser, moved.as_uri()) as opened:
        assert (opened.complaints, opened.requests, opened.look(NOT_LOADED)) == ([], [], [])
        assert [link for link in opened.look(LINKS) if not re.match(r"#|data:|https:", link)] == []
        off = opened.look("() => [...document.querySelectorAll('a:not([href])')].map((each) => each.title)")
        assert off and all(
            title.startswith("../") and title.endswith(": not beside this file") for title in off
        )
        assert opened.page.is_visible("#apart")


@pytest.mark.parametrize(
    ("root", "address"), [(".", "whole/report.html"), ("whole", "report.html"), ("", "report.html")]
)
def test_on_a_web_server_links_work_where_the_folder_is(
    browser: Browser, study: Path, tmp_path: Path, root: str, address: str
) -> None:
    """Served from above, as the root of a server, and alone."""
    if not root:
        shutil.copy(study / "whole" / "report.html", tmp_path)
    elif root == "whole":
        shutil.copytree(study, tmp_path, dirs_exist_ok=True)
        page = (tmp_path / "whole" / "report.html").read_text(encoding="utf-8").replace('"../', '"')
        (tmp_path / "report.html").write_text(page, encoding="utf-8")
    serve = partial(SimpleHTTPRequestHandler, directory=study if root == "." else tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with visit(browser, f"http://127.0.0.1:{server.server_port}/{address}") as opened:
            opened.page.wait_for_load_state("networkidle")
            links = [link for link in opened.look(LINKS) if not re.match(r"#|data:|https:", link)]
            assert bool(links) == bool(root)
            assert opened.page.is_visible("#apart") != bool(root)
        server.shutdown()


def test_every_file_is_saved_as_it_is(browser: Browser, study: Path, tmp_path: Path) -> None:
    """The picture that is shown, which is in the page once, and files that only travel."""
    moved = Path(shutil.copy(study / "whole" / "report.html", tmp_path / "sent.html"))
    wanted = {"fig1": ["PNG", "PDF", "CSV"], "table1": ["CSV", "LaTeX"]}
    files = {"PNG": "figures/fig1.png", "PDF": "figures/fig1.pdf", "LaTeX": "table1.tex"}
    tables = {"fig1": ["fig1-evaluations.csv"], "table1": ["table1.csv", "table1-counts.csv"]}
    with visit(browser, moved.as_uri(), accept_downloads=True) as opened:
        for name, labels in wanted.items():
            for label in labels:
                links = opened.page.locator(f"#{name} .downloads a", has_text=label)
                paths = [files[label]] if label in files else tables[name]
                assert links.count() == len(paths)
                for number, path in enumerate(paths):
                    with opened.page.expect_download() as saved:
                        links.nth(number).click()
                    assert saved.value.suggested_filename == Path(path).name
                    assert saved.value.path().read_bytes() == (study / path).read_bytes()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_axe_finds_nothing_serious(browser: Browser, page: Path, theme: str, width: int) -> None:
    with visit(browser, page.as_uri(), width, color_scheme=theme) as opened:
        opened.look("() => { for (const each of document.querySelectorAll('details')) each.open = true; }")
        found = Axe().run(opened.page)
        serious = [each["id"] for each in found.response["violations"] if each["impact"] in SERIOUS]
        assert serious == [], found.generate_report()


@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_any_window(browser: Browser, everything: str, width: int) -> None:
    """Nothing sticks out at the side; the first number of a table is seen without scrolling; the contents stay."""
    with visit(browser, everything, width) as opened:
        assert opened.look("() => document.documentElement.scrollWidth") <= width
        figure, number = (
            opened.page.locator(each).first.bounding_box() for each in ("#picture-fig1", ".results td")
        )
        assert figure and number
        assert figure["x"] > 0 and figure["x"] + figure["width"] < width
        assert figure["width"] > min(0.85 * width, 700)
        assert figure["height"] / figure["width"] == pytest.approx(0.5, abs=0.02)
        assert number["x"] + number["width"] < width
        opened.look("() => scrollTo(0, document.body.scrollHeight)")
        contents = opened.page.locator("nav summary" if width < 1280 else "nav a >> nth=0").bounding_box()
        assert contents and 0 <= contents["y"] < 100


def test_headings_are_in_order_within_one_main(browser: Browser, everything: str) -> None:
    with visit(browser, everything) as opened:
        levels = opened.look(
            "() => [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map((each) => Number(each.localName[1]))"
        )
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert opened.page.locator("main").count() == 1 == opened.page.locator("nav").count()


def test_dark_figures_do_not_glare(browser: Browser, everything: str, tmp_path: Path) -> None:
    """A white ground, or none, becomes the page's dark one; ink becomes light; what is drawn keeps its hue."""
    with visit(browser, everything, color_scheme="dark") as opened:
        for name in ("fig1", "fig2"):
            opened.page.locator(f"#picture-{name}").screenshot(path=tmp_path / f"{name}.png")
        colour = opened.look("() => getComputedStyle(document.body).backgroundColor")
    page = np.array([int(part) for part in re.findall(r"\d+", colour)])
    for name in ("fig1", "fig2"):
        picture = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"), dtype=int)
        assert abs(picture[-10, 100] - page).max() < 10
        if name == "fig2":
            assert picture[4, 100].min() > 150
        else:
            red, green, blue = picture[4, 100]
            assert red > green + 60 and blue > green + 60, "as (200, 30, 160) has it"


def test_everything_prints_on_eight_pages(browser: Browser, everything: str, tmp_path: Path) -> None:
    """Contents, answer, nine figures and four tables; what is folded or only of use on a screen is left out."""
    with visit(browser, everything) as opened:
        opened.page.emulate_media(media="print")
        printed = opened.page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True, format="A4")
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 8
        for left_out in (".downloads", "#provenance", "#judgement", ".skip"):
            assert not opened.page.locator(left_out).first.is_visible(), left_out
        for printed_part in ("nav a", "#picture-fig8", "#text .number", ".claims"):
            assert opened.page.locator(printed_part).first.is_visible(), printed_part


def test_the_keyboard_reaches_answer_contents_and_what_is_folded(browser: Browser, everything: str) -> None:
    with visit(browser, everything, 375) as opened:
        keys = opened.page.keyboard
        keys.press("Tab")
        assert opened.look("() => document.activeElement.className") == "skip"
        assert opened.page.locator(".skip").bounding_box()["x"] >= 0, "seen while it has the focus"
        keys.press("Tab")
        keys.press("Enter")
        assert opened.page.is_visible("nav a >> nth=0")
        keys.press("Enter")
        assert not opened.page.is_visible("nav a >> nth=0")
        keys.press("Shift+Tab")
        keys.press("Enter")
        assert opened.look("() => document.activeElement.id") == "main"
        opened.page.locator("#searches summary").first.focus()
        keys.press("Enter")
        assert opened.page.is_visible("#searches details details summary")


def test_a_link_unfolds_what_it_leads_to(browser: Browser, everything: str) -> None:
    with visit(browser, everything) as opened:
        rows = opened.page.locator("#sources-table1 > details > summary").first
        assert not rows.is_visible()
        opened.page.locator("#table1 td a[href='#sources-table1']").first.click()
        rows.wait_for(state="visible")
    with visit(browser, f"{everything}#data") as opened:
        assert opened.page.is_visible("#data details details summary")


def test_without_scripts_nothing_is_missing(browser: Browser, everything: str) -> None:
    with visit(browser, everything, java_script_enabled=False) as opened:
        assert opened.page.locator("#picture-fig1").bounding_box()["height"] > 300
        assert opened.page.locator("#table1 td.number").first.is_visible()
        assert opened.page.locator("#fig1 .downloads a[href]").count() == 2, "what is not shown"
        opened.page.locator("#searches summary").first.click()
        assert opened.page.is_visible("#searches details details summary")
