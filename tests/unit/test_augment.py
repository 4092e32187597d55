"""Test augment.py and prediction.py: each pixel of a warp, the covariance of the elastic field, views as warps."""

import math

import numpy as np
import pytest
from mnist_numpy.ann import augment, network, prediction

from tests.support.tables import read_digits

STILL = {"rotate": 0.0, "scale": 0.0, "shear": 0.0, "shift": 0.0, "elastic": {"alpha": 0.0, "sigma": 4.0}}
STRONG = {"rotate": 25.0, "scale": 0.2, "shear": 0.3, "shift": 3.0, "elastic": {"alpha": 30.0, "sigma": 3.0}}


def pixel(image: np.ndarray, row: int, column: int) -> float:
    height, width = image.shape
    return float(image[row, column]) if 0 <= row < height and 0 <= column < width else 0.0


def bilinear(image: np.ndarray, x: float, y: float) -> float:
    column, row = math.floor(x), math.floor(y)
    right, down = x - column, y - row
    top = (1 - right) * pixel(image, row, column) + right * pixel(image, row, column + 1)
    bottom = (1 - right) * pixel(image, row + 1, column) + right * pixel(image, row + 1, column + 1)
    return (1 - down) * top + down * bottom


def slow_warp(image: np.ndarray, coefficients: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """Distort one image pixel by pixel, with the coefficients of `Distortion.draw`."""
    height, width = image.shape
    out = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            place = [column - (width - 1) / 2, row - (height - 1) / 2, 1.0, *modes[:, row * width + column]]
            x, y = (sum(float(c) * float(p) for c, p in zip(axis, place, strict=True)) for axis in coefficients)
            out[row, column] = bilinear(image, x - 1, y - 1)  # the frame is one pixel wide
    return out


@pytest.mark.parametrize("shape", [(28, 28), (20, 39)], ids=["square", "wide"])
def test_warp_is_bilinear_interpolation_at_every_pixel(shape):
    images = read_digits(80)[0][:, : shape[0] * shape[1]]
    distortion = augment.Distortion(shape, STRONG)
    coefficients = distortion.draw(80, np.random.default_rng(1))
    out = np.full(images.shape, np.nan, np.float32)
    distortion.warp(images, 255, coefficients, out)
    for i in (0, 5, 63, 64, 79):  # in both chunks
        wanted = slow_warp(images[i].reshape(shape) / 255, coefficients[:, i], distortion.modes)
        assert np.abs(out[i].reshape(shape) - wanted).max() < 1e-4
    assert out.min() >= 0
    assert out.max() <= 1


def test_the_affine_map_is_rotation_times_shear_times_scale_plus_shift():
    angle, shear, scale, shift = 0.3, 0.2, (1.1, 0.8), (1.5, -2.0)
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear], [0, 1]]) @ np.diag(scale)
    found = augment.affine_coefficients(
        np.array([angle]), np.array([shear]), np.array(scale)[:, None], np.array(shift)[:, None], (11, 21)
    )
    np.testing.assert_allclose(found[:, 0, :2], matrix)
    np.testing.assert_allclose(found[:, 0, 2], [1.5 + 10 + 1, -2.0 + 5 + 1])


# the last shape is too large for positions of 64 images in float32
@pytest.mark.parametrize("shape", [(28, 28), (3, 5), (1, 1), (1, 70_001)])
def test_no_distortion_gives_the_image(shape):
    images = np.random.default_rng(0).integers(0, 200, (65, shape[0] * shape[1])).astype(np.uint8)
    out = np.empty(images.shape, np.float32)
    augment.Distortion(shape, STILL).apply(images, 200, np.random.default_rng(1), out)
    np.testing.assert_allclose(out, images / 200, atol=1e-6)


