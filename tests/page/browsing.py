"""A finished run with a network good enough to draw for, and a real browser to open its page in."""

import csv
import io
import itertools
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

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
            "preprocess": {"deskew": True, "ink_spread": [5.6, 4.5]},
            "vary": [{}, {"preprocess": {"ink_spread": None}}],
            "augment": {"shift": 2, "rotate": 8},
        },
        "small": {"hidden": [], "epochs": 1, "checkpoint_every": 1},
    },
}
# root may not start Chromium's own sandbox; the rest keeps the browser from calling home by itself
ARGUMENTS = (
    *("--no-sandbox", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="session")
def page_run(once: Callable[..., Any], build_workspace: Callable[..., Any]) -> Any:
    """A workspace after `snakemake`: 10,000 real training rows, 1,000 real test rows."""

    def run(folder: Path) -> None:
        train, test = first_rows("train", 10_000), first_rows("test", 1000)
        train[0][0] = HOSTILE
        build_workspace(folder, CONFIG, train, test).snakemake()

    return once("page", run)


def first_rows(split: str, rows: int) -> list[list[str]]:
    """Return the header and the first rows of a table of the repository."""
    archive = Path(__file__).parents[2] / "data" / f"{split}.csv.zip"
    with zipfile.ZipFile(archive) as file, file.open(file.namelist()[0]) as plain:
        return list(itertools.islice(csv.reader(io.TextIOWrapper(plain, encoding="utf-8", newline="")), rows + 1))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("the page is tested in Chromium; install it first (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser, page_run: Any) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the page from disk, at some width and in some colours."""
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
