"""The report's curves in a browser: what a reader can point at, switch, zoom and reach by keyboard.

Where a point of the chart lies on the screen is told by the axes' labels, not by the marks under test.
"""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import PATIENCE, chromium, visit
from tests.curves import CATEGORIES, report, table

expect.set_options(timeout=PATIENCE)
pytestmark = pytest.mark.needs_chromium
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
"""Nothing is loaded, and no code is made from text."""
RING = "#fig1 path[stroke='var(--curve-ink)'][opacity='1']"
"""Around the checkpoint that is looked at."""
PERSON = next(iter(CATEGORIES))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page, under a policy that forbids all that it does not need."""
    image = BytesIO()
    Image.new("RGB", (700, 400), (200, 30, 160)).save(image, "png")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.chdir(tmp_path_factory.mktemp("curves"))
    page = report(table(seeds=(0, 1)), image.getvalue())
    monkeypatch.undo()
    text = page.read_text(encoding="utf-8")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page.write_text(text.replace("<head>", f"<head>{meta}", 1), encoding="utf-8")
    return page.as_uri()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1000, "height": 900}, color_scheme="light")
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    """The page with its chart drawn; at the end, nothing was asked for and nothing complained of."""
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(request.url))
    page.goto(address)
    page.wait_for_selector("#fig1 .curves-plot svg .mark-line path")
    yield page
    assert [text for text in told if text != address and not text.startswith("data:")] == []


def axis(page: Page, side: str, chart: str = "#fig1") -> tuple[np.ndarray, np.ndarray]:
    """An axis's labels, as numbers, and where their middles are on the screen, in pixels."""
    labels = page.locator(f"{chart} .role-axis-label text").all()
    found = []
    for label in labels:
        box = label.bounding_box()
        text = (label.text_content() or "").replace("−", "-")
        assert box is not None
        found.append((float(text), box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    lowest = max(y for _, _, y in found)
    below = [each for each in found if abs(each[2] - lowest) < 3]
    beside = [each for each in found if abs(each[2] - lowest) >= 3]
    chosen = [(value, x) for value, x, _ in below] if side == "x" else [(value, y) for value, _, y in beside]
    values, places = zip(*sorted(chosen), strict=True)
    return np.array(values), np.array(places)


def place(page: Page, iteration: float, value: float) -> tuple[float, float]:
    """Where a value lies on the screen."""
    across, up = (np.polynomial.Polynomial.fit(*axis(page, side), 1) for side in "xy")
    return float(across(iteration)), float(up(value))


def point_at(page: Page, iteration: float, value: float) -> str:
    """What is shown beside a place in the chart once the pointer is there."""
    x, y = place(page, iteration, value)
    page.mouse.move(x - 60, y - 60)
    page.mouse.move(x, y, steps=3)
    page.wait_for_selector("#fig1 .curves-tip:not(:empty)")
    return page.locator("#fig1 .curves-tip").inner_text()


def told(page: Page) -> str:
    """All that is told of a checkpoint, below the chart."""
    return page.locator("#fig1 .curves-readout").inner_text()


@pytest.mark.parametrize(
    ("iteration", "value", "start", "schedules", "segment"),
    [
        (20, 10.5, "random init", "2x, 3x", "trunk"),
        (40, 20.5, "random init", "2x", "tail-2x"),
        (50, 29.5, "w/ pre-train", "3x", "tail-3x"),
    ],
)
def test_pointing_at_a_checkpoint_tells_its_value_interval_and_source(
    page: Page, iteration: int, value: float, start: str, schedules: str, segment: str
) -> None:
    """Two seeds 1 apart: their mean has a variance of 1/4, and its 100 replicates, 1 off either way, one of 100/99.

    By Satterthwaite the sum has 25.4 degrees of freedom, of which a table says 2.058.
    """
    beside = point_at(page, iteration, value)
    below = told(page)

    half = 2.058 * (1 / 4 + 100 / 99) ** 0.5
    key = {"random init": "random", "w/ pre-train": "pretrained"}[start]
    assert f"box AP {value} (" in beside and f"box AP {value} (" in below
    low, high = re.search(r"\((\S+) to (\S+)\)", beside).groups()
    assert float(low.replace("−", "-")) == pytest.approx(value - half, abs=0.051)
    assert float(high) == pytest.approx(value + half, abs=0.051)
    for expected in (
        start,
        schedules,
        str(iteration),
        f"evaluation/{key}-seed{{0,1}}/{segment}/metrics.json",
    ):
        assert expected in below
    assert f"{start}, {schedules}\niteration {iteration}" in beside
    assert f"seed 0: {value - 0.5}, seed 1: {value + 0.5}" in below
    expect(page.locator(RING)).to_have_count(1)
    ring = page.locator(RING).bounding_box()
    assert ring is not None
    middle = ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2
    assert middle == pytest.approx(place(page, iteration, value), abs=3)


def test_the_legend_switches_initialisations_and_schedules(page: Page) -> None:
    lines = page.locator("#fig1 .mark-line path")
    expect(lines).to_have_count(4)
    page.get_by_role("button", name="3x").click()
    # The trunk is the line of the longest schedule: it stays as far as the shorter one uses it.
    expect(page.locator("#fig1 .role-mark.mark-rule line")).to_have_count(1)
    assert max(axis(page, "x")[0]) == 40
    assert "random init, 2x, 3x\niteration 20" in point_at(page, 20, 10.5)
    assert "random init, 2x\niteration 30" in point_at(page, 30, 14.5)
    button = page.get_by_role("button", name="random init")
    button.click()
    expect(lines).to_have_count(2)
    assert button.get_attribute("aria-pressed") == "false"
    assert "w/ pre-train" in point_at(page, 20, 10.5)
    button.click()
    expect(lines).to_have_count(4)
    assert "random init" in point_at(page, 20, 10.5)


def test_metrics_and_categories_are_chosen(page: Page) -> None:
    page.get_by_label("Metric").select_option("mask AP")
    assert "mask AP 7.5" in point_at(page, 20, 7.5)
    category = page.get_by_label("Category")
    assert category.locator("option").all_inner_texts() == ["all", *CATEGORIES]
    category.select_option(PERSON)
    assert f"mask AP, {PERSON} 17.5" in point_at(page, 20, 17.5)
    page.get_by_label("Metric").select_option("box AP")
    assert category.input_value() == ""
    assert "box AP 10.5" in point_at(page, 20, 10.5)


def test_buttons_keys_and_the_wheel_zoom(page: Page) -> None:
    whole = np.ptp(axis(page, "x")[0])
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Zoom in").click()
    assert np.ptp(axis(page, "x")[0]) < whole
    page.get_by_role("button", name="Whole").click()
    assert np.ptp(axis(page, "x")[0]) == whole
    page.locator("#fig1 [role=application]").focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert np.ptp(axis(page, "x")[0]) < whole
    page.keyboard.press("0")
    assert np.ptp(axis(page, "x")[0]) == whole
    page.mouse.move(*place(page, 30, 15))
    labels = (
        "[...document.querySelectorAll('#fig1 .role-axis-label text')].map((each) => each.textContent).join()"
    )
    before = page.evaluate(labels)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -600)
    page.wait_for_function(f"before => {labels} !== before", arg=before)
    page.keyboard.up("Control")
    assert np.ptp(axis(page, "x")[0]) < whole
    # Whatever is zoomed, a place still tells what is there.
    assert "box AP 14.5" in point_at(page, 30, 14.5)


def test_the_wheel_alone_scrolls_the_page(page: Page) -> None:
    page.locator("#fig1 .curves-plot").scroll_into_view_if_needed()
    before, scrolled = axis(page, "x")[0], page.evaluate("window.scrollY")
    page.mouse.move(*place(page, 30, 15))
    page.mouse.wheel(0, 200)
    page.wait_for_function("before => window.scrollY > before", arg=scrolled)
    assert list(axis(page, "x")[0]) == list(before)


def test_dragging_moves_the_chart(page: Page) -> None:
    x, y = place(page, 30, 15)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 200, y, steps=5)
    page.mouse.up()

    assert max(axis(page, "x")[0]) > 50


