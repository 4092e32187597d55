"""The training loop: (state, data) -> state, one epoch at a time.

With several threads each batch is shared out: every thread carries its rows through the network on
its own, with a single-threaded BLAS, then updates its share of the parameters. So all of a step runs
side by side, not the matrix products alone, and the sums are taken in a fixed order.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ann import InputError, augment, network, optimizers, schedules
from ann.state import State
from ann.vectors import Vectors


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
    if options["average"]:
        vectors["average"] = parameters.copy()
    # the third number keeps this stream apart from the one that drew the parameters
    return State(0, 0, vectors, np.random.default_rng([*seed, 1]), {"sizes": list(sizes), "options": options})


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
        self.about = state.about
        self.augments = augment.is_active(options["augment"])
        # the weights of a pixel that is never lit have no gradient: where nothing else moves them
        # either, they need no arithmetic
        lit: np.ndarray = np.asarray(rows.images.any(axis=0))
        all_pixels = bool(self.augments or options["weight_decay"] or lit.all())
        self.rows = rows if all_pixels else rows._replace(images=np.ascontiguousarray(rows.images[:, lit]))
        sizes, output_bias = state.about["sizes"], options["output_bias"]
        self.vectors = Vectors(state.vectors, sizes, output_bias, None if all_pixels else lit, threads)
        self.optimizer = optimizers.make_optimizer(
            options["optimizer"], self.vectors.parameters, len(self.vectors.tensor_names)
        )
        for name in self.optimizer.moments:
            self.optimizer.moments[name] = self.vectors.used[name]
        self.full_batch = options["batch_size"] == "full"
        self.batch_size = len(rows.labels) if self.full_batch else min(options["batch_size"], len(rows.labels))
        self.steps_per_epoch = -(-len(rows.labels) // self.batch_size)
        self.workers = [_Worker(self, shape, worker) for worker in range(threads)]
        self.differentiated, self.updated = threading.Barrier(threads), threading.Barrier(threads)
        self.summed = threading.Barrier(threads, action=self._begin_update)

    def run_epoch(self, total_epochs: int | None) -> dict[str, float]:
        """Train one epoch and return its row of the history (without validation).

        Raises
        ------
        InputError
            Where loss or parameters are no longer finite numbers.
        """
        began = time.perf_counter()
        self.total_epochs = total_epochs
        order_seed, worker_seed = self.generator.integers(2**63, size=2)
        count = len(self.rows.labels)
        order = np.arange(count) if self.full_batch else np.random.default_rng(order_seed).permutation(count)
        self.gradient_norms: list[float] = []
        for worker in self.workers:
            worker.generator = np.random.default_rng([worker_seed, worker.number])
        if self.threads == 1:
            self.workers[0].run(order)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(lambda worker: worker.run(order), self.workers))
        self.epoch_number += 1
        loss = sum(worker.loss for worker in self.workers) / count
        self._check_finite(loss)
        seconds = time.perf_counter() - began
        return {
            "epoch": self.epoch_number,
            "learning_rate": self.learning_rate,
            "train_loss": loss,
            "train_accuracy": sum(worker.correct for worker in self.workers) / count,
            "gradient_norm": float(np.mean(self.gradient_norms)),
            "images_per_second": count / seconds,
            "seconds": seconds,
        }

    def _begin_update(self) -> None:
        """Between gradients and update, in one thread: norms, clipping, step size."""
        tensor_squares = self.vectors.tensor_squares()
        norm = float(np.sqrt(tensor_squares.sum()))
        self.gradient_norms.append(norm)
        clip = self.options["gradient_clip"]
        self.gradient_scale = clip / norm if clip and norm > clip else 1.0
        share = schedules.learning_rate_share(
            self.options["schedule"], self.step, self.steps_per_epoch, self.total_epochs
        )
        self.learning_rate = self.options["learning_rate"] * share
        self.step += 1
        self.last_squares = tensor_squares * self.gradient_scale**2
        self.optimizer.begin(self.step, self.learning_rate, self.last_squares)
        # averages of few steps follow closely, so that the random start is soon forgotten
        self.average_decay = min(self.options["average"], self.step / (self.step + 9))

    def optimizer_columns(self) -> dict[str, float]:
        """Return what the notebook prints of each tensor: RMS, step size and gradient norm."""
        if not isinstance(self.optimizer, optimizers.NormRms):
            return {}
        columns = {}
        for i, name in enumerate(self.vectors.tensor_names):
            columns[f"rms_{name}"] = float(np.sqrt(self.optimizer.last_mean_square[i]))
            columns[f"step_{name}"] = float(self.optimizer.step_sizes[i])
            columns[f"gradient_norm_{name}"] = float(np.sqrt(self.last_squares[i]))
        return columns

    def score(self, rows: Rows) -> tuple[float, float]:
        """Return mean loss and accuracy of the network at hand on some rows."""
        layers = self.vectors.predicting_layers()
        shares = np.array_split(np.arange(len(rows.labels)), self.threads)

        def score_share(share: np.ndarray) -> tuple[float, int]:
            labels = rows.labels[share]
            probabilities = network.predict(layers, rows.images[share], rows.pixel_max)
            with np.errstate(divide="ignore"):
                losses = np.log(probabilities)
            return network.cross_entropy(losses, labels), network.count_correct(probabilities, labels)

        with ThreadPoolExecutor(self.threads) as pool:
            losses, correct = zip(*pool.map(score_share, shares), strict=True)
        return sum(losses) / len(rows.labels), sum(correct) / len(rows.labels)

    def state(self) -> State:
        """Return the state after the last epoch, valid until the next."""
        return State(self.epoch_number, self.step, self.vectors.full(), self.generator, self.about)

    def _check_finite(self, loss: float) -> None:
        if not (np.isfinite(loss) and np.isfinite(self.gradient_norms).all()):
            raise InputError(
                f"training diverged in epoch {self.epoch_number}: the loss is {loss:g}; "
                f"lower learning_rate (now {self.options['learning_rate']:g}) or set gradient_clip"
            )


class _Worker:
    """One thread's share of every batch, with its buffers."""

    def __init__(self, trainer: Trainer, shape: Sequence[int], number: int) -> None:
        self.trainer, self.number = trainer, number
        most = -(-trainer.batch_size // trainer.threads)
        self.outputs = network.allocate(trainer.vectors.layers, most)
        self.deltas = network.allocate(trainer.vectors.layers, most)
        self.deltas[-1] = self.outputs[-1]
        pixels = trainer.rows.images.shape[1]
        self.raw = np.empty((most, pixels), np.uint8)
        dtype = trainer.vectors.parameters.dtype
        self.images = np.empty((most, pixels), dtype)
        self.scratch = np.empty(max(span.stop - span.start for span, _, _ in trainer.vectors.pieces), dtype)
        self.distortion = augment.Distortion(shape, trainer.options["augment"]) if trainer.augments else None
        self.generator = np.random.default_rng()
        self.prepared = False

    def run(self, order: np.ndarray) -> None:
        """Train on this thread's rows of every batch of an epoch."""
        trainer = self.trainer
        self.loss, self.correct = 0.0, 0
        # what is not finite any more is found, and told, at the end of the epoch
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                for first in range(0, len(order), trainer.batch_size):
                    batch = order[first : first + trainer.batch_size]
                    start, stop = (len(batch) * (self.number + i) // trainer.threads for i in (0, 1))
                    self._differentiate(batch[start:stop], len(batch))
                    trainer.differentiated.wait()
                    self._sum_gradients()
                    trainer.summed.wait()
                    self._update()
                    trainer.updated.wait()
            except BaseException:
                for barrier in (trainer.differentiated, trainer.summed, trainer.updated):
                    barrier.abort()
                raise

    def _differentiate(self, rows: np.ndarray, batch_rows: int) -> None:
        """Carry some rows forward and back; add up their loss and correct answers."""
        trainer, options = self.trainer, self.trainer.options
        images = self._prepare(rows)
        labels = trainer.rows.labels[rows]
        outputs = [output[: len(rows)] for output in self.outputs]
        deltas = [delta[: len(rows)] for delta in self.deltas]
        layers = trainer.vectors.layers
        network.forward(layers, images, outputs, options["dropout"], self.generator)
        self.correct += network.count_correct(outputs[-1], labels)
        log_probabilities = network.log_softmax(outputs[-1])
        self.loss += network.cross_entropy(log_probabilities, labels)
        network.output_delta(log_probabilities, labels, batch_rows, options["label_smoothing"])
        gradients = trainer.vectors.gradient_layers[self.number]
        network.backward(layers, gradients, images, outputs, deltas, options["dropout"])

    def _prepare(self, rows: np.ndarray) -> np.ndarray:
        """Gather, scale and distort the images of some rows."""
        if self.trainer.full_batch and self.prepared and self.distortion is None:
            return self.images  # the same rows in the same order, every epoch
        raw, images = self.raw[: len(rows)], self.images[: len(rows)]
        np.take(self.trainer.rows.images, rows, axis=0, out=raw, mode="clip")
        if self.distortion is None:
            np.divide(raw, self.trainer.rows.pixel_max, out=images, dtype=images.dtype)
        else:
            self.distortion.apply(raw, self.trainer.rows.pixel_max, self.generator, images)
        self.prepared = True
        return images

    def _sum_gradients(self) -> None:
        """Add up all threads' gradients, and weight decay, in this thread's pieces."""
        vectors, weight_decay = self.trainer.vectors, self.trainer.options["weight_decay"]
        for i in range(self.number, len(vectors.pieces), self.trainer.threads):
            span, _, decays = vectors.pieces[i]
            gradient = vectors.gradients[0][span]
            for other in vectors.gradients[1:]:
                gradient += other[span]
            if weight_decay and decays:
                gradient += np.multiply(vectors.parameters[span], weight_decay, out=self.scratch[: len(gradient)])
            vectors.squares[i] = np.dot(gradient, gradient)

    def _update(self) -> None:
        """Move this thread's pieces of the parameters, and their averages."""
        trainer, vectors = self.trainer, self.trainer.vectors
        for span, tensor, _ in vectors.pieces[self.number :: trainer.threads]:
            parameters, gradient = vectors.parameters[span], vectors.gradients[0][span]
            scratch = self.scratch[: len(gradient)]
            if trainer.gradient_scale != 1.0:
                gradient *= trainer.gradient_scale
            trainer.optimizer.update(span, tensor, parameters, gradient, scratch)
            if vectors.average is not None:
                np.subtract(parameters, vectors.average[span], out=scratch)
                scratch *= 1 - trainer.average_decay
                vectors.average[span] += scratch
