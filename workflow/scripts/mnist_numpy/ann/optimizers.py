"""Optimizers: each owns its moments and updates the flat parameter vector a piece at a time.

A piece is a slice of one tensor, small enough to stay in the processor's cache through all the
passes of an update. `begin` is called once a step, before any piece is updated.
"""

from typing import Any, Protocol

import numpy as np

FLUSH_STEPS = 256
FLUSH_BELOW = 1e-20  # decays to the denormal numbers (1e-38) in some 390 steps at 0.9


class Optimizer(Protocol):
    """What the training loop asks of an optimizer."""

    moments: dict[str, np.ndarray]

    def begin(self, step: int, learning_rate: float, squares: np.ndarray) -> None:
        """Prepare step `step` (from 1), given each tensor's squared gradient norm."""

    def update(
        self, piece: slice, tensor: int, parameters: np.ndarray, gradient: np.ndarray, scratch: np.ndarray
    ) -> None:
        """Move the parameters of one piece; `gradient` and `scratch` have the piece's length."""


class Adam:
    """Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1).

    Both moments are kept without their factors 1 - β, which `begin` puts back: two passes over
    the vectors less.
    """

    def __init__(self, parameters: np.ndarray, options: dict[str, Any]) -> None:
        self.beta_1, self.beta_2, self.epsilon = options["beta_1"], options["beta_2"], options["epsilon"]
        self.moments = {"first_moment": np.zeros_like(parameters), "second_moment": np.zeros_like(parameters)}

    def begin(self, step: int, learning_rate: float, squares: np.ndarray) -> None:
        """Fold both bias corrections into the step size and epsilon, and flush tiny moments.

        A moment whose gradient stays 0 (a pixel that is seldom lit) decays into the denormal
        numbers, whose arithmetic is many times slower; it is set to 0 well before.
        """
        first_factor = (1 - self.beta_1) / (1 - self.beta_1**step)
        second_factor = float(np.sqrt((1 - self.beta_2) / (1 - self.beta_2**step)))
        self.step_size = learning_rate * first_factor / second_factor
        self.scaled_epsilon = self.epsilon / second_factor
        self.flush = step % FLUSH_STEPS == 0

    def update(
        self, piece: slice, tensor: int, parameters: np.ndarray, gradient: np.ndarray, scratch: np.ndarray
    ) -> None:
        """Set m = β1·m + g, v = β2·v + g², p = p - step_size · m / (√v + ε)."""
        first, second = self.moments["first_moment"][piece], self.moments["second_moment"][piece]
        first *= self.beta_1
        first += gradient
        second *= self.beta_2
        second += np.square(gradient, out=scratch)
        if self.flush:
            first[np.abs(first) < FLUSH_BELOW] = 0
            second[second < FLUSH_BELOW**1.5] = 0
        np.sqrt(second, out=scratch)
        scratch += self.scaled_epsilon
        np.divide(first, scratch, out=scratch)
        scratch *= self.step_size
        parameters -= scratch


class Sgd:
    """Stochastic gradient descent with momentum (Polyak, 1964): u = μu + g; p -= ηu."""

    def __init__(self, parameters: np.ndarray, options: dict[str, Any]) -> None:
        self.momentum = options["momentum"]
        self.moments = {"velocity": np.zeros_like(parameters)} if self.momentum else {}

    def begin(self, step: int, learning_rate: float, squares: np.ndarray) -> None:
        """Keep the step size."""
        self.step_size = learning_rate
        self.flush = step % FLUSH_STEPS == 0

    def update(
        self, piece: slice, tensor: int, parameters: np.ndarray, gradient: np.ndarray, scratch: np.ndarray
    ) -> None:
        """Add the gradient to the velocity and move by it."""
        velocity = gradient
        if self.momentum:
            velocity = self.moments["velocity"][piece]
            velocity *= self.momentum
            velocity += gradient
            if self.flush:
                velocity[np.abs(velocity) < FLUSH_BELOW] = 0
        np.multiply(velocity, self.step_size, out=scratch)
        parameters -= scratch


class NormRms:
    """The notebook's optimizer: one running mean square of the gradient's norm a tensor.

    s = γs + (1 - γ)·Σg², starting from 1; p -= η / √(s + ε) · g. After the first and then every
    `reset_every`-th step each s is set to 1 again (after its use).
    """

    def __init__(self, parameters: np.ndarray, options: dict[str, Any], tensors: int) -> None:
        self.decay, self.epsilon, self.reset_every = options["decay"], options["epsilon"], options["reset_every"]
        self.moments = {"mean_square": np.ones(tensors)}

    def begin(self, step: int, learning_rate: float, squares: np.ndarray) -> None:
        """Update every s and the step size of every tensor; remember both for the history."""
        mean_square = self.moments["mean_square"]
        mean_square *= self.decay
        mean_square += (1 - self.decay) * squares
        self.step_sizes = learning_rate / np.sqrt(mean_square + self.epsilon)
        self.last_mean_square = mean_square.copy()
        if self.reset_every and (step - 1) % self.reset_every == 0:
            mean_square[:] = 1

    def update(
        self, piece: slice, tensor: int, parameters: np.ndarray, gradient: np.ndarray, scratch: np.ndarray
    ) -> None:
        """Move against the gradient by the tensor's step size."""
        np.multiply(gradient, float(self.step_sizes[tensor]), out=scratch)
        parameters -= scratch


def make_optimizer(options: dict[str, Any], parameters: np.ndarray, tensors: int) -> Optimizer:
    """Return the optimizer that `options["name"]` names, at its start.

    Parameters
    ----------
    options
        The config's `optimizer` section.
    parameters
        The flat vector, whose length and dtype the moments take.
    tensors
        How many tensors it holds.
    """
    if options["name"] == "norm_rms":
        return NormRms(parameters, options, tensors)
    return Sgd(parameters, options) if options["name"] == "sgd" else Adam(parameters, options)
