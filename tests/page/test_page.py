"""The HTML report in a browser. Without Chromium these tests are skipped."""

import base64
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report
import yaml
from axe_playwright_python.sync_playwright import Axe
from mnist_numpy.ann import network
from mnist_numpy.ann.preprocess import straighten
from mnist_numpy.figures import page_images
from mnist_numpy.files import checkpoints, validation
from mnist_numpy.planning.captions import read_captions
from mnist_numpy.planning.config import read_settings
from playwright.sync_api import Page

from tests.support.browser import draw_stroke
from tests.support.evaluation import read_shards

# the page has its own confusion matrix and mistakes
SHOWN = {name: caption for name, caption in read_captions().items() if name not in ("confusion", "mistakes")}
STROKES = {
    0: [[(0.5 + 0.2 * np.cos(angle), 0.5 + 0.32 * np.sin(angle)) for angle in np.linspace(-1.6, 4.7, 40)]],
    1: [[(0.53, 0.15), (0.5, 0.5), (0.47, 0.85)]],
    7: [[(0.28, 0.22), (0.5, 0.2), (0.72, 0.21), (0.6, 0.45), (0.5, 0.65), (0.43, 0.88)]],
}


def draw(page: Page, digit: int) -> None:
    for stroke in STROKES[digit]:
        draw_stroke(page, stroke, steps=2)


def page_inputs(results: Path) -> report.Inputs:
    """Return the files that the rule passes to the script."""

    def of_models(name: str) -> dict[str, Path]:
        return {model: results / "models" / model / name for model in ("best", "small")}

    return report.Inputs(
        quality=results / "data" / "quality.json",
        comparison=results / "comparison.csv",
        submission=results / "submission.csv",
        metrics=of_models("metrics.json"),
        examples={model: next(results.glob(f"store/summarize/{model}/*/examples.json")) for model in ("best", "small")},
        weights={model: sorted(results.glob(f"models/{model}/fold-*/weights.npz")) for model in ("best", "small")},
        histories={
            "best": sorted(results.glob("models/best/*/*.csv")),
            "small": sorted(results.glob("models/small/*/*.csv")),
        },
        train=[results / "data" / "train" / "train.parquet"],
        test=[results / "data" / "test" / "test.parquet"],
        predictions={model: [results / "predictions" / model / "test.parquet"] for model in ("best", "small")},
        figures={path.stem: path for path in results.glob("figures/*.svg")},
        captions={name: caption._asdict() for name, caption in SHOWN.items()},
    )


def shown_probabilities(page: Page) -> list[float]:
    return [float(text.strip(": %")) for text in page.locator(".bars .visually-hidden").all_text_contents()]


def test_opens_from_disk_without_errors_and_without_network(open_page):
    page = open_page()
    draw(page, 1)
    page.locator("[data-label='0'][data-predicted='0']").click()
    assert page.faults == []


def test_no_section_is_missing_and_every_figure_has_loaded(open_page):
    page = open_page()
    assert page.locator("h1").count() == 1
    assert page.locator("h2").all_text_contents() == [
        *("Draw a digit", "Task and models", "Data", "Accuracy", "Errors", "Training"),
        *("First-layer weights", "Test set", "Training time", "Reproduce"),
    ]
    loaded = page.eval_on_selector_all(
        "img", "images => images.map(i => i.complete && i.naturalWidth > 0 && i.alt !== '')"
    )
    assert all(loaded)
    assert set(page.locator("figcaption").all_text_contents()) == {caption.text for caption in SHOWN.values()}
    assert page.locator("#errors .tiles img").count() > report.MOST_ERRORS


def test_shows_the_numbers_of_the_run(open_page, page_run):
    text = open_page().locator("body").inner_text()
    scores = json.loads(page_run.read("results/models/best/metrics.json"))["validation"]
    assert f"{100 * scores['accuracy']:.2f} %" in text
    low, high = scores["accuracy_interval"]
    assert f"95 % interval {100 * low:.2f} to {100 * high:.2f} %, over 10,000 images" in text
    assert f"misclassifies {10_000 - sum(np.diag(scores['confusion'])):,} of 10,000 images" in text
    held_out = pd.read_parquet(page_run.path / "results/models/best/validation.parquet").query("fold == 0")
    alone = (held_out.predicted == held_out.label).mean()
    assert f"recognizes {100 * alone:.2f} % of the {len(held_out):,} images that it was not trained on" in text


