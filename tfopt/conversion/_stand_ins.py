"""Stand-ins: large kernels go round the converter, which would hold each of them several times.

In place of a kernel it is given one number, repeated: a constant of a few bytes until its codes are written. No two
kernels get the same number, so that in the file their steps tell them apart. Then each gets the codes, the steps and
the bias that the converter would have found.
"""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from tfopt._host_ops import array_of, row_blocks
from tfopt.conversion._channel_bounds import channel_bounds
from tfopt.conversion._file_layout import in_file_layout
from tfopt.conversion._file_parts import KernelOperator, MutableTensor
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.graph import CHANNEL_AXES, flatten_layers, kind
from tfopt.kernels import LARGEST_WEIGHT_CODE

# Numbers in a kernel, from which on it goes round the converter: 4 MB.
LARGE = 2**20

# How far apart the numbers are, of which float32 has 2**23 between 1 and 2.
_APART = 2.0**-12


@dataclasses.dataclass(frozen=True)
class StandIn:
    """A kernel that the converter does not see.

    Attributes:
        layer: the lowered layer with the kernel.
        number: what the converter is given, in each place.
    """

    layer: keras.layers.Layer
    number: float

    def codes_and_steps(self) -> tuple[np.ndarray, np.ndarray]:
        """The int8 code of each number of the kernel, in Keras' layout, and the step of each channel."""
        kernel, steps = array_of(self.layer.kernel), _steps(self.layer)
        codes, wide = np.empty(kernel.shape, "int8"), np.broadcast_to(steps, kernel.shape)
        for rows in row_blocks(kernel):
            codes[rows] = np.rint(kernel[rows] / wide[rows])
        return codes, steps.reshape(-1)


def stand_ins(model: keras.Model) -> tuple[StandIn, ...]:
    """One for each large kernel of a lowered model that is on the converter's own grid.

    Args:
        model: what `lower` returned, of a quantized model.
    """
    found = [layer for layer in flatten_layers(model) if kind(layer) in CHANNEL_AXES and _is_simple(layer)]
    return tuple(StandIn(layer, 1.0 + at * _APART) for at, layer in enumerate(found, 1))


def put_back(file: Flatbuffer, replaced: Sequence[StandIn]) -> bool:
    """Writes the kernels that stood aside into the file; whether each had a place of its own there."""
    missing, done = set(replaced), set()
    # All are found before one is written: a shared layer has an operator, and a bias, for each call.
    places = [(op, op.operand(1), _of(op.operand(1), replaced)) for op in file.kernel_operators()]
    for op, weights, found in places:
        if weights is None or found is None:
            continue
        codes, steps = found.codes_and_steps()
        moved = in_file_layout(codes, op.name, tuple(weights.tensor.shape))
        if moved is None:
            return False
        if weights.index not in done:
            weights.fill(np.ascontiguousarray(moved), steps)
            done.add(weights.index)
        _set_bias(op, found, steps)
        missing.discard(found)
    return not missing


def _is_simple(layer: keras.layers.Layer) -> bool:
    """Whether a large kernel holds what the converter would write, to the last bit."""
    if np.prod(layer.kernel.shape) < LARGE:
        return False
    kernel, steps = array_of(layer.kernel), _steps(layer)
    if kernel.dtype != np.float32 or not (steps > 0).all():  # without a weight, a channel has no step
        return False
    wide = np.broadcast_to(steps, kernel.shape)
    return all(
        np.array_equal(np.rint(kernel[rows] / wide[rows]) * wide[rows], kernel[rows])
        for rows in row_blocks(kernel)
    )


def _steps(layer: keras.layers.Layer) -> np.ndarray:
    """The step of each channel, with 1 in place of the other axes: the largest weight has code 127."""
    bound = channel_bounds(array_of(layer.kernel), CHANNEL_AXES[kind(layer)])
    return (bound / np.float32(LARGEST_WEIGHT_CODE)).astype("float32")


def _of(weights: MutableTensor | None, replaced: Sequence[StandIn]) -> StandIn | None:
    """The stand-in that the converter has written here."""
    if weights is None or not weights.is_int8_constant:
        return None
    number = weights.scales[0] * LARGEST_WEIGHT_CODE
    return next((one for one in replaced if abs(number - one.number) < _APART / 4), None)


def _set_bias(op: KernelOperator, found: StandIn, steps: np.ndarray) -> None:
    data, bias = op.operand(0), op.operand(2)
    if data is None or bias is None:
        return
    of_layer = found.layer.bias
    values = np.zeros(len(steps)) if of_layer is None else array_of(of_layer).astype("float64").reshape(-1)
    units = data.scales[0] * steps.astype("float64")
    limits = np.iinfo("int32")
    codes = np.clip(np.round(values / units), limits.min, limits.max).astype("<i4")
    bias.replace(codes.view("uint8"), units)
