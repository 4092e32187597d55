"""plots.py: the figures show the numbers they are given, and the same numbers give the same bytes."""

from pathlib import Path

import numpy as np
import plain
import pytest
from ann import plots


def test_the_grid_shows_every_image_with_its_title_in_rows_of_five():
    images, labels = plain.digits(7)
    figure = plots.image_grid(images.reshape(-1, 28, 28), [str(label) for label in labels], "seven")
    assert len(figure.axes) == 10
    assert [axis.get_title() for axis in figure.axes[:7]] == [str(label) for label in labels]
    for axis, image in zip(figure.axes, images, strict=False):
        assert np.array_equal(axis.images[0].get_array(), image.reshape(28, 28))
    assert not any(axis.axison for axis in figure.axes)
    assert not any(axis.images for axis in figure.axes[7:])


def test_the_confusion_matrix_shows_counts_and_colours_errors_by_their_share_of_the_true_class():
    matrix = np.array([[90, 10, 0], [0, 50, 0], [0, 0, 0]])
    axis = plots.confusion(matrix, "some rows").axes[0]
    shown = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axis.texts}
    assert shown == {(0, 0): "90", (0, 1): "10", (1, 1): "50"}
    assert axis.images[0].get_array().tolist() == [[0, 0.1, 0], [0, 0, 0], [0, 0, 0]]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")


@pytest.mark.parametrize("count", [1, 10])
def test_a_figure_saved_twice_has_the_same_bytes(count, tmp_path: Path):
    images = plain.digits(10)[0][:count].reshape(-1, 28, 28)
    for name in ("a.svg", "b.svg"):
        plots.save(plots.image_grid(images, ["7"] * count, "some"), tmp_path / name)
    content = (tmp_path / "a.svg").read_bytes()
    assert content == (tmp_path / "b.svg").read_bytes()
    assert b"<svg" in content
    assert b"dc:date" not in content
