"""Re-estimates the statistics of batch norms, which no longer fit after the model was changed."""

import itertools
from typing import Any

import keras
import numpy as np

from tfopt._keras_model import check_keras_model
from tfopt._samples import batches, count
from tfopt.graph import flatten_layers

_DROPS = (keras.layers.Dropout, keras.layers.SpatialDropout1D, keras.layers.GaussianDropout)


def update_batch_norm(model: keras.Model, data: Any, steps: int | None = None, batch_size: int = 32) -> int:
    """Re-estimates the moving means and variances of all batch norms as exact averages over `data`.

    After `shrink`, after pruning or after averaging weights, activations have other statistics than those stored in
    the batch norms. This often recovers most of the accuracy lost, without labels or training (Li et al. 2020,
    "EagleEye", https://arxiv.org/abs/2007.02491). Each moving statistic becomes the average of the batches'
    statistics, weighted by their sizes; other weights, dropout and the ranges of quantizers are left as they are.
    Frozen batch norms (`trainable=False`) are not updated. If one is called several times in a pass, the last call
    counts.

    Args:
        model: any built Keras model, quantized ones too. It is changed in place.
        data: inputs as `fit` takes them: arrays, or batches of inputs or of `(inputs, targets)`.
        steps: batches to read; all by default.
        batch_size: samples in a batch, where `data` is arrays.

    Returns:
        The number of batch norms updated; 0 for a model without any.

    Raises:
        ValueError: `data` holds no sample or inputs that do not fit the model, or `steps` is below 1.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.shrinking import update_batch_norm
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization()])
    >>> update_batch_norm(model, np.array([[1.0], [2.0], [3.0], [6.0]], "float32"))
    1
    >>> np.asarray(model.layers[0].moving_mean).tolist()
    [3.0]
    """
    if steps is not None and (not isinstance(steps, int) or steps < 1):
        raise ValueError(
            f"The 'steps' argument must be an integer of at least 1, or None. Got {steps!r} instead. "
            "Leave it out to read all of the data."
        )
    check_keras_model(model)
    layers = flatten_layers(model)
    norms = [x for x in layers if isinstance(x, keras.layers.BatchNormalization) and x.trainable]
    drops = [x for x in layers if isinstance(x, _DROPS)]
    ours = {id(weight) for norm in norms for weight in (norm.moving_mean, norm.moving_variance)}
    others = [
        (weight, np.array(weight)) for weight in model.non_trainable_variables if id(weight) not in ours
    ]
    momenta, rates = [norm.momentum for norm in norms], [drop.rate for drop in drops]
    seen = 0
    try:
        for drop in drops:
            drop.rate = 0.0
        source = batches(data, getattr(model, "inputs", None) or 1, "data", batch_size)
        for x, _ in itertools.islice(source, steps):
            for norm in norms:
                norm.momentum = seen / (seen + count(x))  # the running average of all batches so far
            _call(model, x)
            seen += count(x)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for drop, rate in zip(drops, rates, strict=True):
            drop.rate = rate
        for weight, value in others:
            weight.assign(value)
    return len(norms)


def _call(model: keras.Model, x: Any) -> None:
    try:
        model(x, training=True)
    except ValueError as error:  # in words about Keras' insides
        raise ValueError(
            f"The 'data' argument must hold inputs of the model {model.name!r}. Got "
            f"{keras.tree.map_structure(lambda array: array.shape, x)}. Keras says: {str(error).splitlines()[-1]}"
        ) from error
