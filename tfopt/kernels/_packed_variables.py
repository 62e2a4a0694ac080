"""Many arrays in few variables of TensorFlow, which a trace reads with few operations."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

# A larger array has a variable of its own: each call would copy it once more.
_SMALL = 4096


class PackedVariables:
    """Variables that hold arrays: small ones of one type together.

    A variable costs a trace two operations, and each call an input. A quantized network holds some ten small arrays for
    each layer; apart, reading them costs more than all that is computed with them.

    Args:
        arrays: what the variables hold.

    >>> import numpy as np
    >>> from tfopt.kernels._packed_variables import PackedVariables
    >>> packed = PackedVariables([np.float32(3.0), np.zeros((1, 2), "float32"), np.float32(5.0)])
    >>> packed.assign([np.float32(3.5), np.ones((1, 2), "float32"), np.float32(5.0)])
    >>> parts = {}
    >>> [packed.read(index, parts).numpy().tolist() for index in range(3)]
    [3.5, [[1.0, 1.0]], 5.0]
    """

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        import tensorflow as tf

        self._shapes = [array.shape for array in arrays]
        groups: dict[Any, list[int]] = defaultdict(list)
        for index, array in enumerate(arrays):
            groups[index if array.size > _SMALL else (array.dtype, array.ndim == 0)].append(index)
        self._groups = list(groups.values())
        self._place = {
            index: (group, place)
            for group, members in enumerate(self._groups)
            for place, index in enumerate(members)
        }
        self._variables = [tf.Variable(together, trainable=False) for together in self._together(arrays)]

    def assign(self, arrays: Sequence[np.ndarray]) -> None:
        """Changes what is held, to arrays of the same shapes and types."""
        for variable, together in zip(self._variables, self._together(arrays), strict=True):
            variable.assign(together)

    def read(self, index: int, parts: dict[int, Any]) -> Any:
        """An array as a tensor of the graph that is being traced.

        Args:
            index: which.
            parts: what this graph has read already; empty at first.
        """
        group, place = self._place[index]
        if group not in parts:
            parts[group] = self._split(group)
        return parts[group][place]

    def _together(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [
            arrays[members[0]]
            if len(members) == 1
            else np.concatenate([np.reshape(arrays[index], -1) for index in members])
            for members in self._groups
        ]

    def _split(self, group: int) -> list[Any]:
        import tensorflow as tf

        value, shapes = self._variables[group].value(), [self._shapes[index] for index in self._groups[group]]
        if len(shapes) == 1:
            return [value]
        if not shapes[0]:
            return tf.unstack(value)
        pieces = tf.split(value, [int(np.prod(shape)) for shape in shapes])
        targets = {shape: tf.constant(shape, "int32") for shape in shapes if len(shape) != 1}
        return [
            piece if shape not in targets else tf.reshape(piece, targets[shape])
            for piece, shape in zip(pieces, shapes, strict=True)
        ]
