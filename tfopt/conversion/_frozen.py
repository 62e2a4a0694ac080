"""A lowered model on disk as the converter reads it: traced once, its weights as constants."""

from typing import Any

import keras

SIGNATURE = "serving_default"


def save_frozen(model: keras.Model, folder: str) -> bool:
    """Writes a model as a SavedModel without variables.

    What Keras saves for the converter it traces three times, once for each of its endpoints, with each layer's
    variables as objects to restore; all that costs several times what the converter itself does.

    Args:
        model: what `lower` returned.
        folder: where to write; it must not exist.

    Returns:
        Whether it was written. A model that keeps state from call to call has variables that must stay such.
    """
    import tensorflow as tf

    traced = _trace(model)
    if traced is None:
        return False
    function, input_names = traced
    inputs = dict(zip(input_names, function.inputs, strict=True))
    outputs = dict(zip(sorted(function.structured_outputs), function.outputs, strict=True))
    with function.graph.as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.predict_signature_def(inputs, outputs)
        builder = tf.compat.v1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], {SIGNATURE: signature})
        builder.save()
    return True


def _trace(model: keras.Model) -> tuple[Any, list[str]] | None:
    """The model as a concrete function of its inputs, and their names; None if it changes or captures a variable."""
    import tensorflow as tf

    names = [tensor.name for tensor in model.inputs]
    numbers = [(variable, variable.numpy()) for variable in model.variables]
    changes: list[bool] = []

    def call(*tensors: Any) -> dict[str, Any]:
        constants = [(variable, tf.constant(number)) for variable, number in numbers]
        with keras.StatelessScope(constants) as scope:
            outputs = model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
            changes.extend(scope.get_current_value(variable) is not one for variable, one in constants)
        if isinstance(outputs, dict):
            return outputs
        return {f"output_{index}": one for index, one in enumerate(keras.tree.flatten(outputs))}

    specs = [
        tf.TensorSpec(tensor.shape, tensor.dtype, name=f"{SIGNATURE}_{name}")
        for name, tensor in zip(names, model.inputs, strict=True)
    ]
    function = tf.function(call, autograph=False).get_concrete_function(*specs)
    return None if any(changes) or function.captured_inputs else (function, names)
