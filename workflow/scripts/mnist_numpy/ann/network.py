"""The network: parameters, forward pass, loss, accuracy and gradients.

The network is a multi-layer perceptron with ReLU hidden layers and a softmax output. All its parameters
are one flat vector in the order weight_0, bias_0, weight_1, …. `tensor_views` and `as_layers` return views into
it; the gradients are a second vector with the same views. Back-propagation follows Rumelhart, Hinton and
Williams, "Learning representations by back-propagating errors", Nature 323 (1986).
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mnist_numpy.ann.edges import find_edges
from mnist_numpy.ann.rows import Images

PREDICT_ROWS = 1024  # images per forward pass in prediction


class Layer(NamedTuple):
    """One affine layer: `weight` of shape (inputs, outputs), `bias` of shape (outputs,) or None."""

    weight: np.ndarray
    bias: np.ndarray | None


class Network(NamedTuple):
    """A network for prediction: its layers, and height and width of an image if it sees edges, else None."""

    layers: Sequence[Layer]
    edges_of: Sequence[int] | None = None


def choose_input(options: Mapping[str, Any], shape: Sequence[int]) -> Sequence[int] | None:
    """Return `edges_of` of a network with these options: height and width of an image, or None if it sees pixels."""
    return shape if options["input"] == "edges" else None


def as_network(tensors: dict[str, np.ndarray], about: dict[str, Any]) -> Network:
    """Return a network from the content of weights.npz."""
    return Network(as_layers(tensors), choose_input(about["model"], about["shape"]))


def tensor_shapes(sizes: Sequence[int], output_bias: bool) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of each tensor, in the order of the flat vector.

    Parameters
    ----------
    sizes
        Widths of the layers from the input to the output, for example (784, 256, 10).
    output_bias
        Whether the last layer has a bias.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        shapes[f"weight_{i}"] = (inputs, outputs)
        if output_bias or i < len(sizes) - 2:
            shapes[f"bias_{i}"] = (outputs,)
    return shapes


def tensor_views(vector: np.ndarray, sizes: Sequence[int], output_bias: bool) -> dict[str, np.ndarray]:
    """Return each tensor by name, as a view into the flat vector."""
    views, start = {}, 0
    for name, shape in tensor_shapes(sizes, output_bias).items():
        stop = start + int(np.prod(shape))
        views[name] = vector[start:stop].reshape(shape)
        start = stop
    assert start == len(vector), "the length of the vector does not match the sizes"
    return views


def as_layers(tensors: dict[str, np.ndarray]) -> list[Layer]:
    """Arrange tensors named weight_0, bias_0, … as layers."""
    count = sum(name.startswith("weight_") for name in tensors)
    return [Layer(tensors[f"weight_{i}"], tensors.get(f"bias_{i}")) for i in range(count)]


def initialize(
    sizes: Sequence[int], output_bias: bool, initializer: str, seed: Sequence[int], dtype: np.dtype | type
) -> np.ndarray:
    """Draw the initial parameters of a network.

    Parameters
    ----------
    sizes, output_bias
        As in `tensor_shapes`.
    initializer
        `he`: weights N(0, 2 / inputs), biases 0 (He et al., "Delving deep into rectifiers", 2015).
        `notebook`: weights 0.1 N(0, 1), then biases N(0, 1), from `RandomState(sum(seed))`. The sum is
        taken modulo 2**32, the range of seeds that RandomState accepts.
    seed
        The model's seed and the member's number.
    dtype
        The dtype of the result.

    Returns
    -------
    ndarray
        The flat vector.
    """
    shapes = tensor_shapes(sizes, output_bias)
    vector = np.zeros(sum(int(np.prod(shape)) for shape in shapes.values()))
    views = tensor_views(vector, sizes, output_bias)
    weights = [view for name, view in views.items() if name.startswith("weight_")]
    biases = [view for name, view in views.items() if name.startswith("bias_")]
    if initializer == "notebook":
        legacy = np.random.RandomState(sum(seed) % 2**32)
        for weight in weights:
            weight[:] = 0.1 * legacy.randn(*weight.shape)
        for bias in biases:
            bias[:] = legacy.randn(*bias.shape)
    else:
        generator = np.random.default_rng(seed)
        for weight in weights:
            weight[:] = generator.standard_normal(weight.shape) * np.sqrt(2 / len(weight))
    return vector.astype(dtype)


def allocate(layers: Sequence[Layer], rows: int) -> list[np.ndarray]:
    """Return a buffer of shape (rows, outputs) for each layer."""
    return [np.empty((rows, layer.weight.shape[1]), layer.weight.dtype) for layer in layers]


def forward(
    layers: Sequence[Layer],
    images: np.ndarray,
    outputs: Sequence[np.ndarray],
    dropout: float = 0.0,
    generator: np.random.Generator | None = None,
) -> np.ndarray:
    """Compute the activations of all layers and return the logits.

    Parameters
    ----------
    layers
        The parameters.
    images
        Shape (batch, pixels), in [0, 1].
    outputs
        One buffer of shape (batch, outputs) per layer. They are overwritten, the last with the logits.
    dropout
        Share of hidden units to drop. The others are divided by 1 - dropout, so that the mean stays the same
        (Srivastava et al., "Dropout", JMLR 15, 2014). 0 for prediction.
    generator
        Draws the units to drop. Required if `dropout` is not 0.

    Returns
    -------
    ndarray
        The logits, shape (batch, classes): the last of `outputs`.
    """
    below = images
    for i, (layer, output) in enumerate(zip(layers, outputs, strict=True)):
        np.matmul(below, layer.weight, out=output)
        if layer.bias is not None:
            output += layer.bias
        if i < len(layers) - 1:
            # NumPy is twice as fast with a row of zeros as with a single 0
            np.maximum(output, np.zeros(output.shape[1], output.dtype), out=output)
            if dropout:
                assert generator is not None
                output *= generator.random(output.shape, dtype=np.float32) >= dropout
                output *= 1 / (1 - dropout)
        below = output
    return below


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits into log-probabilities, in place.

    The row maximum is subtracted first, so that no exponential overflows. The result is clipped at -60. In
    float32, probabilities and their contributions to a mean over many rows are then never denormal numbers,
    which would slow down every product.
    """
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return np.maximum(logits, -60, out=logits)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits into class probabilities, in place."""
    return np.exp(log_softmax(logits), out=logits)


def cross_entropy(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the sum over the rows of -log p(label), in nats. After `log_softmax` each row adds at most 60."""
    return -float(log_probabilities[np.arange(len(labels)), labels].sum(dtype=np.float64))


