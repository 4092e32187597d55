"""Test photo.py, which finds the digit in a photo."""

import numpy as np
import pytest
from mnist_numpy.ann import photo
from mnist_numpy.ann.preprocess import straighten

from tests.support.photos import make_photo
from tests.support.tables import read_digits

IMAGES = read_digits(400)[0]
PREPROCESS = {"deskew": True, "ink_spread": [5.6, 4.5]}
DIGITS = IMAGES.reshape(-1, 28, 28)


def on_paper(ink: np.ndarray, light: float | np.ndarray = 1.0) -> np.ndarray:
    """Return a photo without noise of ink from 0 to 1."""
    return np.rint(200 * light * (1 - 0.8 * ink)).astype(np.uint8)


def place(*digits: tuple[int, int, int], shape: tuple[int, int] = (240, 320)) -> np.ndarray:
    """Return ink with enlarged digits, each given by its number, top and left; all are 84 x 84 pixels."""
    ink = np.zeros(shape)
    for number, top, left in digits:
        ink[top : top + 84, left : left + 84] = DIGITS[number].repeat(3, axis=0).repeat(3, axis=1) / 255
    return ink


def correlate(image: np.ndarray, digit: np.ndarray) -> float:
    """Return the correlation of two images after a blur, because MNIST is centred to whole pixels only."""
    framed = [np.pad(each, 1) for each in (image, digit)]
    blurred = [sum(each[i : i + 28, j : j + 28] for i in range(3) for j in range(3)).ravel() for each in framed]
    return np.corrcoef(blurred)[0, 1]


@pytest.mark.parametrize(
    "light",
    [1.0, np.linspace(0.4, 1, 320), np.where(np.arange(320) < 150, 0.5, 1)],
    ids=["even", "gradient", "shadow"],
)
def test_an_enlarged_image_becomes_the_image_again(light):
    for number in (0, 1, 2, 3, 4, 5, 7):
        found = photo.find_digit(on_paper(place((number, 100, 110)), light))
        assert not found.others
        assert found.image.max() == 1
        assert correlate(found.image, DIGITS[number] / 255) > 0.85
        y, x = np.mgrid[:28, :28] + 0.5
        assert [np.average(axis, weights=found.image) for axis in (y, x)] == pytest.approx([14, 14], abs=0.01)


def test_light_ink_on_a_dark_background_is_inverted():
    for number in range(40):
        picture = make_photo(DIGITS[number], np.random.default_rng(number)).astype(np.float64)
        assert not photo.has_light_ink(picture)
        assert photo.has_light_ink(255 - picture)
        assert np.array_equal(photo.find_digit(255 - picture).image, photo.find_digit(picture).image)


def test_a_dark_table_beside_the_paper_is_not_a_dark_background():
    for number in range(10):
        picture = photo.reduce_size(make_photo(DIGITS[number], np.random.default_rng(number)))
        table = np.ones(picture.shape, bool)
        width = min(picture.shape) // 10
        table[width:-width, width:-width] = False
        assert not photo.has_light_ink(np.where(table, 40, picture))


def nearest_labels(images: np.ndarray) -> np.ndarray:
    """Return the label of the most similar of 4,000 images: as accurate as a small network, and nothing to train."""
    known, labels = (part[:4000] for part in read_digits(4060))
    vectors = [straighten(part, (28, 28), PREPROCESS).astype(np.float32) for part in (known, images)]
    known, given = ((part - part.mean(1, keepdims=True)) / part.std(1, keepdims=True) for part in vectors)
    return labels[(given @ known.T).argmax(axis=1)]


def test_made_up_photos_are_read_as_well_as_the_images_they_were_made_from():
    generator = np.random.default_rng(0)
    images, labels = (part[4000:] for part in read_digits(4060))
    photos = [photo.find_digit(make_photo(image.reshape(28, 28), generator)) for image in images]
    found = np.array([np.rint(255 * each.image).ravel() for each in photos]).astype(np.uint8)
    of_images, of_photos = (np.mean(nearest_labels(part) == labels) for part in (images, found))
    assert of_images > 0.95
    assert of_photos > of_images - 0.05


