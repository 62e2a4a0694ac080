"""A lowered model as the converter reads it: one traced function, its weights as constants."""

from typing import Any

import keras


def frozen_function(model: keras.Model) -> Any | None:
    """The model as a concrete function of its inputs that holds no variable, its outputs in a list.

    From a Keras model or a SavedModel the converter traces once for each endpoint, saves, and loads twice, with each
    layer's variables as objects to restore; that costs several times what the conversion itself does.

    Args:
        model: what `lower` returned.

    Returns:
        A `tf.types.experimental.ConcreteFunction` whose inputs are in the order of the model's; None for a model that
        keeps state from call to call, for it has variables that must stay such.
    """
    import tensorflow as tf

    numbers = [(variable, variable.numpy()) for variable in model.variables]
    changes: list[bool] = []

    def call(*tensors: Any) -> list[Any]:
        constants = [(variable, tf.constant(number)) for variable, number in numbers]
        with keras.StatelessScope(constants) as scope:
            outputs = model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
            changes.extend(scope.get_current_value(variable) is not one for variable, one in constants)
        return keras.tree.flatten(outputs)

    # The names that a SavedModel gives: runtimes' tools know an input by them.
    specs = [
        tf.TensorSpec(tensor.shape, tensor.dtype, name=f"serving_default_{tensor.name}")
        for tensor in model.inputs
    ]
    function = tf.function(call, autograph=False).get_concrete_function(*specs)
    return None if any(changes) or function.captured_inputs else function
