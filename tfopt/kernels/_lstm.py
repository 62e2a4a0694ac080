"""The cell of UNIDIRECTIONAL_SEQUENCE_LSTM with 8-bit weights and a 16-bit cell, in whole numbers.

Each gate is two products of codes, brought to 16 bits with 12 behind the point one after the other; logistic and tanh
go from there to 15 bits behind the point, through tables of all 2**16 codes. The cell has 16 bits and a step that is a
power of two; the hidden state is the output, of 8 bits or of 16, which the next step reads. Keras' order of the gates
is input, forget, cell, output.
"""

import functools
from typing import Any, NamedTuple

from keras import ops

from tfopt.kernels._fixed_point import product_dtype
from tfopt.kernels._grids import Grid
from tfopt.kernels._lstm_rules import CURVE_BITS, GATE_BITS, LOWEST, LstmRules, saturated
from tfopt.kernels.reference._integers import times, times_of_64_bits, whole


class LstmWeights(NamedTuple):
    """What the kernel multiplies with, in Keras' layout: the gates side by side.

    Attributes:
        kernel: codes (inputs, 4 * units).
        recurrent: codes (units, 4 * units).
        bias: (4 * units,), whole units of the input's sums.
        kernel_steps: of each gate, (4,).
        recurrent_steps: of each gate, (4,).
    """

    kernel: Any
    recurrent: Any
    bias: Any
    kernel_steps: Any
    recurrent_steps: Any


def lstm_codes(
    rules: LstmRules,
    codes: Any,
    weights: LstmWeights,
    input_step: Any,
    hidden: Grid,
    cell_step: Any,
    num_bits: int = 8,
) -> tuple[Any, Any]:
    """The hidden states and the cells of all steps, from the codes of a sequence.

    tensorflow/lite/kernels/lstm_eval.cc (`LstmStepInteger`) and tflite-micro/tensorflow/lite/micro/kernels/lstm_eval.h.

    Args:
        rules: those of the family.
        codes: (samples, steps, inputs), counted from that of 0.0.
        weights: what is multiplied with.
        input_step: the step of the inputs.
        hidden: the grid of the outputs.
        cell_step: of the cells: a power of two from 2**-15 to 2**-9.
        num_bits: bits of the inputs' and the outputs' codes.

    Returns:
        Two tensors (samples, steps, units) of whole numbers counted from the code of 0.0: hidden states, cells.
    """
    units = weights.recurrent.shape[0]
    half = functools.partial(_half, rules, num_bits)
    # All steps at once.
    from_input = saturated(half(codes, weights.kernel, weights.kernel_steps, input_step, weights.bias))
    sigmoid, tanh = ops.convert_to_tensor(rules.sigmoid()), ops.convert_to_tensor(rules.tanh())
    bits = ops.cast(ops.round(ops.log2(ops.cast(cell_step, "float32"))), "int32") + CURVE_BITS
    of_gate, of_cell = tanh[CURVE_BITS - GATE_BITS], ops.take(tanh, bits, axis=0)
    unit = ops.cast(2.0 ** (-2 * CURVE_BITS), product_dtype())
    down, out = unit / ops.cast(cell_step, unit.dtype), rules.hidden_ratio(hidden.step)
    lowest = -whole(hidden.zero_point)

    def step(states: Any, from_input: Any) -> Any:
        state, cell = states
        from_hidden = half(state, weights.recurrent, weights.recurrent_steps, hidden.step)
        gates = rules.join(from_input, from_hidden)
        i, f, c, o = (gates[:, at * units : (at + 1) * units] for at in range(4))
        i, f, o = (_looked_up(sigmoid, gate) for gate in (i, f, o))
        kept = rules.product(f, cell, ops.cast(2.0**-CURVE_BITS, unit.dtype))
        cell = saturated(kept + rules.product(i, _looked_up(of_gate, c), down))
        state = ops.clip(times(o * _looked_up(of_cell, cell), out), lowest, lowest + 2**num_bits - 1)
        return (state, cell), (state, cell)

    zeros = ops.zeros((ops.shape(codes)[0], units), whole(0).dtype)
    _, (states, cells) = ops.scan(step, (zeros, zeros), ops.transpose(from_input, (1, 0, 2)))
    return ops.transpose(states, (1, 0, 2)), ops.transpose(cells, (1, 0, 2))


def _half(
    rules: LstmRules, num_bits: int, codes: Any, kernel: Any, steps: Any, step: Any, bias: Any = None
) -> Any:
    """One of the two products of all gates, in steps of 2**-12: a FULLY_CONNECTED, whose sums have 64 bits with 16."""
    # Sums of many products do not fit into the 24 digits of a float32.
    sums = ops.matmul(ops.cast(codes, product_dtype()), ops.cast(kernel, product_dtype()))
    sums = sums if bias is None else sums + ops.cast(bias, sums.dtype)
    ratio = ops.repeat(rules.ratio(step, steps), kernel.shape[-1] // 4)
    return times(sums, ratio) if num_bits == 8 else times_of_64_bits(sums, ratio)


def _looked_up(table: Any, codes: Any) -> Any:
    return whole(ops.take(table, ops.cast(codes, "int32") - LOWEST))
