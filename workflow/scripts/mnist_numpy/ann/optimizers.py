"""Optimizers and learning-rate schedules.

An optimizer updates the flat parameter vector a piece at a time, so that a piece stays in the processor's
cache through all passes of an update and several threads can share the work. `begin` is called once per
step, before any piece is updated.
"""

import math
from typing import NamedTuple, Protocol

import numpy as np

from mnist_numpy.ann.options import OptimizerOptions, ScheduleOptions
from mnist_numpy.ann.vectors import Piece

FLUSH_STEPS = 256
FLUSH_BELOW = 1e-20  # decays to the denormal numbers (1e-38) in some 390 steps at 0.9


class Step(NamedTuple):
    """What one step moves the parameters by, and its numbers for the history."""

    number: int  # from 1, over the whole training
    learning_rate: float
    gradient_norm: float  # before clipping
    gradient_scale: float  # below 1 where the gradient is clipped
    ema_decay: float
    by_tensor: dict[str, np.ndarray]  # what `Optimizer.begin` returned


class Optimizer(Protocol):
    """What the training loop asks of an optimizer."""

    def begin(self, number: int, learning_rate: float, squares: np.ndarray) -> dict[str, np.ndarray]:
        """Begin step `number`, given the squared gradient norm of each tensor; return what it has one of per tensor."""
        return {}

    def update(self, piece: Piece, step: Step, scratch: np.ndarray) -> None:
        """Move the parameters of one piece; `scratch` is a buffer of its length."""


class Adam(Optimizer):
    """Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1).

    Both moments are kept without their factors 1 - β, and both bias corrections are folded into the step
    size and epsilon: fewer passes over the vectors.

    A moment whose gradient stays 0 (a pixel that is seldom lit) decays into the denormal numbers, whose
    arithmetic is many times slower; it is set to 0 well before.
    """

    def __init__(self, options: OptimizerOptions, moments: dict[str, np.ndarray]) -> None:
        self.beta_1, self.beta_2, self.epsilon = options["beta_1"], options["beta_2"], options["epsilon"]
        self.first_moment, self.second_moment = moments["first_moment"], moments["second_moment"]

    def update(self, piece: Piece, step: Step, scratch: np.ndarray) -> None:
        """Set m = β1·m + g, v = β2·v + g², p = p - step_size · m / (√v + ε)."""
        first_factor = (1 - self.beta_1) / (1 - self.beta_1**step.number)
        second_factor = float(np.sqrt((1 - self.beta_2) / (1 - self.beta_2**step.number)))
        first, second = self.first_moment[piece.span], self.second_moment[piece.span]
        first *= self.beta_1
        first += piece.gradient
        second *= self.beta_2
        second += np.square(piece.gradient, out=scratch)
        if step.number % FLUSH_STEPS == 0:
            first[np.abs(first) < FLUSH_BELOW] = 0
            second[second < FLUSH_BELOW**1.5] = 0
        np.sqrt(second, out=scratch)
        scratch += self.epsilon / second_factor
        np.divide(first, scratch, out=scratch)
        scratch *= step.learning_rate * first_factor / second_factor
        np.subtract(piece.parameters, scratch, out=piece.parameters)


class Sgd(Optimizer):
    """Stochastic gradient descent with momentum (Polyak, 1964): u = μu + g; p -= ηu."""

    def __init__(self, options: OptimizerOptions, moments: dict[str, np.ndarray]) -> None:
        self.momentum, self.velocity = options["momentum"], moments.get("velocity")

    def update(self, piece: Piece, step: Step, scratch: np.ndarray) -> None:
        """Add the gradient to the velocity, flushed as in Adam, and move by it."""
        velocity = piece.gradient
        if self.velocity is not None:
            velocity = self.velocity[piece.span]
            velocity *= self.momentum
            velocity += piece.gradient
            if step.number % FLUSH_STEPS == 0:
                velocity[np.abs(velocity) < FLUSH_BELOW] = 0
        np.multiply(velocity, step.learning_rate, out=scratch)
        np.subtract(piece.parameters, scratch, out=piece.parameters)


class NormRms(Optimizer):
    """The notebook's optimizer: one running mean square of the gradient's norm per tensor.

    s = γs + (1 - γ)·Σg², starting from 1; p -= η / √(s + ε) · g. After the first and then every
    `reset_every`-th step each s is set to 1 again (after its use).
    """

    def __init__(self, options: OptimizerOptions, moments: dict[str, np.ndarray]) -> None:
        self.decay, self.epsilon, self.reset_every = options["decay"], options["epsilon"], options["reset_every"]
        self.mean_square = moments["mean_square"]

    def begin(self, number: int, learning_rate: float, squares: np.ndarray) -> dict[str, np.ndarray]:
        """Update every s; return its root, the step size and the gradient norm of each tensor."""
        self.mean_square *= self.decay
        self.mean_square += (1 - self.decay) * squares
        rms, sizes = np.sqrt(self.mean_square), learning_rate / np.sqrt(self.mean_square + self.epsilon)
        if self.reset_every and (number - 1) % self.reset_every == 0:
            self.mean_square[:] = 1
        return {"rms": rms, "step": sizes, "gradient_norm": np.sqrt(squares)}

    def update(self, piece: Piece, step: Step, scratch: np.ndarray) -> None:
        """Move against the gradient by the tensor's step size."""
        np.multiply(piece.gradient, float(step.by_tensor["step"][piece.tensor]), out=scratch)
        np.subtract(piece.parameters, scratch, out=piece.parameters)


def initial_moments(options: OptimizerOptions, parameters: np.ndarray, tensors: int) -> dict[str, np.ndarray]:
    """Return an optimizer's moments before the first step, by their names in a training state.

    They take length and dtype of the flat vector of parameters, which holds so many tensors.
    """
    if options["name"] == "norm_rms":
        return {"mean_square": np.ones(tensors)}
    if options["name"] == "sgd":
        return {"velocity": np.zeros_like(parameters)} if options["momentum"] else {}
    return {"first_moment": np.zeros_like(parameters), "second_moment": np.zeros_like(parameters)}


def make_optimizer(options: OptimizerOptions, moments: dict[str, np.ndarray]) -> Optimizer:
    """Return the optimizer that `options["name"]` names; it updates `moments` in place."""
    if options["name"] == "norm_rms":
        return NormRms(options, moments)
    return Sgd(options, moments) if options["name"] == "sgd" else Adam(options, moments)


def learning_rate_share(schedule: ScheduleOptions, step: int, steps_per_epoch: int, epochs: int | None) -> float:
    """Return the share of `learning_rate` to use in a step.

    Parameters
    ----------
    schedule
        Constant, or a linear rise over `warm_up` epochs, then half a cosine that would reach the share `final`
        in the step after the last (Loshchilov and Hutter, "SGDR", 2017, without restarts).
    step
        Counted from 0 over the whole training.
    steps_per_epoch, epochs
        Length of an epoch and of the whole training; a constant schedule ignores them.
    """
    if schedule["name"] == "constant":
        return 1.0
    assert epochs is not None
    warm_up = schedule["warm_up"] * steps_per_epoch
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    progress = (step - warm_up) / max(1.0, epochs * steps_per_epoch - 1 - warm_up)
    return schedule["final"] + (1 - schedule["final"]) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