def test_a_shift_by_whole_pixels_moves_the_image_and_fills_with_zeros():
    image = np.arange(1, 13, dtype=np.uint8).reshape(3, 4)
    coefficients = np.zeros((2, 1, 3), np.float32)
    coefficients[0, 0] = 1, 0, 1.5 + 1 + 1  # the source is one pixel to the right
    coefficients[1, 0] = 0, 1, 1 + 1 - 1  # and one pixel up
    out = np.empty((1, 12), np.float32)
    augment.Distortion((3, 4), STILL).warp(image.reshape(1, -1), 1, coefficients, out)
    assert out.reshape(3, 4).tolist() == [[0, 0, 0, 0], [2, 3, 4, 0], [6, 7, 8, 0]]


def test_a_position_far_outside_is_zero():
    coefficients = np.zeros((2, 4, 3), np.float32)
    coefficients[:, :, 2] = [[-1e6, 1e6, 3, 3], [3, 3, -1e6, 1e6]]
    out = np.full((4, 25), np.nan, np.float32)
    augment.Distortion((5, 5), STILL).warp(np.full((4, 25), 255, np.uint8), 255, coefficients, out)
    assert not out.any()


def test_draws_are_uniform_within_their_limits():
    options = STILL | {"rotate": 30.0, "shift": 2.0}
    found = augment.Distortion((28, 28), options).draw(4000, np.random.default_rng(0)).astype(float)
    angles = np.degrees(np.arctan2(found[1, :, 0], found[0, :, 0]))
    shifts = found[:, :, 2] - 14.5
    for drawn, limit in ((angles, 30), (shifts[0], 2), (shifts[1], 2)):
        assert np.abs(drawn).max() <= limit + 1e-4
        assert abs(drawn.mean()) < 0.05 * limit
        assert drawn.std() == pytest.approx(limit / math.sqrt(3), rel=0.05)
    scaled = augment.Distortion((28, 28), STILL | {"scale": 0.2, "shear": 0.1}).draw(4000, np.random.default_rng(0))
    assert (scaled[0, :, 0].min(), scaled[0, :, 0].max()) == pytest.approx((0.8, 1.2), abs=1e-3)
    assert (scaled[1, :, 1].min(), scaled[1, :, 1].max()) == pytest.approx((0.8, 1.2), abs=1e-3)
    assert np.abs(scaled[0, :, 1] / scaled[1, :, 1]).max() == pytest.approx(0.1, abs=1e-3)


def direct_smoothing(size: int, sigma: float) -> np.ndarray:
    """Smooth each unit impulse with a complete Gaussian kernel, with zeros beyond both ends."""
    reach = 20 * size
    kernel = [math.exp(-(d**2) / (2 * sigma**2)) for d in range(-reach, reach + 1)]
    total = sum(kernel)
    return np.array([[kernel[reach + i - j] / total for j in range(size)] for i in range(size)])


@pytest.mark.parametrize(("shape", "sigma"), [((9, 9), 2.0), ((6, 11), 1.5), ((28, 28), 4.0)])
def test_the_elastic_field_has_the_covariance_of_smoothed_white_noise(shape, sigma):
    alpha = 20.0
    modes = augment.elastic_modes(shape, alpha, sigma)
    smoothing = np.kron(direct_smoothing(shape[0], sigma), direct_smoothing(shape[1], sigma))
    wanted = alpha**2 / 3 * smoothing @ smoothing.T  # for uniform noise in [-1, 1]
    found = modes.T @ modes
    share = np.trace(found) / np.trace(wanted)
    assert 0.999 <= share <= 1 + 1e-9
    assert np.linalg.norm(found - wanted) < 0.003 * np.linalg.norm(wanted)
    # one mode less would not be enough
    assert np.trace(modes[:-1].T @ modes[:-1]) < 0.999 * np.trace(wanted)


def test_elastic_amplitudes_are_standard_normal_and_each_axis_has_its_own():
    distortion = augment.Distortion((28, 28), STILL | {"elastic": {"alpha": 30.0, "sigma": 4.0}})
    drawn = distortion.draw(2000, np.random.default_rng(3))[:, :, 3:].astype(float)
    assert drawn.shape[2] == len(distortion.modes) > 10
    assert abs(drawn.mean()) < 0.01
    assert drawn.std() == pytest.approx(1, abs=0.01)
    assert abs(np.mean(drawn[0] * drawn[1])) < 0.02


