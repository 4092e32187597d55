"""Read and write the .npz files: training states and exported weights.

Both open with `allow_pickle=False` and have a JSON text `about` that describes what made them. The CRC-32 of
every array, which the zip format stores, is checked when the file is read. The same content gives the same bytes.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnist_numpy.ann.state import State
from mnist_numpy.files.atomic import replacing
from mnist_numpy.files.errors import InputError

# zipfile raises RuntimeError for an encrypted archive
READ_ERRORS = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError)


def write_state(path: Path, state: State) -> None:
    """Write a complete training state or none."""
    arrays = {
        **state.vectors,
        "epoch": np.int64(state.epoch),
        "step": np.int64(state.step),
        "generator": np.str_(json.dumps(state.generator.bit_generator.state, sort_keys=True)),
        "about": np.str_(json.dumps(state.about, sort_keys=True)),
    }
    if state.losses.size:
        arrays["losses"] = state.losses
    _write_arrays(path, arrays)


def read_state(path: Path) -> State:
    """Read a training state; raises InputError if it is damaged or another kind of file."""
    arrays = _read_arrays(path)
    try:
        generator = np.random.default_rng()
        generator.bit_generator.state = json.loads(str(arrays.pop("generator")))
        about = json.loads(str(arrays.pop("about")))
        epoch, step = int(arrays.pop("epoch")), int(arrays.pop("step"))
        losses = arrays.pop("losses", np.empty(0, np.float32))
        if "parameters" not in arrays:
            raise KeyError("parameters")
        if "trained" not in about:
            raise KeyError("trained")  # written by an earlier version
    except (*READ_ERRORS, TypeError) as error:
        raise _not_ours(path, "a training state", error) from error
    return State(epoch, step, arrays, generator, about, losses)


def write_weights(path: Path, tensors: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    """Write the tensors weight_0, bias_0, weight_1, … of a trained network: a complete file or none."""
    _write_arrays(path, {**tensors, "about": np.str_(json.dumps(about, sort_keys=True))})


def read_weights(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the tensors and `about`; raises InputError if the file is damaged or another kind of file."""
    arrays = _read_arrays(path)
    try:
        about = json.loads(str(arrays.pop("about")))
        if not isinstance(about, dict) or "weight_0" not in arrays:
            raise KeyError("weight_0")
        if not {"deskew", "ink_spread"} <= set(about["model"]["preprocess"]):
            raise KeyError("preprocess")  # written by an earlier version
        if "input" not in about["model"]:
            raise KeyError("written by an earlier version, without input")
        if "trained" not in about:
            raise KeyError("trained")
    except (*READ_ERRORS, TypeError) as error:
        raise _not_ours(path, "exported weights", error) from error
    return arrays, about


def _write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    with replacing(path) as part, open(part, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        # reading the arrays would check only the bytes that they need
        with zipfile.ZipFile(path) as archive_file:
            damaged = archive_file.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"bad CRC-32 of {damaged}")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except READ_ERRORS as error:
        raise InputError(
            f"{path}: damaged or not an .npz file ({error}); delete it and run again to remake it"
        ) from error


def _not_ours(path: Path, kind: str, error: Exception) -> InputError:
    return InputError(f"{path}: not {kind} of this workflow ({error}); delete it and run again to remake it")
