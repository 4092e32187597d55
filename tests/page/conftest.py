"""A finished run with an accurate network, and a browser that opens its report."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.browser import ARGUMENTS
from tests.support.tables import first_rows
from tests.support.workspace import Workspace

# a name that would run as code if the page did not escape it
HOSTILE = "label</pre></script><script>throw new Error('not escaped')</script>"
CONFIG = {
    "data": {"train": "data/train.csv", "test": "data/test.csv", "label": HOSTILE},
    "folds": {"count": 2},
    "models": {
        "best": {
            "hidden": [64],
            "epochs": 6,
            "checkpoint_every": 6,
            "batch_size": 64,
            "input": "edges",
            "preprocess": {"deskew": True, "ink_spread": [5.6, 4.5]},
            "vary": [{}, {"preprocess": {"ink_spread": None}}],
            "augment": {"shift": 2, "rotate": 8},
        },
        "small": {"hidden": [], "epochs": 1, "checkpoint_every": 1},
    },
}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window; the test is skipped if it is not installed."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium to open the report in (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_run(browser: Browser, once: Callable[..., Workspace], build_workspace: Callable[..., Workspace]) -> Workspace:
    """A workspace after `snakemake` with 10,000 real training rows and 1,000 real test rows."""

    def run(folder: Path) -> None:
        train, test = first_rows("train", 10_000), first_rows("test", 1000)
        train[0][0] = HOSTILE
        build_workspace(folder, CONFIG, train, test).snakemake()

    return once("page", run)


@pytest.fixture
def open_page(browser: Browser, page_run: Workspace) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the report from disk, in a given width and colour scheme."""
    pages: list[Page] = []

    def open_(width: int = 1440, colors: str = "light", page: Path | None = None, touch: bool = False) -> Page:
        new = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colors, has_touch=touch)
        new.faults = []
        new.on("console", lambda message: new.faults.append(message.text))
        new.on("pageerror", lambda error: new.faults.append(str(error)))
        new.on("request", lambda request: new.faults.append(request.url) if _needs_network(request.url) else None)
        pages.append(new)
        new.goto((page or page_run.path / "results" / "report.html").as_uri())
        return new

    yield open_
    for page in pages:
        page.close()


def _needs_network(address: str) -> bool:
    return not address.startswith(("file:", "data:"))
