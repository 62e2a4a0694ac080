"""The LSTM as the fused integer operator computes it."""

import functools
from typing import Any

import keras
from keras import ops

from tfopt._untracked import Untracked
from tfopt.kernels import FAMILIES, LstmStandIn, LstmWeights, lstm_codes, once
from tfopt.quantization.simulation._cell_range import CellRange
from tfopt.quantization.simulation._fake_quantize import FakeQuantize
from tfopt.quantization.simulation._grid_settings import GridSettings
from tfopt.quantization.simulation._lstm_loop import lstm_loop
from tfopt.quantization.simulation._step_counter import StepCounter

GATES = 4


@keras.saving.register_keras_serializable(package="tfopt")
class QuantizedLSTM(GridSettings, keras.layers.LSTM):
    """`keras.layers.LSTM` with 8-bit weights, a 16-bit cell, and inputs and hidden states of 8 bits or of 16.

    In inference it computes what TFLite's UNIDIRECTIONAL_SEQUENCE_LSTM computes, to the last bit (see
    `tfopt.kernels.lstm_codes`). In training it is the float LSTM with weights on their grid, a step for each gate of
    each of the two kernels, and hidden states rounded before the next step reads them, all with straight-through
    gradients (arXiv 1308.3432). The cells have a range of their own, up to the next power of two.

    Args:
        *args: as for `keras.layers.LSTM`.
        momentum: share of the old range of the cells that a training step keeps.
        weight_bits: bits of a weight's code; `power_of_two` and `ternary` as for `QuantConfig`.
        **kwargs: as for `keras.layers.LSTM`.

    Raises:
        ValueError: as for `keras.layers.LSTM`.

    Example:

    >>> import numpy as np
    >>> from tfopt.quantization import QuantizedLSTM
    >>> QuantizedLSTM(3, return_sequences=True)(np.ones((2, 4, 5), "float32")).shape
    TensorShape([2, 4, 3])
    """

    graph_primitive = True  # capture must find it again as what it is

    def __init__(self, *args: Any, momentum: float = 0.99, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "granularity": "tensor"})
        self.momentum = momentum
        self.cell_range = CellRange(momentum, name="cell_range", dtype="float32")
        self._links: Untracked = Untracked(None)

    @classmethod
    def settings_for(cls, config: Any, kind: str) -> dict[str, Any]:
        return {**super().settings_for(config, kind), "momentum": config.ranges.momentum}

    def build(self, sequences_shape: Any) -> None:
        super().build(sequences_shape)
        self.cell_range.build(None)

    def set_counter(self, counter: StepCounter) -> None:
        super().set_counter(counter)
        self.cell_range.set_counter(counter)

    def connect(self, source: FakeQuantize, output: FakeQuantize, family: str) -> None:
        """Names the quantizers of the inputs and of the hidden states, and the family of kernels."""
        self._links = Untracked((source, output, FAMILIES[family].lstm))

    # why wraps: an operation is known by its `call`, and this one computes what the stock one computes.
    @functools.wraps(keras.layers.LSTM.call)
    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = False
    ) -> Any:
        if self._links.value is None:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        return self._trained(sequences) if training else self._as_kernel(sequences)

    def _as_kernel(self, sequences: Any) -> Any:
        source, output, rules = self._links.value
        grid = output.grid()
        codes = ops.round(ops.cast(sequences, "float32") / source.step())
        steps = source.step(), grid, self.cell_range.step()
        hidden, _ = lstm_codes(rules, codes, self.stored(), *steps, output.num_bits)
        return ops.cast(hidden, "float32") * grid.step

    def _trained(self, sequences: Any) -> Any:
        _, output, _ = self._links.value
        low, high = output.nudged_range()
        end = 2.0**15 * self.cell_range.step()

        def rounded(hidden: Any) -> Any:
            return keras.quantizers.fake_quant_with_min_max_vars(hidden, low, high, output.num_bits)

        kernel, recurrent = (
            self.unless_delayed(one, functools.partial(self._rounded, one)) for one in self._kernels()
        )
        gates = ops.matmul(self._dropped(sequences, self.dropout), kernel)
        gates = gates if self.cell.bias is None else gates + self.cell.bias
        hidden, cells = lstm_loop(
            gates,
            recurrent,
            read=lambda hidden: self.unless_delayed(hidden, lambda: rounded(hidden)),
            clip=lambda cell: ops.clip(cell, -end, end),
        )
        self.cell_range.observe(cells)
        return hidden

    def _dropped(self, sequences: Any, rate: float) -> Any:
        """Inputs without some features, the same ones in all steps of a sample."""
        if not rate:
            return sequences
        batch, features = ops.shape(sequences)[0], sequences.shape[-1]
        kept = keras.random.dropout(
            ops.ones((batch, 1, features), sequences.dtype), rate, seed=self.cell.seed_generator
        )
        return sequences * kept

    @once
    def stored(self) -> LstmWeights:
        """What a file holds, in Keras' layout: codes, the bias in whole units of the input's sums, steps."""
        source = self._links.value[0]
        codes, steps = [], []
        for kernel in self._kernels():
            gates = ops.split(ops.cast(kernel, "float32"), GATES, axis=-1)
            each = [ops.reshape(self.grid.step(gate, ()), ()) for gate in gates]
            steps.append(ops.stack(each))
            pairs = zip(gates, each, strict=True)
            codes.append(ops.concatenate([self.grid.codes(gate, step, ()) for gate, step in pairs], axis=-1))
        unit = ops.repeat(source.step() * steps[0], self.units)
        bias = ops.zeros_like(unit) if self.cell.bias is None else ops.cast(self.cell.bias, "float32")
        kernel, recurrent = codes
        return LstmWeights(kernel, recurrent, ops.round(bias / unit), steps[0], steps[1])

    def to_inference(self) -> LstmStandIn:
        """What the converter reads in place of the operator, with all that the file will hold."""
        layer = LstmStandIn(self.units, name=self.name)
        layer.build(self.get_build_config()["input_shape"])
        layer.set_weights([*self.stored(), self.cell_range.step()])
        return layer

    def to_float(self) -> keras.layers.LSTM:
        """The layer as it was before quantization, with the weights of this moment."""
        settings = {"momentum", *self._settings()}
        config = {name: value for name, value in self.get_config().items() if name not in settings}
        layer = keras.layers.LSTM.from_config(config)
        layer.build_from_config(self.get_build_config())
        layer.cell.set_weights(self.cell.get_weights())
        return layer

    def compute_grids(self) -> None:
        """Computes what a call in inference reads that depends on weights alone."""
        if self._links.value is not None:
            self.stored()
            self.cell_range.grid()

    def weights_and_rounded(self) -> tuple[Any, Any]:
        flat = [
            ops.concatenate([ops.reshape(one, (-1,)) for one in pair])
            for pair in (self._kernels(), map(self._rounded, self._kernels()))
        ]
        return flat[0], flat[1]

    def _kernels(self) -> tuple[Any, Any]:
        kernels = (self.cell.kernel, self.cell.recurrent_kernel)
        return ops.convert_to_tensor(kernels[0]), ops.convert_to_tensor(kernels[1])

    def _rounded(self, kernel: Any) -> Any:
        gates = ops.split(kernel, GATES, axis=-1)
        return ops.concatenate([self.grid.quantize(gate, ()) for gate in gates], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum}
