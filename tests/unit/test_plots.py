"""plots.py: the figures show the numbers they are given, and the same numbers give the same bytes."""

from pathlib import Path

import figures
import numpy as np
import pandas as pd
import pytest
from mnist_numpy.ann.preprocess import straighten
from mnist_numpy.figures import plots
from mnist_numpy.files import dataset

from tests.support.networks import model_options
from tests.support.tables import read_digits


def test_the_grid_shows_every_image_above_its_caption_in_rows_of_five():
    images, labels = read_digits(7)
    axis = plots.draw_image_grid(images.reshape(-1, 28, 28), [str(label) for label in labels], "seven", 255).axes[0]
    assert axis.get_title(loc="left") == "seven"
    assert [text.get_text() for text in axis.texts] == [str(label) for label in labels]
    for shown, image, text in zip(axis.images, images, axis.texts, strict=True):
        assert np.array_equal(shown.get_array(), image.reshape(28, 28))
        left, right, bottom, _ = shown.get_extent()
        assert left < text.get_position()[0] < right
        assert bottom < text.get_position()[1] < bottom + 0.1
    tops = [shown.get_extent()[3] for shown in axis.images]
    assert tops[:5] == [0] * 5
    assert tops[5] == tops[6] > 1
    assert not axis.axison


def test_the_augmentation_figure_begins_with_the_preprocessed_image(tmp_path: Path):
    images, labels = read_digits(20)
    dataset.write_shard(tmp_path / "train.parquet", [(None, labels, images)], (28, 28), 255)
    options = model_options(preprocess={"deskew": True}, augment={"rotate": 5})
    [axis] = figures.draw_augmentation(tmp_path / "train.parquet", options, "m", 20).axes
    image = images[[labels.argmax()]]
    upright = straighten(image, (28, 28), options["preprocess"])
    assert not np.array_equal(upright, image)
    assert np.array_equal(axis.images[0].get_array().ravel(), upright[0])


def test_units_are_shown_each_scaled_to_its_own_largest_weight():
    units = np.array([[[1.0, 0.5], [0.0, -1.0]], [[-4.0, 2.0], [0.0, 1.0]]])
    first, second = plots.draw_weights(units, "two units", 8).axes[0].images
    assert first.get_array().tolist() == [[1, 0.5], [0, -1]]
    assert second.get_array().tolist() == [[-1, 0.5], [0, 0.25]]
    assert first.get_clim() == second.get_clim() == (-1, 1)


def test_the_reliability_figure_leaves_empty_bins_out():
    bins = pd.DataFrame(
        {"rows": [0, 4], "confidence": [0, 0.9], "accuracy": [0, 0.75], "low": [0, 0.3], "high": [1, 0.95]}
    )
    above, below = plots.draw_calibration(bins, "some rows").axes
    points = above.containers[0].lines[0]
    assert points.get_xydata().tolist() == [[90, 75]]
    assert above.containers[0].lines[2][0].get_segments()[0].tolist() == [[90, 30], [90, 95]]
    assert [bar.get_height() for bar in below.patches] == [0, 4]


def test_the_confusion_matrix_shows_counts_and_shares_of_errors():
    matrix = np.array([[90, 10, 0], [0, 50, 0], [0, 0, 0]])
    axis = plots.draw_confusion_matrix(matrix, range(len(matrix)), "some rows").axes[0]
    shown = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axis.texts}
    assert shown == {(0, 0): "90", (0, 1): "10", (1, 1): "50"}
    assert axis.images[0].get_array().tolist() == [[0, 0.1, 0], [0, 0, 0], [0, 0, 0]]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "label")


@pytest.mark.parametrize("count", [1, 10])
def test_a_figure_saved_twice_has_the_same_bytes(count, tmp_path: Path):
    images = read_digits(10)[0][:count].reshape(-1, 28, 28)
    for name in ("a.svg", "b.svg"):
        plots.save(plots.draw_image_grid(images, ["7"] * count, "some", 255), tmp_path / name)
    content = (tmp_path / "a.svg").read_bytes()
    assert content == (tmp_path / "b.svg").read_bytes()
    assert b"<svg" in content
    assert b"dc:date" not in content


def test_the_curve_of_held_out_rows_connects_the_epochs_that_were_scored():
    some = {"epoch": [1, 2, 3, 4], "train_loss": [0.5] * 4, "train_accuracy": [0.75] * 4}
    scored = {"validation_loss": [np.nan, 0.4, np.nan, 0.2], "validation_accuracy": [np.nan, 0.8, np.nan, 0.9]}
    for axis in plots.draw_learning_curves({"m": [pd.DataFrame(some | scored)]}, "some").axes:
        assert [line.get_xdata().tolist() for line in axis.lines] == [[1, 2, 3, 4], [2, 4]]
    assert "held-out" in axis.get_xlabel()
    unscored = dict.fromkeys(scored, [np.nan] * 4)
    assert (
        "held-out"
        not in plots.draw_learning_curves({"m": [pd.DataFrame(some | unscored)]}, "some").axes[1].get_xlabel()
    )


def test_the_curves_of_a_sweep_are_those_of_its_best_models(tmp_path: Path):
    history = {"epoch": [1, 2]}
    for side in ("train", "validation"):
        history |= {f"{side}_loss": [0.5, 0.25], f"{side}_accuracy": [0.75, 0.875]}
    pd.DataFrame(history).to_csv(tmp_path / "history.csv", index=False)

    def legend(count: int) -> tuple[str, list[str]]:
        names = [f"model-{place}" for place in range(count)]
        loss, error = figures.draw_learning({name: [tmp_path / "history.csv"] * 2 for name in names}, 50).axes
        texts = [text.get_text() for text in error.get_legend().get_texts()]
        assert len({line.get_color() for line in loss.lines}) == len(texts)
        return loss.get_title(loc="left").splitlines()[1], texts

    assert legend(6) == ("12 members, 50 rows in all", [f"model-{place}" for place in range(6)])
    several = "12 members of the best 6 of 24 models, 50 rows in all"
    assert legend(24) == (several, [f"model-{place}" for place in range(6)])
