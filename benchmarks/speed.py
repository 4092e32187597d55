"""`make bench`: compare the speed of training with other implementations on this machine.

The implementations run in turns, so that a change of the machine's speed affects all of them. Medians are printed.
All numbers are for one hidden layer of 256 units and all 42,000 training rows, unless stated otherwise.
"""

import argparse
import itertools
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from digits import load_rows  # it makes the modules of the workflow importable, so it is imported before them
from threadpoolctl import threadpool_info, threadpool_limits

# isort: split
import contenders
from mnist_numpy.ann import augment, training
from mnist_numpy.planning.config import read_settings

BATCHES, RATES = (128, 256, 512), (0.001, 0.002, 0.003, 0.005)
GOAL = 0.99457  # the notebook's training accuracy after 2,000 iterations
DISTORTION = {"rotate": 12, "scale": 0.12, "shear": 0.1, "shift": 1.2, "elastic": {"alpha": 30, "sigma": 4}}


def model_options(**changes: Any) -> dict[str, Any]:
    """Return the default options of a model, with some changes."""
    return read_settings({"models": {"mlp": changes}}, [])["models"]["mlp"]


def make_trainer(rows: training.Rows, threads: int, seed: int = 0, **changes: Any) -> training.Trainer:
    """Return a trainer of our network before its first epoch."""
    options = model_options(seed=seed, **changes)
    state = training.start([784, *options["hidden"], 10], options, 0)
    return training.Trainer(state, rows, (28, 28), options, threads)


def make_products(trainer: training.Trainer, batch: int) -> Callable[[], float]:
    """Return a function that computes only the matrix products of an epoch, in the same shapes, and times them."""
    layers = trainer.vectors.layers
    generator = np.random.default_rng(0)
    widths = [layers[0].weight.shape[0], *(layer.weight.shape[1] for layer in layers)]
    values = [generator.random((batch, width), np.float32) for width in widths]
    gradients = [np.empty_like(layer.weight) for layer in layers]
    buffers = [np.empty_like(value) for value in values]
    steps = len(trainer.rows.labels) / batch

    def one_step() -> None:
        for i, layer in enumerate(layers):
            np.matmul(values[i], layer.weight, out=buffers[i + 1])
        for i in reversed(range(len(layers))):
            np.matmul(values[i].T, values[i + 1], out=gradients[i])
            if i:
                np.matmul(values[i + 1], layers[i].weight.T, out=buffers[i])

    def run() -> float:
        began = time.perf_counter()
        for _ in range(int(steps)):
            one_step()
        return (time.perf_counter() - began) * steps / int(steps)

    return run


def measure_blas() -> float:
    """Return the highest speed of the BLAS with matrices of 2,048 x 2,048, in GFLOP/s."""
    a, b = np.random.default_rng(0).random((2, 2048, 2048), np.float32)
    out = np.empty_like(a)
    seconds = []
    for _ in range(8):
        began = time.perf_counter()
        np.matmul(a, b, out=out)
        seconds.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(seconds) / 1e9


