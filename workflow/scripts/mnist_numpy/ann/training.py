"""The training loop: (state, data) -> state, one epoch at a time.

The matrix products are the BLAS's to share among its threads. Between the products of one step and of
the next, each of our own threads updates its pieces of the parameters and then makes ready its rows
of the next batch: one meeting of the threads a step.
"""

import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from mnist_numpy.ann import augment, network, optimizers, provenance, schedules
from mnist_numpy.ann.state import State
from mnist_numpy.ann.vectors import Vectors


class Rows(NamedTuple):
    """Labelled images: uint8 of shape (rows, pixels), uint8 of shape (rows,), and their scale."""

    images: np.ndarray
    labels: np.ndarray
    pixel_max: int


def start(sizes: Sequence[int], options: dict[str, Any], fold: int) -> State:
    """Return the state before the first epoch of the member that leaves out `fold`."""
    seed = [options["seed"], fold]
    parameters = network.initialize(
        sizes, options["output_bias"], options["initializer"], seed, np.dtype(options["dtype"])
    )
    tensors = len(network.tensor_shapes(sizes, options["output_bias"]))
    vectors = {"parameters": parameters}
    vectors |= optimizers.make_optimizer(options["optimizer"], parameters, tensors).moments
    if options["ema_decay"]:
        vectors["ema"] = parameters.copy()
    # the third number keeps this stream apart from the one that drew the parameters
    about = {"sizes": list(sizes), "options": options, "trained": []}
    return State(0, 0, vectors, np.random.default_rng([*seed, 1]), about)


