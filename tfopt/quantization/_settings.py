"""What the frozen classes of settings share: one sentence for a wrong argument, and a short `repr`."""

import dataclasses
from typing import Any


def check_setting(settings: Any, name: str, holds: bool, expected: str) -> None:
    """Raises ValueError, with the class, the argument and what came, unless a condition holds."""
    if not holds:
        raise ValueError(
            f"The '{name}' argument of {type(settings).__name__} must be {expected}. Got {getattr(settings, name)!r} "
            "instead."
        )


def named(settings: Any) -> str:
    """The settings that are not the default, as the call that makes them.

    >>> from tfopt.quantization import QuantConfig
    >>> from tfopt.quantization._settings import named
    >>> named(QuantConfig(weight_bits=4, delay=10))
    'QuantConfig(weight_bits=4, delay=10)'
    """
    changed = [
        f"{field.name}={value!r}"
        for field in dataclasses.fields(settings)
        if (value := getattr(settings, field.name)) != _default(field)
    ]
    return f"{type(settings).__name__}({', '.join(changed)})"


def _default(field: dataclasses.Field) -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()