def test_shows_the_software_that_trained_each_network(open_page, page_run):
    inputs = page_inputs(page_run.path / "results")
    tensors, about = checkpoints.read_weights(inputs.weights["best"][1])
    (entry,) = about["trained"]
    assert entry["epochs"] == [1, 6]
    cells = open_page().locator("#reproduce tbody tr").all_inner_texts()
    assert cells[:4] == [
        f"Python\t{entry['python']}",
        f"NumPy\t{entry['numpy']}",
        f"BLAS and kernel\t{entry['blas']}",
        "threads per member\t1",
    ]
    other = [entry | {"epochs": [1, 2]}, entry | {"epochs": [3, 6], "threads": 2, "numpy": "<9.9.9>"}]
    changed = page_run.path / "changed.npz"
    checkpoints.write_weights(changed, tensors, {**about, "trained": other})
    page = page_run.path / "changed.html"
    weights = {**inputs.weights, "best": [inputs.weights["best"][0], changed]}
    settings = read_settings(yaml.safe_load(page_run.read("config/config.yaml")), [])
    report.report(inputs._replace(weights=weights), page, settings)
    opened = open_page(page=page)
    cells = opened.locator("#reproduce tbody tr").all_inner_texts()
    version = entry["numpy"]
    of_one = f"epochs 1 to 2: {version}; epochs 3 to 6: <9.9.9>"
    assert cells[1] == f"NumPy\tbest fold 0: {version}\nbest fold 1: {of_one}\nsmall: {version}"
    assert cells[3] == "threads per member\tbest fold 0: 1\nbest fold 1: epochs 1 to 2: 1; epochs 3 to 6: 2\nsmall: 1"
    assert [row.split("\t")[3] for row in opened.locator("#time tbody tr").all_inner_texts()] == ["1, 2", "1"]


def test_text_from_the_config_is_shown_and_not_run(open_page):
    page = open_page()
    page.locator("summary").click()
    assert "throw new Error('not escaped')" in page.locator("#models pre").inner_text()
    assert page.faults == []


@pytest.mark.parametrize("width", [390, 1440])
def test_does_not_scroll_sideways(open_page, width: int):
    page = open_page(width)
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(("width", "colors"), [(1440, "light"), (390, "dark")])
def test_is_accessible(open_page, width: int, colors: str):
    page = open_page(width, colors)
    draw(page, 7)
    violations = Axe().run(page).response["violations"]
    found = {(v["id"], node["html"][:90]) for v in violations for node in v["nodes"] if v["impact"] != "minor"}
    assert found == set()


def test_prints_without_interactive_parts(open_page):
    page = open_page()
    page.emulate_media(media="print")
    assert not page.locator(".draw").is_visible()
    assert not page.locator("nav").is_visible()
    assert page.locator("#reproduce").is_visible()


def test_is_one_file_of_seven_megabytes_at_most(page_run, open_page):
    sizes = (784, 1300, 733, 10)
    vector = network.initialize(sizes, True, "he", [0], np.float32)
    tensors = network.tensor_views(vector, sizes, True)
    assert 1_980_000 < vector.size < 2_000_000
    inputs = page_inputs(page_run.path / "results")
    _, about = checkpoints.read_weights(inputs.weights["best"][0])
    large = page_run.path / "large.npz"
    checkpoints.write_weights(large, tensors, {**about, "sizes": list(sizes)})
    page = page_run.path / "large.html"
    settings = read_settings(yaml.safe_load(page_run.read("config/config.yaml")), [])
    report.report(inputs._replace(weights={**inputs.weights, "best": [large]}), page, settings)
    assert 5_300_000 < page.stat().st_size <= 7_000_000
    opened = open_page(page=page)
    draw(opened, 0)
    assert opened.faults == []
    assert sum(shown_probabilities(opened)) == pytest.approx(100, abs=1)


# --- Draw a digit -------------------------------------------------------------------------------


@pytest.mark.parametrize("digit", STROKES)
def test_a_drawn_digit_is_recognized(open_page, digit: int):
    page = open_page()
    draw(page, digit)
    assert page.locator("#prediction").inner_text().startswith(f"Prediction: {digit} (")
    assert int(np.argmax(shown_probabilities(page))) == digit
    assert sum(shown_probabilities(page)) == pytest.approx(100, abs=1)


def test_a_digit_can_be_drawn_on_a_touch_screen(open_page):
    page = open_page(390, touch=True)
    frame = page.locator("#pad").bounding_box()
    places = [{"x": frame["x"] + x * frame["width"], "y": frame["y"] + y * frame["height"]} for x, y in STROKES[1][0]]
    touch = page.context.new_cdp_session(page)
    for kind, points in [("touchStart", places[:1]), *(("touchMove", [p]) for p in places), ("touchEnd", [])]:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert page.locator("#prediction").inner_text().startswith("Prediction: 1 (")


def test_position_and_size_of_a_drawing_do_not_matter(open_page):
    page = open_page()
    images = page.evaluate(
        """strokes => [[1, 0], [0.3, 0.1], [0.5, 0.45]].map(([scale, shift]) => Array.from(strokesToImage(
            strokes.map(stroke => stroke.map(({ x, y }) => ({ x: x * scale + shift, y: y * scale + shift }))))))""",
        [[{"x": x, "y": y} for x, y in stroke] for stroke in STROKES[7]],
    )
    assert np.max(images[0]) > 0.9
    assert np.abs(np.subtract(images, images[0])).max() < 0.1


