"""The FiftyOne App in headless Chromium, as a person uses it."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 1000  # Playwright counts milliseconds


def find_chromium() -> str | None:
    """The browser: ``$UVL_CHROMIUM``, else Chromium or Chrome on the path."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("UVL_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


class App:
    """The App, open on a dataset."""

    def __init__(self, page, pictures: Path | None):
        self.page = page
        self.pictures = pictures

    def open(self, address: str, dataset: str) -> None:
        self.page.goto(f"{address}/datasets/{dataset}")
        self.cy("looker").first.wait_for(timeout=120 * SECONDS)
        advertisement = self.page.get_by_text("Dismiss", exact=True)
        with contextlib.suppress(Exception):  # shown or not, as FiftyOne likes
            advertisement.last.click(timeout=8 * SECONDS)
        self.cy("btn-clear-view-bar").click()
        for tab in self.page.locator('[data-cy^="panel-tab-"]').all():
            if tab.get_attribute("data-cy") != "panel-tab-samples":  # left open by an earlier page
                tab.locator("button").click()

    def cy(self, name: str):
        """An element by the name that FiftyOne's own tests use."""
        return self.page.locator(f'[data-cy="{name}"]')

    def picture(self, name: str) -> None:
        """Takes a screenshot where they are wanted."""
        self.page.wait_for_timeout(1500)
        if self.pictures is not None:
            self.page.screenshot(path=self.pictures / f"{name}.png")

    def browse_operators(self, name: str) -> None:
        """Opens the form of an operator from the operator browser."""
        self.page.keyboard.press("`")
        self.page.get_by_placeholder("Search operations by name").fill(name)
        self.page.get_by_text(name, exact=True).first.click()
        self.button("Execute").wait_for(timeout=120 * SECONDS)

    def choose(self, shown: str, wanted: str | re.Pattern) -> None:
        """Opens the list that shows one choice, and takes another."""
        self.page.get_by_role("combobox").filter(has_text=shown).first.click()
        self.page.get_by_role("option").filter(has_text=wanted).first.click()

    def button(self, name: str):
        return self.page.get_by_role("button", name=name)

    def execute(self) -> None:
        """Presses Execute as soon as the form lets one."""
        self.button("Execute").click(timeout=120 * SECONDS)

    def schedule(self) -> None:
        """Chooses Schedule beside Execute, and presses it."""
        self.button("Execute").wait_for(timeout=120 * SECONDS)
        self.button("Execute").locator("xpath=following-sibling::button").click()
        self.page.get_by_text("Schedule", exact=True).click()
        self.button("Schedule").click(timeout=120 * SECONDS)

    def wait_until(self, condition: Callable[[], object], seconds: int = 30) -> None:
        """Waits for something that the page does not show."""
        for _ in range(seconds * 5):
            if condition():
                return
            self.page.wait_for_timeout(SECONDS // 5)
        raise TimeoutError(f"not within {seconds} seconds")

    def wait_for_text(self, text: str | re.Pattern, seconds: int = 180) -> str:
        """Waits until a text is shown and returns all of it."""
        found = self.page.get_by_text(text).first
        found.wait_for(timeout=seconds * SECONDS)
        return found.inner_text()

    def close_dialog(self) -> None:
        self.button("Done").click()

    def filter_label(self, field: str, value: str) -> None:
        """Ticks one value of a label field in the sidebar."""
        self.cy(f"sidebar-field-arrow-enabled-{field}").click()
        search = self.cy(f"selector-sidebar-search-{field}.label")
        search.click()
        search.fill(value)
        self.page.keyboard.press("Enter")
        self.cy(f"checkbox-{value}").wait_for(timeout=120 * SECONDS)

    def reset_filters(self) -> None:
        self.cy("button-Reset").click()

    def count(self) -> int:
        """The number of samples that the App says the grid shows."""
        text = self.cy("entry-counts").inner_text()
        return int(re.search(r"[\d,]+", text).group().replace(",", ""))

    def wait_for_count(self, count: int, seconds: int = 120) -> None:
        text = f"{count:,} sample"
        self.cy("entry-counts").get_by_text(text).wait_for(timeout=seconds * SECONDS)

    def open_panel(self, name: str) -> None:
        self.cy("new-panel-btn").first.click()
        self.page.get_by_text(name, exact=True).first.click()

    def card(self, name: str):
        """The card of a cluster in the panel Clusters."""
        name_on_card = self.cy("uvl-name").get_by_text(name, exact=True)
        return self.cy("uvl-open").filter(has=name_on_card)

    def search_by_text(self, text: str) -> None:
        """Opens the search of the magnifier and asks for a text."""
        self.cy("action-sort-by-similarity").click()
        search = self.page.get_by_placeholder("Type anything!")
        search.fill(text)
        search.press("Enter")

    def select_first_sample(self) -> None:
        box = self.cy("looker").first.bounding_box()
        self.page.mouse.move(box["x"] + 40, box["y"] + 40)
        self.page.wait_for_timeout(SECONDS)  # the box to tick fades in
        self.page.mouse.click(box["x"] + 17, box["y"] + 17)
        self.cy("selection-count-container").wait_for(timeout=30 * SECONDS)


@contextlib.contextmanager
def chromium(program: str, pictures: Path | None) -> Iterator[App]:
    """A browser with one page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(120 * SECONDS)
            yield App(page, pictures)
        finally:
            browser.close()


@contextlib.contextmanager
def installed_chromium() -> Iterator[App]:
    """The browser of this machine, with one page; without one the test is skipped, or fails where
    ``$UVL_REQUIRE_BROWSER`` is set. Screenshots go to the folder ``$UVL_SCREENSHOTS`` where it is
    set."""
    program = find_chromium()
    if program is None:
        missing = "no Chromium on this machine; install it, or set UVL_CHROMIUM to its path"
        if os.environ.get("UVL_REQUIRE_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    folder = os.environ.get("UVL_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    with chromium(program, Path(folder) if folder else None) as app:
        yield app


@contextlib.contextmanager
def served(dataset) -> Iterator[str]:
    """A real App server on a dataset: where it answers."""
    import fiftyone as fo

    from uvl_plugin.adapter.mongod import free_port

    port = free_port()
    session = fo.launch_app(dataset, remote=True, address="127.0.0.1", port=port)
    yield f"http://127.0.0.1:{port}"
    session.close()
    fo.close_app()
