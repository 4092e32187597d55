"""Photos on the HTML report. Without Chromium these tests are skipped."""

import base64
import io

import numpy as np
import pytest
from mnist_numpy.ann import photo
from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.photos import make_photo
from tests.support.tables import read_digits

IMAGES, LABELS = (part[10_000:] for part in read_digits(10_012))  # the networks were trained on the first 10,000
GENERATOR = np.random.default_rng(0)
PHOTOS = [make_photo(image.reshape(28, 28), GENERATOR) for image in IMAGES]
BLANK = np.full((90, 120), 200, np.uint8)
TWO = np.hstack([255 - IMAGES[i].reshape(28, 28).repeat(4, axis=0).repeat(4, axis=1) for i in (0, 1)])
FILE = "new File([Uint8Array.from(atob(bytes), letter => letter.charCodeAt(0))], 'photo.png', { type: 'image/png' })"


def encode(picture: np.ndarray, kind: str = "PNG", **options) -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def choose(page: Page, content: bytes) -> None:
    page.set_input_files("#photo", {"name": "photo.png", "mimeType": "image/png", "buffer": content})


def expect_prediction(page: Page, text: str) -> None:
    expect(page.locator("#prediction")).to_contain_text(text, timeout=30_000)


def test_the_page_finds_the_same_digits_as_the_command_and_reads_them(open_page):
    page = open_page()
    pictures, labels = [*PHOTOS, *(255 - picture for picture in PHOTOS[:3])], [*LABELS, *LABELS[:3]]
    found = page.evaluate(
        f"""files => Promise.all(files.map(async bytes => {{
            const found = findDigit(await readPhoto({FILE}));
            const layers = readNetwork(JSON.parse(document.getElementById("network").textContent));
            const about = JSON.parse(document.getElementById("network").textContent);
            const input = readInput(preprocess(found.image, about), about);
            return [Array.from(found.image), found.others, classify(layers, input)];
        }}))""",
        [base64.b64encode(encode(picture)).decode() for picture in pictures],
    )
    expected = [photo.find_digit(picture) for picture in pictures]
    for (image, others, _), here in zip(found, expected, strict=True):
        assert np.abs(np.reshape(image, (28, 28)) - here.image).max() < 1e-5
        assert others == here.others
    assert np.mean([np.argmax(shares) for _, _, shares in found] == np.array(labels)) >= 0.9


def test_a_photo_can_be_chosen_and_cleared(open_page):
    page = open_page()
    choose(page, encode(PHOTOS[0]))
    expect_prediction(page, f"Prediction: {LABELS[0]} (")
    page.locator("#clear").click()
    expect_prediction(page, "none yet")
    choose(page, encode(PHOTOS[0]))  # the same file again
    expect_prediction(page, f"Prediction: {LABELS[0]} (")
    assert page.faults == []


def test_a_photo_can_be_dropped(open_page):
    page = open_page()
    data = page.evaluate_handle(
        f"bytes => {{ const data = new DataTransfer(); data.items.add({FILE}); return data; }}",
        base64.b64encode(encode(PHOTOS[1])).decode(),
    )
    page.dispatch_event("#pad", "dragover", {"dataTransfer": data})
    assert page.locator(".draw.over").count() == 1
    page.dispatch_event("#pad", "drop", {"dataTransfer": data})
    expect_prediction(page, f"Prediction: {LABELS[1]} (")
    assert page.locator(".draw.over").count() == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (encode(BLANK), "Prediction: none; no digit found"),
        (b"no image", "Prediction: none; photo.png cannot be read; save it as JPEG or PNG"),
        (encode(TWO), "there is more than one digit, and this is the largest"),
    ],
    ids=["blank", "no image", "two digits"],
)
def test_bad_input_is_one_sentence(open_page, content, sentence):
    page = open_page()
    choose(page, content)
    expect_prediction(page, sentence)
    assert page.faults == []


def test_the_orientation_in_the_exif_data_is_applied(open_page):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated clockwise
    page = open_page()
    choose(page, encode(np.rot90(PHOTOS[0]), "JPEG", exif=exif))
    expect_prediction(page, f"Prediction: {LABELS[0]} (")
