"""What to quantize to."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfopt.graph import LayerFilter
from tfopt.kernels import GRANULARITIES
from tfopt.quantization._overrides import FIELDS, check_overrides
from tfopt.quantization._targets import target_settings
from tfopt.quantization.calibration import METHODS

OBSERVERS = ("moving_average", "lsq", "pact")


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
            that LiteRT looks up in tables (exp, rsqrt, softmax, tanh ...) are some of the 65,536 steps off there.
        symmetric: activations with zero point 0. 16-bit activations always are.
        granularity: steps of weights: `"channel"`, one for each output channel, or `"tensor"`, one for all.
        power_of_two: steps of weights and activations are powers of two.
        ternary: weights are -1, 0 or 1 times a mean magnitude (TWN, Li et al. 2016, arXiv 1605.04711); takes
            `weight_bits=2`.
        dense_granularity: the same for Dense kernels, where the runtime asks for another one; None for `granularity`.
        overrides: other settings for some layers: `{"conv1$": {"weight_bits": 8}, "head": None}`. A key is a regular
            expression that is searched in the layer's path, or a function from layer to bool; the first that fits
            counts. A value is a dict of `weight_bits`, `granularity`, `power_of_two` and `ternary`, or None: leave the
            layer float.
        pack_weights: store weights of 4 bits or fewer two to a byte where LiteRT's kernels read that; else a byte
            each. TFLite Micro and NPU compilers do not read packed weights.
        range_method: how ranges are chosen from the calibration data. `"minmax"` takes all that was seen;
            `"percentile"` cuts 0.01 % off each end (Wu et al. 2020, arXiv 2004.09602), `"mse"` has the least squared
            error (Banner et al. 2019, arXiv 1810.05723), `"kl"` keeps the distribution best (Migacz 2017).
        observer: how activation ranges go on in training. `"moving_average"`: they follow the batches' own;
            `"lsq"`: their step is learned (Esser et al. 2020, arXiv 1902.08153); `"pact"`: their ends are learned,
            with an L2 penalty (Choi et al. 2018, arXiv 1805.06085).
        momentum: `d` of the moving average `range <- d * range + (1 - d) * batch`, per step; in [0, 1]. It is
            debiased (Kingma & Ba 2015, arXiv 1412.6980, section 3): early steps weigh as much as in a plain mean, and
            calibration counts as many steps as it had batches. With 1 the ranges of calibration stay.
        clip_l2: `lambda` of PACT's penalty `lambda * c**2`, with `c` the clipping end in units of the calibrated one.
        delay: steps of float training before rounding starts; ranges are observed meanwhile.
        freeze_step: the step after which ranges stand still; None for never.
        freeze_batch_norm_step: the step after which batch norms use their moving statistics, and keep them, in
            training too (Krishnamoorthi 2018, arXiv 1806.08342, section 3.2.2); None for never.
        strict: make it an error if any layer stays float.

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
    symmetric: bool = False
    granularity: str = "channel"
    power_of_two: bool = False
    ternary: bool = False
    dense_granularity: str | None = None
    overrides: Mapping[LayerFilter, Mapping[str, Any] | None] = dataclasses.field(default_factory=dict)
    pack_weights: bool = True
    range_method: str = "minmax"
    observer: str = "moving_average"
    momentum: float = 0.99
    clip_l2: float = 1e-4
    delay: int = 0
    freeze_step: int | None = None
    freeze_batch_norm_step: int | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        _check(self, "weight_bits", self.weight_bits in range(1, 9), "an integer from 1 to 8")
        _check(
            self, "activation_bits", self.activation_bits in (8, 16), "8 or 16, which TFLite has kernels for"
        )
        _check(self, "granularity", self.granularity in GRANULARITIES, "'channel' or 'tensor'")
        _check(
            self,
            "dense_granularity",
            self.dense_granularity in (None, *GRANULARITIES),
            "None, 'channel' or 'tensor'",
        )
        _check(
            self,
            "ternary",
            not self.ternary or self.weight_bits == 2,
            "False for other weights than those of 2 bits: pass weight_bits=2 with it",
        )
        for name, known in (("range_method", ("minmax", *METHODS)), ("observer", OBSERVERS)):
            _check(self, name, getattr(self, name) in known, f"one of {', '.join(map(repr, known))}")
        _check(
            self,
            "momentum",
            0 <= self.momentum <= 1,
            "in [0, 1]: the share of the old range that a step keeps",
        )
        _check(self, "clip_l2", self.clip_l2 >= 0, "0 or more")
        _check(self, "delay", self.delay >= 0, "a number of steps, 0 or more")
        for name in ("freeze_step", "freeze_batch_norm_step"):
            step = getattr(self, name)
            _check(self, name, step is None or step >= 0, "None or a number of steps, 0 or more")
        _check(
            self,
            "observer",
            not (self.power_of_two and self.observer != "moving_average"),
            "'moving_average' with power_of_two=True: a learned step is no power of two",
        )
        check_overrides(self.overrides, self)

    @classmethod
    def for_target(cls, target: str, **settings: Any) -> "QuantConfig":
        """The scheme that a runtime can compute.

        Args:
            target: `"litert"`; `"tflm"` (TensorFlow Lite Micro: Dense per tensor); `"ethos-u"` (Arm's NPU, compiled by
                Vela: nothing stays float); `"edgetpu"` (Coral: 8 bits alone, nothing stays float).
            **settings: arguments of `QuantConfig`, which win.

        Returns:
            A `QuantConfig`.

        Raises:
            ValueError: an unknown target, or settings that it cannot compute.

        Example:

        >>> from tfopt import QuantConfig
        >>> QuantConfig.for_target("tflm", range_method="mse")
        QuantConfig(dense_granularity='tensor', pack_weights=False, range_method='mse')
        """
        return cls(**target_settings(target, settings))

    def weight_settings(self, kind: str) -> dict[str, Any]:
        """The arguments of a quantized layer of this kind."""
        settings = {name: getattr(self, name) for name in FIELDS}
        if kind in ("Dense", "EinsumDense") and self.dense_granularity is not None:
            settings["granularity"] = self.dense_granularity
        return settings

    def __repr__(self) -> str:
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        changed = [f"{name}={value!r}" for name, value in given.items() if value != _DEFAULTS[name]]
        return f"QuantConfig({', '.join(changed)})"


_DEFAULTS = {
    field.name: {} if field.default is dataclasses.MISSING else field.default
    for field in dataclasses.fields(QuantConfig)
}


def _check(config: QuantConfig, name: str, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(
            f"The '{name}' argument of QuantConfig must be {expected}. Got {getattr(config, name)!r} instead."
        )
