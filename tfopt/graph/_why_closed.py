"""Which operations capture opens, and why others stay closed."""

import keras

from tfopt.graph._clone import clone_operation
from tfopt.graph._graph import Operation
from tfopt.graph._layers import flatten_layers, own_weights, sublayers

# Loops over time and wrappers around another layer's loop: their `call` is not a graph of primitives.
_LOOPS = (keras.layers.RNN, keras.layers.Bidirectional)


def why_closed(op: Operation, constants: bool = False) -> str | None:
    """None for an operation to open, "" for a primitive, or the reason why a composite one must stay closed.

    Args:
        op: a layer or operation.
        constants: whether weights that a custom layer holds itself may become constants.
    """
    if not isinstance(op, keras.layers.Layer):
        return ""
    if getattr(op, "graph_primitive", False):
        return ""
    stock = getattr(keras.layers, type(op).__name__, None) is type(op)
    if isinstance(op, _LOOPS) or (isinstance(op, keras.layers.TimeDistributed) and _sees_time(op.layer)):
        return f"{type(op).__name__} loops over time"
    if isinstance(op, keras.layers.Lambda):
        return None  # its function is at hand
    if sublayers(op):
        held = [weight.name for weight in own_weights(op)]
        is_open = not held or (constants and not stock)
        return None if is_open else f"holds weights of its own beside its layers: {', '.join(held)}"
    if stock:
        return ""
    return "" if op.weights and not (constants and not _can_be_copied(op)) else None


def _can_be_copied(op: Operation) -> bool:
    try:
        clone_operation(op)
    except ValueError:
        return False
    return True


def _sees_time(layer: keras.layers.Layer) -> bool:
    """Whether a layer would mix time steps if they were samples of one batch."""
    return any(isinstance(one, keras.layers.BatchNormalization) for one in flatten_layers(layer))


class Closed(ValueError):
    """A layer whose `call` cannot be recorded, with the reason in a few words."""

    def __init__(self, layer: keras.layers.Layer, reason: str) -> None:
        super().__init__(
            f"The 'call' method of {layer.name!r} ({type(layer).__name__}) cannot run on symbolic inputs: {reason}. "
            "Write it only with keras.ops and Keras layers."
        )
        self.reason = reason


_SHORT = 100


def in_short(error: Exception) -> str:
    """The first sentence of an error: a cell of a report has no room for more."""
    text = " ".join(str(error).split()) or type(error).__name__
    sentence = text.split(". ")[0].rstrip(".")
    if "KerasTensor" in sentence:
        return "its call is not made of keras.ops and Keras layers"
    return sentence if len(sentence) <= _SHORT else f"{sentence[:_SHORT].rsplit(' ', 1)[0]} ..."
