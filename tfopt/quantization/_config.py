"""What to quantize to."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfopt.graph import LayerFilter
from tfopt.kernels import GRANULARITIES, TARGETS, check_range
from tfopt.quantization._overrides import FIELDS, check_overrides
from tfopt.quantization._range_settings import Ranges
from tfopt.quantization._settings import check_setting, named
from tfopt.quantization._targets import target_settings


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class QuantConfig:
    """The quantization scheme; by default int8 as TFLite (LiteRT) computes it.

    Weights are symmetric, a step per output channel; activations asymmetric, a step per tensor; biases int32 (TFLite
    8-bit specification). The default needs no arguments.

    Args:
        weight_bits: bits of a weight's code, 1 to 8; 1 is a sign and a mean magnitude (XNOR-Net, Rastegari et al.
            2016, arXiv 1603.05279).
        activation_bits: 8, or 16 for TFLite's "16x8": 16-bit activations with 8-bit weights. What has no kernel for
            those (argmax, clipping, bounds and padding by a constant) stays float, and the report says so; functions
            that LiteRT looks up in tables (gelu, tanh ...) are some of the 65,536 steps off there. With 8,
            normalizations and masked softmax compute in 16 bits inside, where the target has those.
        residual_bits: 8, or 16 for the sums `x + f(x)` of residual blocks, beside activations of 8. What adds up over
            the blocks is then rounded 256 times finer, the branches `f(x)` as before. A sum costs a QUANTIZE operator,
            which a layer normalization that reads it saves again; the stream takes two bytes a number.
        symmetric: activations with zero point 0. 16-bit activations always are.
        granularity: steps of weights: `"channel"`, one for each output channel, or `"tensor"`, one for all.
        power_of_two: steps of weights and activations are powers of two.
        ternary: weights are -1, 0 or 1 times a mean magnitude (TWN, Li et al. 2016, arXiv 1605.04711); takes
            `weight_bits=2`.
        dense_granularity: the same for Dense kernels, where the runtime asks for another one; None for `granularity`.
        overrides: other settings for some layers: `{"conv1$": {"weight_bits": 8}, "head": None}`. A key is a regular
            expression that is searched in the layer's path, or a function from layer to bool; the first that fits
            counts. A value is a dict of `weight_bits`, `granularity`, `power_of_two`, `ternary` and `activation_bits`,
            or None: leave the layer float. With `activation_bits` 16 its kernel reads and writes 16-bit codes, between
            two QUANTIZE operators; what lies between two such layers keeps its 16 bits, and so does a concatenation
            that the model returns. With `weight_bits` None beside that, a float kernel does.
        pack_weights: store weights of 4 bits or fewer two to a byte where LiteRT's kernels read that; else a byte
            each. TFLite Micro and NPU compilers do not read packed weights.
        ranges: where the ranges of activations come from, see `Ranges`.
        input_ranges: the range of an input, by its name, where a device fixes it: `{"image": (0.0, 1.0)}` for camera
            bytes, steps of 1/255 (to 2 parts in 100,000) from code -128, or 0 as uint8. Neither calibration nor
            training moves it. For 8-bit activations.
        delay: steps of float training before rounding starts; ranges are observed meanwhile.
        freeze_batch_norm_step: the step after which batch norms use their moving statistics, and keep them, in
            training too (Krishnamoorthi 2018, arXiv 1806.08342, section 3.2.2); None for never.
        strict: make it an error if any layer stays float.
        target: the runtime whose kernels the simulation follows in inference, and that `verify` asks: see `for_target`,
            which sets what else the runtime asks for.

    Raises:
        ValueError: an argument out of its range, or two that do not go together.
        TypeError: `overrides` is not a mapping as above.

    Example:

    >>> from tfopt import QuantConfig
    >>> QuantConfig(weight_bits=4, overrides={"stem": {"weight_bits": 8}, "head": None})
    QuantConfig(weight_bits=4, overrides={'stem': {'weight_bits': 8}, 'head': None})
    """

    weight_bits: int = 8
    activation_bits: int = 8
    residual_bits: int = 8
    symmetric: bool = False
    granularity: str = "channel"
    power_of_two: bool = False
    ternary: bool = False
    dense_granularity: str | None = None
    overrides: Mapping[LayerFilter, Mapping[str, Any] | None] = dataclasses.field(default_factory=dict)
    pack_weights: bool = True
    ranges: Ranges = dataclasses.field(default_factory=Ranges)
    input_ranges: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    delay: int = 0
    freeze_batch_norm_step: int | None = None
    strict: bool = False
    target: str = "litert"

    def __post_init__(self) -> None:
        check_setting(self, "weight_bits", self.weight_bits in range(1, 9), "an integer from 1 to 8")
        check_setting(
            self, "activation_bits", self.activation_bits in (8, 16), "8 or 16, which TFLite has kernels for"
        )
        check_setting(self, "granularity", self.granularity in GRANULARITIES, "'channel' or 'tensor'")
        check_setting(
            self,
            "dense_granularity",
            self.dense_granularity in (None, *GRANULARITIES),
            "None, 'channel' or 'tensor'",
        )
        check_setting(
            self,
            "ternary",
            not self.ternary or self.weight_bits == 2,
            "False for other weights than those of 2 bits: pass weight_bits=2 with it",
        )
        check_setting(
            self, "ranges", isinstance(self.ranges, Ranges), "a tfopt.Ranges, as Ranges(method='mse')"
        )
        check_setting(self, "delay", self.delay >= 0, "a number of steps, 0 or more")
        step = self.freeze_batch_norm_step
        check_setting(
            self, "freeze_batch_norm_step", step is None or step >= 0, "None or a number of steps, 0 or more"
        )
        check_setting(self, "target", self.target in TARGETS, f"one of {', '.join(map(repr, TARGETS))}")
        widths = TARGETS[self.target].activation_bits
        check_setting(
            self,
            "residual_bits",
            self.residual_bits in widths,
            " or ".join(map(str, widths)) + " for its target",
        )
        check_setting(
            self,
            "ranges",
            not (self.power_of_two and self.ranges.observer != "moving_average"),
            "Ranges(observer='moving_average') with power_of_two=True: a learned step is no power of two",
        )
        fixed = not self.input_ranges or (self.activation_bits == 8 and not self.symmetric)
        check_setting(
            self, "input_ranges", fixed, "empty with 16-bit or symmetric activations, whose zero point is 0"
        )
        for limits in self.input_ranges.values():
            check_range("input_ranges", limits)
        check_overrides(self.overrides, self)

    @classmethod
    def for_target(cls, target: str, **settings: Any) -> "QuantConfig":
        """The scheme that a runtime can compute.

        Args:
            target: `"litert"` (phones, XNNPACK); `"tflm"` (TensorFlow Lite Micro: its reference kernels' roundings,
                Dense per tensor); `"ethos-u"` (Arm's NPU, compiled by Vela: nothing stays float); `"edgetpu"` (Coral: 8
                bits alone, nothing stays float); `"google-tensor"` (Pixel's NPU: symmetric activations).
            **settings: arguments of `QuantConfig`, which win.

        Returns:
            A `QuantConfig`.

        Raises:
            ValueError: an unknown target, or settings that it cannot compute.

        Example:

        >>> from tfopt import QuantConfig
        >>> QuantConfig.for_target("tflm", weight_bits=4)
        QuantConfig(weight_bits=4, dense_granularity='tensor', pack_weights=False, target='tflm')
        """
        return cls(**target_settings(target, settings))

    def weight_settings(self, kind: str) -> dict[str, Any]:
        """The arguments of a quantized layer of this kind."""
        settings = {name: getattr(self, name) for name in FIELDS}
        if kind in ("Dense", "EinsumDense") and self.dense_granularity is not None:
            settings["granularity"] = self.dense_granularity
        return settings

    def __repr__(self) -> str:
        return named(self)
