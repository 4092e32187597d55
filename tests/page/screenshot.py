"""Take the README's screenshot of the report, with a digit drawn in its square.

Run `.venv/bin/python -m tests.page.screenshot results/report.html workflow/report/screenshot.png`.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support.browser import ARGUMENTS, draw_stroke

# a 3 as a person would draw it, in fractions of the square
POINTS = [
    *((0.31, 0.24), (0.38, 0.18), (0.48, 0.155), (0.58, 0.17), (0.65, 0.23), (0.66, 0.31), (0.61, 0.4), (0.52, 0.455)),
    *((0.45, 0.47), (0.55, 0.48), (0.64, 0.53), (0.69, 0.62), (0.67, 0.73), (0.59, 0.81), (0.47, 0.84), (0.36, 0.81)),
    (0.3, 0.75),
]


def main(report: str, picture: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1240, "height": 700}, color_scheme="light")
        page.goto(Path(report).resolve().as_uri())
        draw_stroke(page, POINTS, steps=5)
        page.wait_for_timeout(500)
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
