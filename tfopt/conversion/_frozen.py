"""A lowered model as the converter reads it: one traced function, its weights as constants where that can be."""

from collections.abc import Sequence
from typing import Any

import keras

from tfopt._host_ops import array_of
from tfopt.conversion._stand_ins import StandIn

_SIGNATURE = "serving_default"


def frozen_function(model: keras.Model, replaced: Sequence[StandIn] = ()) -> Any | None:
    """The model as a concrete function of its inputs that holds no variable, its outputs in a list.

    From a Keras model or a SavedModel the converter traces once for each endpoint, saves, and loads twice, with each
    layer's variables as objects to restore; that costs several times what the conversion itself does.

    Args:
        model: what `lower` returned.
        replaced: kernels in whose place a number is repeated.

    Returns:
        A `tf.types.experimental.ConcreteFunction` whose inputs are in the order of the model's; None for a model that
        keeps state from call to call, for it has variables that must stay such (`save_with_state`).
    """
    import tensorflow as tf

    aside = {id(one.layer.kernel): one.number for one in replaced}
    numbers = [(variable, aside.get(id(variable), array_of(variable))) for variable in model.variables]
    changes: list[bool] = []

    def call(*tensors: Any) -> list[Any]:
        constants = [
            (variable, tf.constant(number, variable.dtype, variable.shape)) for variable, number in numbers
        ]
        with keras.StatelessScope(constants) as scope:
            outputs = _call(model, tensors)
            changes.extend(scope.get_current_value(variable) is not one for variable, one in constants)
        return outputs

    function = tf.function(call, autograph=False).get_concrete_function(*_specs(model))
    return None if any(changes) or function.captured_inputs else function


def save_with_state(model: keras.Model, folder: str) -> None:
    """Writes a model as a SavedModel with its variables and tables, which the file keeps from call to call.

    Args:
        model: what `lower` returned.
        folder: where to write; it must not exist. Inputs are called `input_0`, `input_1` ... there, as a signature
            takes no name that Python reserves; outputs `output_0` ...
    """
    import tensorflow as tf

    def call(*tensors: Any) -> dict[str, Any]:
        return {f"output_{index}": one for index, one in enumerate(_call(model, tensors))}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(_SIGNATURE, tf.function(call, autograph=False, input_signature=_specs(model)))
    archive.write_out(folder, verbose=False)


def _call(model: keras.Model, tensors: tuple[Any, ...]) -> list[Any]:
    return keras.tree.flatten(model(list(tensors) if len(tensors) > 1 else tensors[0], training=False))


def _specs(model: keras.Model) -> list[Any]:
    import tensorflow as tf

    return [
        tf.TensorSpec(tensor.shape, tensor.dtype, name=f"input_{index}")
        for index, tensor in enumerate(model.inputs)
    ]
