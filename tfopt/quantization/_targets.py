"""What each runtime can compute: a row of settings per target."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A row of the table.

    Attributes:
        settings: what `QuantConfig.for_target` sets.
        activation_bits: the widths of activations that its kernels take.
    """

    settings: dict[str, Any]
    activation_bits: tuple[int, ...] = (8, 16)


TARGETS: dict[str, Target] = {
    # https://ai.google.dev/edge/litert/models/quantization_spec, and tried on LiteRT 2.3: CONV_2D, DEPTHWISE_CONV_2D
    # and FULLY_CONNECTED run on int4 weights.
    "litert": Target(settings={}),
    # Per-channel FULLY_CONNECTED was refused (https://github.com/tensorflow/tflite-micro/pull/2602) until the reference
    # and CMSIS-NN kernels learned it in September 2024 (https://github.com/tensorflow/tflite-micro/pull/2673); vendors'
    # kernels have not. int4 weights need CMSIS-NN (https://github.com/tensorflow/tflite-micro/pull/2314).
    "tflm": Target(settings={"dense_granularity": "tensor", "pack_weights": False}),
    # Vela leaves what is not int8 or int16 to the CPU (SUPPORTED_OPS.md of ethos-u-vela), dies of int4 weights (tried
    # on 5.2.0), and takes weights per channel.
    "ethos-u": Target(settings={"strict": True, "pack_weights": False}),
    # "Tensor parameters are quantized (8-bit fixed-point numbers; int8 or uint8)", and a float operator ends what runs
    # on the TPU: https://coral.ai/docs/edgetpu/models-intro/#model-requirements. The compiler's last release, 16.0 of
    # 2021, is older than per-channel FULLY_CONNECTED in the converter (TensorFlow 2.17).
    "edgetpu": Target(
        settings={"strict": True, "dense_granularity": "tensor", "pack_weights": False}, activation_bits=(8,)
    ),
}


def target_settings(target: str, given: dict[str, Any]) -> dict[str, Any]:
    """The settings for a target, with those that the user gives.

    Args:
        target: a name in `TARGETS`.
        given: arguments of `QuantConfig`; they win.

    Raises:
        ValueError: an unknown target, or settings that it cannot compute.

    >>> from tfopt.quantization._targets import target_settings
    >>> target_settings("ethos-u", {"activation_bits": 16})
    {'strict': True, 'pack_weights': False, 'activation_bits': 16}
    """
    if target not in TARGETS:
        raise ValueError(
            f"The 'target' argument of QuantConfig.for_target must be one of {', '.join(map(repr, TARGETS))}. Got "
            f"{target!r} instead. For another runtime give QuantConfig the settings themselves."
        )
    row = TARGETS[target]
    bits = given.get("activation_bits", 8)
    if bits not in row.activation_bits:
        raise ValueError(
            f"The 'activation_bits' argument must be {' or '.join(map(str, row.activation_bits))} for target "
            f"{target!r}. Got {bits!r} instead. Leave it out, or choose another target."
        )
    if given.get("pack_weights") and not row.settings.get("pack_weights", True):
        raise ValueError(
            f"The 'pack_weights' argument must be False for target {target!r}, which does not read packed weights. Got "
            "True instead. Leave it out."
        )
    return {**row.settings, **given}
