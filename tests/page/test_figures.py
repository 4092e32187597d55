"""The figures, Snakemake's own report of them, and the text that a run prints."""

import json
import re
from xml.etree import ElementTree

import pytest
from mnist_numpy.planning.captions import read_captions
from mnist_numpy.planning.publication import REPORTED

from tests.support.workspace import ROOT, Workspace

FIGURES = read_captions()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, undisturbed: Workspace) -> Workspace:
    """A copy of the undisturbed run; `said` is the text that it printed."""
    workspace = undisturbed.copy(tmp_path_factory.mktemp("figures") / "run")
    workspace.said = workspace.read("said.txt").decode()
    return workspace


def test_every_figure_that_has_a_caption_is_published_as_svg(drawn):
    assert len(FIGURES) > 7
    assert {path.stem for path in drawn.path.glob("results/figures/*")} == set(FIGURES)
    for name in FIGURES:
        root = ElementTree.fromstring(drawn.read(f"results/figures/{name}.svg"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_a_caption_without_a_section_is_an_error(tmp_path):
    (tmp_path / ".#one.rst").write_text("of an editor", encoding="utf-8")
    (tmp_path / "one.rst").write_text("{# Data #}\nOne figure.", encoding="utf-8")
    assert read_captions(tmp_path) == {"one": ("Data", "One figure.")}
    (tmp_path / "two.rst").write_text("Another figure.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"two\.rst: the first line must be"):
        read_captions(tmp_path)
    (tmp_path / "two.rst").write_text("{# Optimizer #}\nAnother figure.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"two\.rst: the section Optimizer is not one of Data, Models"):
        read_captions(tmp_path)


def test_the_html_report_has_the_section_of_every_caption():
    templates = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "report").glob("*.j2"))
    assert set(re.findall(r'plots\(figures, "(\w+)"\)', templates)) == {caption.section for caption in FIGURES.values()}


@pytest.mark.parametrize(("name", "images"), [("samples", 10), ("augmentation", 9), ("mistakes", 25), ("weights", 16)])
def test_bitmaps_stay_bitmaps(drawn, name: str, images: int):
    assert drawn.read(f"results/figures/{name}.svg").count(b"data:image/png;base64") == images


def test_the_augmentation_figure_shows_eight_different_distortions(drawn):
    pictures = re.findall(rb"data:image/png;base64,[^\"]+", drawn.read("results/figures/augmentation.svg"))
    assert len(set(pictures)) == 9


def test_figures_change_to_dark_colours_by_themselves(drawn):
    for name in FIGURES:
        assert b"@media (prefers-color-scheme:dark)" in drawn.read(f"results/figures/{name}.svg")


def test_the_same_data_produce_the_same_bytes(drawn):
    names = [f"results/figures/{name}.svg" for name in FIGURES]
    before = {name: drawn.read(name) for name in [*names, "results/report.html"]}
    drawn.snakemake("--forcerun", "samples", "figures", "report")
    assert {name: drawn.read(name) for name in before} == before


def test_snakemakes_own_report_has_every_figure_with_its_caption(drawn):
    drawn.snakemake("--report", "snakemake.html")
    page = drawn.read("snakemake.html").decode()
    for name in FIGURES:
        assert f"{name}.svg" in page
        assert FIGURES[name].text.count(".") == 1, "a caption is one sentence"
        assert FIGURES[name].text[:40] in page
    for name, (_, title) in REPORTED.items():
        [labels] = re.findall(rf'"{name}": \{{"name": [^}}]*"labels": (\{{[^}}]*\}})', page)
        assert json.loads(labels) == {"result": title}
    for row in drawn.read("results/comparison.csv").decode().splitlines()[1:]:
        assert "</td>\\n<td>".join(row.split(",")[:5]) in page  # the comparison as a table


def test_a_changed_template_rebuilds_only_the_page(drawn):
    style = drawn.path / "workflow" / "report" / "page.css"
    text = style.read_text(encoding="utf-8")
    style.write_text(text + "h1 { color: red; }\n", encoding="utf-8")
    planned = drawn.plan().stdout
    style.write_text(text, encoding="utf-8")
    assert set(re.findall(r"^(?:local)?rule (\w+):", planned, re.MULTILINE)) == {"report", "publish", "all"}


def test_without_folds_page_and_figures_show_no_validation(without_folds):
    page = without_folds.read("results/report.html").decode()
    assert "<strong>400</strong> training images, none held out" in page
    train = json.loads(without_folds.read("results/models/mlp/metrics.json"))["train"]
    row = re.search(r'<th scope="col">training accuracy</th>.*?<tbody>(.*?)</tbody>', page, re.DOTALL)[1]
    assert f"{100 * train['accuracy']:.2f} %" in row
    assert f"{train['log_loss']:.4f}" in row
    words = ["Calibration", "out-of-fold", "held-out", "best first", "solid", "distortions", "skip_easy"]
    prose = re.sub(r"<(pre|script|style|figure).*?</\1>|\s+", " ", page, flags=re.DOTALL)
    assert [word for word in words if re.search(f"\\b{word}", prose)] == []
    for name in ("mistakes", "reliability", "comparison", "augmentation"):
        assert b"data:image/png" not in without_folds.read(f"results/figures/{name}.svg")


# --- The terminal -------------------------------------------------------------------------------


def test_each_epoch_is_one_line_with_the_time_left(drawn):
    lines = re.findall(
        r"^mlp fold (\d) · epoch (\d)/4 · loss \d\.\d{4} · accuracy on fold \1 [ \d]\d\.\d\d % · "
        r"fold done in \d+:\d\d · \d+\.\dk images/s$",
        drawn.said,
        re.MULTILINE,
    )
    assert sorted(lines) == [(str(fold), str(epoch)) for fold in range(2) for epoch in range(1, 5)]


def test_jobs_are_not_listed_and_there_are_no_warnings(drawn):
    assert not re.search(r"^ +(input|output|jobid|reason):", drawn.said, re.MULTILINE)
    assert "Host:" not in drawn.said
    assert "Warning" not in drawn.said
    assert "\x1b" not in drawn.said
    jobs = re.findall(r"^(\d+) of (\d+) jobs done", drawn.said, re.MULTILINE)
    assert jobs == [(str(i + 1), str(len(jobs))) for i in range(len(jobs))]
    assert re.search(
        r" jobs done · about \d:\d\d left · train mlp fold 0, epochs 1 to 2: \d+\.\d s$", drawn.said, re.MULTILINE
    )


def test_a_run_ends_with_accuracy_submission_and_page(drawn):
    lines = drawn.said.splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("accuracy"))
    assert re.fullmatch(r"accuracy    \d+\.\d\d % out of fold \(95 % interval .*\), mlp", lines[end])
    assert lines[end + 1 : end + 3] == ["submission  results/submission.csv", "report      results/report.html"]
    assert [line.split(":")[0] for line in lines[end + 3 :]] == ["Complete log(s)", "Elapsed time"]
