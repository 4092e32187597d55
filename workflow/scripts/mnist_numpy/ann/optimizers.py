"""Optimizers and learning-rate schedules. `OPTIMIZERS` lists all optimizers by name.

An optimizer updates the flat parameter vector piece by piece. A piece stays in the processor's cache
during all passes of an update, and several threads share the pieces.
"""

import math
from typing import ClassVar, Literal, NamedTuple, Protocol, Required, TypedDict

import numpy as np

FLUSH_STEPS = 256
FLUSH_BELOW = 1e-20  # at a decay of 0.9 this becomes denormal (below 1e-38) after about 390 steps


class OptimizerOptions(TypedDict, total=False):
    """The section `optimizer`. The other keys depend on `name`, a key of `OPTIMIZERS`."""

    name: Required[str]
    beta_1: float
    beta_2: float
    epsilon: float
    momentum: float
    decay: float
    reset_every: int


class ScheduleOptions(TypedDict, total=False):
    """The section `schedule`. Only `cosine` has the other keys."""

    name: Required[Literal["constant", "cosine"]]
    warm_up: float
    final: float


class Piece(NamedTuple):
    """A part of the flat vectors that one thread updates at once. The arrays are views."""

    span: slice  # its position in the flat vectors
    tensor: int  # the number of its tensor; 0 if pieces may span several tensors
    parameters: np.ndarray
    gradient: np.ndarray
    ema: np.ndarray | None = None


class Step(NamedTuple):
    """The numbers of one step: those that the update needs, and those for the history."""

    number: int  # from 1, over the whole training
    learning_rate: float
    gradient_norm: float  # before clipping
    gradient_scale: float  # below 1 if the gradient is clipped
    ema_decay: float
    by_tensor: dict[str, np.ndarray]  # the result of `Optimizer.begin`


class Optimizer(Protocol):
    """The interface between the training loop and an optimizer.

    Parameters
    ----------
    options
        The section `optimizer` of the model's config.
    moments
        The arrays of `initial_moments`, or those of a checkpoint; updated in place.

    Attributes
    ----------
    moves_without_gradient
        Whether a step can change a weight whose gradient was 0 in every step, as decoupled weight decay does.
        Otherwise training skips the weights of pixels that are 0 in every image. Biases are in the same vectors as
        weights, so that a decay in `update` acts on them too.
    depends_on_tensor
        Whether `update` reads `piece.tensor`. Then no piece spans two tensors.
    """

    moves_without_gradient: ClassVar[bool]
    depends_on_tensor: ClassVar[bool]

    def __init__(self, options: OptimizerOptions, moments: dict[str, np.ndarray]) -> None:
        """Keep the options and the moments."""

    @staticmethod
    def initial_moments(options: OptimizerOptions, parameters: np.ndarray, tensors: int) -> dict[str, np.ndarray]:
        """Return the moments before the first step, by their names in a checkpoint.

        Parameters
        ----------
        options
            The section `optimizer` of the model's config.
        parameters
            The flat vector. A moment of the same length has one number per parameter, and the same dtype.
        tensors
            Number of tensors in the flat vector.
        """

    def begin(self, number: int, learning_rate: float, squares: np.ndarray) -> dict[str, np.ndarray]:
        """Begin a step. This is called once per step, before any piece is updated.

        Parameters
        ----------
        number
            Number of the step, from 1.
        learning_rate
            Learning rate of the step.
        squares
            float64, shape (tensors,): the squared norm of each tensor's gradient, after clipping.

        Returns
        -------
        dict
            Arrays of shape (tensors,) by name, for `update` and as columns of the history.
        """
        return {}

    def update(self, piece: Piece, step: Step, scratch: np.ndarray) -> None:
        """Update the parameters of one piece in place; `scratch` is a buffer of the same length."""


