"""What differs between the backends: compiling a function, creating masks, reading a weight while training runs."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfopt._training_state import create_state, innermost, synchronize, variable_scope
from tfopt._training_state import remove_state as remove_masks

__all__ = ["compiled", "create_masks", "innermost", "remove_masks", "synchronize", "variable_scope"]


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors, compiled by the backend once for each shape; without a compiler, the function itself."""
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_function(function)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def _tensorflow_function(function: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    # Outside XLA, TensorFlow sums int32 on the host, which costs transfers where there is an accelerator.
    # On a CPU there are no transfers, and compiling with XLA would take more time than it saves.
    accelerated = any(device.device_type != "CPU" for device in tf.config.list_logical_devices())
    traced = tf.function(function, jit_compile=True if accelerated else None, autograph=False)

    def call(*tensors: Any) -> Any:
        # A direct call would make TensorFlow warn of retracing, because weights differ in shape.
        return traced.get_concrete_function(*tensors)(*tensors)

    return call


def create_masks(model: keras.Model, variables: Sequence[keras.Variable]) -> list[keras.Variable]:
    """A bool variable of each weight's shape, all True, that the compiled training step can read."""
    return create_state(model, [weight.shape for weight in variables], "ones", "bool", "pruning_mask")
