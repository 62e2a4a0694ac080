"""What to quantize to."""

import dataclasses

from tfopt.quantization._ranges import METHODS


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantConfig:
    """The quantization scheme: int8 as TFLite (LiteRT) computes it.

    Weights are symmetric int8, a step per output channel; activations asymmetric int8, a step per tensor; biases
    int32 (TFLite 8-bit specification). The default needs no arguments.

    Args:
        range_method: how ranges are chosen from the calibration data. `"minmax"` takes all that was seen;
            `"percentile"` cuts 0.01 % off each end (Wu et al. 2020, arXiv 2004.09602), `"mse"` has the least squared
            error (Banner et al. 2019, arXiv 1810.05723), `"kl"` keeps the distribution best (Migacz 2017).
        momentum: `d` of the moving average that activation ranges follow in training,
            `range <- d * range + (1 - d) * batch`, per step; in [0, 1]. The averages start from calibration; with 1
            they stay there.

    Raises:
        ValueError: an unknown `range_method`, or `momentum` outside [0, 1].

    Example:

    >>> from tfopt import QuantConfig
    >>> QuantConfig(range_method="mse", momentum=0.9)
    QuantConfig(range_method='mse', momentum=0.9)
    """

    range_method: str = "minmax"
    momentum: float = 0.99

    def __post_init__(self) -> None:
        methods = ("minmax", *METHODS)
        if self.range_method not in methods:
            raise ValueError(
                f"The 'range_method' argument of QuantConfig must be one of {', '.join(map(repr, methods))}. "
                f"Got {self.range_method!r} instead."
            )
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(
                "The 'momentum' argument of QuantConfig must be in [0, 1]: the share of the old range that a "
                f"training step keeps. Got {self.momentum} instead."
            )
