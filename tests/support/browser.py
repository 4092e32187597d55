"""Chromium for the tests of the report, and how to draw in it."""

from collections.abc import Sequence

from playwright.sync_api import Page

# root may not start Chromium's own sandbox; the other options keep the browser from using the network by itself
ARGUMENTS = (
    *("--no-sandbox", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


def draw_stroke(page: Page, points: Sequence[tuple[float, float]], steps: int) -> None:
    """Draw a line with the mouse in the square of the report; the points are fractions of its width and height."""
    frame = page.locator("#pad").bounding_box()
    places = [(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=steps)
    page.mouse.up()
