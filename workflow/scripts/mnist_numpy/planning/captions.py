"""The registry of the figures: a folder with one caption per figure, `workflow/report/figures/<name>.rst`.

The names in this folder are the figures that a run draws and publishes. The first line of a caption is a Jinja comment
with the section in which Snakemake's report and the HTML report show the figure. The rest is one sentence.
"""

import re
from pathlib import Path
from typing import NamedTuple

from mnist_numpy.planning.software import PAGE

SECTIONS = ("Data", "Models", "Calibration", "Training", "Weights", "Errors")
CAPTION = re.compile(r"\{# (.+) #\}\n(.+)\n")


class Caption(NamedTuple):
    """The section of a figure, and one sentence that says what it shows."""

    section: str
    text: str


def read_captions(folder: Path = PAGE / "figures") -> dict[str, Caption]:
    """Return the caption of each figure, by name in alphabetical order.

    Raises
    ------
    ValueError
        If a file has no section or an unknown one, or if its caption is not one line.
    """
    captions = {}
    for path in sorted(folder.glob("[!.]*.rst")):  # hidden files belong to editors
        match = CAPTION.fullmatch(path.read_text(encoding="utf-8").rstrip() + "\n")
        if not match:
            raise ValueError(f"{path}: the first line must be {{# section #}}, and the second line the caption")
        if match[1] not in SECTIONS:
            raise ValueError(f"{path}: the section {match[1]} is not one of {', '.join(SECTIONS)}")
        captions[path.stem] = Caption(*match.groups())
    return captions
