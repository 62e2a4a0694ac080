"""Damage by what a layer's own output or the derivatives of the loss foretell: no changed network runs."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfopt._samples import count
from tfopt.analysis._judge import Judge, parts
from tfopt.analysis._measure import decibels, squares_of
from tfopt.analysis._network import Network
from tfopt.analysis._techniques import Changed

# Samples that are looked at, and vectors for a trace: more change the order of layers little.
_SAMPLES = 64
_PROBES = 8


def output_decibels(network: Network, judge: Judge, x: Any, changes: Sequence[Changed]) -> list[float | None]:
    """The size of each changed layer's own output over its error, in decibels: nothing behind it runs.

    Args:
        network: the float network.
        judge: not asked.
        x: inputs; 64 of them are used.
        changes: what was changed.
    """
    sums = np.zeros((len(changes), 2))
    operations = [one.operations(network.operations) for one in changes]
    for inputs, _ in _spread(x, judge.labels, _SAMPLES, network.batch_size()):
        values = network.run(inputs)
        for total, change in zip(sums, operations, strict=True):
            before, after = network.first_changed(values, change)
            total += squares_of(*(np.asarray(keras.ops.convert_to_numpy(one)) for one in (before, after)))
    return [decibels(signal, noise) for signal, noise in sums]


def fisher(network: Network, judge: Judge, x: Any, changes: Sequence[Changed]) -> list[float | None]:
    """The growth of the loss to second order, `1/2 sum F (w' - w)^2`, with `F` the mean of the squared gradients.

    The diagonal of the empirical Fisher information in place of the Hessian's (Theis et al. 2018,
    https://arxiv.org/abs/1801.05787); for activations likewise, `w` being the numbers of a sample.

    Args:
        network: the float network.
        judge: its loss.
        x: inputs; 64 of them are used.
        changes: what was changed.
    """
    import tensorflow as tf

    kernels = _kernels(changes)
    sites = {id(one.spot.quantizer) for one in changes if one.rounds is not None}
    read = [node.inputs[0] for node in network.graph.nodes if id(node.op) in sites]
    owner = [id(node.op) for node in network.graph.nodes if id(node.op) in sites]

    @tf.function(reduce_retracing=True)
    def gradients(inputs: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)  # what an input's grid rounds
            values = network.run(inputs)
            loss = judge.loss(labels, network.outputs(values))
        tensors = [values[id(tensor)] for tensor in read]
        sources = [one.value for one in kernels] + tensors
        found = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(one) for one in found], tensors

    squares = [np.zeros(tuple(one.shape)) for one in kernels]
    of_sites = dict.fromkeys((index for index, one in enumerate(changes) if one.rounds is not None), 0.0)
    samples = _spread(x, judge.labels, _SAMPLES)
    for inputs, labels in samples:
        found, tensors = gradients(*keras.tree.map_structure(tf.convert_to_tensor, (inputs, labels)))
        for total, gradient in zip(squares, found, strict=False):
            total += np.square(np.asarray(gradient, "float64"))
        for index in of_sites:
            for place, key in enumerate(owner):
                if key == id(changes[index].spot.quantizer):
                    error = np.asarray(changes[index].rounds(tensors[place]) - tensors[place], "float64")  # type: ignore[misc]
                    of_sites[index] += float(np.sum((error * np.asarray(found[len(kernels) + place])) ** 2))
    means = {id(one): total / len(samples) for one, total in zip(kernels, squares, strict=True)}
    return [
        0.5 * of_sites[index] / len(samples)
        if index in of_sites
        else 0.5 * sum(float(np.sum(means[id(w)] * _error(w, new) ** 2)) for w, new in one.kernels)
        for index, one in enumerate(changes)
    ]


def hessian(network: Network, judge: Judge, x: Any, changes: Sequence[Changed]) -> list[float | None]:
    """The growth of the loss by the mean curvature of a kernel: `1/2 tr(H)/n * sum (w' - w)^2` (HAWQ-V2).

    Dong et al. 2020, https://arxiv.org/abs/1911.03852; the trace is Hutchinson's estimate, `v' H v` averaged over
    vectors of random signs. Activations have none.

    Args:
        network: the float network.
        judge: its loss.
        x: inputs; 64 of them are used.
        changes: what was changed.
    """
    import tensorflow as tf

    kernels = _kernels(changes)
    variables = [one.value for one in kernels]

    @tf.function(reduce_retracing=True)
    def products(inputs: Any, labels: Any, signs: Any) -> Any:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = judge.loss(labels, network.outputs(network.run(inputs)))
            first = inner.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            along = tf.add_n(
                [tf.reduce_sum(tf.convert_to_tensor(g) * v) for g, v in zip(first, signs, strict=True)]
            )
        second = outer.gradient(along, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.reduce_sum(tf.convert_to_tensor(h) * v) for h, v in zip(second, signs, strict=True)]

    rng = np.random.default_rng(0)
    batches = _spread(x, judge.labels, _SAMPLES, min(network.batch_size(), 16))
    traces = np.zeros(len(kernels))
    for inputs, labels in batches:
        given = keras.tree.map_structure(tf.convert_to_tensor, (inputs, labels))
        for _ in range(_PROBES):
            signs = [tf.constant(rng.choice([-1.0, 1.0], tuple(one.shape)), "float32") for one in kernels]
            traces += [float(one) for one in products(*given, signs)]
    curvature = {
        id(one): trace / (_PROBES * len(batches)) / int(np.prod(one.shape))
        for one, trace in zip(kernels, traces, strict=True)
    }
    return [
        0.5 * sum(curvature[id(w)] * float(np.sum(_error(w, new) ** 2)) for w, new in one.kernels)
        if one.kernels
        else None
        for one in changes
    ]


def _kernels(changes: Sequence[Changed]) -> list[keras.Variable]:
    return list({id(kernel): kernel for one in changes for kernel, _ in one.kernels}.values())


def _error(kernel: keras.Variable, new: np.ndarray) -> np.ndarray:
    return new.astype("float64") - np.asarray(kernel.value, "float64")


def _spread(x: Any, labels: Any, most: int, size: int = 1) -> list[tuple[Any, Any]]:
    """Batches of samples that are spread over all."""
    rows = np.unique(np.linspace(0, count(x) - 1, most).astype(int))
    taken = [keras.tree.map_structure(lambda array: np.asarray(array)[rows], one) for one in (x, labels)]
    return parts(taken[0], taken[1], size)


Proxy = Callable[[Network, Judge, Any, Sequence[Changed]], list[float | None]]

# Field of a row -> how it is found, and whether it takes TensorFlow's gradients.
PROXIES: dict[str, tuple[Proxy, bool]] = {
    "output_db": (output_decibels, False),
    "fisher": (fisher, True),
    "hessian": (hessian, True),
}
