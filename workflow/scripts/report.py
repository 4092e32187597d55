"""Everything -> one self-contained page."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import job as job_module
from ann import tables
from job import job, replacing

# beside the scripts' folder; this very file is run from a copy elsewhere
TEMPLATE = Path(job_module.__file__).parents[1] / "report" / "report.html.j2"


def report(
    quality: Path, comparison: Path, submission: Path, figures: Mapping[str, Path], page: Path, options: dict[str, Any]
) -> None:
    """Fill the template; every string that it shows is escaped.

    Parameters
    ----------
    quality, comparison, submission
        The tables to show.
    figures
        By name, the SVG files to embed.
    page
        The HTML file to write.
    options
        The config that counted.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        quality=tables.read_json(quality, ["train", "test"]),
        comparison=tables.read_comparison(comparison).to_dict("records"),
        predicted=tables.read_csv(submission, []).iloc[:, 1].value_counts().sort_index().to_dict(),
        figures={name: embedded(path) for name, path in figures.items()},
        config=json.dumps(options, indent=1),
    )
    with replacing(page) as part:
        part.write_text(text, encoding="utf-8")


def embedded(figure: Path) -> str:
    """Return an SVG file as a data URL."""
    return "data:image/svg+xml;base64," + base64.b64encode(figure.read_bytes()).decode()


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job("report", Path(snakemake.log[0])):
        report(
            Path(snakemake.input.quality),
            Path(snakemake.input.comparison),
            Path(snakemake.input.submission),
            {Path(path).stem: Path(path) for path in snakemake.input.figures},
            Path(snakemake.output[0]),
            snakemake.params.options,
        )
