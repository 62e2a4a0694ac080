"""What differs between the backends: compiling a function, creating masks, reading a weight while training runs."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras


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
