"""A model whose kernels have learned bits and whose channels have learned widths, trained with a penalty."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt.budgets._gates import gumbel, mixed, relaxed
from tfopt.budgets._shapes import Move
from tfopt.budgets._width_masks import WidthMasks
from tfopt.channels import Channels


@dataclasses.dataclass(frozen=True, eq=False)
class GatedKernel:
    """A kernel with choices of bits.

    Attributes:
        path: its layer's path.
        variable: the kernel.
        bits: the choices.
        channel_axes: its axes that index channels.
        prices: by budget, what each choice takes of it in the whole model.
        macs: multiply-accumulates of its layer in the whole model.
    """

    path: str
    variable: keras.Variable
    bits: tuple[int, ...]
    channel_axes: tuple[int, ...]
    prices: Mapping[str, Sequence[float]]
    macs: float


class GatedModel(keras.Model):
    """The model with gates. Its loss has a penalty for what it costs on average beyond the limits.

    `strength * sum_b max(0, cost_b / limit_b - 1)`, as ever fewer choices cost what a whole network did in FBNetV2's
    masks (Wan et al. 2020, https://arxiv.org/abs/2004.05565).

    Args:
        base: the float model; its weights are trained.
        kernels: those with choices.
        moves: channels with choices.
        channels: the analysis of the base model.
        scores: of the units of channels: the lowest go first.
        limits: by budget.
        strength: of the penalty.
        seed: of the noise.
    """

    def __init__(
        self,
        base: keras.Model,
        kernels: Sequence[GatedKernel],
        moves: Sequence[Move],
        channels: Channels,
        scores: np.ndarray,
        limits: Mapping[str, float],
        strength: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.base, self.kernels, self.moves = base, tuple(kernels), tuple(moves)
        self.limits, self.strength = dict(limits), strength
        self.seed = keras.random.SeedGenerator(seed)
        self.temperature = self.add_weight(shape=(), initializer="ones", trainable=False, name="temperature")
        self.bit_gates = [self._gate(len(one.bits)) for one in self.kernels]
        self.width_gates = [self._gate(len(one.values) + 1) for one in self.moves]
        self.widths = WidthMasks(self.moves, channels, scores)
        self.built = True

    def _gate(self, size: int) -> keras.Variable:
        return self.add_weight(shape=(size,), initializer="zeros", name="gate")

    def gates(self, training: bool) -> tuple[list[Any], list[Any]]:
        """The probabilities of bits of each kernel, and of widths of each group of channels."""

        def open_(gate: Any) -> Any:
            noise = gumbel(gate.shape, self.seed) if training else 0.0
            return relaxed(ops.convert_to_tensor(gate), self.temperature, noise)

        return [open_(gate) for gate in self.bit_gates], [open_(gate) for gate in self.width_gates]

    def costs(self, bits: Sequence[Any], parts: Any) -> dict[str, Any]:
        """What the model takes of each budget on average."""
        found = dict.fromkeys(self.limits, 0.0)
        for kernel, chosen in zip(self.kernels, bits, strict=True):
            left = self.widths.left(kernel.variable, parts)
            for name in found:
                own = (
                    kernel.macs
                    if name == "macs"
                    else ops.sum(chosen * np.array(kernel.prices[name], "float32"))
                )
                found[name] = found[name] + own * left
        return found

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The base model's outputs with gated weights."""
        bits, widths = self.gates(training)
        parts = self.widths.parts(widths)
        chosen = {id(one.variable): (one, p) for one, p in zip(self.kernels, bits, strict=True)}
        values = []
        for variable in self.base.trainable_variables:
            value = ops.convert_to_tensor(variable)
            if id(variable) in chosen:
                kernel, probabilities = chosen[id(variable)]
                value = mixed(value, kernel.bits, probabilities, kernel.channel_axes)
            values.append(self.widths.masked(variable, value, parts))
        kept = self.base.non_trainable_variables
        outputs, updated = self.base.stateless_call(values, kept, inputs, training=training)
        if training:
            for variable, value in zip(kept, updated, strict=True):
                variable.assign(value)
        costs = self.costs(bits, parts)
        over = [ops.relu(costs[name] / most - 1.0) for name, most in self.limits.items()]
        self.add_loss(self.strength * sum(over[1:], over[0]))
        return outputs
