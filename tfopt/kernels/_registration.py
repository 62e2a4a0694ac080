"""Custom layers whose class names the quantized class that takes its place."""

from typing import Any

import keras

# Set on a layer's class by `tfopt.register_quantized`. Not inherited: a subclass may compute something else.
ATTRIBUTE = "quantized_class"


def registered_class(op: keras.Operation) -> type[keras.layers.Layer] | None:
    """The class that takes the place of a registered layer's; None for a layer that was not registered.

    Raises:
        ValueError: the layer has no weight of a registered name.
    """
    made: Any = vars(type(op)).get(ATTRIBUTE)
    if made is None:
        return None
    for name in made.weight_names:
        if not isinstance(getattr(op, name, None), keras.Variable):
            held = ", ".join(
                repr(key) for key, value in vars(op).items() if isinstance(value, keras.Variable)
            )
            raise ValueError(
                f"The layer {op.name!r} must hold the weight {name!r}, for which {type(op).__name__} was registered "
                f"with tfopt.register_quantized. It holds {held or 'none'}: name these in its 'weights' argument."
            )
    return made
