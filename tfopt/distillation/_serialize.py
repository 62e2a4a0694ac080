"""The configs of the parts of a Distiller."""

from collections.abc import Sequence
from typing import Any

import keras


def serialize_model(model: Any) -> dict[str, Any]:
    """The config of a model, or of another object that Keras can serialize."""
    config = keras.saving.serialize_keras_object(model)
    # The model's own compile config is not needed, and a custom loss in it would need a scope to load.
    config.pop("compile_config", None)
    return config


def serialize_teacher(teacher: Any) -> Any:
    """The config of a teacher, or a list of them for an ensemble."""
    if isinstance(teacher, (list, tuple)):
        return [serialize_teacher(one) for one in teacher]
    return serialize_model(teacher)


def serialize_losses(losses: Sequence[Any], outputs: Sequence[str | None]) -> Any:
    """The configs of the losses: a list, or a dict by output of lists if they are for single outputs."""
    configs = [keras.saving.serialize_keras_object(loss) for loss in losses]
    if outputs[0] is None:
        return configs
    by_output: dict[str | None, list[Any]] = {output: [] for output in outputs}
    for output, config in zip(outputs, configs, strict=True):
        by_output[output].append(config)
    return by_output
