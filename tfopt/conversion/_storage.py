"""Storage: the grids and bits that were trained go into the file, where the converter chose others.

The converter finds each channel's step from its largest weight, which it takes for code 127. That is right for 8-bit
weights per channel alone. Here kernels on other grids get the codes and steps that they were trained with, and four
bits or fewer are packed where LiteRT's kernels read that. Nothing else in the file changes.
"""

import dataclasses
from collections.abc import Container, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.conversion._file_layout import kernel_as_stored
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.graph import CHANNEL_AXES, flatten_layers, kind
from tfopt.kernels import (
    LARGEST_WEIGHT_CODE,
    PACKED_OPERATORS,
    IntegerModel,
    IntegerWeights,
    is_packed,
)


@dataclasses.dataclass(frozen=True)
class StoredWeights:
    """How the file holds a kernel that was trained on another grid than 8 bits per channel.

    Attributes:
        layer: the layer's name in the quantized model.
        trained_bits: bits of a code in training.
        levels: values that a code could take in training.
        stored_bits: bits of a code in the file; 0 if the kernel was not found there.
    """

    layer: str
    trained_bits: int
    levels: int
    stored_bits: int

    @property
    def note(self) -> str:
        """What a reader must know, where the file does not hold the bits that were trained; else `""`."""
        if not self.stored_bits:
            return (
                f"{self.layer}: trained in {self.trained_bits} bits, and not found in the file as a kernel of its own: "
                "its values there may be off the trained grid."
            )
        if self.stored_bits == self.trained_bits:
            return ""
        return (
            f"{self.layer}: trained in {self.trained_bits} bits, stored as int{self.stored_bits}, {self.levels} levels "
            "used."
        )


# How far the converter's steps may be from those that a kernel was trained with: its codes are rounded to 127 levels.
_NOISE = 1e-3


def store_weights(
    file: Flatbuffer, model: keras.Model, inference: keras.Model, pack: bool
) -> tuple[StoredWeights, ...]:
    """Puts the kernels of a file on the grids that they were trained on.

    Args:
        file: what the converter returned.
        model: the quantized model.
        inference: what `lower` made of it: the converter's input.
        pack: whether to store four bits or fewer two to a byte, where LiteRT reads that.

    Returns:
        A row for each kernel on a grid of its own.
    """
    layers = {
        layer.name: layer
        for layer in flatten_layers(model)
        if isinstance(layer, IntegerWeights) and not layer.grid.is_default
    }
    if not layers:
        return ()
    stored = _rewrite(file, layers, model, inference, pack)
    return tuple(
        StoredWeights(name, layer.grid.bits, layer.grid.levels, stored.get(name, 0))
        for name, layer in layers.items()
    )


def _rewrite(
    file: Flatbuffer, layers: dict[str, Any], model: keras.Model, inference: keras.Model, pack: bool
) -> dict[str, int]:
    """Puts the trained codes and steps into the file; returns the bits of each layer's kernel there."""
    known = model.stored() if isinstance(model, IntegerModel) else {}
    wanted = []
    for layer in flatten_layers(inference):
        name = _original(layer.name, layers)
        if name is not None and kind(layer) in CHANNEL_AXES:
            wanted.append(_Kernel(layer, layers[name], [step for step, _ in known.get(name, ())]))
    stored: dict[str, int] = {}
    done: set[int] = set()
    for op in file.kernel_operators():
        weights = op.operand(1)
        if weights is None:
            continue
        if weights.index not in done and (codes := weights.codes()) is not None:
            held = (one for one in wanted if one.is_in(op.name, codes, weights.scales))
            found = next(held, None)
            if found is None:
                continue
            bits = 4 if pack and op.name in PACKED_OPERATORS and is_packed(found.grid.bits) else 8
            top = found.tops(len(weights.scales))
            axis = [1] * codes.ndim
            axis[weights.axis] = -1
            weights.set(
                np.round(codes * top.reshape(axis) / LARGEST_WEIGHT_CODE).astype("int8"),
                found.steps(weights.scales),
                bits,
            )
            done.add(weights.index)
            stored[found.name] = bits
        if weights.index in done:
            op.rescale_bias()
    return stored


def _original(name: str, layers: Container[str]) -> str | None:
    """The layer that one of the inference model comes from: where calls have different batch norms, each has a copy.

    >>> _original("conv__", {"conv"}), _original("conv_", {"conv_", "conv"}), _original("other", {"conv"})
    ('conv', 'conv_', None)
    """
    while name not in layers and name.endswith("_"):  # see `unique_names`
        name = name[:-1]
    return name if name in layers else None


class _Kernel:
    """A kernel as the converter was given it, and its trained grid.

    Args:
        lowered: the layer that the converter was given.
        trained: the layer with the codes.
        known: the step that the simulation computes with, of each channel or of all, of each batch norm that is folded
            into the layer.
    """

    def __init__(self, lowered: keras.layers.Layer, trained: Any, known: Sequence[Any]) -> None:
        self.name, self.grid = trained.name, trained.grid
        self.known = [np.asarray(step, "float64") for step in known]
        self.kernel = np.asarray(lowered.kernel, "float64")
        codes = np.abs(np.asarray(trained.weight_codes()))
        kept = {axis % codes.ndim for axis in trained.axes_of(trained.weight_names[0])}
        largest = codes.max(axis=tuple(axis for axis in range(codes.ndim) if axis not in kept))
        self.largest = largest.reshape(-1)

    def is_in(self, op: str, codes: np.ndarray, scales: np.ndarray) -> bool:
        """Whether a kernel of the file holds these values."""
        return kernel_as_stored(self.kernel, op, codes, scales) is not None

    def tops(self, channels: int) -> np.ndarray:
        """The largest code of each channel of the file's kernel."""
        return np.broadcast_to(
            self.largest if self.largest.size == channels else self.largest.max(), channels
        )

    def steps(self, scales: np.ndarray) -> np.ndarray:
        """The trained step of each channel, or the one of all; the converter's where a channel is all zero."""
        top = self.tops(len(scales))
        steps = scales * LARGEST_WEIGHT_CODE / np.where(top > 0, top, LARGEST_WEIGHT_CODE)
        # To the last bit: sums on a grid of powers of two often end in halves.
        for known in self.known:
            if np.allclose(np.where(top > 0, known, steps), steps, rtol=_NOISE, atol=0):
                steps = np.where((top > 0) & (known > 0), known, steps)
        if self.grid.granularity == "tensor":
            return np.array([np.median(steps[top > 0]) if (top > 0).any() else steps[0]])
        return steps
