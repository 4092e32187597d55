"""The flat vectors of a member in training: parameters, moments, moving average, gradient.

Laid out for speed: without the weights of pixels that are never lit, where nothing moves them, and
cut into pieces that one thread updates while they stay in its cache.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mnist_numpy.ann import network
from mnist_numpy.ann.network import Layer

PIECE = 1 << 16  # parameters updated at once


class Piece(NamedTuple):
    """A slice of the flat vectors, and the number of the tensor it is in."""

    span: slice
    tensor: int


class Vectors:
    """All vectors of one member.

    Parameters
    ----------
    full
        `parameters` and what goes with them, as in a training state; not altered.
    sizes, output_bias
        The network's, as in `network.tensor_shapes`.
    lit
        bool, shape (pixels,): the pixels whose weights are in use; None for all.
    by_tensor
        Whether each piece keeps to one tensor.
    threads
        Among how many the pieces are shared out.
    """

    def __init__(
        self,
        full: dict[str, np.ndarray],
        sizes: Sequence[int],
        output_bias: bool,
        lit: np.ndarray | None,
        by_tensor: bool,
        threads: int,
    ) -> None:
        self.sizes, self.output_bias, self.lit = list(sizes), output_bias, lit
        self._full = {name: vector.copy() for name, vector in full.items()}
        self.used = {name: self._leave_out_unlit(vector) for name, vector in self._full.items()}
        self.parameters, self.ema = self.used["parameters"], self.used.get("ema")
        used_sizes = [sizes[0] if lit is None else int(lit.sum()), *sizes[1:]]
        tensors = network.tensor_views(self.parameters, used_sizes, output_bias)
        self.layers = network.as_layers(tensors)
        self.gradient = np.zeros_like(self.parameters)
        self.tensor_gradients = network.tensor_views(self.gradient, used_sizes, output_bias)
        self.gradient_layers = network.as_layers(self.tensor_gradients)
        self.tensors = tensors
        # as many pieces for each thread, none larger than PIECE
        count = threads * -(-self.parameters.size // (threads * PIECE))
        size = -(-self.parameters.size // count)
        self.pieces = list(cut(tensors if by_tensor else {"all": self.parameters}, size))

    def full(self) -> dict[str, np.ndarray]:
        """Return all vectors with every pixel's weights, valid until the next update."""
        if self.lit is not None:
            inputs, outputs = self.sizes[:2]
            for name, used in self.used.items():
                full, lit_size = self._full[name], int(self.lit.sum()) * outputs
                if full is not used:
                    full[: inputs * outputs].reshape(inputs, outputs)[self.lit] = used[:lit_size].reshape(-1, outputs)
                    full[inputs * outputs :] = used[lit_size:]
        return self._full

    def predicting_layers(self) -> list[Layer]:
        """Return the network as it is to be used: with averaged weights where there are any."""
        vectors = self.full()
        vector = vectors.get("ema", vectors["parameters"])
        return network.as_layers(network.tensor_views(vector, self.sizes, self.output_bias))

    def add_weight_decay(self, weight_decay: float) -> None:
        """Add the gradient of weight_decay / 2 · Σw² over all weights."""
        for name, tensor in self.tensors.items():
            if name.startswith("weight_"):
                self.tensor_gradients[name] += weight_decay * tensor

    def gradient_squares(self) -> np.ndarray:
        """Return the squared gradient norm of every tensor."""
        flat = [gradient.reshape(-1) for gradient in self.tensor_gradients.values()]
        return np.array([float(np.dot(gradient, gradient)) for gradient in flat])

    def _leave_out_unlit(self, vector: np.ndarray) -> np.ndarray:
        inputs, outputs = self.sizes[:2]
        if self.lit is None or len(vector) != len(self._full["parameters"]):  # the latter: one number a tensor
            return vector
        weight = vector[: inputs * outputs].reshape(inputs, outputs)
        return np.concatenate([weight[self.lit].reshape(-1), vector[inputs * outputs :]])


def cut(tensors: dict[str, np.ndarray], size: int) -> Iterator[Piece]:
    """Cut the flat vector into pieces of at most `size` numbers, none across two tensors."""
    first = 0
    for i, tensor in enumerate(tensors.values()):
        last = first + tensor.size
        for begin in range(first, last, size):
            yield Piece(slice(begin, min(begin + size, last)), i)
        first = last
