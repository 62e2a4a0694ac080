"""What differs between the backends: compiling a function, creating masks, reading a weight while training runs."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


@functools.cache
def on_host() -> bool:
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
    known = on_host() and hasattr(tensor, "numpy")
    return np.asarray(tensor) if known else None


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
    if on_host():
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


def variable_scope(model: keras.Model) -> contextlib.AbstractContextManager[Any]:
    """The context in which variables of the model are created and assigned: on TensorFlow, its strategy's."""
    if keras.backend.backend() == "tensorflow":
        return model.distribute_strategy.scope()
    return contextlib.nullcontext()


def create_masks(model: keras.Model, variables: Sequence[keras.Variable]) -> list[keras.Variable]:
    """A bool variable of each weight's shape, all True, that the compiled training step can read."""
    if keras.backend.backend() == "jax":
        return _optimizer_masks(model.optimizer, variables)
    with variable_scope(model):
        return [
            keras.Variable("ones", shape=weight.shape, dtype="bool", trainable=False, name="pruning_mask")
            for weight in variables
        ]


def _optimizer_masks(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
) -> list[keras.Variable]:
    # On JAX the training step is a pure function of the model's and the optimizer's variables. Anything else that it
    # reads becomes a constant of the compiled function.
    add = innermost(optimizer).add_variable
    masks = [add(weight.shape, "ones", dtype="bool", name="pruning_mask") for weight in variables]
    for holder in (optimizer, innermost(optimizer)):
        # A checkpoint that holds the masks would not load into a plain optimizer.
        holder.save_own_variables = functools.partial(_save_without, {id(mask) for mask in masks}, holder)
    return masks


def _save_without(hidden: set[int], optimizer: keras.optimizers.Optimizer, store: Any) -> None:
    kept = [variable for variable in optimizer.variables if id(variable) not in hidden]
    for index, variable in enumerate(kept):
        store[str(index)] = variable.numpy()


def remove_masks(model: keras.Model, masks: Sequence[keras.Variable]) -> None:
    """Remove the masks from the optimizer, on the backend where it holds them."""
    if keras.backend.backend() != "jax":
        return
    inner = innermost(model.optimizer)
    for holder in (model.optimizer, inner):
        vars(holder).pop("save_own_variables", None)
    held = {id(variable) for variable in inner.variables}
    for mask in masks:
        if id(mask) in held:
            # why: Keras has no public way to take a variable out of an optimizer.
            inner._untrack_variable(mask)


def synchronize(model: keras.Model) -> None:
    """Write the current values into the variables: on JAX they are kept elsewhere while an epoch runs."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def innermost(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer that updates the weights: the one inside a LossScaleOptimizer."""
    return getattr(optimizer, "inner_optimizer", optimizer)