def test_augmentation_is_active_if_an_option_moves_a_pixel():
    assert not augment.is_active(STILL)
    for key in ("rotate", "scale", "shear", "shift"):
        assert augment.is_active(STILL | {key: 0.1})
    assert augment.is_active(STILL | {"elastic": {"alpha": 1.0, "sigma": 4.0}})
    assert len(augment.elastic_modes((5, 5), 0, 4.0)) == 0


# --- Views at prediction --------------------------------------------------------------------------

VIEWS = {"test_time_augmentation": 6, "rotate": 12.0, "scale": 0.1, "shear": 0.2, "shift": 1.5}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_view_is_the_image_warped_and_then_predicted(dtype):
    shape, images = (28, 28), read_digits(70)[0]
    views = prediction.view_matrices(shape, VIEWS)
    assert len(views) == 6
    assert views[0] is None
    sizes = [784, 20, 10]
    tensors = network.tensor_views(network.initialize(sizes, True, "he", [0], dtype), sizes, True)
    networks = prediction.member_networks(network.Network(network.as_layers(tensors)), views)
    spread = prediction.spread_evenly(5, 5)
    total = network.predict(networks[0], images, 255).astype(float)
    for place, view in zip(spread, networks[1:], strict=True):
        coefficients = augment.affine_coefficients(
            np.radians(12.0) * place[:1],
            0.2 * place[1:2],
            np.full((2, 1), 1 + 0.1 * place[2]),
            1.5 * place[3:5, None],
            shape,
        )[:, 0]
        warped = np.array([slow_warp(image.reshape(shape), coefficients, np.empty((0, 784))) for image in images[:3]])
        hidden = np.maximum(warped.reshape(3, -1) / 255 @ tensors["weight_0"] + tensors["bias_0"], 0)
        odds = np.exp(hidden @ tensors["weight_1"] + tensors["bias_1"])
        found = network.predict(view, images, 255)
        np.testing.assert_allclose(found[:3], odds / odds.sum(axis=1, keepdims=True), atol=2e-5)
        total += found
    np.testing.assert_allclose(prediction.mean_probabilities(networks, images, 255), total / 6, atol=1e-6)


def test_one_view_is_the_image_itself():
    assert prediction.view_matrices((28, 28), VIEWS | {"test_time_augmentation": 1}) == [None]


def test_the_mean_is_over_members_as_well_as_views():
    images = read_digits(10)[0]
    drawn = [network.initialize([784, 10], True, "he", [seed], np.float32) for seed in range(3)]
    members = [network.Network(network.as_layers(network.tensor_views(vector, [784, 10], True))) for vector in drawn]
    wanted = np.mean([network.predict(member, images, 255) for member in members], axis=0, dtype=float)
    found = prediction.mean_probabilities(members, images, 255)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 7, 64])
def test_views_are_spread_evenly(count):
    points = prediction.spread_evenly(count, 5)
    assert points.shape == (count, 5)
    assert np.abs(points).max() <= 1
    assert len(np.unique(points.round(9), axis=0)) == count
    if count == 64:
        assert np.abs(points.mean(axis=0)).max() < 0.1
        # each eighth of each axis has at least five points
        for axis in points.T:
            assert np.histogram(axis, 8, (-1, 1))[0].min() >= 5


def test_the_mean_does_not_depend_on_the_number_of_threads():
    generator = np.random.default_rng(5)
    drawn = [{"weight_0": generator.normal(size=(49, 7)).astype(np.float32)} for _ in range(2)]
    members = [network.Network(network.as_layers(tensors)) for tensors in drawn]
    images = generator.integers(0, 256, (2500, 49), dtype=np.uint8)
    one, three = (prediction.mean_probabilities(members, images, 255, threads) for threads in (1, 3))
    np.testing.assert_array_equal(one, three)