@pytest.mark.parametrize("enlarged", [1, 10])
def test_the_images_of_the_data_set_are_read_although_their_ink_is_white(enlarged):
    images, labels = (part[4000:] for part in read_digits(4060))
    pictures = images.reshape(-1, 28, 28).repeat(enlarged, axis=1).repeat(enlarged, axis=2)
    found = np.array([photo.find_digit(picture).image for picture in pictures])
    answers = nearest_labels(np.rint(255 * found).astype(np.uint8).reshape(-1, 784))
    assert np.mean(answers == labels) >= np.mean(nearest_labels(images) == labels) - 0.04


def test_resolution_and_place_do_not_matter():
    first = photo.find_digit(on_paper(place((2, 100, 110)))).image
    moved = on_paper(place((2, 20, 200)))
    assert np.abs(photo.find_digit(moved).image - first).max() < 0.02
    large = moved.repeat(4, axis=0).repeat(4, axis=1)  # it is reduced by 2
    assert correlate(photo.find_digit(large).image, first) > 0.99


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(240, 320), (1, 1), (1, 900), (900, 1), (5, 7)])
def test_blank_paper_has_no_digit(shape):
    light = np.where(np.arange(shape[1]) < shape[1] / 2, 0.5, 1) * np.linspace(0.7, 1, shape[0])[:, None]
    noise = np.random.default_rng(0).normal(0, 4, shape)
    for grey in (np.zeros(shape), np.full(shape, 255), 200 * light, 200 * light + noise):
        assert photo.find_digit(grey.clip(0, 255)) is None


def test_of_several_digits_the_largest_is_read():
    for other in [(0, 80, 10), (0, 150, 120)]:  # beside it, and below it in the next line
        ink = place((5, 10, 120), other)
        found = photo.find_digit(on_paper(ink))
        assert found.others
        alone = [photo.find_digit(on_paper(place(digit))).image for digit in [(5, 10, 120), other]]
        pixels = [np.count_nonzero(DIGITS[number] > 128) for number in (5, 0)]
        assert np.allclose(found.image, alone[int(np.argmax(pixels))], atol=0.02)


def test_loose_strokes_of_a_digit_are_kept_and_spots_are_not():
    five = np.zeros((240, 320))
    five[50:60, 120:170] = five[78:120, 120:130] = five[110:120, 120:165] = 1  # a bar above, 18 pixels away
    five[115:170, 160:170] = five[160:170, 115:165] = 1
    alone = photo.find_digit(on_paper(five))
    assert not alone.others
    assert alone.image[4:6, 10:20].max() > 0.9
    spots = five.copy()
    spots[88:92, 148:152] = spots[200:203, 20:23] = 1  # one of them near it
    spots[:, 300:] = spots[:6] = 1  # the table beside the paper
    spots[:, 240:254] = 1  # a line to the edge, which has more pixels than the digit
    found = photo.find_digit(on_paper(spots))
    assert not found.others
    assert np.allclose(found.image, alone.image, atol=0.01)


def test_parts_are_connected_along_the_diagonal():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 1]], bool)
    labels = photo.label_parts(mask)
    assert labels.tolist() == [[1, 0, 0, 2], [0, 1, 0, 2], [0, 0, 0, 0], [3, 3, 0, 4]]


def test_the_maximum_is_that_of_the_square():
    values = np.random.default_rng(1).random((9, 14))
    for radius in (0, 1, 2, 3, 6):
        framed = np.pad(values, radius, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(framed, (2 * radius + 1, 2 * radius + 1))
        assert np.array_equal(photo.spread_maximum(values, radius), windows.max(axis=(2, 3)))


def test_made_up_photos_are_seeded_and_differ():
    first, again, other = (make_photo(DIGITS[0], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)
