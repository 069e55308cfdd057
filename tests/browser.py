"""Chromium, driven by Playwright: a page opened, and what it complained of and asked for meanwhile."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

PATIENCE = 300_000
"""Milliseconds until a step that does not end fails: machines may be busy."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium without a window."""
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=PATIENCE)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """An open page, what it wrote to the console, and the addresses that it asked for, its own left out."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def look(self, script: str, *arguments: Any) -> Any:
        """What a function of the page returns."""
        return self.page.evaluate(script, *arguments)


@contextmanager
def visit(browser: Browser, address: str, width: int = 1280, **context: Any) -> Iterator[Visit]:
    """Open an address in a window of so many pixels; `context` is Playwright's: color_scheme, java_script_enabled."""
    opened = browser.new_context(viewport={"width": width, "height": 800}, **context)
    opened.set_default_timeout(PATIENCE)
    found = Visit(opened.new_page())
    found.page.on("console", lambda message: found.complaints.append(message.text))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(address)
    own = (address, "data:")
    found.requests[:] = [url for url in found.requests if not url.startswith(own)]
    try:
        yield found
    finally:
        opened.close()


NOT_LOADED = "() => [...document.images].filter((each) => !each.naturalWidth).map((each) => each.id)"
"""A function of a page: the pictures that it does not show."""
