"""The flat vectors of a member in training: parameters, moments, moving average, gradient.

The layout is chosen for speed. Weights that training cannot change, those of pixels that are 0 in every image, are
removed. The vectors are cut into pieces that are small enough to stay in a thread's cache during an update.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from mnist_numpy.ann import network
from mnist_numpy.ann.network import Layer
from mnist_numpy.ann.optimizers import Piece, find_optimizer
from mnist_numpy.ann.options import ModelOptions
from mnist_numpy.ann.state import State

PIECE = 1 << 16  # the largest number of parameters in a piece


class Vectors:
    """All vectors of one member.

    Parameters
    ----------
    state
        The state to continue from. Its vectors are copied.
    options
        The model's section of the config.
    lit
        bool, shape (pixels,): the pixels whose weights are used; None for all.
    threads
        Number of threads. Each gets the same number of pieces.
    """

    def __init__(self, state: State, options: ModelOptions, lit: np.ndarray | None, threads: int) -> None:
        self.sizes, self.output_bias, self.lit = state.about["sizes"], options["output_bias"], lit
        self._full = {name: vector.copy() for name, vector in state.vectors.items()}
        self.used = {name: self._remove_unlit(vector) for name, vector in self._full.items()}
        self.parameters, ema = self.used["parameters"], self.used.get("ema")
        self.gradient = np.zeros_like(self.parameters)
        used_sizes = [self.sizes[0] if lit is None else int(lit.sum()), *self.sizes[1:]]
        self.tensors = network.tensor_views(self.parameters, used_sizes, self.output_bias)
        self.tensor_gradients = network.tensor_views(self.gradient, used_sizes, self.output_bias)
        self.layers, self.gradient_layers = network.as_layers(self.tensors), network.as_layers(self.tensor_gradients)
        # the number of pieces is a multiple of the threads, and no piece is larger than PIECE
        count = threads * -(-self.parameters.size // (threads * PIECE))
        by_tensor = find_optimizer(options["optimizer"]).depends_on_tensor or options["weight_decay"]
        lengths = [tensor.size for tensor in self.tensors.values()] if by_tensor else [self.parameters.size]
        self.pieces = [
            Piece(span, tensor, self.parameters[span], self.gradient[span], None if ema is None else ema[span])
            for span, tensor in cut(lengths, -(-self.parameters.size // count))
        ]

    def expand(self) -> dict[str, np.ndarray]:
        """Return all vectors with the weights of all pixels. They are valid until the next update."""
        if self.lit is not None:
            inputs, outputs = self.sizes[:2]
            for name, used in self.used.items():
                full, lit_size = self._full[name], int(self.lit.sum()) * outputs
                if full is not used:
                    full[: inputs * outputs].reshape(inputs, outputs)[self.lit] = used[:lit_size].reshape(-1, outputs)
                    full[inputs * outputs :] = used[lit_size:]
        return self._full

    def predicting_layers(self) -> list[Layer]:
        """Return the network for prediction: the averaged weights if `ema_decay` is set, else the parameters."""
        vectors = self.expand()
        vector = vectors.get("ema", vectors["parameters"])
        return network.as_layers(network.tensor_views(vector, self.sizes, self.output_bias))

    def add_weight_decay(self, weight_decay: float) -> None:
        """Add the gradient of weight_decay / 2 · Σw² over all weights. No piece may span two tensors."""
        names = list(self.tensors)
        for piece in self.pieces:
            if names[piece.tensor].startswith("weight_"):
                np.add(piece.gradient, weight_decay * piece.parameters, out=piece.gradient)

    def gradient_squares(self) -> np.ndarray:
        """Return the squared gradient norm of each tensor, float64 of shape (tensors,)."""
        flat = [gradient.reshape(-1) for gradient in self.tensor_gradients.values()]
        return np.array([float(np.dot(gradient, gradient)) for gradient in flat])

    def _remove_unlit(self, vector: np.ndarray) -> np.ndarray:
        inputs, outputs = self.sizes[:2]
        if self.lit is None or len(vector) != len(self._full["parameters"]):  # a vector with one number per tensor
            return vector
        weight = vector[: inputs * outputs].reshape(inputs, outputs)
        return np.concatenate([weight[self.lit].reshape(-1), vector[inputs * outputs :]])


def cut(lengths: Iterable[int], size: int) -> Iterator[tuple[slice, int]]:
    """Cut a vector into slices of at most `size` numbers, so that no slice spans two parts.

    Parameters
    ----------
    lengths
        Length of each part of the vector.
    size
        The largest length of a slice.

    Yields
    ------
    tuple
        The slice, and the number of its part.
    """
    first = 0
    for part, length in enumerate(lengths):
        last = first + length
        for begin in range(first, last, size):
            yield slice(begin, min(begin + size, last)), part
        first = last