def count_correct(scores: np.ndarray, labels: np.ndarray) -> int:
    """Return the number of rows whose largest score is that of the label."""
    return int(np.count_nonzero(scores.argmax(axis=1) == labels))


def output_delta(log_probabilities: np.ndarray, labels: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """Turn log-probabilities into the gradient of the mean loss with respect to the logits, in place.

    For softmax and cross-entropy it is (p - target) / batch, since the derivative of log-sum-exp is p.

    Parameters
    ----------
    log_probabilities
        Shape (batch, classes); overwritten.
    labels
        Integers, shape (batch,).
    smoothing
        Share of the target that is distributed equally over all classes (Szegedy et al., "Rethinking the
        Inception architecture", 2016).
    """
    delta = np.exp(log_probabilities, out=log_probabilities)
    delta[np.arange(len(labels)), labels] -= 1 - smoothing
    if smoothing:
        delta -= smoothing / delta.shape[1]
    delta /= len(labels)
    return delta


def backward(
    layers: Sequence[Layer],
    gradients: Sequence[Layer],
    images: np.ndarray,
    outputs: Sequence[np.ndarray],
    deltas: Sequence[np.ndarray],
    dropout: float = 0.0,
) -> None:
    """Compute the gradient of the loss with respect to each parameter.

    Parameters
    ----------
    layers, images, outputs, dropout
        The arguments of `forward`, after its call.
    gradients
        Layers of the same shapes as `layers`; overwritten.
    deltas
        Buffers like `outputs`. The last is the gradient with respect to the logits (see `output_delta`); the
        others are overwritten.
    """
    for i in reversed(range(len(layers))):
        below = outputs[i - 1] if i else images
        weight_gradient, bias_gradient = gradients[i]
        np.matmul(below.T, deltas[i], out=weight_gradient)
        if bias_gradient is not None:
            np.matmul(np.ones(len(images), images.dtype), deltas[i], out=bias_gradient)
        if i:
            np.matmul(deltas[i], layers[i].weight.T, out=deltas[i - 1])
            # a unit that ReLU or dropout set to 0 has no gradient
            deltas[i - 1] *= below > 0
            if dropout:
                deltas[i - 1] *= 1 / (1 - dropout)


def predict(network: Network, images: Images | np.ndarray, pixel_max: int) -> np.ndarray:
    """Return the class probabilities of images.

    Parameters
    ----------
    network
        The parameters, and what the network sees.
    images
        uint8, shape (rows, pixels).
    pixel_max
        The pixel value that is scaled to 1.0.

    Returns
    -------
    ndarray
        Shape (rows, classes), with the dtype of the parameters.
    """
    layers, edges_of = network
    dtype = layers[0].weight.dtype
    probabilities = np.empty((len(images), layers[-1].weight.shape[1]), dtype)
    outputs = allocate(layers, min(PREDICT_ROWS, len(images)))
    for start in range(0, len(images), PREDICT_ROWS):
        chunk = np.divide(images[start : start + PREDICT_ROWS], pixel_max, dtype=dtype)
        chunk = chunk if edges_of is None else find_edges(chunk, edges_of)
        logits = forward(layers, chunk, [output[: len(chunk)] for output in outputs])
        probabilities[start : start + len(chunk)] = softmax(logits)
    return probabilities