def test_the_keyboard_goes_along_curves_and_is_told_what_is_there(page: Page) -> None:
    chart = page.locator("#fig1 [role=application]")
    for _ in range(40):
        page.keyboard.press("Tab")
        if chart.evaluate("element => element === document.activeElement"):
            break
    found = []
    for key in ("End", "ArrowLeft", "ArrowLeft", "ArrowDown", "Home", "End", "ArrowDown", "Escape"):
        page.keyboard.press(key)
        found.append(told(page).split(" · ")[1:4])

    assert found == [
        ["random init, 2x", "iteration 40", "tail-2x"],
        ["random init, 2x", "iteration 30", "tail-2x"],
        ["random init, 2x, 3x", "iteration 20", "trunk"],
        ["random init, 2x, 3x", "iteration 20", "trunk"],
        ["random init, 2x, 3x", "iteration 10", "trunk"],
        ["random init, 3x", "iteration 50", "tail-3x"],
        ["w/ pre-train, 2x", "iteration 40", "tail-2x"],
        [],
    ]
    assert page.locator("#fig1 [aria-live=polite]").count() == 1


def test_it_follows_light_and_dark_without_being_drawn_again(page: Page) -> None:
    colour = "element => getComputedStyle(element).stroke"
    line = page.locator("#fig1 .mark-line path").first
    label = page.locator("#fig1 .role-axis-label text").first
    light = line.evaluate(colour), label.evaluate("element => getComputedStyle(element).fill")
    page.emulate_media(color_scheme="dark")
    dark = line.evaluate(colour), label.evaluate("element => getComputedStyle(element).fill")

    assert light[0] != dark[0] and light[1] != dark[1]
    assert "none" not in (*light, *dark)


