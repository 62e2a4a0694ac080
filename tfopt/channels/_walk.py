"""Runs a graph on samples in which units are zero, to see what they leave behind."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from tfopt.channels._channels import MADE, READ, Channels
from tfopt.channels._rules import rule_of
from tfopt.channels._rules_with_weights import channel_axis
from tfopt.graph import Node, Tensor, substitute, tensors_in

# What is done with the weights: the removed channels' biases, gammas and betas may be zero, as in the masked original,
# or as they are; or all other weights may be random, so that what is found holds for a network yet to be trained.
ZEROED, AS_THEY_ARE, ANY = "zeroed", "as they are", "any"


class Unrunnable(Exception):
    """The graph cannot be run on samples of these sizes."""


# Layers of which no axis but the one they make has channels: their sums need not be computed.
_L = keras.layers
_CONVOLUTIONS = (
    *(_L.Conv1D, _L.Conv2D, _L.Conv3D, _L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose),
    *(_L.SeparableConv1D, _L.SeparableConv2D),
)

# For `id(variable)`, the variable and its value, where that is not the current one.
Values = dict[int, tuple[keras.Variable, np.ndarray]]


def _random(channels: Channels) -> Values:
    rng = np.random.default_rng(0)
    values: Values = {}
    for node in channels.graph.nodes:
        row = rule_of(node)
        for weight in getattr(node.op, "weights", ()) if row is not None else ():
            if weight.name in getattr(node.op, "weights_of_no_channel", ()):
                continue
            random = rng.uniform(0.5, 1.5, weight.shape)
            if not weight.name.endswith("variance"):
                random = random * rng.choice([-1.0, 1.0], weight.shape)
            values[id(weight)] = weight, random.astype(keras.backend.standardize_dtype(weight.dtype))
    return values


def _masked(channels: Channels, gone: np.ndarray, dense: Values, followers: bool) -> Values:
    """The values with zeros for the removed units."""
    values = dict(dense)
    for slot in channels.slots:
        if slot.role == MADE or (followers and slot.follows):
            weight = slot.variable
            value = np.array(values[id(weight)][1] if id(weight) in values else weight)
            np.moveaxis(value, slot.axis, 0)[np.append(gone, False)[slot.units]] = 0
            values[id(weight)] = weight, value
    return values


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """What a call of an operation reads of removed channels.

    Attributes:
        node: the call.
        left: its first input: what removed channels left, and 0 for the others.
        units: the units that left something.
    """

    node: Node
    left: np.ndarray
    units: tuple[int, ...]


class Walk:
    """Runs a graph on samples in which units are zero.

    Args:
        channels: what `channel_groups` found.
        gone: bool array: the units.
        weights: `"zeroed"`, `"as they are"` or `"any"`.
    """

    def __init__(self, channels: Channels, gone: np.ndarray, weights: str) -> None:
        self._channels = channels
        self._gone = np.append(gone, False)
        self._dense = _random(channels) if weights == ANY else {}
        self._weights = _masked(channels, gone, self._dense, followers=weights != AS_THEY_ARE)
        self._readers = {id(slot.op) for slot in channels.slots if slot.role == READ}
        self.found: list[Reading] = []
        self.refused: dict[int, str] = {}

    def mask(self, tensor: Tensor, shape: tuple[int, ...], axes: Sequence[int] | None = None) -> np.ndarray:
        """Which elements of a tensor belong to removed units, of all axes or of some."""
        mask = np.zeros(shape, bool)
        for axis, units in self._channels.axes.get(id(tensor), {}).items():
            if axes is None or axis in axes:
                np.moveaxis(mask, axis, 0)[self._gone[units]] = True
        return mask

    def dense(self, variable: keras.Variable) -> np.ndarray:
        """The value of a weight in which nothing was set to zero."""
        return self._dense[id(variable)][1] if id(variable) in self._dense else np.asarray(variable)

    def run(self, size: int) -> None:
        """One run, with open dimensions of this size."""
        graph = self._channels.graph
        values = {id(tensor): _sample(tensor, size) for tensor in tensors_in(graph.inputs)}
        with keras.StatelessScope(state_mapping=list(self._weights.values())):
            for node in graph.nodes:
                self._read(node, values)
                for tensor, value in zip(tensors_in(node.outputs), self._outputs(node, values), strict=True):
                    values[id(tensor)] = self._bounded(tensor, value)
                self._read_itself(node, values)

    def _outputs(self, node: Node, values: dict[int, np.ndarray]) -> list[np.ndarray]:
        if type(node.op) in _CONVOLUTIONS and node.output.dtype == "float32":
            return [self._convolution(node, values[id(node.inputs[0])].shape)]
        if node.drops:
            return [values[id(node.inputs[0])]]
        try:
            made = node.op(*substitute(node.args, values), **substitute(node.kwargs, values))
            return [np.asarray(keras.ops.convert_to_numpy(x)) for x in keras.tree.flatten(made)]
        except Exception as error:
            return list(self._without_running(node, values, error))

    def _convolution(self, node: Node, shape: tuple[int, ...]) -> np.ndarray:
        """What a convolution makes of removed channels, f(bias), without its sums; other channels are noise."""
        op, tensor = node.op, node.output
        shape = tuple(op.compute_output_shape(shape))
        biases = np.zeros(shape[channel_axis(op, tensor)], "float32")
        if op.use_bias:
            biases = self._weights.get(id(op.bias), (op.bias, np.asarray(op.bias)))[1]
        view = [-1 if axis == channel_axis(op, tensor) else 1 for axis in range(len(shape))]
        made = np.asarray(keras.ops.convert_to_numpy(op.activation(biases.reshape(view))))
        noise = np.random.default_rng(0).standard_normal(shape, "float32")
        return np.where(self.mask(tensor, shape), made, noise)

    def _read(self, node: Node, values: dict[int, np.ndarray]) -> None:
        row = rule_of(node)
        if row is None or not node.inputs:
            return
        tensor = node.inputs[0]
        if id(node.op) in self._readers:
            self.found.append(Reading(node, *self._left(tensor, values[id(tensor)])))
        elif row.counts_zeros is not None:
            axes = [axis % len(tensor.shape) for axis in row.counts_zeros(node)]
            self.found.append(Reading(node, *self._left(tensor, values[id(tensor)], axes)))

    def _read_itself(self, node: Node, values: dict[int, np.ndarray]) -> None:
        row = rule_of(node)
        if row is not None and row.reads_itself:
            for tensor in tensors_in(node.outputs):
                reason = f"{node.path} reads what these units leave behind at every step"
                self.refused.update(dict.fromkeys(self._left(tensor, values[id(tensor)])[1], reason))

    def _left(
        self, tensor: Tensor, value: np.ndarray, axes: Sequence[int] | None = None
    ) -> tuple[np.ndarray, tuple[int, ...]]:
        """What the removed channels of a tensor are, on all axes or on some, and the units that are not zero."""
        left = np.where(self.mask(tensor, value.shape), value, np.zeros((), value.dtype))
        units: set[int] = set()
        for axis, here in self._channels.axes.get(id(tensor), {}).items():
            if axes is not None and axis not in axes:
                continue
            some = np.moveaxis(left, axis, 0).reshape(left.shape[axis], -1).any(axis=1)
            units.update(here[some & self._gone[here]].tolist())
        return left, tuple(sorted(units))

    def _bounded(self, tensor: Tensor, value: np.ndarray) -> np.ndarray:
        """Keeps what is not removed finite: infinity times the zeros of a kernel would be no number."""
        if not np.issubdtype(value.dtype, np.floating):
            return value
        limit = value.dtype.type(8)
        with np.errstate(invalid="ignore"):
            tame = np.clip(np.nan_to_num(value), -limit, limit)
        return np.where(self.mask(tensor, value.shape), value, tame)

    def _without_running(
        self, node: Node, values: dict[int, np.ndarray], error: Exception
    ) -> Iterator[np.ndarray]:
        """Zeros, for a layer that this machine cannot run, such as a convolution that has channels first."""
        units: set[int] = set()
        for tensor in node.inputs:
            units.update(self._left(tensor, values[id(tensor)])[1])
        for slot in self._channels.slots:
            if slot.op is node.op and slot.weight == "bias":
                bias = slot.variable
                value = self._weights[id(bias)][1] if id(bias) in self._weights else np.asarray(bias)
                units.update(slot.units[(value != 0) & self._gone[slot.units]].tolist())
        self.refused.update(dict.fromkeys(units, f"{node.path} could not be run here: {_first_line(error)}"))
        for tensor in tensors_in(node.outputs):
            if None in tensor.shape[1:]:
                raise Unrunnable(f"{node.path} could not be run on a sample: {_first_line(error)}")
            yield np.zeros((2, *tensor.shape[1:]), tensor.dtype)


def _sample(tensor: Tensor, size: int) -> np.ndarray:
    shape = (2, *(size if one is None else one for one in tensor.shape[1:]))
    if "float" in tensor.dtype:
        return np.random.default_rng(0).normal(size=shape).astype(tensor.dtype)
    return (np.arange(math.prod(shape)).reshape(shape) % 2).astype(tensor.dtype)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