def test_the_drawing_is_centred_and_scaled_as_in_mnist(open_page):
    page = open_page()
    points = [[{"x": x, "y": y} for x, y in stroke] for stroke in STROKES[7]]
    image = np.array(page.evaluate("strokes => Array.from(strokesToImage(strokes))", points)).reshape(28, 28)
    rows, columns = np.mgrid[:28, :28] + 0.5
    assert np.average(rows, weights=image) == pytest.approx(14, abs=0.1)
    assert np.average(columns, weights=image) == pytest.approx(14, abs=0.1)
    lit = np.flatnonzero(image.max(axis=1) > 0.02)
    assert 19 <= lit[-1] - lit[0] + 1 <= 21
    assert image.max() == pytest.approx(1, abs=0.01)


def test_the_keyboard_clears_the_square_and_chooses_an_example(open_page):
    page = open_page()
    draw(page, 0)
    page.locator("#clear").focus()
    page.keyboard.press("Enter")
    assert shown_probabilities(page) == [0] * 10
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert sum(shown_probabilities(page)) == pytest.approx(100, abs=1)


def test_the_page_computes_what_numpy_computes_on_1000_test_images(open_page, page_run):
    tensors, about = checkpoints.read_weights(page_run.path / "results/models/best/fold-0/weights.npz")
    images = read_shards([page_run.path / "results/data/test/test.parquet"]).images
    assert len(images) == 1000
    _, of_other = checkpoints.read_weights(page_run.path / "results/models/best/fold-1/weights.npz")
    assert [each["model"]["preprocess"]["ink_spread"] for each in (about, of_other)] == [[5.6, 4.5], None]
    assert about["model"]["input"] == "edges"
    expected = network.predict(
        network.as_network(tensors, about), straighten(images, (28, 28), about["model"]["preprocess"]), 255
    )
    computed = open_page().evaluate(
        """encoded => {
            const about = JSON.parse(document.getElementById("network").textContent);
            const layers = readNetwork(about);
            const bytes = Uint8Array.from(atob(encoded), letter => letter.charCodeAt(0));
            return Array.from({ length: bytes.length / 784 }, (_, i) => {
                const image = Float32Array.from(bytes.subarray(784 * i, 784 * (i + 1)), pixel => pixel / 255);
                return classify(layers, readInput(preprocess(image, about), about));
            });
        }""",
        base64.b64encode(images.tobytes()).decode(),
    )
    assert np.abs(np.subtract(computed, expected)).max() < 1e-2
    assert np.array_equal(np.argmax(computed, axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize(
    ("sizes", "about", "reason"),
    [
        ((784, 2600, 10), {"shape": [28, 28]}, "2,067,010 parameters"),
        ((64, 16, 10), {"shape": [8, 8]}, "28 × 28"),
    ],
)
def test_the_square_is_omitted_with_a_reason_where_it_cannot_work(sizes, about, reason: str):
    tensors = network.tensor_views(network.initialize(sizes, True, "he", [0], np.float32), sizes, True)
    embedded, obstacle = report.embed_network(tensors, {**about, "sizes": list(sizes)})
    assert embedded is None
    assert reason in obstacle


# --- The confusion matrix -----------------------------------------------------------------------


def test_the_confusion_matrix_shows_the_images_of_the_chosen_cell(open_page, page_run):
    page = open_page()
    matrix = json.loads(page_run.read("results/models/best/metrics.json"))["validation"]["confusion"]
    worst = max((matrix[i][j], i, j) for i in range(10) for j in range(10) if i != j)
    for count, label, predicted in [worst, (matrix[3][3], 3, 3)]:
        cell = page.locator(f"[data-label='{label}'][data-predicted='{predicted}']")
        cell.click()
        assert page.locator("#cell h4").inner_text().startswith(f"{count:,} images with label {label}")
        assert page.locator("[aria-pressed='true']").count() == 1
        assert cell.get_attribute("aria-pressed") == "true"
        alts = page.eval_on_selector_all("#cell img", "images => images.map(image => image.alt)")
        most = validation.CORRECT_PER_CELL if label == predicted else page_images.ERRORS_PER_CELL
        assert len(alts) == min(count, most)
        assert all(alt.endswith(f"label {label}, predicted {predicted}") for alt in alts)


def test_every_cell_that_counts_images_can_be_opened_by_keyboard(open_page, page_run):
    page = open_page()
    matrix = np.array(json.loads(page_run.read("results/models/best/metrics.json"))["validation"]["confusion"])
    assert page.locator(".confusion button").count() == np.count_nonzero(matrix)
    page.locator("[data-label='0'][data-predicted='0']").focus()
    page.keyboard.press("Enter")
    assert page.locator("#cell h4").inner_text().startswith(f"{matrix[0, 0]:,} images with label 0, predicted 0.")
