"""Gradients of the model's loss, for criteria that need data."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tfopt._samples import batches
from tfopt.channels import Slot

_HELP = "Pass data=(inputs, targets) or a few such batches, and compile the model with its loss."


def squared_contributions(slots: list[Slot], model: keras.Model | None, data: Any) -> list[np.ndarray]:
    """`(sum of gradient * weight)^2` over each index of each slot, averaged over the batches of `data`.

    Args:
        slots: axes of weights of `model`.
        model: a model compiled with a loss.
        data: `(inputs, targets)` arrays, or an iterable of such batches.

    Returns:
        An array per slot, with an entry per index on its axis.

    Raises:
        ValueError: there is no data, or the model has no loss.
        NotImplementedError: the backend is not TensorFlow.
    """
    if data is None:
        raise ValueError(
            f"The 'data' argument must hold inputs and targets for criterion='taylor'. Got None. {_HELP}"
        )
    if model is None or not model.compiled:
        raise ValueError(f"criterion='taylor' needs the model's loss, but the model is not compiled. {_HELP}")
    if keras.backend.backend() != "tensorflow":
        raise NotImplementedError(
            "criterion='taylor' runs on the TensorFlow backend only. "
            f"Got {keras.backend.backend()!r}. Use criterion='magnitude' instead."
        )
    weights = [slot.variable for slot in slots]
    totals = [np.zeros(len(slot.units)) for slot in slots]
    count = 0
    for x, y in batches(data, getattr(model, "inputs", None) or 1, "data"):
        count += 1
        if y is None:
            raise ValueError(
                f"The 'data' argument must hold targets for criterion='taylor'. Got inputs only. {_HELP}"
            )
        for total, slot, weight, gradient in zip(
            totals, slots, weights, _gradients(model, weights, x, y), strict=True
        ):
            product = np.asarray(weight, "float64") * gradient
            axes = tuple(axis for axis in range(product.ndim) if axis != slot.axis)
            total += product.sum(axis=axes) ** 2
    return [total / count for total in totals]


def _gradients(model: keras.Model, weights: list[keras.Variable], x: Any, y: Any) -> Iterator[np.ndarray]:
    import tensorflow as tf

    values = [weight.value for weight in weights]
    with tf.GradientTape() as tape:
        tape.watch(values)
        y_pred = model(x, training=False)
        loss = model.compute_loss(x=x, y=y, y_pred=y_pred, training=False)
    found = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    for gradient in found:
        # Embeddings have sparse gradients.
        yield np.asarray(tf.convert_to_tensor(gradient), "float64")
