"""The LSTM as Keras computes it, with its cells beside its outputs."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def _same(x: Any) -> Any:
    return x


def lstm_loop(
    inputs: Any,
    recurrent_kernel: Any,
    read: Callable[[Any], Any] = _same,
    clip: Callable[[Any], Any] = _same,
) -> tuple[Any, Any]:
    """All hidden states and cells of an LSTM (Hochreiter & Schmidhuber 1997; Gers et al. 2000, with a forget gate).

    `c = sigmoid(f) * c + sigmoid(i) * tanh(g)`, `h = sigmoid(o) * tanh(c)`, with `i, f, g, o` the sum of the inputs
    and `h @ recurrent_kernel`.

    Args:
        inputs: (samples, steps, 4 * units): the inputs times the kernel, and the bias.
        recurrent_kernel: (units, 4 * units).
        read: what the next step makes of the hidden state that it reads.
        clip: what becomes of a cell before anything reads it.

    Returns:
        Two tensors (samples, steps, units): hidden states as they are before `read`, cells as before `clip`.
    """
    units = recurrent_kernel.shape[0]

    def step(states: Any, x: Any) -> Any:
        hidden, cell = states
        i, f, g, o = ops.split(x + ops.matmul(read(hidden), recurrent_kernel), 4, axis=-1)
        cell = ops.sigmoid(f) * clip(cell) + ops.sigmoid(i) * ops.tanh(g)
        hidden = ops.sigmoid(o) * ops.tanh(clip(cell))
        return (hidden, cell), (hidden, cell)

    zeros = ops.zeros((ops.shape(inputs)[0], units), inputs.dtype)
    _, (hidden, cells) = ops.scan(step, (zeros, zeros), ops.transpose(inputs, (1, 0, 2)))
    return ops.transpose(hidden, (1, 0, 2)), ops.transpose(cells, (1, 0, 2))


class CellStates(keras.layers.LSTM):
    """An LSTM that returns its cells beside its hidden states, both of all steps: what calibration looks at."""

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        cell = self.cell
        gates = ops.matmul(sequences, cell.kernel)
        return lstm_loop(gates if cell.bias is None else gates + cell.bias, cell.recurrent_kernel)

    def compute_output_spec(self, sequences: Any, *args: Any, **kwargs: Any) -> Any:
        shape = (*sequences.shape[:2], self.units)
        return tuple(keras.KerasTensor(shape, sequences.dtype) for _ in range(2))
