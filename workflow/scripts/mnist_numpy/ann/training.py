"""The training of one member. The loop is in `Trainer._train_epoch`: forward, backward, update.

BLAS parallelizes the matrix products. Between steps each thread (a `Worker`) updates its pieces of the
parameters and prepares its rows of the next batch, so threads synchronize once per step.
"""

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from mnist_numpy.ann import augment, network, optimizers, provenance
from mnist_numpy.ann.edges import edge_shape
from mnist_numpy.ann.optimizers import Step, find_optimizer
from mnist_numpy.ann.options import ModelOptions
from mnist_numpy.ann.rows import Images, as_images, choose_rows, shuffle
from mnist_numpy.ann.state import State
from mnist_numpy.ann.vectors import Vectors
from mnist_numpy.ann.worker import Worker


class Rows(NamedTuple):
    """Labelled images: uint8 of shape (rows, pixels), class numbers of shape (rows,), and their scale."""

    images: Images | np.ndarray
    labels: np.ndarray
    pixel_max: int


def layer_sizes(shape: Sequence[int], options: ModelOptions, classes: int) -> list[int]:
    """Return the widths of the layers from the input to the output.

    Parameters
    ----------
    shape
        Height and width of an image.
    options
        The model's section of the config.
    classes
        Number of classes.
    """
    inputs = edge_shape(shape) if options["input"] == "edges" else shape
    return [math.prod(inputs), *options["hidden"], classes]


def start(sizes: Sequence[int], options: ModelOptions, fold: int) -> State:
    """Return the state before the first epoch.

    Parameters
    ----------
    sizes
        Widths of the layers from the input to the output.
    options
        The model's section of the config.
    fold
        The fold that the member is not trained on. It is part of the seed.

    Raises
    ------
    ValueError
        If the optimizer is unknown.
    """
    seed = [options["seed"], fold]
    parameters = network.initialize(
        sizes, options["output_bias"], options["initializer"], seed, np.dtype(options["dtype"])
    )
    tensors = len(network.tensor_shapes(sizes, options["output_bias"]))
    moments = find_optimizer(options["optimizer"]).initial_moments(options["optimizer"], parameters, tensors)
    ema = {"ema": parameters.copy()} if options["ema_decay"] else {}
    # the third number makes this stream independent of the one that drew the parameters
    generator = np.random.default_rng([*seed, 1])
    about = {"sizes": list(sizes), "options": options, "trained": []}
    return State(0, 0, {"parameters": parameters, **moments, **ema}, generator, about)