def time_in_turns(runs: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Call the functions in turns, `rounds` times after one call that is not counted. Return the medians."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            taken = run()
            if turn:
                seconds[name].append(taken)
    return {name: statistics.median(values) for name, values in seconds.items()}


def print_epochs(rows: training.Rows, threads: int, rounds: int) -> None:
    """Print the seconds per epoch of ours, scikit-learn and PyTorch, and of the matrix products alone."""
    print(f"\n## Seconds per epoch, {threads} threads, Adam, no augmentation\n")
    print("| batch | ours | products alone | share | PyTorch | ours / PyTorch | scikit-learn | ours / scikit-learn |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for batch in (256, 512, 1024):
        trainer = make_trainer(rows, threads, batch_size=batch)
        runs = {
            "ours": lambda trainer=trainer: trainer.run_epoch(None)["seconds"],
            "products": make_products(trainer, batch),
            "torch": contenders.TorchNetwork(rows, batch, 0.001, threads, 0).run_epoch,
            "sklearn": contenders.SklearnNetwork(rows, batch, 0.001, 0).run_epoch,
        }
        s = time_in_turns(runs, rounds)
        print(
            f"| {batch} | {s['ours']:.3f} | {s['products']:.3f} | {s['products'] / s['ours']:.0%} | "
            f"{s['torch']:.3f} | {s['ours'] / s['torch']:.2f} | {s['sklearn']:.3f} | {s['ours'] / s['sklearn']:.2f} |"
        )
    trainer = make_trainer(rows, threads, batch_size=512, hidden=[1024, 1024])
    runs = {"ours": lambda: trainer.run_epoch(None)["seconds"], "products": make_products(trainer, 512)}
    s = time_in_turns(runs, max(1, rounds // 2))
    print(
        f"\n784-1024-1024-10, batch 512: {s['ours']:.2f} s per epoch, the products alone {s['products']:.2f} s", end=""
    )
    print(f" ({s['products'] / s['ours']:.0%}).")


def print_times_to_goal(rows: training.Rows, threads: int, seeds: int) -> None:
    """Print the time to the notebook's training accuracy, each with its best batch size and learning rate."""
    tried = ", ".join(f"{batch}" for batch in BATCHES), ", ".join(f"{rate}" for rate in RATES)
    print(
        f"\n## Time to {GOAL:.3%} training accuracy, {threads} threads\n\nTime of training alone, median of {seeds} "
        f"seeds, with Adam and the best of the batch sizes {tried[0]} and the learning rates {tried[1]}.\n"
    )
    iteration = contenders.time_notebook(rows, threads)
    makers: dict[str, Callable[..., Any]] = {
        "PyTorch": lambda batch, rate, seed: contenders.TorchNetwork(rows, batch, rate, threads, seed),
        "scikit-learn": lambda batch, rate, seed: contenders.SklearnNetwork(rows, batch, rate, seed),
        "ours": lambda batch, rate, seed: contenders.OurNetwork(
            make_trainer(rows, threads, seed, batch_size=batch, learning_rate=rate), rows
        ),
    }
    best = {name: find_fastest_setting(make) for name, make in makers.items()}
    results = {
        name: [contenders.train_to_goal(GOAL, make(*best[name], seed)) for seed in range(seeds)]
        for name, make in makers.items()
    }
    medians = {name: statistics.median(seconds for seconds, _ in runs) for name, runs in results.items()}
    print("| implementation | setting | seconds | ours is faster by |")
    print("| --- | --- | ---: | ---: |")
    print(
        f"| the notebook | {iteration:.3f} s per iteration (measured), x 2,000 "
        f"| {2000 * iteration:.0f} | {2000 * iteration / medians['ours']:.0f} x |"
    )
    for name, runs in results.items():
        epochs = statistics.median(count for _, count in runs)
        how = f"batch {best[name][0]}, rate {best[name][1]}, {epochs:.0f} epochs"
        print(f"| {name} | {how} | {medians[name]:.2f} | {medians[name] / medians['ours']:.2f} x |")


def find_fastest_setting(make: Callable[..., Any]) -> tuple[int, float]:
    """Return the batch size and learning rate with the shortest time to the goal, the mean of two seeds."""
    least, best = np.inf, (BATCHES[0], RATES[0])
    for choice in itertools.product(BATCHES, RATES):
        first, _ = contenders.train_to_goal(GOAL, make(*choice, 0), 1.5 * least)
        second, _ = contenders.train_to_goal(GOAL, make(*choice, 1), 1.5 * least) if first < np.inf else (np.inf, 0)
        if first + second < 2 * least:
            least, best = (first + second) / 2, choice
    return best


def print_augmentation(rows: training.Rows, rounds: int) -> None:
    """Print the time to distort all rows once on one core, and its effect on the time of an epoch."""
    distortion = augment.Distortion((28, 28), model_options(augment=DISTORTION)["augment"])
    generator, out = np.random.default_rng(0), np.empty((512, 784), np.float32)

    def run() -> float:
        began = time.perf_counter()
        for first in range(0, len(rows.labels), 512):
            images = rows.images[first : first + 512]
            distortion.apply(images, 255, generator, out[: len(images)])
        return time.perf_counter() - began

    with threadpool_limits(1):
        seconds = time_in_turns({"augment": run}, rounds)["augment"]
    print(
        f"\n## Augmentation\n\nOne affine and elastic distortion for each of {len(rows.labels):,} images: "
        f"{seconds:.2f} s on one core."
    )
    for threads in (1, 2):
        with threadpool_limits(threads):
            plain = make_trainer(rows, threads, batch_size=512, hidden=[1024, 1024])
            distorting = make_trainer(rows, threads, batch_size=512, hidden=[1024, 1024], augment=DISTORTION)
            s = time_in_turns(
                {
                    "plain": lambda t=plain: t.run_epoch(None)["seconds"],
                    "distorting": lambda t=distorting: t.run_epoch(None)["seconds"],
                },
                max(1, rounds // 3),
            )
        print(
            f"An epoch of 784-1024-1024-10 with augmentation: {s['distorting']:.2f} s, "
            f"without: {s['plain']:.2f} s ({threads} threads)."
        )


def measure_member(_: int) -> float:
    """Train a single-thread member for four epochs; return images per second."""
    with threadpool_limits(1):
        trainer = make_trainer(load_rows(), 1, batch_size=512, hidden=[640, 384], augment=DISTORTION)
        trainer.run_epoch(None)
        return statistics.median(trainer.run_epoch(None)["images_per_second"] for _ in range(3))


def print_parallel_members() -> None:
    """Print the throughput of one single-thread member, and of two at the same time."""
    with ProcessPoolExecutor(1) as pool:
        one = next(iter(pool.map(measure_member, [0])))
    with ProcessPoolExecutor(2) as pool:
        two = sum(pool.map(measure_member, [0, 1]))
    print(
        f"\n## Members in parallel\n\nOne single-thread member: {one:,.0f} images/s; "
        f"two at the same time: {two:,.0f} ({two / one:.2f} x)."
    )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rows = load_rows()
    blas = next(library for library in threadpool_info() if "numpy" in library["filepath"])
    print(
        f"# Speed\n\nPython {platform.python_version()}, NumPy {np.__version__}, "
        f"{blas['internal_api']} {blas['version']}",
        end="",
    )
    print(f" ({blas.get('architecture', '?')}), {arguments.threads} threads.")
    with threadpool_limits(arguments.threads):
        print(f"Highest speed of its matrix products: {measure_blas():.0f} GFLOP/s.")
        print_epochs(rows, arguments.threads, arguments.rounds)
        print_times_to_goal(rows, arguments.threads, 3)
    contenders.print_profile(lambda **changes: make_trainer(rows, 1, **changes), DISTORTION)
    print_augmentation(rows, arguments.rounds)
    print_parallel_members()


if __name__ == "__main__":
    main()
