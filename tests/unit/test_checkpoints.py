"""Test checkpoints.py: states and weights are read as written, with the same bytes, and damage is an error."""

import json
from pathlib import Path

import numpy as np
import pytest
from mnist_numpy.ann.state import State
from mnist_numpy.files import checkpoints
from mnist_numpy.files.errors import InputError

TENSORS = {"weight_0": np.arange(6, dtype=np.float32).reshape(2, 3), "bias_0": np.array([1.5, -2, 0], np.float32)}


def some_state(size: int = 40) -> State:
    generator = np.random.default_rng(6)
    vectors = {"parameters": generator.normal(size=size).astype(np.float32), "mean_square": generator.normal(size=3)}
    generator.integers(2**31, dtype=np.uint32)  # the generator buffers the other half of the word
    about = {"sizes": [2, 3], "options": {"name": "é", "rate": 0.1}, "trained": [{"epochs": [1, 7], "threads": 1}]}
    return State(7, 91, vectors, generator, about)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "epoch-0007.npz"
    checkpoints.write_state(path, some_state())
    return path


def is_same(found: State, wanted: State) -> bool:
    arrays = (found.vectors.keys() == wanted.vectors.keys()) and all(
        np.array_equal(vector, wanted.vectors[name]) and vector.dtype == wanted.vectors[name].dtype
        for name, vector in found.vectors.items()
    )
    scalars = (found.epoch, found.step, found.about) == (wanted.epoch, wanted.step, wanted.about)
    return arrays and scalars and found.generator.bit_generator.state == wanted.generator.bit_generator.state


def test_a_state_is_read_as_it_was_written(file):
    found = checkpoints.read_state(file)
    assert is_same(found, some_state())
    wanted = some_state().generator
    assert np.array_equal(found.generator.integers(2**31, size=5), wanted.integers(2**31, size=5))


def test_weights_are_read_as_written_and_open_without_pickle(tmp_path):
    path = tmp_path / "weights.npz"
    given = {
        "shape": [1, 2],
        "model": {"input": "pixels", "preprocess": {"deskew": True, "ink_spread": None}},
        "trained": [],
    }
    checkpoints.write_weights(path, TENSORS, given)
    tensors, about = checkpoints.read_weights(path)
    assert about == given
    assert list(tensors) == ["weight_0", "bias_0"]
    assert all(np.array_equal(tensors[name], tensor) for name, tensor in TENSORS.items())
    with np.load(path, allow_pickle=False) as plain:
        assert json.loads(str(plain["about"])) == about


def test_the_same_content_gives_the_same_bytes(file, tmp_path):
    again = tmp_path / "again.npz"
    checkpoints.write_state(again, checkpoints.read_state(file))
    assert again.read_bytes() == file.read_bytes()
    weights = [tmp_path / "a.npz", tmp_path / "b.npz"]
    # the order of the keys in `about` has no effect
    for path, about in zip(weights, ({"a": 1, "b": 2}, {"b": 2, "a": 1}), strict=True):
        checkpoints.write_weights(path, TENSORS, about)
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_truncated_file_is_an_error(file):
    content = file.read_bytes()
    for length in range(0, len(content), 37):
        file.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"epoch-0007\.npz: .*delete it and run again"):
            checkpoints.read_state(file)


def test_no_flipped_bit_is_read_as_another_state(file):
    content = file.read_bytes()
    refused = 0
    for place in range(0, len(content), 5):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        try:
            assert is_same(checkpoints.read_state(file), some_state()), place
        except InputError:
            refused += 1
    assert refused > 0.8 * len(content) / 5


def test_a_flipped_bit_in_a_shape_is_not_read_as_a_shorter_vector(file):
    checkpoints.write_state(file, some_state(17000))
    file.write_bytes(file.read_bytes().replace(b"(17000,)", b"(16000,)"))
    with pytest.raises(InputError, match="bad CRC"):
        checkpoints.read_state(file)


def test_a_flipped_bit_that_marks_a_file_as_encrypted_is_an_error(file):
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="encrypted"):
        checkpoints.read_state(file)


def save_array(path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, np.arange(3))


@pytest.mark.parametrize("read", [checkpoints.read_state, checkpoints.read_weights])
def test_other_files_are_an_error(read, tmp_path):
    path = tmp_path / "other.npz"
    writers = {
        "text": lambda: path.write_text("not a zip"),
        "one array": lambda: save_array(path),
        "pickled": lambda: np.savez(path, parameters=np.array([{}], object), weight_0=np.array([{}])),
        "other arrays": lambda: np.savez(path, x=np.arange(3)),
        "about is not JSON": lambda: np.savez(path, about="{", weight_0=1, parameters=1, generator="{"),
        "about is a list": lambda: np.savez(path, about="[]", weight_0=1, parameters=1, generator="[]"),
    }
    for name, write in writers.items():
        write()
        with pytest.raises(InputError, match=r"other\.npz: .*delete it and run again") as error:
            read(path)
        assert "\n" not in str(error.value), name
    with pytest.raises(InputError, match=r"missing\.npz"):
        read(tmp_path / "missing.npz")


@pytest.mark.parametrize("kind", ["state", "weights"])
def test_files_without_a_training_record_are_an_error(kind, tmp_path):
    path = tmp_path / "earlier.npz"
    if kind == "state":
        earlier = some_state()
        del earlier.about["trained"]
        checkpoints.write_state(path, earlier)
    else:
        checkpoints.write_weights(
            path, TENSORS, {"model": {"input": "pixels", "preprocess": {"deskew": True, "ink_spread": None}}}
        )
    with pytest.raises(InputError, match=r"earlier\.npz: not .*trained.*delete it and run again"):
        (checkpoints.read_state if kind == "state" else checkpoints.read_weights)(path)


def test_a_state_is_not_read_as_weights_nor_weights_as_a_state(file, tmp_path):
    with pytest.raises(InputError, match="not exported weights"):
        checkpoints.read_weights(file)
    checkpoints.write_weights(tmp_path / "weights.npz", TENSORS, {})
    with pytest.raises(InputError, match="not a training state"):
        checkpoints.read_state(tmp_path / "weights.npz")