class Trainer:
    """One member in training: its state, buffers and threads.

    Parameters
    ----------
    state
        The state to continue from. It is not changed.
    rows
        The rows to train on.
    shape
        Height and width of an image.
    options
        The model's section of the config.
    threads
        Number of threads. The last bits of the results depend on it.
    """

    def __init__(self, state: State, rows: Rows, shape: Sequence[int], options: ModelOptions, threads: int) -> None:
        self.options, self.epoch, self.step, self.about = options, state.epoch, state.step, state.about
        self.generator = np.random.default_rng()
        self.generator.bit_generator.state = state.generator.bit_generator.state
        self.first_epoch, self.circumstances = state.epoch + 1, provenance.collect_circumstances(threads)
        augments = augment.is_active(options["augment"])
        optimizer = find_optimizer(options["optimizer"])
        self.rows, source = rows, as_images(rows.images)
        self.edges_of = network.choose_input(options, shape)
        # a pixel that is 0 in every image has weights without gradient: unless something else changes them, skip them
        needed = augments or self.edges_of or options["weight_decay"] or optimizer.moves_without_gradient
        lit = None if needed else source.lit_pixels()
        lit = None if lit is None or lit.all() else lit
        self.vectors = Vectors(state, options, lit, threads)
        self.optimizer = optimizer(options["optimizer"], self.vectors.used)
        self.full_batch = options["batch_size"] == "full"
        count = len(rows.labels)
        self.batch_size = count if options["batch_size"] == "full" else min(options["batch_size"], count)
        self.images = np.empty((self.batch_size, len(self.vectors.layers[0].weight)), self.vectors.parameters.dtype)
        self.outputs = network.allocate(self.vectors.layers, self.batch_size)
        self.deltas = [*network.allocate(self.vectors.layers[:-1], self.batch_size), self.outputs[-1]]
        distortions = [augment.Distortion(shape, options["augment"]) if augments else None for _ in range(threads)]
        self.workers = [
            Worker(
                i,
                threads,
                self.optimizer,
                self.vectors.pieces[i::threads],
                source,
                rows.pixel_max,
                lit,
                self.images,
                self.edges_of,
                distortion,
            )
            for i, distortion in enumerate(distortions)
        ]
        self.images_ready = False
        self.skip = options.get("skip_easy")
        # a row that was not used yet is hard
        unused = np.full(len(rows.labels) if self.skip else 0, np.inf, np.float32)
        self.losses = state.losses.copy() if state.losses.size else unused

    def run_epoch(self, total_epochs: int | None) -> dict[str, float]:
        """Train one epoch and return its row of the history.

        Loss and accuracy are means over all rows, each evaluated before its update. A row that was skipped counts with
        its loss when it was last used, and as correct. The validation columns are nan; the caller fills them in. If the
        batch is full, the caller also replaces loss and accuracy by those after the update.

        Parameters
        ----------
        total_epochs
            Length of the whole training in epochs. None is allowed for a constant schedule.

        Raises
        ------
        FloatingPointError
            If the loss, a gradient norm or a parameter is not finite.
        """
        began = time.perf_counter()
        count = len(self.rows.labels)
        total_loss, correct, used, norms, last = self._train_epoch(total_epochs)
        self.epoch += 1
        loss = total_loss / count
        self._check_finite(loss, norms, self.vectors.parameters)
        seconds = time.perf_counter() - began
        columns = {
            f"{kind}_{name}": float(numbers[i])
            for i, name in enumerate(self.vectors.tensors)
            for kind, numbers in last.by_tensor.items()
        }
        return {
            "epoch": self.epoch,
            "learning_rate": last.learning_rate,
            "train_loss": loss,
            "train_accuracy": correct / count,
            "validation_loss": np.nan,
            "validation_accuracy": np.nan,
            "gradient_norm": float(np.mean(norms)),
            "images_per_second": used / seconds,
            "seconds": seconds,
            **columns,
        }

    def _order_rows(self, generator: np.random.Generator) -> np.ndarray:
        """Return the rows that the epoch uses, in their order."""
        count, pixels = self.rows.images.shape
        if self.full_batch:
            return np.arange(count)
        order = shuffle(count, pixels, generator)
        if self.skip is None or self.epoch < self.skip["after"]:
            return order
        return choose_rows(order, self.losses, self.skip["above"], self.skip["keep"], generator)

    def _train_epoch(self, total_epochs: int | None) -> tuple[float, int, int, list[float], Step]:
        """Train an epoch.

        Return the sum of the losses and the number of correct rows, both of all rows, the number of rows that were
        used, all gradient norms, and the last step.
        """
        options, layers = self.options, self.vectors.layers
        order_seed, augment_seed, dropout_seed = self.generator.integers(2**63, size=3)
        order = self._order_rows(np.random.default_rng(order_seed))
        batches = [order[first : first + self.batch_size] for first in range(0, len(order), self.batch_size)]
        distortions, dropout = np.random.default_rng([augment_seed, 0]), np.random.default_rng(dropout_seed)
        skipped = np.delete(self.losses, order) if self.skip else self.losses
        loss, correct, norms = float(skipped.sum(dtype=np.float64)), len(skipped), []
        # numbers that are not finite are reported at the end of the epoch
        with np.errstate(all="ignore"), ThreadPoolExecutor(max(1, len(self.workers) - 1)) as pool:
            self._work(pool, None, None if self.images_ready else batches[0], distortions)
            for i, (batch, following) in enumerate(zip(batches, [*batches[1:], None], strict=True)):
                labels, images = self.rows.labels[batch], self.images[: len(batch)]
                outputs = [output[: len(batch)] for output in self.outputs]
                deltas = [delta[: len(batch)] for delta in self.deltas]
                logits = network.forward(layers, images, outputs, options["dropout"], dropout)
                correct += network.count_correct(logits, labels)
                log_probabilities = network.log_softmax(logits)
                loss += network.cross_entropy(log_probabilities, labels)
                if self.skip:
                    self.losses[batch] = -log_probabilities[np.arange(len(batch)), labels]
                # in place: logits, log-probabilities and the last of the deltas are one buffer
                network.output_delta(log_probabilities, labels, options["label_smoothing"])
                network.backward(layers, self.vectors.gradient_layers, images, outputs, deltas, options["dropout"])
                step = self._begin_step(self.epoch * len(batches) + i, len(batches), total_epochs)
                self._work(pool, step, following, distortions)  # update, and prepare the next batch
                norms.append(step.gradient_norm)
        # a full batch is the same in every epoch and need not be prepared again
        self.images_ready = self.full_batch and not augment.is_active(options["augment"])
        return loss, correct, len(order), norms, step

    def _begin_step(self, position: int, steps_per_epoch: int, total_epochs: int | None) -> Step:
        """Add weight decay to the gradient, compute its norm, and return the numbers of the step.

        `position` is the step in the schedule: its number if all epochs had as many steps as this one.
        """
        options = self.options
        if options["weight_decay"]:
            self.vectors.add_weight_decay(options["weight_decay"])
        squares = self.vectors.gradient_squares()
        norm = float(np.sqrt(squares.sum()))
        clip = options["gradient_clip"]
        scale = clip / norm if clip and norm > clip else 1.0
        share = optimizers.learning_rate_share(options["schedule"], position, steps_per_epoch, total_epochs)
        rate = options["learning_rate"] * share
        self.step += 1
        # the average decays faster in the first steps, so that the random initial weights soon have no effect
        ema_decay = min(options["ema_decay"], self.step / (self.step + 9))
        return Step(self.step, rate, norm, scale, ema_decay, self.optimizer.begin(self.step, rate, squares * scale**2))

    def _work(
        self, pool: ThreadPoolExecutor, step: Step | None, batch: np.ndarray | None, generator: np.random.Generator
    ) -> None:
        """Let each worker update its pieces and prepare its rows of the batch; the first worker uses this thread.

        The distortions of a batch are drawn here, so that they do not depend on the number of threads.
        """
        distortion = self.workers[0].distortion
        drawn = None if batch is None or distortion is None else distortion.draw(len(batch), generator)
        others = [pool.submit(worker.work, step, batch, drawn) for worker in self.workers[1:]]
        self.workers[0].work(step, batch, drawn)
        for other in others:
            other.result()

    def score(self, rows: Rows) -> tuple[float, float]:
        """Return the mean loss (nats) and the accuracy on some rows, with the averaged weights if there are any.

        Raises
        ------
        FloatingPointError
            If the loss is not finite.
        """
        predictor = network.Network(self.vectors.predicting_layers(), self.edges_of)
        images, shares = as_images(rows.images), np.array_split(np.arange(len(rows.labels)), len(self.workers))

        def score_share(share: np.ndarray) -> tuple[float, int]:
            labels = rows.labels[share]
            with np.errstate(over="ignore", invalid="ignore"):
                probabilities = network.predict(predictor, images.select(share), rows.pixel_max)
            return network.cross_entropy(np.log(probabilities), labels), network.count_correct(probabilities, labels)

        with ThreadPoolExecutor(len(shares)) as pool:
            losses, correct = zip(*pool.map(score_share, shares), strict=True)
        loss = sum(losses) / len(rows.labels)
        self._check_finite(loss)  # the last step of an epoch can diverge too
        return loss, sum(correct) / len(rows.labels)

    def state(self) -> State:
        """Return the state after the last epoch. It is valid until the next epoch."""
        epochs = self.first_epoch, self.epoch
        trained = provenance.extend_record(self.about["trained"], epochs, self.circumstances)
        about = {**self.about, "trained": trained}
        return State(self.epoch, self.step, self.vectors.expand(), self.generator, about, self.losses)

    def _check_finite(self, loss: float, *others: np.ndarray | list[float]) -> None:
        if not all(np.isfinite(numbers).all() for numbers in (loss, *others)):
            raise FloatingPointError(
                f"training diverged in epoch {self.epoch}: the loss is {loss:g}; "
                f"lower learning_rate (now {self.options['learning_rate']:g})"
                + ("" if self.options["gradient_clip"] else " or set gradient_clip")
            )
