"""`make predict`: the digit in a photo, read by the networks of a finished run."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from mnist_numpy.ann import network
from mnist_numpy.ann.photo import find_digit
from mnist_numpy.ann.preprocess import straighten
from mnist_numpy.files.checkpoints import read_weights, write_weights
from mnist_numpy.files.errors import InputError
from mnist_numpy.predict_photos import predict_photos
from PIL import Image

from tests.support.photos import make_photo
from tests.support.tables import read_digits
from tests.support.workspace import Workspace, link_environment

IMAGES = read_digits(400)[0]
PHOTOS = [make_photo(IMAGES[seed].reshape(28, 28), np.random.default_rng(seed)) for seed in range(2)]
BLANK = np.full((90, 120), 200, np.uint8)


@pytest.fixture(scope="module")
def run(undisturbed: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of the finished run, with photos of one digit, two digits and none, and other files."""
    workspace = undisturbed.copy(tmp_path_factory.mktemp("photos") / "run")
    link_environment(workspace)
    two = np.hstack([255 - IMAGES[i].reshape(28, 28).repeat(4, axis=0).repeat(4, axis=1) for i in (0, 1)])
    for name, picture in {"a digit": PHOTOS[0], "other": PHOTOS[1], "two": two, "blank": BLANK}.items():
        Image.fromarray(picture).save(workspace.path / f"{name}.png")
    (workspace.path / "text.jpg").write_text("no image")
    (workspace.path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (workspace.path / "half.png").write_bytes(workspace.read("a digit.png")[:4000])
    return workspace


def predict(workspace: Workspace, *names: str) -> list[str | InputError]:
    """Return the lines and errors of the command for files of the workspace, with their names alone."""
    lines = predict_photos([workspace.path / name for name in names], workspace.path / "results")
    return [type(line)(str(line).replace(f"{workspace.path}/", "")) for line in lines]


def make(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `make predict` in the workspace."""
    command = ["make", "--no-print-directory", "predict", *arguments]
    return subprocess.run(command, cwd=workspace.path, capture_output=True, text=True, timeout=300)


def test_the_answer_is_that_of_the_mean_of_all_members(run):
    members = [read_weights(path) for path in run.path.glob("results/models/mlp/fold-*/weights.npz")]
    assert len(members) == 2
    image = np.rint(255 * find_digit(PHOTOS[0]).image).astype(np.uint8).reshape(1, -1)
    straight = straighten(image, (28, 28), members[0][1]["model"]["preprocess"])
    mean = sum(network.predict(network.as_network(*member), straight, 255)[0] / 2 for member in members)
    uncertain = "; uncertain" if mean.max() < 0.8 else ""
    assert predict(run, "a digit.png")[0] == f"a digit.png: {mean.argmax()} ({100 * mean.max():.1f} %){uncertain}"


def test_make_predict_prints_answers_and_writes_what_the_network_saw(run):
    """A name may have blanks; several names and patterns are allowed."""
    one = make(run, "IMAGE=a digit.png")
    answer = r"a digit\.png: \d \(\d+\.\d %\)(; uncertain)?"
    assert re.fullmatch(answer + r"\nresults/photos\.png shows .*\n", one.stdout), one
    several = make(run, "IMAGE=oth*.png two.png")
    assert [line.split(":")[0] for line in several.stdout.splitlines()[:-1]] == ["other.png", "two.png"]
    assert (one.returncode, several.returncode) == (0, 0)
    picture = Image.open(run.path / "results/photos.png")
    assert (picture.size, picture.mode) == ((2 * 30 * 8, 30 * 8), "L")
    assert np.asarray(picture)[8:-8, 8:232].max() == 255


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none.jpg", "none.jpg: No such file or directory"),
        ("text.jpg", "text.jpg: not an image that can be read; save it as JPEG or PNG"),
        ("half.png", "half.png: the file is damaged or incomplete"),
        ("phone.heic", "phone.heic: HEIC cannot be read; save the photo as JPEG or PNG"),
        ("blank.png", "blank.png: no digit found"),
        ("results", "results: this is a folder; name a file"),
    ],
)
def test_bad_input_is_one_error_and_other_photos_are_read(run, name, sentence):
    error, answer, _ = predict(run, name, "a digit.png")
    assert isinstance(error, InputError)
    assert str(error).startswith(sentence)
    assert "%" in answer


def test_an_error_is_told_by_the_exit_status(run):
    said = make(run, "IMAGE=blank.png other.png")
    assert said.returncode != 0
    assert said.stdout.startswith("other.png: ")
    assert said.stderr.startswith("blank.png: no digit found")
    assert "name a photo" in make(run).stderr


def test_the_networks_of_another_folder_answer(run):
    (run.path / "elsewhere").mkdir()
    (run.path / "elsewhere" / "results").symlink_to(run.path / "results")
    said = make(run, "IMAGE=other.png", "ARGS=--directory elsewhere").stdout
    assert "elsewhere/results/photos.png shows" in said
    assert "no trained networks" in make(run, "IMAGE=other.png", "ARGS=--directory nowhere").stderr


def test_of_two_digits_the_answer_names_the_largest(run):
    assert predict(run, "two.png")[0].endswith("; there is more than one digit, and this is the largest")


def test_orientation_transparent_paper_and_16_bits_are_understood(run):
    upright = Image.fromarray(PHOTOS[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: to be rotated clockwise
    upright.rotate(90, expand=True).save(run.path / "rotated.png", exif=exif)
    ink = Image.fromarray(IMAGES[0].reshape(28, 28)).resize((280, 280))
    Image.merge("LA", [ink.point(lambda value: 0), ink]).save(run.path / "transparent.png")
    Image.fromarray(255 - np.asarray(ink)).save(run.path / "opaque.png")
    Image.fromarray((255 - np.asarray(ink)).astype(np.uint16) * 256).save(run.path / "deep.png")
    names = ("rotated", "a digit", "transparent", "deep", "opaque")
    lines = [line.partition(": ")[2] for line in predict(run, *(f"{name}.png" for name in names))]
    assert lines[0] == lines[1]
    assert lines[2] == lines[3] == lines[4]


def test_without_networks_for_such_images_there_is_one_error(run, tmp_path):
    with pytest.raises(InputError, match="run `make run` first"):
        list(predict_photos([], tmp_path))
    shutil.copytree(run.path / "results", tmp_path / "results", ignore=shutil.ignore_patterns("store"))
    for path in tmp_path.glob("results/models/mlp/fold-*/weights.npz"):
        tensors, about = read_weights(path)
        path.unlink()
        write_weights(path, tensors, {**about, "shape": [14, 56]})
    with pytest.raises(InputError, match="28 x 28"):
        list(predict_photos([], tmp_path / "results"))
