"""What outputs are: classes, independent labels or values, as their activation and their loss tell."""

from typing import Any

import keras

from tfopt.distillation.losses._loss import symbolic_outputs
from tfopt.graph import final_activations

_PROBABILITIES = ("softmax", "sigmoid")
_LOGITS = ("linear", "log_softmax", "log_sigmoid")
# What else Keras knows makes values, but for what stands in for a sigmoid.
_LIKE_SIGMOID = ("hard_sigmoid", "sparse_sigmoid")

# What to use instead, by what the outputs are.
INSTEAD = {
    "classes": "Use SoftTargets for outputs over classes.",
    "labels": "Use BinarySoftTargets for independent labels.",
    "values": "Use OutputMatching for values (regression, boxes, depth, heat maps).",
}

_L = keras.losses

# What a model's outputs are that is trained by a loss of Keras: its class, and its function.
_SUPERVISED: dict[str, tuple[Any, ...]] = {
    "classes": (
        _L.CategoricalCrossentropy,
        _L.categorical_crossentropy,
        _L.SparseCategoricalCrossentropy,
        _L.sparse_categorical_crossentropy,
        _L.CategoricalFocalCrossentropy,
        _L.categorical_focal_crossentropy,
    ),
    "labels": (
        _L.BinaryCrossentropy,
        _L.binary_crossentropy,
        _L.BinaryFocalCrossentropy,
        _L.binary_focal_crossentropy,
    ),
    "values": (
        _L.MeanSquaredError,
        _L.mean_squared_error,
        _L.MeanAbsoluteError,
        _L.mean_absolute_error,
        _L.MeanAbsolutePercentageError,
        _L.mean_absolute_percentage_error,
        _L.MeanSquaredLogarithmicError,
        _L.mean_squared_logarithmic_error,
        _L.Huber,
        _L.huber,
        _L.LogCosh,
        _L.log_cosh,
    ),
}


def supervised_kind(loss: Any) -> str | None:
    """What the outputs are that a loss given to `compile` is for: a key of `INSTEAD`; None if that is not known.

    >>> from tfopt.distillation.losses._output_kinds import supervised_kind
    >>> supervised_kind("mse"), supervised_kind("sparse_categorical_crossentropy"), supervised_kind(None)
    ('values', 'classes', None)
    """
    try:
        found = keras.losses.get(loss)
    except ValueError:
        return None
    for kind, losses in _SUPERVISED.items():
        if found in losses or type(found) in losses:
            return kind
    return None


def last_activations(model: Any) -> list[str | None]:
    """The activation that makes each output, in order, as far as it is known."""
    if isinstance(model, keras.Model):
        return keras.tree.flatten(final_activations(model))
    if isinstance(model, (list, tuple)):
        return last_activations(model[0])
    return [getattr(model, "final_activation", None)]


def columns_of(model: Any) -> list[int | None]:
    """The size of the last axis of each output; empty if outputs are not known before the first batch."""
    return [tensor.shape[-1] for tensor in keras.tree.flatten(symbolic_outputs(model)) if tensor is not None]


def makes_values(activation: str | None) -> bool:
    """Whether an activation makes neither probabilities nor logits."""
    return activation not in (None, *_PROBABILITIES, *_LOGITS, *_LIKE_SIGMOID)


def makes_logits(activation: str | None) -> bool | None:
    """Whether an activation makes logits (or values) rather than probabilities; None if that is not known."""
    if activation in _PROBABILITIES:
        return False
    return True if activation in _LOGITS else None
