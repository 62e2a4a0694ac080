"""A lowered model on disk as the converter reads it: traced once, its weights as constants."""

from typing import Any

import keras

SIGNATURE = "serving_default"


def save_frozen(model: keras.Model, folder: str) -> None:
    """Writes a model as a SavedModel, without variables where it keeps no state.

    What Keras saves for the converter it traces three times, once for each of its endpoints, with each layer's
    variables as objects to restore; all that costs several times what the converter itself does. A model that keeps
    state from call to call has variables that must stay such, and is saved as Keras does.

    Args:
        model: what `lower` returned.
        folder: where to write; it must not exist. Inputs are called `input_0`, `input_1` ... there, as a signature
            takes no name that Python reserves; outputs `output_0` ...
    """
    import tensorflow as tf

    function = _trace(model)
    if function is None:
        _save_with_state(model, folder)
        return
    inputs = dict(zip(_names(model), function.inputs, strict=True))
    outputs = dict(zip(sorted(function.structured_outputs), function.outputs, strict=True))
    # Tables of other models in this process, which TensorFlow would warn that it cannot write.
    function.graph.clear_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS)
    with function.graph.as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.predict_signature_def(inputs, outputs)
        builder = tf.compat.v1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], {SIGNATURE: signature})
        builder.save()


def _names(model: keras.Model) -> list[str]:
    return [f"input_{index}" for index in range(len(model.inputs))]


def _specs(model: keras.Model, prefix: str = "") -> list[Any]:
    import tensorflow as tf

    pairs = zip(_names(model), model.inputs, strict=True)
    return [tf.TensorSpec(tensor.shape, tensor.dtype, name=f"{prefix}{name}") for name, tensor in pairs]


def _call(model: keras.Model, tensors: tuple[Any, ...]) -> dict[str, Any]:
    outputs = model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
    return {f"output_{index}": one for index, one in enumerate(keras.tree.flatten(outputs))}


def _trace(model: keras.Model) -> Any:
    """The model as a concrete function of its inputs; None if it changes or captures a variable."""
    import tensorflow as tf

    numbers = [(variable, variable.numpy()) for variable in model.variables]
    changes: list[bool] = []

    def call(*tensors: Any) -> dict[str, Any]:
        constants = [(variable, tf.constant(number)) for variable, number in numbers]
        with keras.StatelessScope(constants) as scope:
            outputs = _call(model, tensors)
            changes.extend(scope.get_current_value(variable) is not one for variable, one in constants)
        return outputs

    function = tf.function(call, autograph=False).get_concrete_function(*_specs(model, f"{SIGNATURE}_"))
    return None if any(changes) or function.captured_inputs else function


def _save_with_state(model: keras.Model, folder: str) -> None:
    """The same with the model's variables and tables, which the file keeps from call to call."""
    import tensorflow as tf

    function = tf.function(
        lambda *tensors: _call(model, tensors), autograph=False, input_signature=_specs(model)
    )
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(SIGNATURE, function)
    archive.write_out(folder, verbose=False)
