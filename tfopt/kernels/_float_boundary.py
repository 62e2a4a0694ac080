"""The layer at the border of what stays float."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="tfopt")
class FloatBoundary(keras.layers.Layer):
    """Marks the border of what computes in float, in the exported file too.

    `quantize` puts one before and one behind each operation that LiteRT has no int8 kernel for. It returns its
    inputs. `export` makes it visible to the TFLite converter, which otherwise computes those parts of the
    operation in int8 for which it finds a kernel, on grids that nobody trained.

    Args:
        visible: sum over segments of one sample, which changes no number: the cheapest operation without int8 kernel
            that the converter neither looks through nor removes. `export` takes it out of the file again.
        **kwargs: `name` and `dtype` of every Keras layer.

    Example:

    >>> import numpy as np
    >>> from tfopt.kernels import FloatBoundary
    >>> np.array(FloatBoundary()(np.array([0.25, 0.5], "float32"))).tolist()
    [0.25, 0.5]
    """

    graph_primitive = True  # capture must find it again as what it is

    def __init__(self, visible: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.visible = visible
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        if not self.visible:
            return inputs
        import tensorflow as tf

        sums = tf.math.segment_sum(inputs, tf.range(tf.shape(inputs)[0]))
        # The sum forgets how many samples there are, and with an open batch the converter writes other operators.
        return tf.reshape(sums, [-1 if size is None else size for size in inputs.shape])

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def to_inference(self) -> "FloatBoundary":
        """What the converter reads."""
        return FloatBoundary(visible=True, name=self.name, dtype=self.dtype_policy)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "visible": self.visible}