class Adam(Optimizer):
    """Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1).

    Both moments are stored without their factors 1 - β, and both bias corrections are included in the step
    size and epsilon. This saves passes over the vectors.

    If a gradient stays 0 (the pixel is rarely lit), its moments decay to denormal numbers, whose arithmetic
    is many times slower. They are set to 0 before that.
    """

    moves_without_gradient = False
    depends_on_tensor = False

    def __init__(self, options: OptimizerOptions, moments: dict[str, np.ndarray]) -> None:
        self.beta_1, self.beta_2, self.epsilon = options["beta_1"], options["beta_2"], options["epsilon"]
        self.first_moment, self.second_moment = moments["first_moment"], moments["second_moment"]

    @staticmethod
    def initial_moments(options: OptimizerOptions, parameters: np.ndarray, tensors: int) -> dict[str, np.ndarray]:
        """Return zeros."""
        return {"first_moment": np.zeros_like(parameters), "second_moment": np.zeros_like(parameters)}

    def update(self, piece: Piece, step: Step, scratch: np.ndarray) -> None:
        """Set m = β1·m + g, v = β2·v + g², p = p - a·m / (√v + e).

        Here a = η·c1/c2 and e = ε/c2, with c1 = (1-β1)/(1-β1^t) and c2 = √((1-β2)/(1-β2^t)). This is the formula of the
        paper; the factors are taken out of the loop over the parameters.
        """
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
    """Stochastic gradient descent with momentum: u = μu + g, p = p - ηu.

    From B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """

    moves_without_gradient = False
    depends_on_tensor = False

    def __init__(self, options: OptimizerOptions, moments: dict[str, np.ndarray]) -> None:
        self.momentum, self.velocity = options["momentum"], moments.get("velocity")

    @staticmethod
    def initial_moments(options: OptimizerOptions, parameters: np.ndarray, tensors: int) -> dict[str, np.ndarray]:
        """Return a velocity of zeros, or nothing without momentum."""
        return {"velocity": np.zeros_like(parameters)} if options["momentum"] else {}

    def update(self, piece: Piece, step: Step, scratch: np.ndarray) -> None:
        """Add the gradient to the velocity and update by it. Tiny velocities are set to 0 as in Adam."""
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
    """The optimizer of the original notebook: one running mean square of the gradient norm per tensor.

    s = γs + (1 - γ)·Σg², p = p - η / √(s + ε) · g, where s is 1 at first. After step 1, and after every
    `reset_every` further steps, each s is reset to 1.
    """

    moves_without_gradient = False
    depends_on_tensor = True

    def __init__(self, options: OptimizerOptions, moments: dict[str, np.ndarray]) -> None:
        self.decay, self.epsilon, self.reset_every = options["decay"], options["epsilon"], options["reset_every"]
        self.mean_square = moments["mean_square"]

    @staticmethod
    def initial_moments(options: OptimizerOptions, parameters: np.ndarray, tensors: int) -> dict[str, np.ndarray]:
        """Return a mean square of 1 per tensor, float64."""
        return {"mean_square": np.ones(tensors)}

    def begin(self, number: int, learning_rate: float, squares: np.ndarray) -> dict[str, np.ndarray]:
        """Update each s; return √s, the step size and the gradient norm of each tensor."""
        self.mean_square *= self.decay
        self.mean_square += (1 - self.decay) * squares
        rms, sizes = np.sqrt(self.mean_square), learning_rate / np.sqrt(self.mean_square + self.epsilon)
        if self.reset_every and (number - 1) % self.reset_every == 0:
            self.mean_square[:] = 1
        return {"rms": rms, "step": sizes, "gradient_norm": np.sqrt(squares)}

    def update(self, piece: Piece, step: Step, scratch: np.ndarray) -> None:
        """Subtract the gradient times the step size of the tensor."""
        np.multiply(piece.gradient, float(step.by_tensor["step"][piece.tensor]), out=scratch)
        np.subtract(piece.parameters, scratch, out=piece.parameters)


OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "sgd": Sgd, "norm_rms": NormRms}


def find_optimizer(options: OptimizerOptions) -> type[Optimizer]:
    """Return the class of the optimizer that `options["name"]` names.

    Raises
    ------
    ValueError
        If `OPTIMIZERS` does not have this name.
    """
    if options["name"] not in OPTIMIZERS:
        raise ValueError(f"optimizer {options['name']!r} is not one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[options["name"]]


def learning_rate_share(schedule: ScheduleOptions, step: int, steps_per_epoch: int, epochs: int | None) -> float:
    """Return the factor between 0 and 1 that the schedule applies to `learning_rate` in a step.

    Parameters
    ----------
    schedule
        `constant`: always 1. `cosine`: a linear rise over `warm_up` epochs, then half a cosine from 1 to `final`
        in the last step (Loshchilov and Hutter, "SGDR", 2017, without restarts).
    step
        Number of the step, from 0 over the whole training.
    steps_per_epoch, epochs
        Length of an epoch in steps, and of the whole training in epochs. A constant schedule ignores both.
    """
    if schedule["name"] == "constant":
        return 1.0
    assert epochs is not None
    warm_up = schedule["warm_up"] * steps_per_epoch
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    progress = (step - warm_up) / max(1.0, epochs * steps_per_epoch - 1 - warm_up)
    return schedule["final"] + (1 - schedule["final"]) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
