"""Large kernels are rounded once more in the backward pass, rather than held from the forward pass until then."""

import math
from collections.abc import Callable
from typing import Any

import keras

# Numbers in a kernel, from which on it is rounded twice: 4 MB.
LARGE = 2**20


def is_recomputed(layer: Any, training: bool | None) -> bool:
    """Whether a call of a quantized layer rounds its kernel once more in the backward pass.

    On JAX the compiler decides what to hold.
    """
    if not training or keras.backend.backend() != "tensorflow":
        return False
    return math.prod(layer.kernel.shape) >= LARGE


def recomputed(function: Callable[..., Any], *operands: Any) -> Any:
    """`function(*operands)`, of which the backward pass computes again what it needs.

    As in Chen et al. 2016, arXiv 1604.06174: memory for arithmetic. The gradient is that of the function, to the last
    bit. A product is not computed again, for its gradient reads its operands and not what it returns.

    Args:
        function: tensors to a tensor, by TensorFlow.
        operands: all tensors that it has gradients in.

    >>> import keras, tensorflow as tf
    >>> from tfopt.quantization.simulation._recomputed import recomputed
    >>> x = tf.constant([1.0, 2.0])
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = recomputed(lambda x: x * x, x)
    >>> tape.gradient(y, x).numpy().tolist()
    [2.0, 4.0]
    """
    import tensorflow as tf

    @tf.custom_gradient
    def call(*operands: Any) -> Any:
        def gradient(upstream: Any, variables: Any = None) -> Any:
            # Not before the upstream gradient is there, else TensorFlow would hold all kernels again.
            with tf.control_dependencies([upstream]), tf.GradientTape() as tape:
                again = [tf.identity(one) for one in operands]
                tape.watch(again)
                result = function(*again)
            found = tape.gradient(result, again, upstream)
            return found if variables is None else (found, [None] * len(variables))

        # All kernels are known before the step begins: without this, TensorFlow would round them all at once.
        with tf.control_dependencies(operands[:1]):
            return function(*map(tf.identity, operands)), gradient

    return call(*map(keras.ops.convert_to_tensor, operands))