class Trainer:
    """One member in training: its state, laid out for speed, with buffers and threads.

    Parameters
    ----------
    state
        Where to go on from; not altered.
    rows
        The rows to train on.
    shape
        Height and width of an image.
    options
        The model's section of the config.
    threads
        How many threads share the work; results depend on it in the last bits.
    """

    def __init__(self, state: State, rows: Rows, shape: Sequence[int], options: dict[str, Any], threads: int) -> None:
        self.options, self.threads = options, threads
        self.epoch_number, self.step = state.epoch, state.step
        self.generator = np.random.default_rng()
        self.generator.bit_generator.state = state.generator.bit_generator.state
        self.about, self.first_epoch, self.circumstances = (
            state.about,
            state.epoch + 1,
            provenance.circumstances(threads),
        )
        self.augments = augment.is_active(options["augment"])
        # the weights of a pixel that is never lit have no gradient: where nothing else moves them
        # either, they need no arithmetic
        lit: np.ndarray = np.asarray(rows.images.any(axis=0))
        all_pixels = bool(self.augments or options["weight_decay"] or lit.all())
        self.rows = rows if all_pixels else rows._replace(images=np.ascontiguousarray(rows.images[:, lit]))
        sizes, output_bias = state.about["sizes"], options["output_bias"]
        by_tensor = bool(options["optimizer"]["name"] == "norm_rms" or options["weight_decay"])
        self.vectors = Vectors(state.vectors, sizes, output_bias, None if all_pixels else lit, by_tensor, threads)
        self.optimizer = optimizers.make_optimizer(
            options["optimizer"], self.vectors.parameters, len(self.vectors.tensors)
        )
        for name in self.optimizer.moments:
            self.optimizer.moments[name] = self.vectors.used[name]
        self.full_batch = options["batch_size"] == "full"
        self.batch_size = len(rows.labels) if self.full_batch else min(options["batch_size"], len(rows.labels))
        self.steps_per_epoch = -(-len(rows.labels) // self.batch_size)
        self.outputs = network.allocate(self.vectors.layers, self.batch_size)
        self.deltas = [*network.allocate(self.vectors.layers[:-1], self.batch_size), self.outputs[-1]]
        self.images = np.empty((self.batch_size, self.rows.images.shape[1]), self.vectors.parameters.dtype)
        self.helpers = [_Helper(self, shape, number) for number in range(threads)]

    def run_epoch(self, total_epochs: int | None) -> dict[str, float]:
        """Train one epoch and return its row of the history (without validation).

        Parameters
        ----------
        total_epochs
            Length of the whole training, for schedules that look ahead.

        Raises
        ------
        FloatingPointError
            Where loss, gradient or parameters are no longer finite numbers.
        """
        began = time.perf_counter()
        count = len(self.rows.labels)
        order_seed, augment_seed, dropout_seed = self.generator.integers(2**63, size=3)
        order = np.arange(count) if self.full_batch else np.random.default_rng(order_seed).permutation(count)
        batches = [order[first : first + self.batch_size] for first in range(0, count, self.batch_size)]
        augment_generator = np.random.default_rng([augment_seed, 0])
        dropout_generator = np.random.default_rng(dropout_seed)
        self.loss, self.correct = 0.0, 0
        self.gradient_norms: list[float] = []
        # what is not finite any more is found, and told, at the end of the epoch
        with np.errstate(all="ignore"), ThreadPoolExecutor(max(1, self.threads - 1)) as pool:
            drawn = self._draw(batches[0], augment_generator)
            self._share_out(pool, functools.partial(_Helper.prepare, batch=batches[0], drawn=drawn))
            for batch, following in zip(batches, [*batches[1:], None], strict=True):
                self._differentiate(batch, dropout_generator)
                self._begin_update(total_epochs)
                drawn = self._draw(following, augment_generator)
                self._share_out(pool, functools.partial(_Helper.update_then_prepare, following=following, drawn=drawn))
        self.epoch_number += 1
        loss = self.loss / count
        self._check_finite(loss, self.gradient_norms, self.vectors.parameters)
        seconds = time.perf_counter() - began
        return {
            "epoch": self.epoch_number,
            "learning_rate": self.learning_rate,
            "train_loss": loss,
            "train_accuracy": self.correct / count,
            "gradient_norm": float(np.mean(self.gradient_norms)),
            "images_per_second": count / seconds,
            "seconds": seconds,
        }

    def _share_out(self, pool: ThreadPoolExecutor, task: Callable[["_Helper"], None]) -> None:
        """Run a task for every helper, the first in this thread."""
        others = [pool.submit(task, helper) for helper in self.helpers[1:]]
        task(self.helpers[0])
        for other in others:
            other.result()

    def _draw(self, batch: np.ndarray | None, generator: np.random.Generator) -> np.ndarray | None:
        """Draw the distortions of a whole batch, so that they are the same for any number of threads."""
        distortion = self.helpers[0].distortion
        return None if batch is None or distortion is None else distortion.draw(len(batch), generator)

    def _differentiate(self, batch: np.ndarray, generator: np.random.Generator) -> None:
        """Carry a batch forward and back; add up its loss and correct answers."""
        options, layers, labels = self.options, self.vectors.layers, self.rows.labels[batch]
        images = self.images[: len(batch)]
        outputs = [output[: len(batch)] for output in self.outputs]
        deltas = [delta[: len(batch)] for delta in self.deltas]
        network.forward(layers, images, outputs, options["dropout"], generator)
        self.correct += network.count_correct(outputs[-1], labels)
        log_probabilities = network.log_softmax(outputs[-1])
        self.loss += network.cross_entropy(log_probabilities, labels)
        network.output_delta(log_probabilities, labels, options["label_smoothing"])
        network.backward(layers, self.vectors.gradient_layers, images, outputs, deltas, options["dropout"])

    def _begin_update(self, total_epochs: int | None) -> None:
        """Complete the gradient, measure and clip it, and settle the step size."""
        options = self.options
        if options["weight_decay"]:
            self.vectors.add_weight_decay(options["weight_decay"])
        squares = self.vectors.gradient_squares()
        norm = float(np.sqrt(squares.sum()))
        self.gradient_norms.append(norm)
        clip = options["gradient_clip"]
        self.gradient_scale = clip / norm if clip and norm > clip else 1.0
        share = schedules.learning_rate_share(options["schedule"], self.step, self.steps_per_epoch, total_epochs)
        self.learning_rate = options["learning_rate"] * share
        self.step += 1
        self.last_squares = squares * self.gradient_scale**2
        self.optimizer.begin(self.step, self.learning_rate, self.last_squares)
        # the average of few steps follows closely, so that the random start is soon forgotten
        self.ema_decay = min(options["ema_decay"], self.step / (self.step + 9))

    def optimizer_columns(self) -> dict[str, float]:
        """Return what the notebook prints of each tensor: RMS, step size and gradient norm."""
        if not isinstance(self.optimizer, optimizers.NormRms):
            return {}
        columns = {}
        for i, name in enumerate(self.vectors.tensors):
            columns[f"rms_{name}"] = float(np.sqrt(self.optimizer.last_mean_square[i]))
            columns[f"step_{name}"] = float(self.optimizer.step_sizes[i])
            columns[f"gradient_norm_{name}"] = float(np.sqrt(self.last_squares[i]))
        return columns

    def score(self, rows: Rows) -> tuple[float, float]:
        """Return mean loss and accuracy of the network at hand on some rows.

        Raises
        ------
        FloatingPointError
            Where the loss is no finite number.
        """
        layers = self.vectors.predicting_layers()
        shares = np.array_split(np.arange(len(rows.labels)), self.threads)

        def score_share(share: np.ndarray) -> tuple[float, int]:
            labels = rows.labels[share]
            with np.errstate(over="ignore", invalid="ignore"):
                probabilities = network.predict(layers, rows.images[share], rows.pixel_max)
            return network.cross_entropy(np.log(probabilities), labels), network.count_correct(probabilities, labels)

        with ThreadPoolExecutor(self.threads) as pool:
            losses, correct = zip(*pool.map(score_share, shares), strict=True)
        loss = sum(losses) / len(rows.labels)
        self._check_finite(loss)  # the last step of an epoch may be the one too many
        return loss, sum(correct) / len(rows.labels)

    def state(self) -> State:
        """Return the state after the last epoch, valid until the next."""
        epochs = self.first_epoch, self.epoch_number
        trained = provenance.extended(self.about["trained"], epochs, self.circumstances)
        about = {**self.about, "trained": trained}
        return State(self.epoch_number, self.step, self.vectors.full(), self.generator, about)

    def _check_finite(self, loss: float, *others: np.ndarray | list[float]) -> None:
        if not all(np.isfinite(numbers).all() for numbers in (loss, *others)):
            raise FloatingPointError(
                f"training diverged in epoch {self.epoch_number}: the loss is {loss:g}; "
                f"lower learning_rate (now {self.options['learning_rate']:g})"
                + ("" if self.options["gradient_clip"] else " or set gradient_clip")
            )


class _Helper:
    """One thread's share of what is done between the matrix products, with its buffers."""

    def __init__(self, trainer: Trainer, shape: Sequence[int], number: int) -> None:
        self.trainer, self.number = trainer, number
        most = -(-trainer.batch_size // trainer.threads)
        self.raw = np.empty((most, trainer.images.shape[1]), np.uint8)
        largest = max(span.stop - span.start for span, _ in trainer.vectors.pieces)
        self.scratch = np.empty(largest, trainer.images.dtype)
        self.distortion = augment.Distortion(shape, trainer.options["augment"]) if trainer.augments else None
        self.keeps_images = trainer.full_batch and not trainer.augments
        self.prepared = False

    def update_then_prepare(self, following: np.ndarray | None, drawn: np.ndarray | None) -> None:
        """Update this thread's pieces, then make ready its rows of the following batch, if there is one."""
        with np.errstate(all="ignore"):  # each thread has its own; see run_epoch
            self._update()
        if following is not None:
            self.prepare(following, drawn)

    def prepare(self, batch: np.ndarray, drawn: np.ndarray | None) -> None:
        """Gather, scale and distort this thread's rows of a batch; `drawn` are the distortions of all its rows."""
        if self.prepared and self.keeps_images:
            return  # the same rows in the same order, every epoch
        trainer = self.trainer
        first, last = (len(batch) * (self.number + i) // trainer.threads for i in (0, 1))
        raw, images = self.raw[: last - first], trainer.images[first:last]
        np.take(trainer.rows.images, batch[first:last], axis=0, out=raw, mode="clip")
        if self.distortion is None or drawn is None:
            np.divide(raw, trainer.rows.pixel_max, out=images, dtype=images.dtype)
        else:
            self.distortion.warp(raw, trainer.rows.pixel_max, drawn[:, first:last], images)
        self.prepared = True

    def _update(self) -> None:
        """Move this thread's pieces of the parameters, and their moving average."""
        trainer, vectors = self.trainer, self.trainer.vectors
        for span, tensor in vectors.pieces[self.number :: trainer.threads]:
            parameters, gradient = vectors.parameters[span], vectors.gradient[span]
            scratch = self.scratch[: len(gradient)]
            if trainer.gradient_scale != 1.0:
                gradient *= trainer.gradient_scale
            trainer.optimizer.update(span, tensor, parameters, gradient, scratch)
            if vectors.ema is not None:
                np.subtract(parameters, vectors.ema[span], out=scratch)
                scratch *= 1 - trainer.ema_decay
                vectors.ema[span] += scratch