def test_panels_share_the_axis_of_ap(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two models; one has a quarter of the other's AP, whose intervals end at 31, and at 27 from random init."""
    monkeypatch.chdir(tmp_path)
    one = table()
    other = one.assign(model="R101 GN", value=one["value"] / 4, source=one["source"] + "2")
    still = BytesIO()
    Image.new("RGB", (700, 400)).save(still, "png")
    address = report(pd.concat([one, other]), still.getvalue()).as_uri()

    def tops(page: Page) -> list[float]:
        charts = [f"#fig1 .curves-panels > div:nth-child({number})" for number in (1, 2)]
        return [max(axis(page, "y", chart)[0]) for chart in charts]

    with visit(browser, address) as opened:
        lines = opened.page.locator("#fig1 .mark-line path")
        expect(lines).to_have_count(2 * 4)
        assert tops(opened.page) == [30, 30]
        opened.page.get_by_role("button", name="w/ pre-train").click()
        expect(lines).to_have_count(2 * 2)
        assert tops(opened.page) == [25, 25]


@pytest.mark.parametrize("width", [375, 2560])
def test_it_fits_the_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function(
        """width => {
            const box = document.querySelector("#fig1 .curves-plot svg").getBoundingClientRect();
            return box.left >= 0 && box.right <= width && box.width > 0.8 * Math.min(width, 900);
        }""",
        arg=width,
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_print_shows_the_static_figure(page: Page) -> None:
    assert page.locator("#fig1 .curves").is_visible() and not page.locator("#fig1 img").is_visible()
    page.emulate_media(media="print")

    assert page.locator("#fig1 img").is_visible() and not page.locator("#fig1 .curves").is_visible()


def test_without_javascript_the_static_figure_shows(browser: Browser, address: str) -> None:
    with visit(browser, address, java_script_enabled=False) as opened:
        assert opened.page.locator("#fig1 img").is_visible()
        assert opened.page.locator(".curves").count() == 0
        assert "vegaEmbed" not in opened.page.inner_text("body")


@pytest.mark.parametrize(("width", "theme"), [(375, "dark"), (1280, "light")])
def test_axe_finds_nothing_serious(browser: Browser, address: str, width: int, theme: str) -> None:
    """Without the policy that keeps the page from being looked at."""
    with visit(browser, address, width, color_scheme=theme, bypass_csp=True) as opened:
        opened.page.wait_for_selector("#fig1 .mark-line path")
        opened.page.get_by_role("button", name="3x").click()
        opened.page.locator("#fig1 [role=application]").press("End")
        found = Axe().run(opened.page)
        serious = [
            each["id"] for each in found.response["violations"] if each["impact"] in ("serious", "critical")
        ]
        assert serious == [], found.generate_report()
