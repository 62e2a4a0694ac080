"""What to quantize to."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantConfig:
    """The quantization scheme: int8 as TFLite (LiteRT) computes it.

    Weights are symmetric int8, a step per output channel; activations asymmetric int8, a step per tensor; biases
    int32 (TFLite 8-bit specification). The default needs no arguments.

    Args:
        momentum: `d` of the moving average that activation ranges follow in training,
            `range <- d * range + (1 - d) * batch`, per step; in [0, 1). The averages start from calibration.

    Raises:
        ValueError: `momentum` outside [0, 1).

    Example:

    >>> from tfopt import QuantConfig
    >>> QuantConfig(momentum=0.9)
    QuantConfig(momentum=0.9)
    """

    momentum: float = 0.99

    def __post_init__(self) -> None:
        if not 0.0 <= self.momentum < 1.0:
            raise ValueError(
                "The 'momentum' argument of QuantConfig must be in [0, 1): the share of the old range that a "
                f"training step keeps. Got {self.momentum} instead."
            )
