"""Take the README's picture of the page: `python tests/page/screenshot.py results/report.html picture.png`."""

import sys
from pathlib import Path

from browsing import ARGUMENTS
from playwright.sync_api import sync_playwright

# a 3 as a person would draw it, in shares of the square
POINTS = [
    *((0.31, 0.24), (0.38, 0.18), (0.48, 0.155), (0.58, 0.17), (0.65, 0.23), (0.66, 0.31), (0.61, 0.4), (0.52, 0.455)),
    *((0.45, 0.47), (0.55, 0.48), (0.64, 0.53), (0.69, 0.62), (0.67, 0.73), (0.59, 0.81), (0.47, 0.84), (0.36, 0.81)),
    (0.3, 0.75),
]


def main(page: str, picture: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": 1240, "height": 700}, color_scheme="light")
        tab.goto(Path(page).resolve().as_uri())
        frame = tab.locator("#pad").bounding_box()
        places = [(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in POINTS]
        tab.mouse.move(*places[0])
        tab.mouse.down()
        for place in places[1:]:
            tab.mouse.move(*place, steps=5)
        tab.mouse.up()
        tab.wait_for_timeout(500)
        tab.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
