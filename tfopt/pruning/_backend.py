"""What differs between the backends: compiling a function, creating masks, reading a weight while training runs."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt._host_ops import array_of
from tfopt._training_state import create_state, innermost, reconcile, synchronize, variable_scope
from tfopt._training_state import remove_state as remove_masks

__all__ = [
    "compiled",
    "count_true",
    "create_masks",
    "host_array",
    "innermost",
    "is_on_host",
    "reconcile",
    "remove_masks",
    "select",
    "synchronize",
    "variable_scope",
]


@functools.cache
def is_on_host() -> bool:
    """Whether weights are in this machine's memory, where NumPy reads them without a copy, as soon as they are made.

    So it is with TensorFlow on a CPU. An accelerator keeps its weights, and JAX compiles for each device.
    """
    if keras.backend.backend() != "tensorflow":
        return keras.backend.backend() == "numpy"
    import tensorflow as tf

    return all(device.device_type == "CPU" for device in tf.config.list_logical_devices())


def host_array(tensor: Any) -> np.ndarray | None:
    """The tensor's values without a copy; None if they are on a device, or not known because a graph is being made."""
    if isinstance(tensor, np.ndarray):
        return tensor
    known = is_on_host() and hasattr(tensor, "numpy")
    return array_of(tensor) if known else None


def count_true(condition: Callable[..., Any], *tensors: Any) -> Any:
    """For how many elements of the tensors a condition, written in operators, is true."""
    known = [host_array(tensor) for tensor in tensors]
    if all(array is not None for array in known):
        return np.count_nonzero(condition(*known))
    return compiled(_counter(condition))(*tensors)


@functools.cache
def _counter(condition: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *tensors: ops.sum(ops.cast(condition(*tensors), "int32"))


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors, compiled by the backend once for each shape; on the host, the function itself."""
    if is_on_host():
        return function
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_function(function)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def _tensorflow_function(function: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    # Outside XLA, TensorFlow sums int32 on the host, which costs transfers from an accelerator.
    traced = tf.function(function, jit_compile=True, autograph=False)

    def call(*tensors: Any) -> Any:
        # A direct call would make TensorFlow warn of retracing, because weights differ in shape.
        return traced.get_concrete_function(*tensors)(*tensors)

    return call


def select(condition: Any, x: Any, y: Any) -> Any:
    """`x` where the condition is true and `y` elsewhere, all three of one shape."""
    if keras.backend.backend() != "tensorflow":
        return ops.where(condition, x, y)
    import tensorflow as tf

    # keras.ops.where broadcasts, with a kernel that takes twice as long: a good part of a small network's step.
    return tf.raw_ops.Select(condition=condition, x=x, y=y)


def create_masks(model: keras.Model, variables: Sequence[keras.Variable]) -> list[keras.Variable]:
    """A bool variable of each weight's shape, all True, that the compiled training step can read."""
    return create_state(model, [weight.shape for weight in variables], "ones", "bool", "pruning_mask")
