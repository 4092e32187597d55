"""One thread of training: it updates its part of the parameters and prepares its part of each batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnist_numpy.ann import augment
from mnist_numpy.ann.edges import find_edges
from mnist_numpy.ann.optimizers import Optimizer, Piece, Step
from mnist_numpy.ann.rows import Images


@dataclass
class Worker:
    """One thread. It updates its pieces of the parameters and prepares its rows of each batch.

    It is not a worker of the config (`workers`), which is a job.
    """

    number: int  # from 0
    threads: int  # number of workers
    optimizer: Optimizer
    pieces: list[Piece]  # only this thread updates them
    source: Images  # all training images
    pixel_max: int  # the pixel value that is scaled to 1.0
    lit: np.ndarray | None  # bool, shape (pixels,): the pixels in use; None if all are
    images: np.ndarray  # the batch, shape (batch, inputs); each thread fills its rows
    edges_of: Sequence[int] | None  # height and width of an image if the network sees edges
    distortion: augment.Distortion | None  # with this thread's buffers; None without augmentation

    def __post_init__(self) -> None:
        self.raw = np.empty((-(-len(self.images) // self.threads), self.source.shape[1]), np.uint8)
        self.pixels = np.empty(self.raw.shape if self.edges_of else (0, 0), self.images.dtype)
        self.scratch = np.empty(max((len(piece.gradient) for piece in self.pieces), default=0), self.images.dtype)

    def work(self, step: Step | None, batch: np.ndarray | None, drawn: np.ndarray | None) -> None:
        """Update the pieces, then prepare the rows of the next batch. None skips the update or the preparation."""
        if step is not None:
            self.update(step)
        if batch is not None:
            self.prepare(batch, drawn)

    def update(self, step: Step) -> None:
        """Update this thread's pieces of the parameters and of their moving average."""
        with np.errstate(all="ignore"):  # errstate is per thread; see Trainer._train_epoch
            for piece in self.pieces:
                scratch = self.scratch[: len(piece.gradient)]
                if step.gradient_scale != 1.0:
                    np.multiply(piece.gradient, step.gradient_scale, out=piece.gradient)
                self.optimizer.update(piece, step, scratch)
                if piece.ema is not None:
                    np.subtract(piece.parameters, piece.ema, out=scratch)
                    scratch *= 1 - step.ema_decay
                    np.add(piece.ema, scratch, out=piece.ema)

    def prepare(self, batch: np.ndarray, drawn: np.ndarray | None) -> None:
        """Gather, scale and distort this thread's rows of a batch. `drawn` has the coefficients of the whole batch."""
        first, last = (len(batch) * (self.number + i) // self.threads for i in (0, 1))
        raw, inputs = self.raw[: last - first], self.images[first:last]
        images = self.pixels[: last - first] if self.edges_of else inputs
        self.source.gather(batch[first:last], out=raw)
        if self.lit is not None:
            raw = raw[:, self.lit]
        if self.distortion is None or drawn is None:
            np.divide(raw, self.pixel_max, out=images, dtype=images.dtype)
        else:
            self.distortion.warp(raw, self.pixel_max, drawn[:, first:last], images)
        if self.edges_of:
            find_edges(images, self.edges_of, inputs)
