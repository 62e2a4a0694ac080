"""The settings of `QuantConfig` for a target."""

from typing import Any

from tfopt.kernels import TARGETS


def target_settings(target: str, given: dict[str, Any]) -> dict[str, Any]:
    """The settings for a target, with those that the user gives.

    Args:
        target: a name in `TARGETS`.
        given: arguments of `QuantConfig`; they win.

    Raises:
        ValueError: an unknown target, or settings that it cannot compute.

    >>> from tfopt.quantization._targets import target_settings
    >>> target_settings("ethos-u", {"activation_bits": 16})
    {'target': 'ethos-u', 'strict': True, 'dense_granularity': 'tensor', 'pack_weights': False, 'activation_bits': 16}
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
    return {"target": target, **row.settings, **given}
