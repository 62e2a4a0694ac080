"""Checks of arguments, each with one clear error message."""

import numbers
from collections.abc import Callable, Iterable
from typing import Any


def named(names: Iterable[str]) -> str:
    """`'a', 'b' or 'c'`."""
    quoted = [repr(name) for name in names]
    return " or ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


def sentence(owner: Any, name: str, expected: str, way_out: str) -> str:
    """An error message: what the field of a dataclass must be, what it is, and how to fix that."""
    return (
        f"The '{name}' argument of {type(owner).__name__} must be {expected}. "
        f"Got {getattr(owner, name)!r} instead. {way_out}"
    )


def check_number(
    owner: Any, name: str, kind: type, valid: Callable[[Any], bool], expected: str, way_out: str
) -> None:
    """Raise unless the field is a number of this kind in range; NumPy numbers become Python ones (for JSON)."""
    value: Any = getattr(owner, name)
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(sentence(owner, name, expected, way_out))
    if not valid(value):
        raise ValueError(sentence(owner, name, expected, way_out))
    convert: type = int if isinstance(value, numbers.Integral) else float
    object.__setattr__(owner, name, convert(value))


def check_sparsity(owner: Any, name: str) -> None:
    """Raise unless the field is a sparsity."""
    check_number(
        owner, name, numbers.Real, lambda x: 0 <= x < 1, "a float in [0, 1)", "For 80 % zeros pass 0.8."
    )


def check_integer(owner: Any, name: str, minimum: int, way_out: str = "It counts optimizer steps.") -> None:
    """Raise unless the field is an integer that is not below the minimum."""
    expected = f"an integer of at least {minimum}"
    check_number(owner, name, numbers.Integral, lambda x: x >= minimum, expected, way_out)


def check_after(owner: Any, name: str, before: str, way_out: str) -> None:
    """Raise unless one field is greater than another."""
    if getattr(owner, name) <= getattr(owner, before):
        raise ValueError(sentence(owner, name, f"above {before}={getattr(owner, before)}", way_out))
